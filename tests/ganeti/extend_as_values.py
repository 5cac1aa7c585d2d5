# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends each of Ganeti's modules, replaces and takes back. The arguments are the
folders of Ganeti's modules and of the package's.

"""

import importlib
import sys
sys.path[:0] = sys.argv[1:]
import ganeti_virtio_rng_finder as finder
import ganeti_virtio_rng_loader as loader
for name in finder.EXTENDED:
  importlib.import_module(name)
modules = [sys.modules[name] for name in sorted(finder.EXTENDED)]
owners = [owner for module in modules for owner in [module] +
          [value for value in vars(module).values() if isinstance(value, type)]]
def look():
  return [dict(vars(owner)) for owner in owners]
before = look()
for module in modules:
  extension = importlib.import_module("ganeti_virtio_rng.extensions.%s" %
                                      module.__name__.rpartition(".")[2])
  values = extension.extend(module)
  assert look() == before
  loader._replace(*values)
  assert look() != before
  loader._take_back()
  assert look() == before

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The KVM hypervisor parameter virtio_rng for Ganeti.

@var HV_VIRTIO_RNG: name of the parameter
@var VALUES: the strings that it takes
@var DEFAULT: the one that a cluster starts with
@var MAX_BYTES: what a guest may draw from the host in a period, in bytes
@var PERIOD: the period, in milliseconds

"""

import importlib.machinery
import struct


def _check_complete(path: str) -> None:
  """Checks that a full disk or a crash took no shared library's end away.

  The dynamic linker maps what its headers promise, and the kernel kills the
  process that reads past the end of the file, or zeros in its place. The
  section headers, which linkers write last, are that end (ELF, System V ABI).

  @raise ImportError: when they are not there

  """
  with open(path, "rb") as library:
    content = library.read()
  if len(content) >= 64:
    layout = "=40xQ10xHH" if content[4:5] == b"\2" else "=32xI10xHH"
    offset, entry_size, entries = struct.unpack_from(layout, content)
    sections = content[offset:offset + entry_size * entries]
    if len(sections) == entry_size * entries and (any(sections) or not entries):
      return
  raise ImportError("%s has lost its end" % path)


# Not importlib.util's function of this name: Ganeti doesn't load that module,
# whose import costs more than all of this package's Python.
_spec = importlib.machinery.PathFinder.find_spec("ganeti_virtio_rng._core",
                                                 __path__)
if _spec is not None and _spec.origin is not None:
  _check_complete(_spec.origin)

from ganeti_virtio_rng._core import (DEFAULT, HV_VIRTIO_RNG, MAX_BYTES, PERIOD,
  VALUES, build_argv, check, check_source, read_options)

__all__ = ["DEFAULT", "HV_VIRTIO_RNG", "MAX_BYTES", "PERIOD", "VALUES",
           "build_argv", "check", "check_source", "read_options"]

__version__ = "0.2"

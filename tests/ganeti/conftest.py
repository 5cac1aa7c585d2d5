# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The real modules of each supported Ganeti, with the plugin in effect."""

import importlib
import os
import sys

import pytest

import ganeti_virtio_rng_startup
from lab.base import node_base


class Ganeti:
  """One release's modules, by name: ganeti.constants, ganeti.objects, ..."""

  def __init__(self, release):
    self.base = node_base(release, print)
    self.path = next(self.base.glob("usr/share/ganeti/3.*"))

  def __getattr__(self, name):
    return importlib.import_module("ganeti.%s" % name)

  @property
  def hv_kvm(self):
    return importlib.import_module("ganeti.hypervisor.hv_kvm")

  def forget(self):
    for name in list(sys.modules):
      if (name.partition(".")[0] == "ganeti" or
          name == "ganeti_virtio_rng.hv_kvm"):
        del sys.modules[name]


@pytest.fixture(scope="module",
                params=os.environ.get("LAB_RELEASES",
                                      "bookworm trixie").split())
def ganeti(request):
  release = Ganeti(request.param)
  sys.path.insert(0, str(release.path))
  release.forget()
  ganeti_virtio_rng_startup.start()
  yield release
  release.forget()
  sys.path.remove(str(release.path))

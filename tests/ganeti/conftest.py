# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The real modules of each supported Ganeti, with the plugin in effect."""

import importlib
import itertools
import subprocess
import sys
import uuid

import pytest

import ganeti_virtio_rng_finder
from lab.base import node_base


class Ganeti:
  """One release's modules, by name: ganeti.constants, ganeti.objects, ...

  @ivar qemu: path of a program that runs the release's own QEMU

  """

  def __init__(self, release, folder):
    self.release = release
    self.base = node_base(release, print)
    self.path = next(self.base.glob("usr/share/ganeti/3.*"))
    self.qemu = str(folder / "kvm")
    run = "chroot '%s' qemu-system-x86_64" % self.base
    # What Ganeti asks it each time, once
    for name, options in ("help", "--help"), ("machines", "-machine '?'"):
      subprocess.run("%s %s > %s" % (run, options, folder / name), shell=True,
                     check=True)
    (folder / "kvm").write_text(
      "#!/bin/sh\ncase \"$*\" in\n  --help) exec cat {0}/help;;\n"
      "  '-machine ?') exec cat {0}/machines;;\nesac\nexec {1} \"$@\"\n".format(
        folder, run))
    (folder / "kvm").chmod(0o755)

  def __getattr__(self, name):
    return importlib.import_module("ganeti.%s" % name)

  @property
  def hv_kvm(self):
    return importlib.import_module("ganeti.hypervisor.hv_kvm")

  def generate_runtime(self, hvparams, nics=0, disks=0, function=None):
    """What an instance is started with, as KVMHypervisor generates it.

    """
    cls = self.hv_kvm.KVMHypervisor
    uuids = (str(uuid.uuid5(uuid.NAMESPACE_OID, str(i)))
             for i in itertools.count())
    instance = self.objects.Instance(
      name="web1.example.com", hvparams=hvparams, uuid=next(uuids),
      beparams={"maxmem": 256, "minmem": 256, "vcpus": 1}, network_port=11000,
      nics=[self.objects.NIC(uuid=next(uuids)) for _ in range(nics)])
    block_devices = [(self.objects.Disk(uuid=next(uuids)), "", None)
                     for _ in range(disks)]
    return (function or cls._GenerateKVMRuntime)(
      object.__new__(cls), instance, block_devices, False,
      cls._GetKVMOutput(hvparams["kvm_path"], cls._KVMOPT_HELP))

  def forget(self):
    """Forgets them, and what was extended in them.

    """
    for name in list(sys.modules):
      if (name.partition(".")[0] == "ganeti" or
          name.startswith("ganeti_virtio_rng.extensions") or
          name in ("ganeti_virtio_rng.hotplug", "ganeti_virtio_rng.placement",
                   "ganeti_virtio_rng_loader")):
        del sys.modules[name]


@pytest.fixture(scope="module")
def release(request):
  """The Debian release whose Ganeti it is.

  """
  return request.param


@pytest.fixture(scope="module")
def ganeti(release, tmp_path_factory):
  result = Ganeti(release, tmp_path_factory.mktemp("qemu"))
  sys.path.insert(0, str(result.path))
  result.forget()
  ganeti_virtio_rng_finder.start()
  yield result
  result.forget()
  sys.path.remove(str(result.path))


@pytest.fixture
def defaults(ganeti):
  """A new cluster, whose configuration holds only Ganeti's own defaults.

  """
  result = ganeti.objects.Cluster()
  result.UpgradeConfig()
  return result


@pytest.fixture
def hvparams(ganeti, defaults, monkeypatch):
  """A cluster's defaults, with the release's own QEMU.

  """
  params = defaults.GetHVDefaults("kvm")
  params["kvm_path"] = ganeti.qemu
  # where Ganeti 3.1 validates against this one, whatever kvm_path says
  monkeypatch.setattr(ganeti.constants, "KVM_PATH", ganeti.qemu)
  params["kernel_path"] = ""
  return params

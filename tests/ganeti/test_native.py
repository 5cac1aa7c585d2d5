# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A Ganeti that is built with the parameter: native.patch, applied."""

import pathlib
import shutil
import subprocess
import sys

import pytest

import ganeti_virtio_rng

PATCH = pathlib.Path(__file__).with_name("native.patch")

#: What Ganeti's build would make of the patched Constants.hs
GENERATED = """
HV_VIRTIO_RNG = "virtio_rng"
HVS_PARAMETERS |= {HV_VIRTIO_RNG}
HVS_PARAMETER_TYPES[HV_VIRTIO_RNG] = VTYPE_STRING
HVC_DEFAULTS["kvm"][HV_VIRTIO_RNG] = "random"
"""


@pytest.fixture
def stock(ganeti, hvparams):
  """What the plugin's parameter is, and a command line without a device."""
  kvm = ganeti.hv_kvm.KVMHypervisor
  hvparams["virtio_rng"] = "off"
  return (kvm.PARAMETERS["virtio_rng"], ganeti.generate_runtime(hvparams)[0])


@pytest.fixture
def native(ganeti, stock, tmp_path):
  """Has the release's modules be patched ones."""
  source = ganeti.base / "usr/src/ganeti"
  # Copied as in Ganeti's source, where lib/ is what is installed as ganeti/
  shutil.copytree(str(ganeti.path / "ganeti"), str(tmp_path / "lib"))
  (tmp_path / "src/Ganeti").mkdir(parents=True)
  shutil.copy(str(source / "src/Ganeti/Constants.hs"),
              str(tmp_path / "src/Ganeti"))
  result = subprocess.run(
    ["patch", "--strip=1", "--fuzz=0", "--input", str(PATCH)],
    cwd=str(tmp_path), check=False, stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, universal_newlines=True)
  assert result.returncode == 0, result.stdout

  (tmp_path / "lib").rename(tmp_path / "ganeti")
  with open(str(tmp_path / "ganeti/_constants.py"), "a") as constants:
    constants.write(GENERATED)
  ganeti.forget()
  sys.path.insert(0, str(tmp_path))
  assert ganeti.hv_kvm.__file__.startswith(str(tmp_path))
  yield ganeti
  sys.path.remove(str(tmp_path))
  ganeti.forget()


@pytest.fixture
def params(native, monkeypatch):
  """A cluster's defaults, to which nobody but Ganeti adds virtio_rng."""
  cluster = native.objects.Cluster()
  cluster.UpgradeConfig()
  assert cluster.hvparams["kvm"]["virtio_rng"] == "random"
  result = cluster.GetHVDefaults("kvm")
  result["kvm_path"] = native.qemu
  monkeypatch.setattr(native.constants, "KVM_PATH", native.qemu)
  result["kernel_path"] = ""
  return result


def test_parameter(native, stock):
  kvm = native.hv_kvm.KVMHypervisor
  assert kvm.PARAMETERS["virtio_rng"] == stock[0]
  assert set(kvm.PARAMETERS) == set(native.constants.HVC_DEFAULTS["kvm"])
  # The plugin changes nothing.
  assert not hasattr(kvm.ValidateParameters, "__wrapped__")
  assert not hasattr(kvm._GenerateKVMRuntime, "__wrapped__")


def test_validation(native, params, monkeypatch):
  kvm = native.hv_kvm.KVMHypervisor
  for value in ganeti_virtio_rng.VALUES:
    params["virtio_rng"] = value
    kvm.CheckParameterSyntax(params)
    kvm.ValidateParameters(params)

  def error(function, value):
    params["virtio_rng"] = value
    with pytest.raises(native.errors.HypervisorError) as context:
      function(params)
    return str(context.value)

  assert error(kvm.CheckParameterSyntax, "foo") == (
    "Parameter 'virtio_rng' fails syntax check: The value must be one of: off,"
    " random, urandom (current value: 'foo')")

  def fail(value):
    raise OSError(2, "No such file or directory", "/dev/%s" % value)
  monkeypatch.setattr(ganeti_virtio_rng, "check_source", fail)
  assert error(kvm.ValidateParameters, "random") == (
    "Parameter 'virtio_rng' fails validation: /dev/random: No such file or"
    " directory (current value: 'random'), set it to 'off' to start the"
    " instance without it")


@pytest.mark.parametrize("value", ganeti_virtio_rng.VALUES)
def test_device(native, stock, params, value):
  params["virtio_rng"] = value
  assert native.generate_runtime(params)[0] == (
    stock[1] + ganeti_virtio_rng.build_argv(value))

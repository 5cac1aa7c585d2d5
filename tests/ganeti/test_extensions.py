# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What the plugin makes of Ganeti's own modules."""

import importlib
import logging
import pathlib
import re
import subprocess
import sys

import pytest

import ganeti_virtio_rng

ROOT = pathlib.Path(__file__).parents[2]

PLACE = ",bus=pci.0,addr=0xb"
DEVICE = ["-object", "rng-random,filename=/dev/random,id=virtio_rng0",
          "-device", "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,"
                     "max-bytes=1024,period=1000" + PLACE]

NO_DEVICE = ("Parameter 'virtio_rng' fails validation: /dev/random: No such file"
             " or directory (current value: 'random'), set it to 'off' to start"
             " the instance without it")


@pytest.fixture
def kvm(ganeti):
  return ganeti.hv_kvm.KVMHypervisor


def generate(ganeti, hvparams, function=None):
  """Returns the command line that an instance is started with.

  """
  return ganeti.generate_runtime(hvparams, function=function)[0]


def test_constants(ganeti):
  constants = ganeti.constants
  assert constants.HV_VIRTIO_RNG == "virtio_rng"
  assert constants.HT_VIRTIO_RNG_OFF == "off"
  assert constants.HT_VIRTIO_RNG_RANDOM == "random"
  assert constants.HT_VIRTIO_RNG_URANDOM == "urandom"
  assert (constants.HT_VALID_VIRTIO_RNG_TYPES ==
          frozenset(["off", "random", "urandom"]))
  assert "virtio_rng" in constants.HVS_PARAMETERS
  assert constants.HVS_PARAMETER_TYPES["virtio_rng"] == "string"


def test_nothing_else_changes(ganeti):
  generated = importlib.import_module("ganeti._constants")
  assert "virtio_rng" not in generated.HVS_PARAMETER_TYPES
  assert ganeti.constants.HVC_DEFAULTS is generated.HVC_DEFAULTS
  assert "virtio_rng" not in str(ganeti.constants.HVC_DEFAULTS)


def test_ganeti_knows_each_parameter_everywhere(ganeti, defaults):
  """As Ganeti's own unit tests ask of its parameters."""
  constants = ganeti.constants
  assert set(constants.HVS_PARAMETERS) == set(constants.HVS_PARAMETER_TYPES)
  assert (set(ganeti.hv_kvm.KVMHypervisor.PARAMETERS) ==
          set(defaults.GetHVDefaults("kvm")))


AS_VALUES = pathlib.Path(__file__).with_name("extend_as_values.py")


def test_extensions_are_values(ganeti):
  """They touch nothing; the loader replaces, and takes all back."""
  subprocess.run(
    [sys.executable, str(AS_VALUES), str(ganeti.path), str(ROOT),
     str(ROOT / "ganeti_virtio_rng/site")], check=True)


@pytest.mark.parametrize("value", ganeti_virtio_rng.VALUES)
def test_syntax_of_values(kvm, hvparams, value):
  hvparams["virtio_rng"] = value
  kvm.CheckParameterSyntax(hvparams)


@pytest.mark.parametrize("value", ["foo", "URANDOM", "urandom ", "default",
                                   "urandom,filename=/etc/shadow", True, 5])
def test_syntax_of_other_values(ganeti, kvm, hvparams, value):
  hvparams["virtio_rng"] = value
  with pytest.raises(ganeti.errors.HypervisorError) as context:
    kvm.CheckParameterSyntax(hvparams)
  assert str(context.value) == (
    "Parameter 'virtio_rng' fails syntax check: The value must be one of: off,"
    " random, urandom (current value: '%s')" % value)


def test_syntax_of_yamls_off(ganeti, kvm, hvparams):
  """Ganeti makes false, which off is in YAML, an empty string."""
  for value in (False, ""):
    hvparams["virtio_rng"] = value
    ganeti.utils.ForceDictType(hvparams, ganeti.constants.HVS_PARAMETER_TYPES)
    with pytest.raises(ganeti.errors.HypervisorError) as context:
      kvm.CheckParameterSyntax(hvparams)
    assert str(context.value) == (
      "Parameter 'virtio_rng' fails syntax check: The value must be one of:"
      " 'off', 'random', 'urandom' (current value: '')")


def test_syntax_of_no_value(ganeti, kvm, hvparams):
  hvparams["virtio_rng"] = None
  with pytest.raises(ganeti.errors.HypervisorError,
                     match="Parameter 'virtio_rng' is required but"):
    kvm.CheckParameterSyntax(hvparams)


def test_missing_key_means_off(ganeti, kvm, hvparams):
  """A node that was sent none was called by a master without the package."""
  del hvparams["virtio_rng"]
  before = dict(hvparams)
  kvm.CheckParameterSyntax(hvparams)
  kvm.ValidateParameters(hvparams)
  assert "virtio-rng" not in " ".join(map(str, generate(ganeti, hvparams)))
  if hasattr(kvm, "AssessParameters"):
    kvm.AssessParameters(hvparams)
  assert hvparams == before


@pytest.mark.parametrize("value", ganeti_virtio_rng.VALUES)
def test_validation(kvm, hvparams, value):
  hvparams["virtio_rng"] = value
  kvm.ValidateParameters(hvparams)


@pytest.mark.parametrize("value", ["foo", "", None, 1,
                                   "urandom,filename=/etc/shadow"])
def test_validation_of_a_value_edited_into_the_configuration(
    ganeti, kvm, hvparams, value):
  hvparams["virtio_rng"] = value
  with pytest.raises(ganeti.errors.HypervisorError, match="'virtio_rng'"):
    kvm.ValidateParameters(hvparams)
  with pytest.raises(ganeti.errors.HypervisorError, match="'virtio_rng'"):
    generate(ganeti, hvparams)


def test_validation_names_device_and_reason(ganeti, kvm, hvparams,
                                            monkeypatch):
  """The host device's own check is tested in tests/proof/test_devices.py."""
  def fail(value):
    raise OSError(2, "No such file or directory", "/dev/%s" % value)
  extension = importlib.import_module("ganeti_virtio_rng.extensions.hv_kvm")
  monkeypatch.setattr(extension, "check_source", fail)
  with pytest.raises(ganeti.errors.HypervisorError) as context:
    kvm.ValidateParameters(hvparams)
  assert str(context.value) == NO_DEVICE


def test_validation_of_what_kvm_extra_adds(kvm, hvparams, monkeypatch):
  """It may have another source; then the host's device is of no use."""
  extension = importlib.import_module("ganeti_virtio_rng.extensions.hv_kvm")
  monkeypatch.setattr(extension, "check_source", lambda _: open("/missing"))
  hvparams["kvm_extra"] = ("-object rng-random,filename=/dev/hwrng,id=rng0"
                           " -device virtio-rng-pci,rng=rng0")
  kvm.ValidateParameters(hvparams)


def test_validation_that_breaks(kvm, hvparams, run_kvm, monkeypatch, caplog):
  """By an error of ours, which stops nothing."""
  extension = importlib.import_module("ganeti_virtio_rng.extensions.hv_kvm")
  monkeypatch.setattr(extension, "check_source", lambda _: {}["x"])
  kvm.ValidateParameters(hvparams)
  [record] = caplog.records
  assert record.exc_info[0] is KeyError
  assert "no such disk" in run_kvm("echo no such disk >&2; exit 1")


def test_device_is_appended(ganeti, kvm, hvparams):
  """All that stock Ganeti generates is there, unchanged and first."""
  stock = generate(ganeti, hvparams, kvm._GenerateKVMRuntime.__wrapped__)
  assert generate(ganeti, hvparams) == stock + DEVICE
  hvparams["virtio_rng"] = "urandom"
  assert (generate(ganeti, hvparams) ==
          stock + [arg.replace("/dev/random", "/dev/urandom")
                   for arg in DEVICE])
  hvparams["virtio_rng"] = "off"
  assert generate(ganeti, hvparams) == stock


APPEND = pathlib.Path(__file__).with_name("append_device.py")


def test_appending_reads_nothing_of_the_node(ganeti):
  """Ganeti asks this of _GenerateKVMRuntime, whose result migrates."""
  result = subprocess.run(
    ["strace", "-e", "trace=%file,%desc,%network,%process",
     sys.executable, str(APPEND), str(ganeti.path), str(ROOT),
     str(ROOT / "ganeti_virtio_rng/site")],
    stderr=subprocess.PIPE, check=True, universal_newlines=True)
  # but not where Python reads the program
  (before, between, _) = re.split("(?m)^f?access.*/marker.*\n", result.stderr)
  assert "open" in before
  assert between == ""


def test_error_of_ours_stops_no_start(ganeti, kvm, hvparams, monkeypatch,
                                      caplog):
  def fail(*_):
    raise KeyError("x")
  extension = importlib.import_module("ganeti_virtio_rng.extensions.hv_kvm")
  stock = generate(ganeti, hvparams, kvm._GenerateKVMRuntime.__wrapped__)
  monkeypatch.setattr(extension, "build_argv", fail)
  assert generate(ganeti, hvparams) == stock
  (record, ) = [record for record in caplog.records
                if "virtio_rng" in record.getMessage()]
  assert record.getMessage() == (
    "KVM: instance web1.example.com starts without the random number generator"
    " of virtio_rng")
  assert record.levelname == "ERROR"
  assert record.exc_info[0] is KeyError


@pytest.mark.parametrize("kvm_extra", [
  "-device virtio-rng-pci",
  "--device virtio-rng",
  "-object rng-random,filename=/dev/hwrng,id=rng0"
  " -device virtio-rng-pci,rng=rng0",
  "-device driver=virtio-rng-pci",
  ])
def test_one_generator_never_two(ganeti, kvm, hvparams, kvm_extra, caplog):
  hvparams["kvm_extra"] = kvm_extra
  stock = generate(ganeti, hvparams, kvm._GenerateKVMRuntime.__wrapped__)
  with caplog.at_level(logging.INFO):
    assert generate(ganeti, hvparams) == stock
  assert ("KVM: kvm_extra already adds a virtio-rng device to instance"
          " web1.example.com, ignoring virtio_rng=random" in caplog.messages)

  caplog.clear()
  hvparams["virtio_rng"] = "off"
  with caplog.at_level(logging.INFO):
    assert generate(ganeti, hvparams) == stock
  assert "virtio-rng" not in caplog.text


def test_id_that_kvm_extra_took(ganeti, kvm, hvparams):
  hvparams["kvm_extra"] = "-object iothread,id=virtio_rng0"
  assert generate(ganeti, hvparams)[-4:] == [
    arg.replace("virtio_rng0", "virtio_rng1") for arg in DEVICE]


@pytest.fixture
def run_kvm(ganeti, kvm, tmp_path, monkeypatch):
  """Function that has Ganeti run a shell script as if it were QEMU.

  """
  monkeypatch.setattr(ganeti.pathutils, "LOG_KVM_DIR", str(tmp_path))
  monkeypatch.setattr(kvm, "_PIDS_DIR", str(tmp_path))
  monkeypatch.setattr(kvm, "_CONF_DIR", str(tmp_path))

  extension = sys.modules["ganeti_virtio_rng.extensions.hv_kvm"]

  def run(script, argv=ganeti_virtio_rng.build_argv("random"), wrapper=(),
          hvparams=None, incoming=None, value="random"):
    with pytest.raises(ganeti.errors.HypervisorError) as context:
      extension._ExecuteKVMRuntime(
        lambda kvm, instance, runtime, *_, **__:
          kvm._RunKVMCmd(instance.name, runtime[0], []),
        object.__new__(kvm), ganeti.objects.Instance(
          name="web1", hvparams={"virtio_rng": value}),
        (list(wrapper) +
         ["sh", "-c", script, "sh", str(tmp_path / "web1.log")] + argv, [],
         hvparams or {}, []), "", incoming=incoming)
    return str(context.value)

  return run


DUE = ("; the random number generator is due to the hypervisor parameter"
       " 'virtio_rng', set it to 'off' to start the instance without it")


#: Runs the real one; a shell's script
QEMU = "shift; exec timeout 20 %s -display none -nodefaults -S \"$@\""


@pytest.mark.parametrize("complaint", [
  # as QEMUs without the device, without the backend, and 7.2 say it
  "-device %s: 'virtio-rng-pci' is not a valid device model name" %
  ganeti_virtio_rng.build_argv("random")[3],
  "-object %s: invalid object type: rng-random" %
  ganeti_virtio_rng.build_argv("random")[1],
  "could not open '/dev/random'"])
def test_failure_that_is_due_to_the_device(run_kvm, complaint):
  for script in ("echo \"%s\" >&2; exit 1", "echo \"%s\" > $1; exit 1",
                 "echo \"%s\" > $1"): # it was made a daemon, and has ended
    text = run_kvm(script % complaint)
    assert text.startswith("Failed to start instance web1")
    assert complaint in text and text.endswith(DUE)


@pytest.mark.parametrize("message, others", [
  ("Bus 'pci.0' not found", ["-M", "isapc"]),
  pytest.param("slot 11 function 0 not available for virtio-balloon-pci, in use"
               " by virtio-rng-pci,id=virtio_rng0",
               ["-device", "virtio-balloon,addr=0xb"],
               marks=pytest.mark.not_on("bullseye", reason="QEMU 5.2 names no"
                                        " id there")),
  ("Bus 'bogus' not found", ["-set", "device.virtio_rng0.bus=bogus"]),
  ("uplicate ID 'virtio_rng0' for device",
   ["-device", "virtio-balloon,id=virtio_rng0"]),
  ])
def test_qemu_that_refuses_the_device(ganeti, run_kvm, message, others):
  text = run_kvm(QEMU % ganeti.qemu, DEVICE + others)
  assert message in text
  assert text.endswith(DUE)


def test_qemu_that_finds_its_slot_taken(ganeti, run_kvm):
  text = run_kvm(QEMU % ganeti.qemu,
                 ["-device", "virtio-balloon,addr=0xb"] + DEVICE)
  assert "slot 11 function 0 not available for virtio-rng-pci" in text
  assert text.endswith(DUE)


@pytest.mark.parametrize("message, others", [
  ("not available for virtio-serial-pci",
   ["-device", "virtio-balloon,addr=4", "-device", "virtio-serial,addr=4"]),
  ("bogus", ["-device", "virtio-rng-pci,bogus=1"]),
  ])
def test_qemu_that_refuses_another_device(ganeti, run_kvm, message, others):
  text = run_kvm(QEMU % ganeti.qemu, DEVICE + others)
  assert message in text
  assert DUE not in text


def test_qemu_without_the_source(ganeti, run_kvm):
  """It went between validation and start; QEMU names nothing else."""
  script = ("mount -t tmpfs none {0}; touch {0}/null;"
            .format(ganeti.base / "dev") + QEMU % ganeti.qemu)
  text = run_kvm(script, DEVICE, ["unshare", "--mount"])
  assert "'/dev/random': No such file" in text
  assert text.endswith(DUE)
  other = ["-object", "rng-random,filename=/dev/random,id=other"]
  text = run_kvm(script, DEVICE + other, ["unshare", "--mount"])
  assert (DUE in text) == ("id=virtio_rng0" in text) # QEMU 5.2 names it


@pytest.mark.parametrize("script", [
  "echo no such disk >&2; exit 1", "echo no such disk > $1; exit 1", "exit 1",
  # of another run
  "echo virtio-rng-pci > $1; touch --date='1 hour ago' $1; exit 1",
  "printf '\\377' > $1; exit 1", # not UTF-8
  ])
def test_failure_that_is_not(run_kvm, script):
  text = run_kvm(script)
  assert text.startswith("Failed to start instance web1")
  assert "virtio_rng" not in text


@pytest.mark.parametrize("line, argv", [
  # whose id is not ours
  ("could not open '/dev/random'",
   ["-object", "rng-random,filename=/dev/random,id=virtio_rng"]),
  ("could not open '/dev/hwrng'",
   ["-object", "rng-random,filename=/dev/hwrng,id=virtio_rng0"]),
  # another file
  ("could not open '/dev/random.img'", DEVICE),
  ("-drive file=/dev/random: could not open '/dev/random'", DEVICE),
  # what can't be read
  ("JSON parse error", ["-object", '{"qom-type":"x","id":"\u00e9'] + DEVICE)])
def test_failure_of_something_else(run_kvm, line, argv):
  text = run_kvm("echo \"kvm: %s\" >&2; exit 1" % line, argv)
  assert line in text
  assert DUE not in text


@pytest.mark.parametrize("quote", ["", "'"])
def test_failure_of_a_copy_in_kvm_extra(run_kvm, quote):
  """With the id of ours, another rate, and an address that a NIC has."""
  extra = [DEVICE[0], quote + DEVICE[1] + quote, DEVICE[2],
           DEVICE[3].replace("1024", "4096").replace("0xb", "0xc")]
  for incoming in None, ("10.77.0.2", 8102):
    text = run_kvm("echo '%s: slot 12 function 0 not available' >&2; exit 1" %
                   extra[3], extra, incoming=incoming,
                   hvparams={"virtio_rng": "off", "kvm_extra": " ".join(extra)})
    assert "slot 12" in text
    assert "virtio_rng'" not in text


def test_failure_of_a_migration(run_kvm):
  """The other node's QEMU, which runs on, has the device whatever is set."""
  text = run_kvm("echo \"could not open '/dev/random'\" >&2; exit 1", DEVICE,
                 incoming=("10.77.0.2", 8102))
  assert text.endswith(DUE.replace("to start the instance without it", "and"
                                   " restart the instance to migrate without"
                                   " it"))


@pytest.mark.parametrize("incoming, step", [
  (None, "start the instance without it"),
  (("10.77.0.2", 8102), "restart the instance to migrate without it")])
def test_failure_of_a_device_that_is_set_off(run_kvm, incoming, step):
  """It is in use as long as the instance runs."""
  text = run_kvm("echo \"could not open '/dev/random'\" >&2; exit 1", DEVICE,
                 incoming=incoming, value="off")
  assert text.endswith("hypervisor parameter 'virtio_rng', " + step)


def test_error_of_ours_hides_none_of_qemu(run_kvm, kvm, monkeypatch, caplog):
  extension = importlib.import_module("ganeti_virtio_rng.extensions.hv_kvm")
  monkeypatch.setattr(extension, "read_options", None)
  text = run_kvm("echo no such disk >&2; exit 1")
  assert "no such disk" in text
  assert "can't read the arguments of web1" in caplog.text


def test_failure_of_a_generator_in_kvm_extra(run_kvm):
  text = run_kvm("echo 'virtio-rng-pci: no such property' >&2; exit 1",
                 ["-device", "virtio-rng-pci,max-byte=1"])
  assert "no such property" in text
  assert "virtio_rng" not in text


def test_assessment(ganeti, kvm, hvparams, monkeypatch, caplog):
  """Since 3.1, `gnt-cluster verify` gives advice on the parameters."""
  version = ganeti.constants.VERSION_MINOR
  assert hasattr(kvm, "AssessParameters") == (version >= 1)
  if version == 0:
    return

  def assess(**changes):
    params = dict(hvparams, **changes)
    stock = kvm.AssessParameters.__wrapped__(kvm, params)
    advice = kvm.AssessParameters(params)
    assert advice[:len(stock)] == stock
    return advice[len(stock):]

  extra = "-device virtio-rng-pci"
  assert assess() == []
  assert assess(virtio_rng="off", kvm_extra=extra) == []
  assert assess(virtio_rng="nonsense", kvm_extra=extra) == []
  assert assess(kvm_extra="-device 'unbalanced") == []
  assert assess(kvm_extra=None) == []
  json = "-device '{\"driver\": \"virtio-rng-pci\"}'"
  for value in (extra, json):
    assert assess(kvm_extra=value) == [
      "kvm_extra already adds a virtio-rng device, so that virtio_rng=random"
      " is ignored, please remove the device from kvm_extra or set virtio_rng"
      " to 'off'."]
  assert caplog.text == ""
  extension = importlib.import_module("ganeti_virtio_rng.extensions.hv_kvm")
  monkeypatch.setattr(extension, "build_argv", None)
  assert assess(kvm_extra=extra) == [] # by an error of ours
  assert "can't read kvm_extra" in caplog.text


@pytest.mark.parametrize("kvm_extra", [
  "", "-no-hpet", "-device 'virtio-rng-pci' -smbios 'type=1,product=a -b'",
  "-fw_cfg 'name=opt/a,string=b -device virtio-rng-pci'",
  "-device\nvirtio-rng-pci  -no-hpet\n", "-device {\"driver\":\"sga\"}"])
def test_words_of_kvm_extra(ganeti, hvparams, kvm_extra):
  """As this Ganeti splits it."""
  from ganeti_virtio_rng import running
  hvparams.update(virtio_rng="off", kvm_extra="")
  without = ganeti.generate_runtime(hvparams)[0]
  hvparams["kvm_extra"] = kvm_extra
  (kvm_cmd, *_) = ganeti.generate_runtime(hvparams)
  extra = kvm_extra and running.kvm_extra(hvparams)
  assert len(kvm_cmd) == len(without) + len(extra)
  assert str(extra)[1:-1] in str(kvm_cmd)


def test_metadata_of_methods(kvm):
  """Tracebacks and help() show Ganeti's names."""
  for name in ("CheckParameterSyntax", "ValidateParameters",
               "_GenerateKVMRuntime"):
    assert getattr(kvm, name).__name__ == name
    assert "@" in getattr(kvm, name).__doc__

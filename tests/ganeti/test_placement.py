# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Where QEMU puts the device, and that nothing else moves or fails.

Ganeti makes the command line, QEMU builds the machine and lists its bus.

"""

import re
import subprocess

import hypothesis
import pytest

from hypothesis import strategies

RNG = "1af4:1005"


class Machine:
  """What QEMU makes of a command line; its guest doesn't run.

  @ivar bus: place, such as (3, 0), of each PCI function, with what it is
  @ivar error: what QEMU said if it didn't start

  """
  def __init__(self, ganeti, hvparams, nics, disks):
    runtime = ganeti.generate_runtime(hvparams, nics, disks)
    result = subprocess.run(
      self._simplify(runtime[0]) + self._devices(runtime) +
      ["-S", "-monitor", "stdio"],
      input="info pci\nquit\n", stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, check=False, universal_newlines=True)
    self.error = result.stdout if result.returncode else None
    self.bus = {}
    for match in re.finditer(r"Bus +0, device +(\d+), function (\d+):\s+"
                             r"[^:]*: PCI device (\S+)", result.stdout):
      place = (int(match.group(1)), int(match.group(2)))
      self.bus[place] = match.group(3)

  @staticmethod
  def _simplify(kvm_cmd):
    """Removes what is no device but a daemon's business.

    """
    result = []
    arguments = iter(map(str, kvm_cmd))
    for argument in arguments:
      if argument in ("-pidfile", "-D", "-monitor"):
        next(arguments)
      elif argument == "-chardev":
        ident = re.search("id=[^,]+", next(arguments)).group()
        result += [argument, "null," + ident]
      elif argument != "-daemonize":
        result.append(argument)
    return result

  @staticmethod
  def _devices(runtime):
    """Adds NICs and disks where Ganeti does when it executes the runtime.

    """
    result = [] if runtime[1] else ["-net", "none"]
    for nic in runtime[1]:
      result += ["-netdev", "hubport,hubid=0,id=%s" % nic.hvinfo["id"],
                 "-device",
                 "{driver},id={id},bus={bus},addr={addr},netdev={id}".format(
                   **nic.hvinfo)]
    for disk, _, _ in runtime[3]:
      result += ["-blockdev", "null-co,node-name=%s" % disk.hvinfo["id"],
                 "-device",
                 "{driver},id={id},bus={bus},addr={addr},drive={id}".format(
                   **disk.hvinfo)]
    return result


@pytest.fixture
def build(ganeti, hvparams):
  """A function that builds a machine.

  """
  def build_machine(virtio_rng, nics=0, disks=0, **changes):
    params = dict(hvparams, kvm_flag="disabled", vhost_net=False,
                  serial_console=False, virtio_rng=virtio_rng, **changes)
    return Machine(ganeti, params, nics, disks)

  return build_machine


@pytest.fixture
def place(build):
  """A function that builds a machine without the device and with it.

  What starts without it must start with it, and have the same hardware in the
  same places. Returns the slot of the device, or None if there is none.

  """
  def compare(**changes):
    without = build("off", **changes)
    assert without.error is None, "stock Ganeti can't start this"
    machine = build("random", **changes)
    assert machine.error is None
    added = dict(machine.bus.items() - without.bus.items())
    assert machine.bus.items() >= without.bus.items()
    assert list(added.values()) in ([RNG], [])
    return next((slot for slot, _ in added), None)

  return compare


# All that Ganeti places on the bus without an address
ALL = {"vga": "std", "use_guest_agent": True,
       "cdrom_disk_type": "paravirtual", "cdrom_image_path": "/usr/lib/os-release",
       "cdrom2_image_path": "/usr/lib/os-release"}

MOST = {"nics": 8, "disks": 16} # that an instance may have


def test_default(place):
  """QEMU chooses, in the range that Ganeti leaves to it."""
  assert place(nics=1, disks=1) == 4


@pytest.mark.parametrize("nic_type", ["e1000", "rtl8139", "ne2k_pci"])
def test_other_nics(place, nic_type):
  assert place(nics=2, nic_type=nic_type) == 4


@pytest.mark.parametrize("reservations, slot", [
  (4, 31), (8, 31), (11, 31), (12, 4), (20, 4), (32, 4)])
def test_reservations(place, reservations, slot):
  nics = 1 if reservations < 32 else 0
  assert place(nics=nics, kvm_pci_reservations=reservations) == slot


def test_why_a_small_reservation_needs_it(build, monkeypatch):
  from ganeti_virtio_rng import placement
  config = {"nics": 1, "kvm_pci_reservations": 4}
  assert build("off", **config).error is None
  assert build("random", **config).error is None
  monkeypatch.setattr(placement, "needs_slot", lambda *_: False)
  assert ("slot 4 function 0 not available for virtio-net-pci, in use by"
          " virtio-rng-pci" in build("random", **config).error)


@pytest.mark.parametrize("reservations, nics, disks, slot", [
  (7, 8, 16, 31), (8, 8, 15, 31), (8, 8, 16, 7)])
def test_all_that_ganeti_adds(place, reservations, nics, disks, slot):
  assert slot == place(nics=nics, disks=disks,
                       kvm_pci_reservations=reservations, **ALL)


def test_all_of_the_default_range(place):
  assert place(nics=8, disks=12, **ALL) < 12


def test_no_slot_is_left(place, caplog):
  """The instance starts without the device."""
  assert place(kvm_pci_reservations=8, kvm_extra="-device virtio-serial",
               **dict(MOST, **ALL)) is None
  assert ("KVM: no PCI slot is left for the random number generator of instance"
          " web1.example.com, ignoring virtio_rng=random") in caplog.text


SERIAL = " -device virtio-serial"


@pytest.mark.parametrize("kvm_extra, slot", [
  ("-smbios type=1", 31),
  ("-device virtio-serial,addr=4", 31), # where QEMU would put it
  ("-device virtio-serial,bus=pci.0,addr=0x4.0", 31),
  ("-device driver=virtio-serial,addr=0X1F", 30),
  ("-device virtio-serial,addr=1f -device virtio-serial,addr=1e.0", 29),
  ("-drive file=null-co://,if=virtio,format=raw", 31), # comes last, too
  ("-device pci-bridge,id=b,chassis_nr=1 -device virtio-serial,bus=b,addr=1f",
   30), # which bus it is isn't looked at
  (8 * SERIAL, 31), # as many as the reserved range holds
  ])
def test_kvm_extra(place, kvm_extra, slot):
  assert place(nics=1, disks=1, kvm_extra=kvm_extra.strip()) == slot


@pytest.mark.parametrize("device, slot", [
  ("""{"driver":"virtio-serial"}""", 31), # which comes last
  ("""{"driver":"virtio-serial","addr":"1f"}""", 30),
  ("""{"driver":"virtio-serial","addr":"0x4"}""", 31),
  ("""{"driver":"virtio-serial","addr":240}""", 31), # slot 30
  ("""{"addr":248,"driver":"virtio-serial"}""", 30),
  ])
def test_json_in_kvm_extra(ganeti, build, place, device, slot):
  if ganeti.constants.VERSION_MINOR > 0: # which reads it as a shell does
    device = device.replace('"', '\\"')
  config = {"nics": 1, "disks": 1, "kvm_extra": "-device %s" % device}
  if ganeti.release == "bullseye": # QEMU takes JSON since 6.2
    assert "not a valid device model name" in build("off", **config).error
  else:
    assert place(**config) == slot


@pytest.mark.parametrize("count, slot", [(26, 31), (27, 31), (28, None)])
def test_kvm_extra_fills_the_bus(place, count, slot):
  """Beyond its range, too: Ganeti has no device there."""
  assert place(kvm_extra=(count * SERIAL).strip()) == slot


def test_cdrom(place):
  """QEMU adds it last where Ganeti gives it -drive if=virtio."""
  slot = place(cdrom_disk_type="paravirtual", cdrom_image_path="/usr/lib/os-release")
  assert slot in (5, 31)


def oldest(ganeti, family):
  """Returns the oldest version of a machine type that a QEMU has.

  """
  output = subprocess.run([ganeti.qemu, "-machine", "help"], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True)
  return min(re.findall("^%s-[0-9.]+" % family, output.stdout, re.M),
             key=lambda name: list(map(int, re.findall(r"\d+", name))))


@pytest.mark.parametrize("machine", [
  "pc", "q35", "the oldest pc-i440fx", "the oldest pc-q35"])
@pytest.mark.parametrize("kvm_extra", ["", "-smbios type=1"])
def test_machine(ganeti, place, machine, kvm_extra):
  """There is no bus pci.0 in some, and QEMU chooses."""
  if machine.startswith("the oldest "):
    machine = oldest(ganeti, machine.split()[-1])
  slot = place(machine_version=machine, kvm_extra=kvm_extra)
  assert slot == (31 if kvm_extra and "q35" not in machine else slot)


def test_machine_in_kvm_extra(place):
  place(kvm_extra="-machine usb=off -M type=q35,usb=off")
  assert place(kvm_extra="-machine q35 -M pc -machine usb=off") == 31


@hypothesis.given(
  nics=strategies.integers(0, 8), disks=strategies.integers(0, 10),
  reservations=strategies.integers(4, 14),
  pinned=strategies.sets(strategies.integers(24, 31)),
  unpinned=strategies.integers(0, 10))
@hypothesis.settings(
  max_examples=25, deadline=None,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any(build, place, nics, disks, reservations, pinned, unpinned):
  """Whatever starts on stock Ganeti starts, and nothing moves."""
  hypothesis.assume(nics + disks + reservations <= 24)
  hypothesis.assume(unpinned + 4 <= reservations)
  extra = (["-device virtio-serial,addr=%x" % slot for slot in pinned] +
           ["-device virtio-serial"] * unpinned)
  place(nics=nics, disks=disks, kvm_pci_reservations=reservations,
        kvm_extra=" ".join(extra))

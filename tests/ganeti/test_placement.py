# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Where QEMU puts the device, and that nothing else moves or fails.

Ganeti makes the command line, QEMU builds the machine and lists its bus.

"""

import os
import re
import subprocess

import hypothesis
import pytest

from hypothesis import strategies

import ganeti_virtio_rng

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
    def as_option(hvinfo, backend):
      properties = ["%s=%s" % item for item in hvinfo.items()]
      return ",".join(properties + ["%s=%s" % (backend, hvinfo["id"])])

    result = [] if runtime[1] else ["-net", "none"]
    for nic in runtime[1]:
      result += ["-netdev", "hubport,hubid=0,id=%s" % nic.hvinfo["id"],
                 "-device", as_option(nic.hvinfo, "netdev")]
    for disk, _, _ in runtime[3]:
      # An IDE disk has an address, too, which Ganeti makes no use of.
      hvinfo = ({"driver": "ide-hd", "id": disk.hvinfo["id"]}
                if disk.hvinfo["driver"] == "ide" else disk.hvinfo)
      result += ["-blockdev", "null-co,node-name=%s" % hvinfo["id"],
                 "-device", as_option(hvinfo, "drive")]
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
  same places; the device has the highest slot below the reservation that QEMU
  left free, or else of all. Returns its slot, or None if there is none.

  """
  def compare(**changes):
    without = build("off", **changes)
    assert without.error is None, "stock Ganeti can't start this"
    machine = build("random", **changes)
    assert machine.error is None
    added = dict(machine.bus.items() - without.bus.items())
    assert machine.bus.items() >= without.bus.items()
    assert list(added.values()) in ([RNG], [])

    slot = next((slot for slot, _ in added), None)
    if "q35" not in str(changes):
      free = set(range(32)) - {slot for slot, _ in without.bus}
      below = {slot for slot in free
               if slot < changes.get("kvm_pci_reservations", 12)}
      assert slot == max(below or free, default=None)
    return slot

  return compare


# All that Ganeti places on the bus without an address
ALL = {"vga": "std", "use_guest_agent": True,
       "cdrom_disk_type": "paravirtual", "cdrom_image_path": "/usr/lib/os-release",
       "cdrom2_image_path": "/usr/lib/os-release"}

MOST = {"nics": 8, "disks": 16} # that an instance may have


#: Below Ganeti's default of kvm_pci_reservations
SLOT = 11


def test_default(place):
  """The last one of the range that Ganeti leaves to QEMU."""
  assert place(nics=1, disks=1) == SLOT


@pytest.mark.parametrize("nic_type", ["e1000", "rtl8139", "ne2k_pci"])
def test_other_nics(place, nic_type):
  assert place(nics=2, nic_type=nic_type) == SLOT


@pytest.mark.parametrize("reservations, slot", [
  (4, 31), (8, 7), (11, 10), (12, 11), (20, 19), (32, 31)])
def test_reservations(place, reservations, slot):
  nics = 1 if reservations < 32 else 0
  assert place(nics=nics, kvm_pci_reservations=reservations) == slot


def test_why_a_small_reservation_needs_it(build, monkeypatch):
  from ganeti_virtio_rng import placement
  config = {"nics": 1, "kvm_pci_reservations": 4}
  assert build("off", **config).error is None
  assert build("random", **config).error is None
  monkeypatch.setattr(placement, "has_pci_0", lambda *_: False)
  assert ("slot 4 function 0 not available for virtio-net-pci, in use by"
          " virtio-rng-pci" in build("random", **config).error)


@pytest.mark.parametrize("reservations, nics, disks, slot", [
  (7, 8, 16, 31), (8, 8, 15, 7), (8, 8, 16, 7)])
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
  ("-smbios type=1", SLOT),
  ("-fw_cfg name=opt/a,string=b", SLOT),
  ("-device virtio-serial,addr=4", SLOT), # where QEMU would put it
  ("-device virtio-serial,bus=pci.0,addr=0x4.0", SLOT),
  ("-device driver=virtio-serial,addr=0XB", 10),
  ("-device virtio-serial,addr=5,addr=b", 10),
  ("-device virtio-serial,id=s1 -set device.s1.addr=0xb", 10),
  ("-device virtio-serial,addr=b -device virtio-serial,addr=a.0", 9),
  ("-device virtio-serial,addr=b -device virtio-serial,addr=a.1", 9),
  ("-drive file=null-co://,if=virtio,format=raw", SLOT), # comes last, too
  ("-device pci-bridge,id=b,chassis_nr=1 -device virtio-serial,bus=b,addr=b",
   SLOT), # on another bus
  (7 * SERIAL, 11),
  (8 * SERIAL, 31), # all that the reserved range holds
  (6 * SERIAL + " -device usb-ehci -device usb-tablet", SLOT),
  (7 * SERIAL + " -device usb-ehci", 31),
  (7 * SERIAL + " -device isa-debug-exit -device virtconsole", SLOT),
  (7 * SERIAL + " -device ib700 -drive file=null-co://,if=none,id=a", SLOT),
  (7 * SERIAL + " -device i6300esb", 31),
  ("-device e1000,romfile=,bus=/i440FX-pcihost/pci.0,addr=0xb", 10),
  (8 * SERIAL + " -vga none", SLOT),
  (7 * SERIAL + " -vga none -device virtio-vga", SLOT),
  (7 * SERIAL + " -device VGA", SLOT), # in place of the default one
  (7 * SERIAL + " -device secondary-vga", 31), # next to it
  (7 * SERIAL + " -vga std -device virtio-vga", 31),
  (7 * SERIAL + " -device virtio-vga -vga std", 31),
  (7 * SERIAL + " -device piix3-usb-uhci,addr=1.4", SLOT), # next to a built-in
  (7 * SERIAL + " -virtfs local,path=/,mount_tag=a,security_model=none", 31),
  ])
def test_kvm_extra(place, kvm_extra, slot):
  assert place(nics=1, disks=1, kvm_extra=kvm_extra.strip()) == slot


@pytest.mark.parametrize("device, slot", [
  ("""{"driver":"virtio-serial"}""", SLOT), # which comes last
  ("""{"driver":"virtio-serial","addr":"b"}""", 10),
  ("""{"driver":"virtio-serial","addr":"0x4"}""", SLOT),
  ("""{"driver":"virtio-serial","addr":80}""", SLOT), # slot 10
  ("""{"addr":88,"driver":"virtio-serial"}""", 10),
  ("""{"addr":-1,"driver":"virtio-serial"}""", SLOT),
  ])
def test_json_in_kvm_extra(ganeti, build, place, device, slot):
  if ganeti.constants.VERSION_MINOR > 0: # which reads it as a shell does
    device = device.replace('"', '\\"')
  config = {"nics": 1, "disks": 1, "kvm_extra": "-device %s" % device}
  if ganeti.release == "bullseye": # QEMU takes JSON since 6.2
    assert "not a valid device model name" in build("off", **config).error
  else:
    assert place(**config) == slot


@pytest.mark.not_on("bullseye", reason="QEMU takes JSON since 6.2")
@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("properties", [
  '"pcie-root-port","id":"pci.1"', '"pcie-root-port","id":"pci.1","addr":"0x3"',
  '"pcie-pci-bridge","id":"pci.0"'])
def test_json_in_kvm_extra_of_a_q35(ganeti, place, dashes, properties):
  """QEMU places what is in JSON last."""
  device = '{"driver":%s}' % properties
  if ganeti.constants.VERSION_MINOR > 0: # which reads it as a shell does
    device = device.replace('"', '\\"')
  assert place(machine_version="q35",
               kvm_extra="%sdevice %s" % (dashes, device)) is not None


@pytest.mark.parametrize("kvm_extra", [
  "-device pxb-pcie,id=p,bus_nr=8", "-device pxb-pcie,id=pci.0,bus_nr=8",
  "-device pcie-root-port,id=pci.0", "-device pxb-pcie,id=p,bus_nr=8 -device"
  " pcie-root-port,id=r,bus=p,chassis=3,addr=0"])
def test_other_buses_in_kvm_extra_of_a_q35(place, kvm_extra):
  """QEMU places other devices on the newest root bus, which takes only bridges.

  """
  assert place(machine_version="q35", kvm_extra=kvm_extra) is not None


@pytest.mark.not_on("bullseye", reason="QEMU takes JSON since 6.2")
def test_expander_in_kvm_extra_in_json(ganeti, place):
  test_json_in_kvm_extra_of_a_q35(ganeti, place, "-",
                                  '"pxb-pcie","id":"p","bus_nr":8')


def test_graphics_with_an_option(place):
  assert place(vga="none,retrace=dumb",
               kvm_extra=" ".join(8 * ["-device virtio-serial"])) == SLOT


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("nics, place", [(1, ",bus=pci.0,addr=0x1f"), (0, "")])
def test_file_in_kvm_extra(ganeti, hvparams, dashes, nics, place):
  """It may add devices: the last slot is the least likely to be taken.

  It may make the machine a q35, too, unless a NIC of Ganeti's needs the bus.

  """
  hvparams.update(virtio_rng="random",
                  kvm_extra=dashes + "readconfig /etc/qemu.conf")
  (kvm_cmd, *_) = ganeti.generate_runtime(hvparams, nics)
  assert kvm_cmd[-1].endswith(",period=1000" + place)


def test_drivers(ganeti):
  """QEMU tells of each one which bus it is for."""
  from ganeti_virtio_rng import placement
  text = subprocess.run([ganeti.qemu, "-device", "help"], check=True,
                        stdout=subprocess.PIPE, universal_newlines=True).stdout
  drivers = [line for line in text.splitlines() if line.startswith("name ")]
  assert len(drivers) > 200
  for line in drivers:
    if "bus virtio-bus" in line:
      continue # of which QEMU adds none
    for name in re.findall('(?:name|alias) "([^"]+)"', line):
      on_pci = placement.find_slot(
        [("vga", {"model": "none"})] + [("device", {"driver": name})] * 30, [],
        12) is None
      assert on_pci == (", bus PCI" in line), line


@pytest.mark.parametrize("options, count", [
  (["-soundhw", "ac97"], 1), (["-soundhw", "ac97,es1370"], 2),
  (["-soundhw", "all"], 3), (["-soundhw", "sb16"], 0),
  (["-audio", "driver=none,model=hda,id=soundhw"], 1),
  (["-audio", "driver=none,model=virtio"], 1),
  (["-net", "nic,model=ne2k_isa"], 0),
  (["-watchdog", "i6300esb"], 1), (["-watchdog", "ib700"], 0),
  (["-nic", "user"], 1), (["-nic", "none"], 0), (["-net", "none"], 0),
  (["-net", "nic,model=e1000"], 1), (["-net", "user"], 0)])
def test_options_of_other_qemus(ganeti, options, count):
  """Not all of them know each one."""
  from ganeti_virtio_rng import placement
  others = ["-device", "virtio-serial"] * (8 - count)
  for more, slot in [([], 11), (["-device", "virtio-serial"], 31)]:
    assert placement.find_slot(
      ganeti_virtio_rng.read_options(others + options + more), [], 12) == slot


@pytest.mark.parametrize("count, slot", [(26, 31), (27, 31), (28, None)])
def test_kvm_extra_fills_the_bus(place, count, slot):
  """Beyond its range, too: Ganeti has no device there."""
  assert place(kvm_extra=(count * SERIAL).strip()) == slot


def test_cdrom(place):
  """QEMU adds it last where Ganeti gives it -drive if=virtio."""
  assert SLOT == place(cdrom_disk_type="paravirtual",
                       cdrom_image_path="/usr/lib/os-release")


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
  assert "q35" in machine or slot == SLOT


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_ide_disks(place, machine):
  slot = place(machine_version=machine, disk_type="ide", disks=1)
  assert machine == "q35" or slot == SLOT


def test_bridge_that_is_called_as_the_bus(ganeti, build, hvparams):
  """On another machine, it is where Ganeti's addresses are."""
  config = {"machine_version": "q35",
            "kvm_extra": "-device pcie-pci-bridge,id=pci.0"}
  assert build("off", nics=2, **config).error is None
  assert build("random", nics=2, **config).error is None
  hvparams.update(config)
  (kvm_cmd, *_) = ganeti.generate_runtime(hvparams, nics=2)
  assert kvm_cmd[-1].endswith(",bus=pci.0,addr=0xb")


def test_nic_without_its_bus(build):
  """No start gets past it, and nothing but the NIC is to blame."""
  errors = {value: build(value, nics=1, machine_version="q35").error
            for value in ("off", "random")}
  assert "Bus 'pci.0' not found" in errors["off"]
  assert errors["random"] == errors["off"]


def test_many_drives_at_one_controller(place):
  """Only the controller is on the bus."""
  drives = ["-drive if=none,id=d{0},file=null-co://,format=raw"
            " -device scsi-hd,drive=d{0}".format(n) for n in range(27)]
  assert place(kvm_extra=" ".join(["-device virtio-scsi"] + drives)) == SLOT


def test_room_for_hotplugs(place):
  """Ganeti has taken all slots but one above the reservation."""
  assert place(nics=8, disks=11,
               kvm_extra="-fw_cfg name=opt/a,string=b") == SLOT


def test_machine_in_kvm_extra(place):
  place(kvm_extra="-machine usb=off -M type=q35,usb=off")
  assert place(kvm_extra="-machine q35 -M pc -machine usb=off") == SLOT


#: What kvm_extra may hold; {0} is a number that no other has, {1} a slot
EXTRA = [
  "-device virtio-serial",
  "-device virtio-serial,addr={1:x}",
  "-device virtio-serial,bus=pci.0,addr=0x{1:X}.0",
  "--device driver=virtio-serial,addr=3,addr=0x{1:x}",
  "-device virtio-serial,id=a{0} -set device.a{0}.addr={1:x}",
  "-device e1000,romfile= -device usb-ehci -device isa-debug-exit,iobase={0}",
  "-device i6300esb",
  "-device ib700",
  "-device pvpanic",
  "-device e1000,romfile=,bus=/i440FX-pcihost/pci.0,addr=0x{1:x}",
  "-vga none",
  "-audio driver=none,model=virtio,id=a{0}",
  "-device qemu-xhci,id=a{0} -device usb-tablet,bus=a{0}.0",
  "-device virtio-scsi,id=a{0}"
  " -drive if=none,id=b{0},file=null-co://,format=raw"
  " -device scsi-hd,drive=b{0},bus=a{0}.0",
  "-device pci-bridge,id=a{0},chassis_nr={0},addr={1:x}"
  " -device virtio-serial,bus=a{0},addr=2",
  "-device pci-bridge,id=a{0},chassis_nr={0} -device virtio-serial,bus=a{0}",
  "-drive file=null-co://,if=virtio,format=raw",
  "-virtfs local,path=/,mount_tag=a{0},security_model=none",
  "-fsdev local,path=/,id=a{0},security_model=none"
  " -device virtio-9p,fsdev=a{0},mount_tag=a{0}",
  "-fw_cfg name=opt/a{0},string=-device",
  "-nic user",
  "-object rng-builtin,id=a{0}",
  "-global virtio-serial-pci.vectors=1",
  "-smbios type=1,serial=a{0}",
  ]


@hypothesis.given(
  nics=strategies.integers(0, 8), disks=strategies.integers(0, 16),
  reservations=strategies.integers(4, 31),
  extra=strategies.lists(strategies.tuples(
    strategies.sampled_from(EXTRA), strategies.integers(4, 31)), max_size=8),
  more=strategies.integers(0, 24),
  others=strategies.fixed_dictionaries({
    # Without it, disk_type's is taken, and Ganeti 3.1 refuses that of scsi-hd.
    "cdrom_disk_type": strategies.sampled_from(["paravirtual", "ide"])
    }, optional={
    "vga": strategies.sampled_from(["std", "cirrus"]),
    "use_guest_agent": strategies.booleans(),
    # another one in each process, as tests run at once
    "spice_bind": strategies.just(
      "127.1.%d.%d" % divmod(os.getpid() % 2**16, 256)),
    "cdrom_image_path": strategies.just("/usr/lib/os-release"),
    "acpi": strategies.booleans(),
    "disk_type": strategies.sampled_from(["scsi-hd", "paravirtual", "ide"]),
    "nic_type": strategies.sampled_from(["e1000", "paravirtual"])}))
@hypothesis.settings(
  max_examples=25, deadline=None,
  suppress_health_check=list(hypothesis.HealthCheck))
def test_any(build, place, nics, disks, reservations, extra, more, others):
  """Whatever starts on stock Ganeti starts, and nothing moves."""
  hypothesis.assume(nics + disks + reservations <= 32)
  extra = [text.format(number, slot)
           for number, (text, slot) in enumerate(extra, 1)]
  config = dict(others, nics=nics, disks=disks,
                kvm_pci_reservations=reservations,
                kvm_extra=" ".join(extra + ["-device virtio-serial"] * more))
  hypothesis.assume(build("off", **config).error is None)
  place(**config)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the PCI slot of the device, so that nothing meets or moves.

QEMU gives devices without an address the lowest slots, in the order of the
command line. Ganeti gives its disks, NICs and hot-plugs those from
kvm_pci_reservations up. The device comes between them, from above.

"""

from typing import Any, Dict, Iterable, List, Optional, Tuple

from ganeti import constants

#: As L{ganeti_virtio_rng.read_options} returns them
_Options = List[Tuple[str, Dict[str, Any]]]

#: The bus that Ganeti's addresses mean
_BUS = "pci.0"

#: After those of host bridge, and ISA bridge with USB and ACPI
_FIRST_SLOT = 2

#: Names of i440fx machines that don't begin with "pc" (Ubuntu's and Red Hat's)
_ALIASES = ("", "pc", "ubuntu", "xenfv")
_FAMILIES = ("pc-", "rhel6", "xenfv-")

# Which drivers of -device take no slot of a PCI bus; "-device help" tells each
# one's bus. A driver that is not known here counts as one that does.
_NOT_PCI_PREFIXES = (
  "ide-", "scsi-", "usb-", "isa-", "hda-", "ccid-", "i2c-", "u2f-", "tpm-",
  "hv-", "xen-", "uefi-vars-", "ipmi-bmc-", "smbus-", "nitro-", "sd-card",
  "virtserialport", "virtconsole", "nvme-ns", "nvme-subsys")
_NOT_PCI = frozenset([
  "adlib", "amd-iommu", "cs4231a", "emmc", "floppy", "guest-loader", "gus",
  "hyperv-testdev", "i8042", "ib700", "intel-iommu", "ipoctal232", "loader",
  "mc146818rtc", "ne2k_isa", "nvdimm", "pc-dimm", "pc-testdev", "pvpanic",
  "ramfb", "sb16", "sga", "sp-mem", "ufs-lu", "virtio-pmem", "vmbus-bridge",
  "vmclock", "vmcoreinfo", "vmgenid", "vmmouse"])
_PCI_PREFIXES = ("usb-ehci", "xen-pci-passthrough", "xen-platform",
                 "xen-pvdevice")

#: Sound cards on the bus; -soundhw takes a list of them, or "all"
_SOUND_CARDS = ("ac97", "es1370", "hda", "virtio")
_ALL_SOUND_CARDS = 3


def has_pci_0(options: _Options, devices: "List[Any]") -> bool:
  """Whether the machine has the bus that Ganeti's addresses mean.

  @param devices: L{objects.NIC} and L{objects.Disk}

  """
  machine = ([""] + [properties["type"] for option, properties in options
                     if option == "machine" and "type" in properties])[-1]
  if "q35" in machine: # its own bus has another name
    return any(properties.get("id") == _BUS and
               "bridge" in str(properties.get("driver"))
               for _, properties in options)
  # Not of a disk as IDE's, which Ganeti gives an address all the same
  if any(device.hvinfo.get("bus") == _BUS and device.hvinfo["driver"]
         not in constants.HT_KVM_VALID_DISK_TYPES for device in devices):
    return True
  # A file may name another machine.
  return "readconfig" not in dict(options) and (
    machine in _ALIASES or machine.startswith(_FAMILIES))


def find_slot(options: _Options, devices: "List[Any]", reservations: int,
              busy: "Iterable[int]" = ()) -> "Optional[int]":
  """Finds the highest free slot below the reservation, or else of the bus.

  @param devices: L{objects.NIC} and L{objects.Disk}
  @param reservations: the parameter kvm_pci_reservations
  @param busy: other slots that are taken at present
  @return: None if the other devices may need all slots

  """
  taken = {int(device.hvinfo["addr"], 16) for device in devices
           if "addr" in device.hvinfo}
  unplaced = int(_has_default_graphics(options))
  for option, properties in options:
    count = _count_devices(option, properties)
    slot = _slot(properties.get("addr")) if count else None
    if slot is not None:
      taken.add(slot)
    # QEMU 10 places the NIC of -net by itself all the same.
    if slot is None or option == "net":
      unplaced += count
    if option == "readconfig": # its devices fill the bus from the other end
      reservations = 0

  free = [slot for slot in range(_FIRST_SLOT, constants.QEMU_PCI_SLOTS)
          if slot not in taken][unplaced:]
  free = [slot for slot in free if slot not in busy]
  below = [slot for slot in free if slot < reservations]
  return max(below or free) if free else None


def _has_default_graphics(options: _Options) -> bool:
  """Whether there is a graphics card that no -device stands for."""
  (model, replaced) = ("", False)
  for option, properties in options:
    driver = str(properties.get("driver", ""))
    if option == "vga":
      model = str(properties.get("model")).split(",")[0]
    elif option == "device" and driver != "secondary-vga":
      replaced |= "-vga" in driver or driver in ("VGA", "vmware-svga")
  return model != "none" if model else not replaced


def _count_devices(option: str, properties: "Dict[str, Any]") -> int:
  """Counts the devices that an option adds to the bus."""
  model = str(properties.get("model", ""))
  if option == "device":
    driver = str(properties.get("driver", ""))
    # Its name, or a path to it
    bus = str(properties.get("bus", _BUS)).strip("/").rpartition("/")[2]
    here = bus in (_BUS, "i440FX-pcihost") and (
      driver.startswith(_PCI_PREFIXES) or
      not driver.startswith(_NOT_PCI_PREFIXES) and
      not driver.endswith(("-device", "-cpu")) and
      driver not in _NOT_PCI)
  elif option == "drive":
    here = properties.get("if") in ("virtio", "scsi")
  elif option in ("nic", "net"):
    here = (model not in ("none", "ne2k_isa") and
            (properties.get("type") == "nic" if option == "net" else
             properties.get("type") != "none"))
  elif option == "watchdog":
    here = model == "i6300esb"
  elif option in ("soundhw", "audio"):
    return _ALL_SOUND_CARDS if model == "all" else len(
      set(model.split(",")).intersection(_SOUND_CARDS))
  else:
    here = option == "virtfs"
  return int(here)


def _slot(address: Any) -> "Optional[int]":
  """Reads an address as QEMU does.

  @type address: int, str or None
  @param address: a number counts functions, of which a slot has eight; a text
      is the slot in hexadecimal, and a function may follow

  """
  if isinstance(address, int): # -1: QEMU chooses
    return address // 8 if address >= 0 else None
  try:
    return int(str(address).split(".")[0], 16)
  except ValueError: # none, or one that QEMU refuses
    return None

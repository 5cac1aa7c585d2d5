# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the PCI slot of the device, so that nothing meets or moves.

QEMU gives devices without an address the lowest slots, in the order of the
command line. Ganeti gives its disks, NICs and hot-plugs those from
kvm_pci_reservations up. The device comes between them, from above.

"""

from typing import Any, Dict, List, Optional, Tuple

from ganeti import constants

#: As L{ganeti_virtio_rng.read_options} returns them
_Options = List[Tuple[str, Dict[str, Any]]]

#: The bus that Ganeti's addresses mean
_BUS = "pci.0"

#: Host bridge, ISA bridge with USB and ACPI, graphics card
_BUILT_IN = 3

#: Names of i440fx machines that don't begin with "pc" (Ubuntu's and Red Hat's)
_ALIASES = ("", "pc", "ubuntu", "xenfv")
_FAMILIES = ("pc-", "rhel6", "xenfv-")

# Which drivers of -device are no PCI device ("-device help" tells each one's
# bus), and which of these names are one all the same
_ELSEWHERE = ("ide-", "scsi-", "usb-", "isa-", "hda-", "ccid-", "sd-card",
              "floppy", "virtserialport", "virtconsole", "nvme-ns", "pc-dimm",
              "nvdimm", "virtio-pmem", "loader", "guest-loader", "u2f-", "ib700",
              "i8042", "sb16", "adlib", "gus", "cs4231a", "tpm-tis", "tpm-crb",
              "tpm-ppi", "vmgenid", "vmcoreinfo", "smbus-", "ipmi-", "kvm-",
              "vfio-ap", "vhost-user-fs-device", "ne2k_isa", "generic-sdhci")
_PCI_ALL_THE_SAME = ("usb-ehci", "ipmi-pci")

#: Cards that -soundhw and -audio add to the bus; they know others, and "all"
_SOUND_CARDS = ("ac97", "es1370", "hda")


def has_pci_0(options: _Options, devices: "List[Any]") -> bool:
  """Whether the machine has the bus that Ganeti's addresses mean.

  @param devices: L{objects.NIC} and L{objects.Disk}

  """
  machine = ""
  for option, properties in options:
    if option == "machine":
      machine = properties.get("type", machine)
  return ((machine in _ALIASES or machine.startswith(_FAMILIES)) and
          not machine.startswith("pc-q35") or
          any(device.hvinfo.get("bus") == _BUS for device in devices))


def find_slot(options: _Options, devices: "List[Any]",
              reservations: int) -> "Optional[int]":
  """Finds the highest free slot below the reservation, or else of the bus.

  @param devices: L{objects.NIC} and L{objects.Disk}
  @param reservations: the parameter kvm_pci_reservations
  @return: None if the other devices may need all slots

  """
  taken = {int(device.hvinfo["addr"], 16) for device in devices
           if "addr" in device.hvinfo}
  unplaced = _BUILT_IN
  for option, properties in options:
    count = _count_devices(option, properties)
    slot = _slot(properties.get("addr"))
    if count and slot is not None:
      taken.add(slot)
    else:
      unplaced += count

  free = sorted(set(range(constants.QEMU_PCI_SLOTS)) - taken)[unplaced:]
  below = [slot for slot in free if slot < reservations]
  return max(below or free) if free else None


def _count_devices(option: str, properties: "Dict[str, Any]") -> int:
  """Counts the devices that an option adds to the bus."""
  model = str(properties.get("model", ""))
  if option == "device":
    driver = str(properties.get("driver", ""))
    here = properties.get("bus", _BUS) == _BUS and (
      driver.startswith(_PCI_ALL_THE_SAME) or
      not driver.startswith(_ELSEWHERE) and not driver.endswith("-device"))
  elif option == "drive":
    here = properties.get("if") in ("virtio", "scsi")
  elif option == "nic":
    here = properties.get("type") != "none" and model != "none"
  elif option == "net":
    here = properties.get("type") == "nic"
  elif option == "watchdog":
    here = model == "i6300esb"
  elif option in ("soundhw", "audio"):
    return len(_SOUND_CARDS) if model == "all" else len(
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
  if isinstance(address, int):
    return address // 8
  try:
    return int(str(address).split(".")[0], 16)
  except ValueError: # none, or one that QEMU refuses
    return None

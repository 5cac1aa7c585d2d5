# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the PCI slot of the device, if it needs one of its own.

Only the start of an instance loads this; most of Ganeti's processes don't.

"""

import re

from typing import Any, Dict, List, Optional

from ganeti import constants


def needs_slot(hvparams: "Dict[str, Any]", kvm_cmd: "List[Any]") -> bool:
  """Whether the device may be in another's way unless it has a slot of its own.

  Left alone, QEMU gives it the lowest free slot, and does so before it comes
  to Ganeti's NICs and disks, to -drive if=virtio and to -device with JSON. In
  Ganeti's default range of slots there is room for all that it adds itself.

  """
  reservations = hvparams[constants.HV_KVM_PCI_RESERVATIONS]
  crowded = (reservations < constants.QEMU_DEFAULT_PCI_RESERVATIONS or
             hvparams[constants.HV_KVM_EXTRA] or
             _sound_cards(hvparams) > 1 or
             any("if=virtio" in str(arg) for arg in kvm_cmd))
  return bool(crowded) and _machine_has_pci_0(kvm_cmd)


def _sound_cards(hvparams: "Dict[str, Any]") -> int:
  """Counts the sound cards: QEMU before 7.1 takes a list of them, or "all".

  """
  models = hvparams[constants.HV_SOUNDHW]
  if models == "all":
    return _ALL_SOUND_CARDS
  return len(models.split(",")) if models else 0


def _machine_has_pci_0(kvm_cmd: "List[Any]") -> bool:
  """Whether the machine is of the pc type, whose bus Ganeti's addresses mean.

  """
  machine = ""
  for option, value in zip(kvm_cmd, kvm_cmd[1:]):
    if option in ("-machine", "--machine", "-M", "--M"):
      match = re.match("(type=)?([^=,]*)(,|$)", str(value))
      machine = match.group(2) if match else machine
  return re.match("pc(-(?!q35)|$)", machine) is not None


#: Slot of an address as QEMU reads it: hexadecimal, or in JSON also a number
#: that counts functions, of which a slot has eight
_ADDRESS = r"""(?ix)(?:^|,)addr=(?:0x)?([0-9a-f]+)
               |["']addr["']\s*:\s*(?:["'](?:0x)?([0-9a-f]+)
                                     |([0-9]+))"""

#: Options that may add a device to the bus
_ADDING = "--?(device|drive|virtfs|watchdog|nic|net)$"

#: Devices that Ganeti adds to other buses
_ELSEWHERE = "(floppy|ide-|scsi-|virtserialport)"

#: Host bridge, ISA bridge with USB and ACPI, graphics card
_BUILT_IN = 3

#: What "-soundhw all" adds: AC97, ES1370, Intel HD Audio
_ALL_SOUND_CARDS = 3


def highest_free_slot(hvparams: "Dict[str, Any]", kvm_cmd: "List[Any]",
                      devices: "List[Any]") -> "Optional[int]":
  """Finds the highest slot on the bus that no other device will take.

  @type devices: list of L{objects.NIC} and L{objects.Disk}
  @rtype: int or None
  @return: None if the others may need them all

  """
  taken = set(int(device.hvinfo["addr"], 16) for device in devices
              if "addr" in device.hvinfo)
  unplaced = _BUILT_IN + _sound_cards(hvparams)
  for option, value in zip(kvm_cmd, kvm_cmd[1:]):
    if (not re.match(_ADDING, str(option)) or
        re.match(_ELSEWHERE, str(value))):
      continue
    match = re.search(_ADDRESS, str(value))
    if match is None:
      unplaced += 1
    elif match.group(3):
      taken.add(int(match.group(3)) // 8)
    else:
      taken.add(int(match.group(1) or match.group(2), 16))

  # Those that have no address take the lowest ones.
  free = sorted(set(range(constants.QEMU_PCI_SLOTS)) - taken)
  return free[-1] if len(free) > unplaced else None

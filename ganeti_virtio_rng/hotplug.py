# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Plugs the device into a running instance, where a start would put it.

A live migration starts the other QEMU from the runtime file, and fails if that
lacks a device. So the device is written there first, then plugged, and stays
there unless QEMU says that it has none.

"""

import contextlib
import logging

from typing import Any, Dict, List, NoReturn

from ganeti import constants, errors

from ganeti_virtio_rng import (HV_VIRTIO_RNG, MAX_BYTES, PERIOD,
  build_argv, check_source, placement, read_options, running)

#: What query-migrate says where none goes on (QEMU, qapi/migration.json)
_NO_MIGRATION = (None, "none", "completed", "cancelled", "failed")


def plug(kvm: Any, instance: Any) -> str:
  """Plugs the device in, unless the instance has one.

  Nobody else may change the instance meanwhile.

  @type kvm: L{hv_kvm.KVMHypervisor}
  @type instance: L{objects.Instance}
  @param instance: with all of its hypervisor parameters
  @return: why there was nothing to do; empty if it has been plugged
  @raise errors.HypervisorError: why it could not be

  """
  name = instance.name
  value = instance.hvparams[HV_VIRTIO_RNG]
  with running.monitor(kvm, name) as execute:
    generators = running.generators(execute, kvm, name)
    if generators:
      return _why_not(instance.hvparams, generators)
    argv = plan(execute, kvm, name, value)

  before = kvm._ReadKVMRuntime(name)
  runtime = kvm._LoadKVMRuntime(instance, before)
  runtime[0][:] = _without_ours(runtime) + argv
  kvm._SaveKVMRuntime(instance, runtime)
  [(_, backend), (_, device)] = read_options(argv)
  try:
    with running.monitor(kvm, name) as execute:
      _add(execute, backend, device)
  except errors.HypervisorError:
    with contextlib.suppress(errors.HypervisorError):
      # A connection of its own: the other may still wait for an answer.
      with running.monitor(kvm, name) as execute:
        there = running.children(execute, "/machine/peripheral")
        if there.get(str(device["id"])) != "child<%(driver)s>" % device:
          _delete_backend(execute, backend)
          kvm._WriteKVMRuntime(name, before)
    raise
  logging.info("KVM: hot-plugged the random number generator of %s=%s into"
               " instance %s, addr=%s", HV_VIRTIO_RNG, value, name,
               device["addr"])
  return ""


def _why_not(hvparams: Any, generators: "List[Dict[str, Any]]") -> str:
  """Says why an instance with a generator gets no other one."""
  value = hvparams[HV_VIRTIO_RNG]
  if "/dev/%s" % value in [generator["source"] for generator in generators
                           if generator["from"] == HV_VIRTIO_RNG]:
    return "The instance has this random number generator already"
  text = ("The instance has another random number generator, %s=%s takes effect"
          " at its next start" if build_argv(value, running.kvm_extra(hvparams))
          else "kvm_extra already adds a virtio-rng device, ignoring %s=%s")
  return text % (HV_VIRTIO_RNG, value)


def plan(execute: running.Execute, kvm: Any, name: str,
         value: str) -> "List[str]":
  """Decides what to plug into an instance that has no generator.

  It goes by what the instance was started with, and by what QEMU has now.

  @return: as arguments of a command line
  @raise errors.HypervisorError: why nothing can be plugged

  """
  def refuse(reason: str, *args: Any) -> "NoReturn":
    raise errors.HotplugError(reason % args)

  state = execute("query-status")
  if not state["running"]:
    refuse("The instance does not run, QEMU's state is '%s'", state["status"])
  if execute("query-migrate").get("status") not in _NO_MIGRATION:
    refuse("The instance is being migrated")
  if not _takes_devices(execute):
    refuse("The machine has no bus pci.0 that takes a device while it runs")
  if not execute("qom-list-types", {"implements": "virtio-rng-pci"}):
    refuse("This QEMU has no virtio-rng-pci")

  try:
    check_source(value)
  except OSError as err:
    refuse("%s: %s", err.filename, err.strerror)
  except (TypeError, ValueError) as err:
    refuse("%s", err)

  try:
    runtime = kvm._LoadKVMRuntime(None, kvm._ReadKVMRuntime(name))
    (nics, hvparams, disks) = (runtime[i] for i in (1, 2, 3))
    kvm_cmd = _without_ours(runtime)
  except (AttributeError, LookupError, TypeError, ValueError) as err:
    refuse("The saved runtime is damaged: %s", err)
  # That of an older Ganeti may lack parameters.
  if hvparams.get(constants.HV_KVM_USE_CHROOT):
    refuse("QEMU is in a chroot without /dev/%s", value)
  if not build_argv(value, kvm_cmd):
    refuse("kvm_extra adds a virtio-rng device, but QEMU has none now")
  slot = placement.find_slot(
    read_options(kvm_cmd), nics + [disk[0] for disk in disks],
    hvparams.get(constants.HV_KVM_PCI_RESERVATIONS,
                 constants.QEMU_DEFAULT_PCI_RESERVATIONS),
    [device["slot"] for device in _pci_devices(execute)])
  if slot is None:
    refuse("No PCI slot is free")
  return build_argv(value, kvm_cmd, slot)


def _takes_devices(execute: running.Execute) -> bool:
  """Whether ACPI hot-plugs on the bus: not on a q35, nor where that is off."""
  with contextlib.suppress(errors.HypervisorError):
    return "acpi-pcihp-bsel" in running.children(execute,
                                                 "/machine/i440fx/pci.0")
  return False


def _pci_devices(execute: running.Execute) -> "List[Dict[str, Any]]":
  """Asks QEMU what is on the bus."""
  return [device for bus in execute("query-pci") if bus["bus"] == 0
          for device in bus["devices"]]


def _without_ours(runtime: Any) -> "List[str]":
  """Returns the command line without what the parameter appended to it.

  The guest may have ejected that device, or who plugged it was killed.

  """
  (kvm_cmd, hvparams) = (runtime[i] for i in (0, 2))
  pair = kvm_cmd[-4:]
  if (pair[::2] == ["-object", "-device"] and
      pair[1].startswith("rng-random,filename=/dev/") and
      pair[3].startswith(("virtio-rng-pci,", "{")) and
      not running.is_in_kvm_extra(read_options(pair)[0][1]["id"], hvparams)):
    return list(kvm_cmd[:-4])
  return list(kvm_cmd)


def _add(execute: running.Execute, backend: "Dict[str, Any]",
         device: "Dict[str, Any]") -> None:
  """Adds backend and device to QEMU, and looks whether they are there."""
  # QEMU keeps the backend of a device that the guest has ejected.
  _delete_backend(execute, backend)
  if execute("query-version")["qemu"]["major"] < 6:
    backend = {"qom-type": backend["qom-type"], "id": backend["id"],
               "props": {"filename": backend["filename"]}}
  execute("object-add", backend)
  execute("device_add", {**device, "max-bytes": MAX_BYTES, "period": PERIOD})
  if device["id"] not in [found["qdev_id"] for found in _pci_devices(execute)]:
    raise errors.HypervisorError("QEMU does not show the device")


def _delete_backend(execute: running.Execute,
                    backend: "Dict[str, Any]") -> None:
  """Deletes one that no device uses, if it is there."""
  if (running.children(execute, "/objects").get(backend["id"]) ==
      "child<%(qom-type)s>" % backend):
    execute("object-del", {"id": backend["id"]})

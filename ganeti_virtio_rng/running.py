# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Asks a running QEMU which random number generators it has.

Its command line can't tell: devices are plugged later, guests may eject one.

"""

import contextlib
import functools
import json

from typing import Any, Callable, Dict, Iterator, List

from ganeti_virtio_rng import HV_VIRTIO_RNG, MAX_BYTES, PERIOD, read_options

#: Where QEMU keeps devices, with an id and without one
_FOLDERS = ("/machine/peripheral", "/machine/peripheral-anon")

#: Executes a command of QMP, see L{monitor}
Execute = Callable[..., Any]

_TYPES = ("child<virtio-rng-", "child<vhost-user-rng")

#: What QEMU says where max-bytes is not given
_UNLIMITED = 2 ** 63 - 1


@contextlib.contextmanager
def monitor(kvm: Any, name: str) -> "Iterator[Execute]":
  """Connects to the monitor of a running instance's QEMU.

  It serves one client at a time. Ganeti hardly has to wait for this one; this
  one waits, as Ganeti does, for five seconds.

  @type kvm: L{hv_kvm.KVMHypervisor}
  @return: a function that takes a command of QMP and a dict of arguments, and
      returns the answer
  @raise errors.HypervisorError: when QEMU does not answer, or with an error

  """
  from ganeti import errors
  from ganeti.hypervisor.hv_kvm import monitor as ganeti_monitor
  connection = ganeti_monitor.QmpConnection(kvm._InstanceQmpMonitor(name))

  def call(function: "Callable[..., Any]", *args: Any) -> Any:
    try:
      return function(*args)
    except OSError as err: # Ganeti 3.1 lets it through
      raise errors.HypervisorError(err.strerror or str(err))
    except (TypeError, errors.ProgrammerError): # no message, or half of one
      raise errors.HypervisorError("The monitor has hung up")

  try:
    call(connection.connect)
    # In Ganeti 3.0 it has the other name.
    execute = getattr(connection, "execute_qmp", None) or connection.Execute
    yield functools.partial(call, execute)
  finally:
    # Ganeti 3.1's close() believes that nothing is open.
    if getattr(connection, "sock", None):
      connection.sock.close()


def generators(execute: Execute, kvm: Any, name: str) -> List[Dict[str, Any]]:
  """Asks the QEMU of a running instance for its random number generators.

  @param execute: see L{monitor}
  @return: C{source}, the host's file, else the type of the backend or, where
      there is none, of the device; C{max_bytes} (None: unlimited) and
      C{period}, both as text; C{id}, of the backend if it has one, or else of
      the device; C{slot} (None: not on a PCI bus); C{from}, the parameter or
      kvm_extra
  @raise errors.HypervisorError: when QEMU does not answer

  """
  return [_describe(execute, folder, child, kvm, name)
          for folder in _FOLDERS
          for child, kind in children(execute, folder).items()
          if kind.startswith(_TYPES)]


def children(execute: Execute, path: str) -> Dict[str, str]:
  """Returns the names and types of what QEMU's object model has in a folder."""
  return {entry["name"]: entry["type"]
          for entry in execute("qom-list", {"path": path})}


def _describe(execute: Execute, folder: str, child: str, kvm: Any,
              name: str) -> Dict[str, Any]:
  """Returns what L{generators} tells of one device."""
  device = _read(execute, "%s/%s" % (folder, child),
                 ["type", "rng", "max-bytes", "period", "addr"])
  # A vhost-user device has none; the path is empty if it was deleted.
  path = device.get("rng") or ""
  backend = _read(execute, path, ["type", "filename"]) if path else {}
  limited = device.get("max-bytes", _UNLIMITED) != _UNLIMITED
  ident = child if folder == _FOLDERS[0] else None
  result = {
    "source": backend.get("filename") or backend.get("type") or device["type"],
    "max_bytes": str(device["max-bytes"]) if limited else None,
    "period": str(device["period"]) if "period" in device else None,
    # QEMU makes a backend without an id where none is given.
    "id": path[len("/objects/"):] if path.startswith("/objects/") else ident,
    "slot": device["addr"] >> 3 if "addr" in device else None,
    }
  has_our_id = is_our_id(ident) and path == "/objects/%s" % ident
  result["from"] = (HV_VIRTIO_RNG if _is_ours(result, has_our_id, kvm, name)
                    else "kvm_extra")
  return result


def is_our_id(ident: Any) -> bool:
  """Whether build_argv gives ids of this form."""
  (before, prefix, number) = str(ident).partition(HV_VIRTIO_RNG)
  return not before and bool(prefix) and number.isdigit()


def _read(execute: Execute, path: str, names: List[str]) -> Dict[str, Any]:
  """Reads those of an object's properties that it has."""
  there = children(execute, path)
  return {name: execute("qom-get", {"path": path, "property": name})
          for name in names if name in there}


def _is_ours(generator: Dict[str, Any], has_our_id: bool, kvm: Any,
             name: str) -> bool:
  """Whether the parameter gave it, and not kvm_extra with a copy of it.

  Version 0.1 gave the device no id; then the saved runtime has the backend.

  """
  if (generator["max_bytes"], generator["period"]) != (str(MAX_BYTES),
                                                       str(PERIOD)):
    return False
  from ganeti import errors
  try:
    (kvm_cmd, _, hvparams) = json.loads(kvm._ReadKVMRuntime(name))[:3]
  except (errors.HypervisorError, LookupError, TypeError, ValueError):
    return has_our_id # nor can Ganeti use it
  backend = "rng-random,filename=%s,id=%s" % (generator["source"],
                                              generator["id"])
  return (not is_in_kvm_extra(generator["id"], hvparams) and
          (has_our_id or backend in kvm_cmd))


def is_in_kvm_extra(ident: Any, hvparams: Dict[str, Any]) -> bool:
  """Whether kvm_extra has a backend of this id, so that none of ours has it."""
  return any(option == "object" and properties.get("id") == ident
             for option, properties in read_options(kvm_extra(hvparams)))


def kvm_extra(hvparams: Dict[str, Any]) -> "List[str]":
  """Returns kvm_extra's arguments, as this Ganeti splits them at a start."""
  from ganeti.hypervisor import hv_kvm
  extra = hvparams.get("kvm_extra") or ""
  # Ganeti 3.0 has no shlex there; 3.1 gets past no unbalanced quotes.
  with contextlib.suppress(AttributeError, ValueError):
    return list(hv_kvm.shlex.split(extra))
  return list(extra.split(" "))

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Asks a running QEMU which random number generators it has.

Its command line does not tell: devices are plugged later, and a guest may eject
one.

"""

import json
import shlex

from typing import Any, Callable, Dict, List

from ganeti_virtio_rng import HV_VIRTIO_RNG, MAX_BYTES, PERIOD

#: Where QEMU keeps devices, with an id and without one
_FOLDERS = ("/machine/peripheral", "/machine/peripheral-anon")

_TYPES = ("child<virtio-rng-", "child<vhost-user-rng")

#: What QEMU says where max-bytes is not given
_UNLIMITED = 2 ** 63 - 1


def generators(kvm: Any, name: str) -> List[Dict[str, Any]]:
  """Asks the QEMU of a running instance, through its monitor.

  The monitor serves one client at a time. Ganeti hardly has to wait for this
  one; this one waits, as Ganeti does, for five seconds.

  @type kvm: L{hv_kvm.KVMHypervisor}
  @type name: str
  @rtype: list of dict
  @return: C{source}, the host's file, else the type of the backend or, where
      there is none, of the device; C{max_bytes} (None: unlimited) and
      C{period}, both as text; C{id}, of the backend if it has one, or else of
      the device; C{slot} (None: not on a PCI bus); C{from}, the parameter or
      kvm_extra
  @raise errors.HypervisorError: when QEMU does not answer

  """
  from ganeti import errors
  from ganeti.hypervisor.hv_kvm import monitor
  # pylint: disable=W0212
  connection = monitor.QmpConnection(kvm._InstanceQmpMonitor(name))
  try:
    connection.connect()
    # In Ganeti 3.0 it has the other name.
    call = getattr(connection, "execute_qmp", None) or connection.Execute

    def execute(command: str, arguments: Dict[str, str]) -> Any:
      try:
        return call(command, arguments)
      except TypeError: # Ganeti 3.1 looks into an answer that is None
        raise errors.HypervisorError("The monitor has hung up")

    return [_describe(execute, folder, child["name"], kvm, name)
            for folder in _FOLDERS
            for child in execute("qom-list", {"path": folder})
            if child["type"].startswith(_TYPES)]
  except OSError as err: # Ganeti 3.1 lets it through
    raise errors.HypervisorError(err.strerror or str(err))
  finally:
    # Ganeti 3.1's close() believes that nothing is open.
    if getattr(connection, "sock", None):
      connection.sock.close()


def _describe(execute: "Callable[..., Any]", folder: str, child: str, kvm: Any,
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
  has_our_id = is_our_id(ident) and ident == result["id"]
  result["from"] = (HV_VIRTIO_RNG if _is_ours(result, has_our_id, kvm, name)
                    else "kvm_extra")
  return result


def is_our_id(ident: Any) -> bool:
  """Whether build_argv gives ids of this form."""
  (before, prefix, number) = str(ident).partition(HV_VIRTIO_RNG)
  return not before and bool(prefix) and number.isdigit()


def _read(execute: "Callable[..., Any]", path: str,
          names: List[str]) -> Dict[str, Any]:
  """Reads those of an object's properties that it has."""
  there = {entry["name"] for entry in execute("qom-list", {"path": path})}
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
    # pylint: disable=W0212
    (kvm_cmd, _, hvparams) = json.loads(kvm._ReadKVMRuntime(name))[:3]
  except (errors.HypervisorError, ValueError):
    return has_our_id # nor can Ganeti use it
  extra = hvparams.get("kvm_extra") or ""
  words = extra.split(" ") # as Ganeti 3.0 does; 3.1 does it as a shell
  try:
    words += shlex.split(extra)
  except ValueError:
    pass
  backend = "rng-random,filename=%s,id=%s" % (generator["source"],
                                              generator["id"])
  return backend not in words and (has_our_id or backend in kvm_cmd)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command status: what instances are to have, and what they have."""

import argparse
import json
import re
import sys

from typing import Any, Dict, List, Optional

from ganeti_virtio_rng import HV_VIRTIO_RNG, VALUES, build_argv
from ganeti_virtio_rng.cli import node

_RNG = re.compile("(virtio|vhost-user)-rng(-|$)")

_FIELDS = ("instance", "configured", "source", "rate", "id", "from", "note")


def status(args: argparse.Namespace) -> int:
  """Prints a table of the instances that run on this node.

  @rtype: int
  @return: 0

  """
  node.import_ganeti()
  configured = _configured_values()
  rows = []
  for (name, pid) in sorted(_running(args.names).items()):
    argv = _command_line(pid)
    if argv: # else it has been stopped meanwhile
      rows.append(_describe(name, argv, configured))
  if args.json:
    json.dump(rows, sys.stdout, indent=2)
    print()
  else:
    _print_table(rows, "?" if configured is None else "-")
    if configured is None:
      print("This node does not have the configuration; the configured values"
            " are shown on\nthe master by 'gnt-instance list -o name,hv/%s'." %
            HV_VIRTIO_RNG, file=sys.stderr)
  return 0


def _running(names: List[str]) -> Dict[str, int]:
  """Returns the process ids of instances' QEMUs.

  @type names: list of str
  @param names: which instances; none for all, and the first part of a name may
      do, as in all of Ganeti's commands
  @rtype: dict from str to int

  """
  from ganeti import constants, hypervisor, utils
  kvm = hypervisor.GetHypervisor(constants.HT_KVM)
  running = kvm.ListInstances()
  wanted = []
  for name in names:
    match = utils.MatchNameComponent(name, running)
    if match is None:
      raise node.Failure("Instance '%s' does not run on this node" % name)
    wanted.append(match)
  # pylint: disable=W0212
  return {name: kvm._InstancePidAlive(name)[1] for name in wanted or running}


def _configured_values() -> Optional[Dict[str, Any]]:
  """Reads the configuration's values, defaults filled in.

  @rtype: dict or None
  @return: the value of each KVM instance, None where there is none at all; None
      on a node that does not have the configuration

  """
  from ganeti import constants
  config = node.read_config()
  if config is None:
    return None
  return {
    instance.name: config.cluster.FillHV(instance).get(HV_VIRTIO_RNG)
    for instance in config.instances.values()
    if instance.hypervisor == constants.HT_KVM}


def _command_line(pid: int) -> List[str]:
  """Reads the command line of a process.

  @rtype: list of str
  @return: empty if the process is gone, or a zombie

  """
  try:
    with open("/proc/%d/cmdline" % pid, errors="surrogateescape") as cmdline:
      text = cmdline.read()
  except (FileNotFoundError, ProcessLookupError):
    text = ""
  return text.split("\0")[:-1]


def _describe(name: str, argv: List[str],
              configured: Optional[Dict[str, Any]]) -> Dict[str, Any]:
  """Compares an instance's configured value with what its QEMU has.

  @rtype: dict
  @return: restart_needed is None if nobody can tell

  """
  generators = _generators(argv)
  value = configured.get(name) if configured else None
  if value is None:
    restart_needed = None
  elif any(generator["from"] != HV_VIRTIO_RNG for generator in generators):
    restart_needed = False # it has precedence
  else:
    (now, wanted) = [[generator["source"] for generator in found] for found in
                     (generators, _generators(build_argv(value)))]
    restart_needed = now != wanted
  return {"instance": name, "configured": value, "generators": generators,
          "restart_needed": restart_needed}


def _generators(argv: List[str]) -> List[Dict[str, Any]]:
  """Finds the random number generators on QEMU's command line.

  @type argv: list of str
  @rtype: list of dict

  """
  backends = {}
  devices = []
  for (option, text) in zip(argv, argv[1:]):
    if option in ("-object", "--object"):
      properties = _properties(text, "qom-type")
      backends[properties.get("id")] = (properties, text)
    elif option in ("-device", "--device"):
      properties = _properties(text, "driver")
      if _RNG.match(properties.get("driver", "")):
        devices.append((properties, text))

  generators = []
  for (device, text) in devices:
    ident = device.get("rng")
    (backend, backend_text) = backends.get(ident, ({}, ""))
    generators.append({
      # Without a backend, QEMU makes one of its own (since 4.2).
      "source": backend.get("filename", backend.get("qom-type", "rng-builtin")),
      "max_bytes": device.get("max-bytes"),
      "period": device.get("period"),
      "id": ident,
      "from": (HV_VIRTIO_RNG if _is_ours(ident, backend_text, text) else
               "kvm_extra"),
      })
  return generators


def _is_ours(ident: Optional[str], backend: str, device: str) -> bool:
  for value in VALUES[1:]:
    (_, our_backend, _, our_device) = [
      text.replace("rng0", str(ident)) for text in build_argv(value)]
    if backend == our_backend and device.startswith(our_device):
      return True
  return False


def _properties(text: str, implied: str) -> Dict[str, str]:
  """Reads the properties of one of QEMU's options.

  @type text: str
  @param text: "a,key=value,..." where ",," is a comma in a value, or JSON
  @type implied: str
  @param implied: key of the first value
  @rtype: dict from str to str

  """
  if text.startswith("{"):
    try:
      return {key: str(value) for (key, value) in json.loads(text).items()}
    except ValueError: # QEMU takes more than JSON
      text = re.sub("[{}\"' ]", "", text).replace(":", "=")
  result = {}
  for piece in text.replace(",,", "\0").split(","):
    (key, equals, value) = piece.replace("\0", ",").partition("=")
    if equals:
      result[key] = value
    elif not result:
      result[implied] = key
  return result


def _print_table(rows: List[Dict[str, Any]], unknown: str) -> None:
  from ganeti import cli
  table = []
  for row in rows:
    value = row["configured"] or unknown
    note = "restart needed" if row["restart_needed"] else ""
    for generator in row["generators"] or [{}]:
      rate = "-"
      if generator:
        rate = ("%s B/%s ms" % (generator["max_bytes"], generator["period"] or
                                "65536")
                if generator["max_bytes"] else "unlimited")
      table.append([row["instance"], value, generator.get("source", "none"),
                    rate, generator.get("id") or "-",
                    generator.get("from", "-"), note])
  headers = {field: field.capitalize() for field in _FIELDS}
  for line in cli.GenerateTable(headers, _FIELDS, None, table):
    print(line.rstrip())

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command status: what instances are to have, and what they have."""

import argparse
import contextlib
import json
import sys

from typing import Any, Dict, List, Optional, Tuple

from ganeti_virtio_rng import HV_VIRTIO_RNG, VALUES, running
from ganeti_virtio_rng.cli import node

_FIELDS = ("instance", "configured", "source", "rate", "id", "slot", "from",
           "note")


def status(args: argparse.Namespace) -> int:
  """Prints a table of the instances that run on this node."""
  node.import_ganeti()
  from ganeti import constants, errors, hypervisor
  from ganeti_virtio_rng import hotplug
  kvm = hypervisor.GetHypervisor(constants.HT_KVM)
  configured = _configured_values()
  rows = []
  for name in _names(args.names, kvm.ListInstances()):
    (value, said) = (configured or {}).get(name, (None, None))
    generators = problem = command = None
    try:
      with running.monitor(kvm, name) as execute:
        generators = running.generators(execute, kvm, name)
        if said and value and not (generators or value == VALUES[0] or
                                   node.is_native()):
          with contextlib.suppress(errors.HypervisorError):
            hotplug.plan(execute, kvm, name, value)
            command = "gnt-instance modify %s-H %s=%s %s" % (
              _hotplug_option(), HV_VIRTIO_RNG, said, name)
    except errors.GenericError as err:
      problem = str(err)
      if name not in kvm.ListInstances():
        continue # it has been stopped meanwhile
    rows.append({
      "instance": name, "configured": value, "generators": generators,
      "restart_needed": not command and _differs(value, generators),
      "hotplug": command, "problem": problem})
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


def _hotplug_option() -> str:
  """Returns the option that Ganeti 3.0 wants, with a space."""
  from ganeti import cli
  return "--hotplug " if hasattr(cli, "HOTPLUG_OPT") else ""


def _names(wanted: List[str], all_names: List[str]) -> List[str]:
  """Returns the names of the instances to show, sorted.

  @param wanted: which ones; none for all, and the first part of a name may do,
      as in all of Ganeti's commands

  """
  from ganeti import utils
  names = set() if wanted else set(all_names)
  for name in wanted:
    match = utils.MatchNameComponent(name, all_names)
    if match is None:
      raise node.Failure("No instance, or more than one, that is called"
                         " '%s' runs on this node" % name)
    names.add(match)
  return sorted(names)


def _configured_values() -> "Optional[Dict[str, Tuple[Any, Any]]]":
  """Reads the configuration's values.

  @return: of each KVM instance the value that holds, None where there is none,
      and what would set it anew, None where Ganeti would plug nothing in; None
      on a node that does not have the configuration

  """
  from ganeti import constants
  config = node.read_config()
  if config is None:
    return None
  return {
    instance.name: (config.cluster.FillHV(instance).get(HV_VIRTIO_RNG),
                    instance.hvparams.get(HV_VIRTIO_RNG, "default")
                    if _hotplug_option() or # Ganeti 3.1 goes by its state
                    instance.admin_state == constants.ADMINST_UP else None)
    for instance in config.instances.values()
    if instance.hypervisor == constants.HT_KVM}


def _differs(value: Optional[str],
             generators: Optional[List[Dict[str, Any]]]) -> Optional[bool]:
  """Whether an instance lacks what its value says; None: nobody can tell."""
  if value is None or generators is None:
    return None
  ours = [generator["source"] for generator in generators
          if generator["from"] == HV_VIRTIO_RNG]
  if generators and not ours:
    return False # that of kvm_extra has precedence
  return ours != ([] if value == VALUES[0] else ["/dev/%s" % value])


def _print_table(rows: List[Dict[str, Any]], unknown: str) -> None:
  from ganeti import cli
  table = []
  for row in rows:
    note = row["hotplug"] or ("restart needed" if row["restart_needed"] else "")
    generators = row["generators"] or [{"source": "none"}]
    if row["generators"] is None:
      note = "QEMU does not answer: %s" % row["problem"]
      generators = [{"source": "?"}]
    for generator in generators:
      rate = ("%(max_bytes)s B/%(period)s ms" % generator
              if generator.get("max_bytes") else
              "unlimited" if generator.get("period") else "-")
      slot = generator.get("slot")
      table.append([row["instance"], row["configured"] or unknown,
                    generator["source"], rate, generator.get("id") or "-",
                    "-" if slot is None else hex(slot),
                    generator.get("from", "-"), note])
  headers = {field: field.capitalize() for field in _FIELDS}
  for line in cli.GenerateTable(headers, _FIELDS, None, table):
    print(line.rstrip())

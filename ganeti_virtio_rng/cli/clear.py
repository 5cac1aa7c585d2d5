# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command clear: takes every value of virtio_rng out of the configuration.

"""

import argparse
import contextlib
import json
import os
import shlex
import time

from typing import Any, Dict, Iterator, List

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.cli import node

#: Seconds between two looks at what is being waited for
_PAUSE = 0.5

_KVM = "kvm"

#: Name of no instance. Whoever locks one keeps jobs out that lock all, as those
#: do that change the cluster's parameters, and no job on another instance.
_NO_INSTANCE = "ganeti-virtio-rng"

_Config = Dict[str, Any]


def _instances(config: _Config) -> List[Dict[str, Any]]:
  """Returns the instances that have a value, sorted by name.

  """
  return sorted((instance for instance in config["instances"].values()
                 if HV_VIRTIO_RNG in instance["hvparams"]),
                key=lambda instance: str(instance["name"]))


def _commands(config: _Config) -> List[str]:
  """Returns the commands that would set the values of a configuration again.

  """
  cluster = config["cluster"]
  found = [(("gnt-cluster", "modify", "-H", "kvm:%s=%s"),
            cluster["hvparams"].get(_KVM, {}), "")]
  found.extend((("gnt-os", "modify", "-H", "kvm:%s=%s"),
                params.get(_KVM, {}), name)
               for name, params in sorted(cluster["os_hvp"].items()))
  found.extend((("gnt-instance", "modify", "-H", "%s=%s"),
                instance["hvparams"], instance["name"])
               for instance in _instances(config))
  return [" ".join(map(shlex.quote, command[:-1] + (
    command[-1] % (HV_VIRTIO_RNG, hvparams[HV_VIRTIO_RNG]),) +
                       (name,) * bool(name)))
          for command, hvparams, name in found if HV_VIRTIO_RNG in hvparams]


def _take_out(config: _Config, names: List[str]) -> None:
  """Removes the values of the cluster, its OSes, and some instances.

  An object's serial number tells jobs that theirs is not the current one.

  """
  cluster = config["cluster"]
  cluster["hvparams"].get(_KVM, {}).pop(HV_VIRTIO_RNG, None)
  for name, params in list(cluster["os_hvp"].items()):
    if params.get(_KVM, {}).pop(HV_VIRTIO_RNG, None) and not params[_KVM]:
      del params[_KVM]
    if not params:
      del cluster["os_hvp"][name]
  changed = [instance for instance in _instances(config)
             if instance["name"] in names]
  for instance in changed:
    del instance["hvparams"][HV_VIRTIO_RNG]
  for item in [cluster] + changed:
    item["serial_no"] += 1
    item["mtime"] = time.time()


@contextlib.contextmanager
def _locks(client: Any, context: Any, names: List[str]) -> Iterator[None]:
  """Holds what a job would hold that changed these instances and the cluster.

  """
  from ganeti import constants
  request = [["cluster/BGL", "shared"]] + [
    ["instance/%s" % name, "exclusive"] for name in names + [_NO_INSTANCE]]
  try:
    blocking = client.UpdateLocksWaiting(context, constants.OP_PRIO_NORMAL,
                                         request)
    jobs = sorted(owner[0] for owner in blocking if isinstance(owner[0], int))
    if blocking:
      print("Waiting for the locks of other jobs%s" %
            (": " + ", ".join(map(str, jobs)) if jobs else ""), flush=True)
    while client.HasPendingRequest(context):
      time.sleep(_PAUSE)
    yield
  finally:
    client.FreeLocks(context)


def _clear(printed: List[str]) -> None:
  """Takes the values out, in one write of the configuration.

  @type printed: list of str
  @param printed: the commands that the user has seen

  """
  from ganeti import config
  from ganeti import wconfd
  from ganeti.utils import livelock

  # With the process id, as Ganeti adds only seconds: no second try may look as
  # if the first were alive.
  lock_file = livelock.LiveLock("virtio-rng_%d" % os.getpid())
  context = config.GetWConfdContext(None, lock_file)
  client = wconfd.Client()
  names = [] # type: List[str]
  try:
    while True:
      names = [instance["name"] for instance in _instances(client.ReadConfig())]
      with _locks(client, context, names):
        data = client.ReadConfig()
        if {instance["name"] for instance in _instances(data)} - set(names):
          continue # one was given a value meanwhile
        for command in _commands(data):
          if command not in printed:
            print(command, flush=True)
        while True:
          data = client.LockConfig(context, False)
          if data is not None:
            break
          time.sleep(_PAUSE)
        _take_out(data, names)
        client.WriteConfigAndUnlock(context, data)
        return
  finally:
    lock_file.close()


def clear(args: argparse.Namespace) -> int:
  """Runs the command.

  @rtype: int
  @return: 0

  """
  node.import_ganeti()
  from ganeti import _constants
  from ganeti import cli
  from ganeti import pathutils
  from ganeti import wconfd
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    raise node.Failure("This Ganeti knows %s itself: its values are none of"
                       " this package's" % HV_VIRTIO_RNG)
  if not node.is_master():
    raise node.Failure("This node is not the master of the cluster")
  with open(pathutils.CLUSTER_CONF_FILE) as config_file:
    commands = _commands(json.load(config_file))
  if not args.dry_run:
    # Says at once if the master's daemons don't run; wconfd's client would try
    # for ten minutes.
    cli.GetClient()
    # A run that was killed may still have locks: wconfd looks only every five
    # minutes.
    wconfd.Client().CleanupLocks()
  if not commands:
    print("No value of %s is set." % HV_VIRTIO_RNG)
    return 0
  if not args.dry_run:
    print("The configuration has these values of %s. Nothing will know them"
          " afterwards\nbut what you see here, as the commands that set them"
          " again:" % HV_VIRTIO_RNG)
  print("\n".join(commands), flush=True)
  if args.dry_run:
    return 0
  if not (args.yes or cli.AskUser("Take them out of the configuration?")):
    raise node.Failure("Not confirmed, nothing was changed")
  _clear(commands)
  print("No value of %s is set any more." % HV_VIRTIO_RNG)
  return 0

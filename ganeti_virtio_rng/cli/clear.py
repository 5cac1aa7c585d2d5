# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command clear: takes all values out of the configuration."""

import argparse
import json
import os
import shlex
import signal
import time

from typing import Any, Dict, List, NamedTuple

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.cli import node

#: Seconds between two looks at what is being waited for
_PAUSE = 1

_KVM = "kvm"

#: Name of an instance and a node that don't exist. Who has its lock excludes
#: jobs that lock all of them, as changes of the cluster do, and no other job.
_NONE = "ganeti-virtio-rng"

_Config = Dict[str, Any]

#: Something that has a value: the command and the name that tell Ganeti of it,
#: its parameters, and the object that has a serial number
_Value = NamedTuple("_Value", [("command", str), ("name", str),
                               ("hvparams", Dict[str, Any]),
                               ("item", Dict[str, Any])])


def _values(config: _Config) -> List[_Value]:
  """Returns what has a value, sorted by name."""
  cluster = config["cluster"]
  found = [_Value("gnt-cluster", "", cluster["hvparams"].get(_KVM, {}),
                  cluster)]
  found.extend(_Value("gnt-os", name, params.get(_KVM, {}), cluster)
               for name, params in sorted(cluster["os_hvp"].items()))
  found.extend(_Value("gnt-instance", name, instance["hvparams"], instance)
               for name, instance in sorted(
                 (str(instance["name"]), instance)
                 for instance in config["instances"].values()
                 if HV_VIRTIO_RNG in instance["hvparams"]))
  return [value for value in found if HV_VIRTIO_RNG in value.hvparams]


def _commands(config: _Config) -> List[str]:
  """Returns the commands that would set the values of a configuration again."""
  return [" ".join(map(shlex.quote, [
    value.command, "modify", "-H", "%s%s=%s" % (
      "" if value.command == "gnt-instance" else _KVM + ":",
      HV_VIRTIO_RNG, value.hvparams[HV_VIRTIO_RNG])] +
                       [value.name] * bool(value.name)))
          for value in _values(config)]


def _locks(config: _Config) -> List[Any]:
  """Returns the locks that a job would hold that took the values out."""
  found = _values(config)
  request = [["cluster/BGL", "shared"], ["instance/%s" % _NONE, "exclusive"]]
  request.extend(["instance/%s" % value.name, "exclusive"]
                 for value in found if value.item is not config["cluster"])
  if any(value.item is config["cluster"] for value in found):
    request.append(["node/%s" % _NONE, "exclusive"])
  return request


def _take_out(config: _Config) -> None:
  """Removes all values.

  An object's serial number tells jobs that theirs is not the current one.

  """
  changed = {} # type: Dict[int, Dict[str, Any]]
  os_hvp = config["cluster"]["os_hvp"]
  for value in _values(config):
    del value.hvparams[HV_VIRTIO_RNG]
    changed[id(value.item)] = value.item
    if value.command == "gnt-os" and not value.hvparams:
      del os_hvp[value.name][_KVM]
      if not os_hvp[value.name]:
        del os_hvp[value.name]
  for item in changed.values():
    item["serial_no"] += 1
    item["mtime"] = time.time()


def _clear(printed: List[str]) -> None:
  """Takes the values out in one write; printed: commands the user has seen."""
  from ganeti import config, constants, wconfd
  from ganeti.utils import livelock

  # Signals end this only while it waits: in the middle of a message to wconfd
  # they would leave its locks, after the last one they would come too late.
  signals = [number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
             if signal.getsignal(number) != signal.SIG_IGN] # as nohup has it
  signal.pthread_sigmask(signal.SIG_BLOCK, signals)

  os.umask(0o022) # wconfd, which isn't root, has to open the next file
  # Its name has the process id: no second try may look as if the first lived.
  lock_file = livelock.LiveLock("virtio-rng_%d" % os.getpid())
  context = config.GetWConfdContext(None, lock_file)
  client = wconfd.Client()
  request = [] # type: List[Any]
  told = None
  try:
    while True:
      wanted = _locks(client.ReadConfig())
      if wanted != request:
        client.FreeLocks(context) # and what was waited for
        request = wanted
      # A run that was killed may hold some, or get them while this one waits.
      client.CleanupLocks()
      blocking = client.UpdateLocksWaiting(context, constants.OP_PRIO_NORMAL,
                                           request)
      data = None if blocking else client.LockConfig(context, False)
      if blocking:
        owners = ", ".join(sorted(
          "job %d" % job if isinstance(job, int) else "process %d" % pid
          for job, _, pid in blocking))
        if owners != told:
          print("Waiting for the locks of %s" % owners, flush=True)
        told = owners
      if data is None:
        if signal.sigtimedwait(signals, _PAUSE):
          raise KeyboardInterrupt
        continue

      if any(lock not in request for lock in _locks(data)):
        client.UnlockConfig(context) # something was given a value meanwhile
        continue
      for command in _commands(data):
        if command not in printed:
          print(command, flush=True)
      _take_out(data)
      # False: wconfd was started again meanwhile, and knows of no lock.
      if (client.WriteConfigAndUnlock(context, data) or
          not _values(client.ReadConfig())):
        return
  finally:
    client.FreeLocks(context)
    lock_file.close()


def clear(args: argparse.Namespace) -> int:
  """Runs the command."""
  node.import_ganeti()
  from ganeti import cli, errors, pathutils, wconfd
  from ganeti.rpc import transport
  if node.is_native():
    raise node.Failure("This Ganeti knows %s itself: its values are none of"
                       " this package's" % HV_VIRTIO_RNG)
  if not node.is_master():
    raise node.Failure("This node is not the master of the cluster")
  with open(pathutils.CLUSTER_CONF_FILE) as config_file:
    commands = _commands(json.load(config_file))
  if not args.dry_run:
    try:
      # Says so when wconfd doesn't run; its client would try for ten minutes.
      transport.Transport(pathutils.WCONFD_SOCKET).Close()
      # A run that was killed may still have locks.
      wconfd.Client().CleanupLocks()
    except errors.LuxiError:
      if commands:
        raise
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

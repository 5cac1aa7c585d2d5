# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The commands disable and enable: leave and come back."""

import argparse
import contextlib
import functools
import json
import os
import subprocess
import time

from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Set

import ganeti_virtio_rng_loader as loader

from ganeti_virtio_rng import DEFAULT
from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng import check
from ganeti_virtio_rng import node

#: What the cluster may have without anybody's doing: jobs write the default
_UNSET = (None, DEFAULT)

#: What is being saved: if it was interrupted, it is good for nothing
_UNFINISHED = loader.SETTINGS + ".new"

#: Seconds between two looks at what is being waited for
_PAUSE = 0.5

_Settings = Dict[str, Any]

#: From a name or UUID to the hypervisor parameters
_Params = Dict[str, Dict[str, Any]]

#: Whether Ganeti works on a node as if the package were not installed
_STANDS_ASIDE = ("test -e %s || ! test -e /usr/sbin/ganeti-virtio-rng" %
                 loader.DISABLED)


def _read_settings() -> _Settings:
  """Reads which values the configuration has.

  @rtype: dict
  @return: "cluster" -> value or None, "os" -> dict from its name to the value,
      "instances" -> dict from the UUID to the value

  """
  from ganeti import pathutils
  try:
    with open(pathutils.CLUSTER_CONF_FILE) as config_file:
      config = json.load(config_file)
  except (EnvironmentError, ValueError) as err:
    raise node.Failure("Can't read the configuration: %s" % err)
  return _find(config["cluster"]["hvparams"], config["cluster"]["os_hvp"],
               {uuid: instance["hvparams"]
                for (uuid, instance) in config["instances"].items()})


def _find(cluster: _Params, os_hvp: Dict[str, _Params],
          instances: _Params) -> _Settings:
  """Finds the values in Ganeti's dicts of hypervisor parameters.

  """
  return {
    "cluster": cluster.get("kvm", {}).get(HV_VIRTIO_RNG),
    "os": {name: params["kvm"][HV_VIRTIO_RNG]
           for (name, params) in os_hvp.items()
           if HV_VIRTIO_RNG in params.get("kvm", {})},
    "instances": {uuid: hvparams[HV_VIRTIO_RNG]
                  for (uuid, hvparams) in instances.items()
                  if HV_VIRTIO_RNG in hvparams},
    }


def _is_empty(settings: _Settings) -> bool:
  return (settings["cluster"] is None and not settings["os"] and
          not settings["instances"])


def _describe(settings: _Settings) -> str:
  lines = []
  if settings["cluster"] is not None:
    lines.append("the cluster (%s)" % settings["cluster"])
  lines.extend("the operating system %s (%s)" % item
               for item in sorted(settings["os"].items()))
  if settings["instances"]:
    lines.append("%d instance%s with a value of their own" %
                 (len(settings["instances"]),
                  "s" if len(settings["instances"]) > 1 else ""))
  return "".join("  - %s\n" % line for line in lines)


def _saved_settings() -> Optional[_Settings]:
  """Returns what disable took out of the configuration, or None.

  """
  try:
    with open(loader.SETTINGS) as settings_file:
      settings = json.load(settings_file) # type: _Settings
      return settings
  except EnvironmentError:
    return None
  except ValueError as err:
    raise node.Failure("Can't read %s: %s" % (loader.SETTINGS, err))


def _save(settings: _Settings) -> None:
  """Adds settings to those that are saved: all or nothing.

  """
  with open(_UNFINISHED, "w") as settings_file:
    json.dump(_merge(_saved_settings(), settings), settings_file, indent=2,
              sort_keys=True)
    settings_file.flush()
    os.fsync(settings_file.fileno())
  os.rename(_UNFINISHED, loader.SETTINGS)


def _merge(saved: Optional[_Settings], settings: _Settings) -> _Settings:
  """Adds settings to those that an interrupted run has left.

  """
  if saved is None:
    return settings
  merged = {"cluster": settings["cluster"]}
  if settings["cluster"] in _UNSET:
    merged["cluster"] = saved["cluster"] or settings["cluster"]
  for kind in ("os", "instances"):
    merged[kind] = dict(saved[kind], **settings[kind])
  return merged


def _create(path: str) -> None:
  with open(path, "a"):
    pass


def _remove(path: str) -> None:
  with contextlib.suppress(FileNotFoundError):
    os.unlink(path)


def disable(args: argparse.Namespace) -> int:
  node.import_ganeti(extended=False)
  from ganeti import constants
  if HV_VIRTIO_RNG in constants.HVS_PARAMETER_TYPES:
    raise node.Failure("This Ganeti knows %s itself: the package does nothing"
                       " and can be removed" % HV_VIRTIO_RNG)
  is_master = node.is_master()
  settings = _read_settings() if is_master else {}

  print("Ganeti will work on this node as if ganeti-virtio-rng were not"
        " installed.")
  if is_master and not _is_empty(settings):
    print("The parameter %s will be taken out of the configuration of:\n%s"
          "Instances are not touched. The values are kept in\n%s, for"
          " 'ganeti-virtio-rng enable'." %
          (HV_VIRTIO_RNG, _describe(settings), loader.SETTINGS))
  others = _others_in_effect() if is_master else []
  if others:
    message = ("As the master, other nodes would bring the parameter back; run"
               " 'ganeti-virtio-rng\ndisable' there first: %s" %
               ", ".join(others))
    if not args.dry_run:
      raise node.Failure(message)
    print(message)
  if args.dry_run:
    return 0
  if not (args.yes or _confirmed()):
    raise node.Failure("Not confirmed, nothing was changed")

  os.makedirs(os.path.dirname(loader.SETTINGS), exist_ok=True)
  if is_master:
    _create(loader.LEAVING) # so that jobs which see the parameter tolerate it
    _create(loader.DISABLED)
    _wait_for_jobs()
    while True:
      with _locked_configuration() as cfg:
        if not os.path.exists(loader.DISABLED):
          raise node.Failure("ganeti-virtio-rng was enabled meanwhile")
        _change(cfg, _take_out)
      _wait_for_jobs()
      if _is_empty(_read_settings()): # else one of them has put it back
        break
    _remove(loader.LEAVING)
    print("The configuration has no %s any more." % HV_VIRTIO_RNG)
  else:
    _create(loader.DISABLED)
    _remove(loader.LEAVING) # of a run that was interrupted as the master
  return 0


def _others_in_effect() -> List[str]:
  """Finds the nodes that would bring the parameter back as the master.

  @rtype: list of str

  """
  from ganeti import cli
  from ganeti import constants
  from ganeti import ssh
  client = cli.GetClient()
  nodes = cli.GetOnlineNodes([], cl=client, nowarn=True, filter_master=True)
  if not nodes: # without names, their ports would be those of all nodes
    return []
  runner = ssh.SshRunner(*client.QueryConfigValues(["cluster_name"]))
  result = []
  for (name, port) in zip(nodes, cli.GetNodesSshPorts(nodes, client)):
    answer = runner.Run(name, constants.SSH_LOGIN_USER, _STANDS_ASIDE,
                        port=port, quiet=False)
    if answer.exit_code == 1:
      result.append(name)
    elif answer.failed:
      raise node.Failure("Can't ask node %s whether ganeti-virtio-rng is in"
                         " effect there: %s; if it is down, mark it offline" %
                         (name, answer.output.strip()))
  return result


def _confirmed() -> bool:
  try:
    return input("Continue? y/[n]: ").strip().lower() == "y"
  except EOFError:
    return False


def enable(_: argparse.Namespace) -> int:
  settings = _saved_settings()
  unfinished = [daemon for daemon in node.DAEMONS
                if os.path.exists(node.RESTARTING % daemon)]
  was_disabled = os.path.exists(loader.DISABLED)
  if settings is None and not was_disabled and not unfinished:
    _remove(loader.LEAVING) # of a disable that went no further
    print("Nothing to do: ganeti-virtio-rng is not disabled on this node.")
    return 0
  daemons = [daemon for daemon in node.DAEMONS if daemon in unfinished or
             subprocess.call([node.DAEMON_UTIL, "check", daemon]) == 0]
  for daemon in daemons:
    _create(node.RESTARTING % daemon)
  _remove(loader.DISABLED)
  _remove(loader.LEAVING)
  _remove(_UNFINISHED)
  node.import_ganeti()

  for daemon in daemons:
    print("Restarting %s, so that it knows %s" % (daemon, HV_VIRTIO_RNG))
    for action in ("stop", "start"):
      subprocess.check_call([node.DAEMON_UTIL, action, daemon])
    _remove(node.RESTARTING % daemon)

  if settings is None:
    if was_disabled and node.is_master() and _is_empty(_read_settings()):
      print("What was taken out of the configuration is on the node that was"
            " the master then;\ncopy it from there to %s and run this again to"
            " put it back." % loader.SETTINGS)
  elif not node.is_master():
    # Nobody must take it for recent when this node is the master again.
    kept = loader.SETTINGS + time.strftime(".%Y-%m-%d-%H-%M-%S")
    os.rename(loader.SETTINGS, kept)
    print("This node is not the master any more. What was taken out of the"
          " configuration is\nin %s;\ncopy it to %s on the master and run this"
          " there to put it back." % (kept, loader.SETTINGS))
  else:
    _wait_for_jobs() # those that have started don't know the parameter
    with _locked_configuration() as cfg:
      if os.path.exists(loader.DISABLED):
        raise node.Failure("ganeti-virtio-rng was disabled meanwhile")
      settings = _saved_settings()
      if settings is not None: # else another one has put it back
        _change(cfg, functools.partial(_put_back, settings))
        _remove(loader.SETTINGS)
    print("The configuration has %s again." % HV_VIRTIO_RNG)
  return 0


def _wait_for_jobs() -> None:
  """Waits for the jobs that have started, and may know the parameter.

  """
  from ganeti import luxi
  started = ["|"] + [["=", "status", status]
                     for status in ("waiting", "running", "canceling")]
  client = luxi.Client()

  def running() -> Set[int]:
    return set(row[0][1] for row in client.Query("job", ["id"], started).data)

  waiting = None # type: Optional[Set[int]]
  jobs = running()
  while jobs:
    if jobs != waiting:
      print("Waiting for these jobs: %s" % ", ".join(map(str, sorted(jobs))),
            flush=True)
    waiting = jobs
    time.sleep(_PAUSE)
    jobs = waiting & running()


@contextlib.contextmanager
def _locked_configuration() -> Iterator[Any]:
  """Holds Ganeti's big lock, so that no job works with what is changed.

  @rtype: ganeti.config.ConfigWriter

  """
  from ganeti import config
  from ganeti import constants
  from ganeti import wconfd
  from ganeti.utils import livelock

  # With the process id, as Ganeti adds only seconds: no second try may look as
  # if the first were alive.
  lock_file = livelock.LiveLock("virtio-rng_%d" % os.getpid())
  context = config.GetWConfdContext(None, lock_file)
  client = wconfd.Client()
  lock = ["cluster/BGL", "exclusive"]
  try:
    # What was killed may still have it: wconfd looks only every five minutes.
    client.CleanupLocks()
    print("Waiting for the cluster lock", flush=True)
    client.UpdateLocksWaiting(context, constants.OP_PRIO_HIGHEST, [lock])
    while lock not in client.ListLocks(context):
      time.sleep(_PAUSE)
    yield config.GetConfig(None, lock_file)
  finally:
    try:
      client.FreeLocksLevel(context, "cluster")
    finally:
      lock_file.close()


def _change(cfg: Any, change: Callable[[Any, List[Any]], List[Any]]) -> None:
  """Changes the cluster and its instances, as a job would.

  wconfd writes and distributes the configuration.

  @type change: callable
  @param change: gets the cluster and the list of instances; returns those of
      these objects that it has changed

  """
  instances = list(cfg.GetAllInstancesInfo().values())
  for target in change(cfg.GetClusterInfo(), instances):
    cfg.Update(target, lambda message: None)


def _take_out(cluster: Any, instances: List[Any]) -> List[Any]:
  _save(_find(cluster.hvparams, cluster.os_hvp,
              {instance.uuid: instance.hvparams for instance in instances}))
  changed = []
  if cluster.hvparams.get("kvm", {}).pop(HV_VIRTIO_RNG, None) is not None:
    changed.append(cluster)
  for name, params in list(cluster.os_hvp.items()):
    if params.get("kvm", {}).pop(HV_VIRTIO_RNG, None) is not None:
      changed[:1] = [cluster]
      if not params["kvm"]:
        del params["kvm"]
      if not params:
        del cluster.os_hvp[name]
  for instance in instances:
    if instance.hvparams.pop(HV_VIRTIO_RNG, None) is not None:
      changed.append(instance)
  return changed


def _put_back(settings: _Settings, cluster: Any,
              instances: List[Any]) -> List[Any]:
  """What has a value again keeps it: it is newer.

  The cluster's default doesn't count, which any job may have written.

  """
  changed = [cluster]
  present = cluster.hvparams.get("kvm", {}).get(HV_VIRTIO_RNG)
  if check(settings["cluster"]) and present in _UNSET:
    cluster.hvparams.setdefault("kvm", {})[HV_VIRTIO_RNG] = settings["cluster"]
  for name, value in settings["os"].items():
    if check(value):
      params = cluster.os_hvp.setdefault(name, {})
      params.setdefault("kvm", {}).setdefault(HV_VIRTIO_RNG, value)
  for instance in instances:
    value = settings["instances"].get(instance.uuid)
    if check(value) and HV_VIRTIO_RNG not in instance.hvparams:
      instance.hvparams[HV_VIRTIO_RNG] = value
      changed.append(instance)
  return changed

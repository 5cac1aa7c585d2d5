# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command ganeti-virtio-rng: leave and come back.

"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

import ganeti_virtio_rng_loader as loader
import ganeti_virtio_rng_startup as startup

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng import check

#: Where Ganeti's modules are, as in its own scripts
_GANETI = "/etc/ganeti/share"

_DAEMON_UTIL = "/usr/lib/ganeti/daemon-util"

#: Seconds between two looks at what is being waited for
_PAUSE = 0.5


class Failure(Exception):
  """What the user is told before the command ends with exit status 1.

  """


def main(argv=None):
  """Runs the command.

  @type argv: list of str or None
  @param argv: its arguments; None: those of the process
  @rtype: int
  @return: exit status: 0, or 1 for a failure; wrong arguments make it 2

  """
  args = _parser().parse_args(argv)
  try:
    args.function(args)
  except (Failure, EnvironmentError) as err:
    print("Failure: %s" % err, file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print("Interrupted; run the same command again", file=sys.stderr)
    return 1
  except Exception as err: # pylint: disable=W0703
    # Ganeti's errors, such as a master daemon that doesn't run
    if "ganeti.constants" not in sys.modules:
      raise
    from ganeti import cli
    print(cli.FormatError(err)[1], file=sys.stderr)
    return 1
  return 0


def _parser():
  parser = argparse.ArgumentParser(
    prog="ganeti-virtio-rng",
    description="Leaves the hypervisor parameter %s, or comes back to it." %
                HV_VIRTIO_RNG)
  commands = parser.add_subparsers(metavar="COMMAND", dest="command")
  commands.required = True

  disable = commands.add_parser(
    "disable", help="stand aside on this node; on the master, take the"
                    " parameter out of the cluster's configuration",
    description="From now on, Ganeti works on this node as if this package were"
                " not installed. On the master, %s is taken out of the"
                " configuration: from the cluster's, the operating systems' and"
                " the instances' parameters. Instances that run are not"
                " touched. If it is interrupted, run it again." % HV_VIRTIO_RNG)
  disable.add_argument("--dry-run", action="store_true",
                       help="only show what would be done")
  disable.add_argument("--yes", action="store_true", help="don't ask")
  disable.set_defaults(function=_disable)

  enable = commands.add_parser(
    "enable", help="come back on this node; on the master, put back what"
                   " disable took out of the configuration",
    description="Undoes disable on this node. Restarts ganeti-noded and"
                " ganeti-rapi if they run. On the master, the values that"
                " disable took out of the configuration are put back.")
  enable.set_defaults(function=_enable)
  return parser


def _import_ganeti(extended):
  """Makes Ganeti's modules importable.

  @type extended: bool
  @param extended: whether they may know the parameter in this process

  """
  if not extended:
    startup.ROOMS.clear()
  sys.path.insert(0, os.path.realpath(_GANETI))
  try:
    import ganeti.constants # pylint: disable=W0611
  except ImportError as err:
    raise Failure("Ganeti is not installed on this node: %s" % err)


def _is_master():
  from ganeti import ssconf
  try:
    (master, myself) = ssconf.GetMasterAndMyself()
  except Exception as err: # no cluster here, or a half-configured one
    raise Failure("This node is not part of a cluster: %s" % err)
  return master == myself


def _read_settings():
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
    raise Failure("Can't read the configuration: %s" % err)
  cluster = config["cluster"]
  return {
    "cluster": cluster["hvparams"].get("kvm", {}).get(HV_VIRTIO_RNG),
    "os": {name: params["kvm"][HV_VIRTIO_RNG]
           for (name, params) in cluster["os_hvp"].items()
           if HV_VIRTIO_RNG in params.get("kvm", {})},
    "instances": {uuid: instance["hvparams"][HV_VIRTIO_RNG]
                  for (uuid, instance) in config["instances"].items()
                  if HV_VIRTIO_RNG in instance["hvparams"]},
    }


def _is_empty(settings):
  return (settings["cluster"] is None and not settings["os"] and
          not settings["instances"])


def _describe(settings):
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


def _saved_settings():
  """Returns what disable took out of the configuration, or None.

  """
  try:
    with open(loader.SETTINGS) as settings_file:
      return json.load(settings_file)
  except EnvironmentError:
    return None
  except ValueError as err:
    raise Failure("Can't read %s: %s" % (loader.SETTINGS, err))


def _save_settings(settings):
  """Writes the settings: all or nothing, also if it is killed.

  """
  with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(loader.SETTINGS),
                                   delete=False) as settings_file:
    json.dump(settings, settings_file, indent=2, sort_keys=True)
    settings_file.flush()
    os.fsync(settings_file.fileno())
  os.rename(settings_file.name, loader.SETTINGS)


def _create(path):
  with open(path, "a"):
    pass


def _remove(path):
  with contextlib.suppress(FileNotFoundError):
    os.unlink(path)


def _disable(args):
  _import_ganeti(extended=False)
  is_master = _is_master()
  settings = _read_settings() if is_master else None

  print("Ganeti will work on this node as if ganeti-virtio-rng were not"
        " installed.")
  if is_master and not _is_empty(settings):
    print("The parameter %s will be taken out of the configuration of:\n%s"
          "Instances are not touched. What they have now is kept in\n%s, for"
          " 'ganeti-virtio-rng enable'." %
          (HV_VIRTIO_RNG, _describe(settings), loader.SETTINGS))
  if args.dry_run:
    return
  if not (args.yes or _confirmed()):
    raise Failure("Not confirmed, nothing was changed")

  os.makedirs(os.path.dirname(loader.SETTINGS), exist_ok=True)
  if is_master:
    _save_settings(_merge(_saved_settings(), settings))
    _create(loader.LEAVING) # so that jobs which see the parameter tolerate it
    _create(loader.DISABLED)
    _wait_for_jobs()
    while not _is_empty(_read_settings()):
      _change_configuration(_take_out)
      _wait_for_jobs() # one of them may have put it back
    _remove(loader.LEAVING)
    print("The configuration has no %s any more. If another node may become"
          " the master, run\n'ganeti-virtio-rng disable' there, too: Ganeti"
          " would put it back." % HV_VIRTIO_RNG)
  else:
    _create(loader.DISABLED)


def _confirmed():
  try:
    return input("Continue? y/[n]: ").strip().lower() == "y"
  except EOFError:
    return False


def _merge(saved, settings):
  """Adds settings to those that an earlier, interrupted run has saved.

  """
  if saved is None:
    return settings
  merged = {"cluster": settings["cluster"] or saved["cluster"]}
  for kind in ("os", "instances"):
    merged[kind] = dict(saved[kind], **settings[kind])
  return merged


def _enable(_):
  settings = _saved_settings()
  if settings is None and not os.path.exists(loader.DISABLED):
    print("Nothing to do: ganeti-virtio-rng is not disabled on this node.")
    return
  _remove(loader.DISABLED)
  _remove(loader.LEAVING)
  _import_ganeti(extended=True)

  for daemon in ("ganeti-noded", "ganeti-rapi"):
    if subprocess.call([_DAEMON_UTIL, "check", daemon]) == 0:
      print("Restarting %s, so that it knows %s" % (daemon, HV_VIRTIO_RNG))
      for action in ("stop", "start"):
        subprocess.check_call([_DAEMON_UTIL, action, daemon])

  if settings is not None:
    if not _is_master():
      print("This node is not the master any more: %s keeps what was taken out"
            " of the\nconfiguration." % loader.SETTINGS)
      return
    _change_configuration(
      lambda cluster, instances: _put_back(settings, cluster, instances))
    print("The configuration has %s again." % HV_VIRTIO_RNG)
    _remove(loader.SETTINGS)


def _wait_for_jobs():
  """Waits for the jobs that have started, and may know the parameter.

  """
  from ganeti import luxi
  started = ["|"] + [["=", "status", status]
                     for status in ("waiting", "running", "canceling")]
  client = luxi.Client()
  ids = [row[0][1] for row in client.Query("job", ["id"], started).data]
  while ids:
    print("Waiting for %d job%s ..." % (len(ids), "s" if len(ids) > 1 else ""),
          flush=True)
    time.sleep(_PAUSE)
    still = [row[0][1] for row in client.Query("job", ["id"], started).data]
    ids = [job for job in ids if job in still]


def _change_configuration(change):
  """Changes the cluster and its instances, as a job would.

  With Ganeti's big lock, so that no job works with what is changed. wconfd
  writes and distributes the configuration.

  @type change: callable
  @param change: gets the cluster and the list of instances; returns those of
      these objects that it has changed

  """
  from ganeti import config
  from ganeti import constants
  from ganeti import wconfd
  from ganeti.utils import livelock

  lock_file = livelock.LiveLock("virtio-rng")
  context = config.GetWConfdContext(None, lock_file)
  client = wconfd.Client()
  lock = ["cluster/BGL", "exclusive"]
  try:
    client.UpdateLocksWaiting(context, constants.OP_PRIO_HIGHEST, [lock])
    while lock not in client.ListLocks(context):
      time.sleep(_PAUSE)
    cfg = config.GetConfig(None, lock_file)
    instances = list(cfg.GetAllInstancesInfo().values())
    for target in change(cfg.GetClusterInfo(), instances):
      cfg.Update(target, lambda message: None)
  finally:
    client.FreeLocksLevel(context, "cluster")
    lock_file.close()
    _remove(lock_file.GetPath())


def _take_out(cluster, instances):
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


def _put_back(settings, cluster, instances):
  changed = [cluster]
  if check(settings["cluster"]):
    cluster.hvparams.setdefault("kvm", {})[HV_VIRTIO_RNG] = settings["cluster"]
  for name, value in settings["os"].items():
    if check(value):
      params = cluster.os_hvp.setdefault(name, {})
      params.setdefault("kvm", {})[HV_VIRTIO_RNG] = value
  for instance in instances:
    value = settings["instances"].get(instance.uuid)
    if check(value):
      instance.hvparams[HV_VIRTIO_RNG] = value
      changed.append(instance)
  return changed

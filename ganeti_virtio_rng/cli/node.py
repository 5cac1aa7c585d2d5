# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""This node's Ganeti, as the commands need it."""

import json
import os
import sys

from typing import Any, Callable, List, Optional, Set

from ganeti_virtio_rng import HV_VIRTIO_RNG

#: Those that load the package, and live long
DAEMONS = ("ganeti-noded", "ganeti-rapi")


class Failure(Exception):
  """What the user is told before the command ends with exit status 1."""


def _commands() -> List[str]:
  """Returns paths of gnt-cluster, those of scripts that wrap another last."""
  # The last is where Debian's link goes, which may have been diverted.
  paths = [os.path.realpath(os.path.join(folder, "gnt-cluster")) for folder in
           [*os.get_exec_path(), "/usr/local/sbin", "/usr/sbin",
            "/usr/share/ganeti/default"]]
  return sorted(filter(os.path.isfile, paths), key=lambda path: not
                os.path.isdir(os.path.dirname(path) + "/ganeti"))


def ganeti_path() -> List[str]:
  """Returns where Ganeti's modules are, if not among Python's own."""
  folders = [os.path.dirname(path) for path in _commands()]
  return [folder for folder in folders if os.path.isdir("%s/ganeti" % folder)]


def ganeti_python() -> List[str]:
  """Returns the command, of one word or more, that runs Ganeti's commands."""
  for path in _commands():
    with open(path, errors="replace") as script:
      line = script.readline()
    if "python" in line:
      return line[2:].split()
  return [sys.executable]


def import_ganeti() -> None:
  """Makes Ganeti's modules importable.

  @raise Failure: when Ganeti is not there

  """
  sys.path[:0] = ganeti_path()
  try:
    import ganeti.constants
  except ImportError as err:
    raise Failure("Ganeti is not installed on this node: %s" % err)


def is_native() -> bool:
  """Whether this Ganeti knows the parameter itself."""
  from ganeti import _constants
  return HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES


def _of_cluster(read: Callable[[Any], Any], otherwise: bool) -> bool:
  """Reads ssconf; returns otherwise if the node belongs to no cluster yet."""
  from ganeti import errors, ssconf
  try:
    return bool(read(ssconf.SimpleStore()))
  except errors.ConfigurationError:
    return otherwise


def in_cluster() -> bool:
  """Whether the node daemon should run on this node."""
  return _of_cluster(lambda store: store.GetClusterName(), False)


def has_instances() -> bool:
  """Whether Ganeti may start instances on this node."""
  from ganeti import netutils
  return _of_cluster(lambda store: store.GetNodesVmCapable().get(
    netutils.Hostname.GetSysName(), True), True)


def has_kvm() -> bool:
  """Whether instances of KVM may be on this node's cluster."""
  from ganeti import constants
  return _of_cluster(
    lambda store: constants.HT_KVM in store.GetHypervisorList(), True)


def read_config() -> Optional[Any]:
  """Returns L{objects.ConfigData}; None where the node doesn't have it."""
  from ganeti import objects, pathutils
  try:
    with open(pathutils.CLUSTER_CONF_FILE) as config_file:
      return objects.ConfigData.FromDict(json.load(config_file))
  except FileNotFoundError:
    return None


def used_values() -> Optional[Set[str]]:
  """Returns the values that instances have, or would have if they were new.

  @return: None on a node that does not have the configuration

  """
  from ganeti import constants
  config = read_config()
  if config is None:
    return None
  filled = [config.cluster.GetHVDefaults(constants.HT_KVM, name)
            for name in [None] + list(config.cluster.os_hvp)]
  filled.extend(config.cluster.FillHV(instance)
                for instance in config.instances.values())
  return {hvparams[HV_VIRTIO_RNG] for hvparams in filled
          if HV_VIRTIO_RNG in hvparams}


def is_master() -> bool:
  """Whether this node is the master of its cluster.

  @raise Failure: when it belongs to none

  """
  from ganeti import ssconf
  try:
    (master, myself) = ssconf.GetMasterAndMyself()
  except Exception as err: # no cluster here, or a half-configured one
    raise Failure("This node is not part of a cluster: %s" % err)
  return bool(master == myself)

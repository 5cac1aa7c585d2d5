# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""This node's Ganeti, as the commands need it."""

import os
import sys

import ganeti_virtio_rng_startup as startup

#: Where Ganeti's modules are, as in its own scripts
GANETI = "/etc/ganeti/share"

DAEMON_UTIL = "/usr/lib/ganeti/daemon-util"

#: Those that load the package, and live long
DAEMONS = ("ganeti-noded", "ganeti-rapi")

#: Exists while one of them is restarted: if that is interrupted, the second try
#: starts it though it doesn't run. The package's scripts know it, too.
RESTARTING = "/run/ganeti-virtio-rng.%s"


class Failure(Exception):
  """What the user is told before the command ends with exit status 1.

  """


def import_ganeti(extended: bool = True) -> None:
  """Makes Ganeti's modules importable.

  @type extended: bool
  @param extended: whether they may know the parameter in this process
  @raise Failure: when Ganeti is not there

  """
  if not extended:
    startup.ROOMS.clear()
  sys.path.insert(0, os.path.realpath(GANETI))
  try:
    import ganeti.constants # pylint: disable=W0611
  except ImportError as err:
    raise Failure("Ganeti is not installed on this node: %s" % err)


def has_instances() -> bool:
  """Whether Ganeti may start instances on this node.

  @rtype: bool
  @return: also if the node belongs to no cluster yet

  """
  from ganeti import errors
  from ganeti import netutils
  from ganeti import ssconf
  try:
    vm_capable = ssconf.SimpleStore().GetNodesVmCapable()
  except errors.ConfigurationError:
    return True
  return bool(vm_capable.get(netutils.Hostname.GetSysName(), True))


def is_master() -> bool:
  """Whether this node is the master of its cluster.

  @rtype: bool
  @raise Failure: when it belongs to none

  """
  from ganeti import ssconf
  try:
    (master, myself) = ssconf.GetMasterAndMyself()
  except Exception as err: # no cluster here, or a half-configured one
    raise Failure("This node is not part of a cluster: %s" % err)
  return bool(master == myself)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command ganeti-virtio-rng."""

import argparse
import os
import signal
import sys

from typing import List
from typing import Optional

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng import leaving
from ganeti_virtio_rng import node
from ganeti_virtio_rng import readiness
from ganeti_virtio_rng import status


def main(argv: Optional[List[str]] = None) -> int:
  """Runs the command.

  @type argv: list of str or None
  @param argv: its arguments; None: those of the process
  @rtype: int
  @return: exit status: 0, or 1 for a failure or a problem; wrong arguments
      make it 2

  """
  args = _parser().parse_args(argv)
  # Ganeti's daemons, which aren't root, must see what is written.
  os.umask(0o022)
  # Locks are to be freed, also when a connection breaks.
  for number in (signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) != signal.SIG_IGN: # as nohup has it
      signal.signal(number, signal.default_int_handler)
  try:
    return int(args.function(args))
  except (node.Failure, EnvironmentError) as err:
    print("Failure: %s" % err, file=sys.stderr)
  except KeyboardInterrupt:
    print("Interrupted; run the same command again", file=sys.stderr)
  except Exception as err: # pylint: disable=W0703
    # Ganeti's errors, such as a master daemon that doesn't run
    if "ganeti.constants" not in sys.modules:
      raise
    from ganeti import cli
    print(cli.FormatError(err)[1], file=sys.stderr)
  return 1


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="ganeti-virtio-rng",
    description="Looks after the hypervisor parameter %s on this node, leaves"
                " it, or comes back to it." % HV_VIRTIO_RNG)
  commands = parser.add_subparsers(metavar="COMMAND", dest="command")
  commands.required = True

  check = commands.add_parser(
    "check", help="is this node able and ready?",
    description="Tells, a line each, what %s needs on this node. Beside a"
                " problem is the way out." % HV_VIRTIO_RNG)
  check.set_defaults(function=readiness.check)

  show = commands.add_parser(
    "status", help="what the running instances have",
    description="Tells what the configuration says for each instance that runs"
                " on this node, and what its QEMU has.")
  show.add_argument("names", metavar="INSTANCE", nargs="*",
                    help="name of an instance; default: all that run here")
  show.set_defaults(function=status.status)

  for parser_ in (check, show):
    parser_.add_argument("--json", action="store_true",
                         help="write JSON for other programs")

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
  disable.set_defaults(function=leaving.disable)

  enable = commands.add_parser(
    "enable", help="come back on this node; on the master, put back what"
                   " disable took out of the configuration",
    description="Undoes disable on this node. Restarts ganeti-noded and"
                " ganeti-rapi if they run. On the master, the values that"
                " disable took out of the configuration are put back. If it is"
                " interrupted, run it again.")
  enable.set_defaults(function=leaving.enable)
  return parser

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command ganeti-virtio-rng."""

import argparse
import sys

from typing import List, Optional

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.cli import check, clear, node, status


def main(argv: Optional[List[str]] = None) -> int:
  """Runs the command.

  @param argv: its arguments; None: those of the process
  @return: exit status: 0, or 1 for a failure or a problem; wrong arguments
      make it 2

  """
  args = _parser().parse_args(argv)
  try:
    return int(args.function(args))
  except (node.Failure, EnvironmentError) as err:
    print("Failure: %s" % err, file=sys.stderr)
  except KeyboardInterrupt:
    print("Interrupted", file=sys.stderr)
  except Exception as err:
    # Ganeti's errors, such as a master daemon that doesn't run
    if "ganeti.constants" not in sys.modules:
      raise
    from ganeti import cli
    print(cli.FormatError(err)[1], file=sys.stderr)
  return 1


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="ganeti-virtio-rng",
    description="Looks after the hypervisor parameter %s." % HV_VIRTIO_RNG)
  commands = parser.add_subparsers(metavar="COMMAND", dest="command")
  commands.required = True

  ready = commands.add_parser(
    "check", help="is this node able and ready?",
    description="Tells, a line each, what %s needs on this node. Beside a"
                " problem is the way out." % HV_VIRTIO_RNG)
  ready.set_defaults(function=check.check)

  show = commands.add_parser(
    "status", help="what the running instances have",
    description="Tells what the configuration says for each instance that runs"
                " on this node, and what its QEMU has.")
  show.add_argument("names", metavar="INSTANCE", nargs="*",
                    help="name of an instance; default: all that run here")
  show.set_defaults(function=status.status)

  for parser_ in (ready, show):
    parser_.add_argument("--json", action="store_true",
                         help="write JSON for other programs")

  out = commands.add_parser(
    "clear", help="take every value out of the cluster's configuration",
    description="Shows the values of %s that are set, as the commands that set"
                " them, and takes them out of the configuration. Instances that"
                " run are not touched." % HV_VIRTIO_RNG)
  out.add_argument("--dry-run", action="store_true",
                   help="only show the values")
  out.add_argument("--yes", action="store_true", help="don't ask")
  out.set_defaults(function=clear.clear)
  return parser

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A cluster to try things on: python3 -m tests.lab RELEASE [NODES]."""

import argparse
import sys

from .base import RELEASES
from .cluster import Cluster
from .node import CommandError
from .package import built_package


def _progress(text):
  print("lab: %s" % text, file=sys.stderr, flush=True)


def main():
  parser = argparse.ArgumentParser(
    prog="python3 -m tests.lab",
    description="Raises a Ganeti cluster with the package of build/package, and"
                " opens a shell on its master, or runs there what it reads. The"
                " cluster is gone when the shell ends.")
  parser.add_argument("release", metavar="RELEASE", choices=list(RELEASES),
                      help="Debian release of the nodes: %s" %
                      ", ".join(RELEASES))
  parser.add_argument("nodes", metavar="NODES", type=int, nargs="?", default=2,
                      choices=range(1, 4), help="how many: 1, 2 (the default)"
                      " or 3")
  arguments = parser.parse_args()
  with Cluster(arguments.release, arguments.nodes, built_package(),
               _progress, quick=True) as cluster:
    return cluster.master.shell()


if __name__ == "__main__":
  try:
    sys.exit(main())
  except (CommandError, RuntimeError) as err:
    sys.exit(str(err))

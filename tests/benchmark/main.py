# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Measures all, prints the table, and draws the pictures if asked to."""

import argparse
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmark import functions
from benchmark import guests
from benchmark import hook
from benchmark import plots
from benchmark import scale
from benchmark import table
from benchmark import turns
from lab.cluster import Cluster
from lab.node import Node
from lab.node import Rack


def measure_hook(release, deb, progress):
  """Measures the hook on a node that belongs to no cluster.

  """
  rack = Rack()
  node = Node(release, "node1.lab.test", "10.77.0.1", rack, {}, progress)
  try:
    return hook.measure(node, deb)
  finally:
    node.stop()
    rack.close()


def main():
  parser = argparse.ArgumentParser(prog="tests/bench")
  parser.add_argument("--plot", action="store_true",
                      help="write tests/results, and what README.rst quotes of"
                      " it")
  arguments = parser.parse_args()

  started = time.monotonic()

  def progress(text):
    print("%4.0f s  %s" % (time.monotonic() - started, text), flush=True)

  deb = next((ROOT / "build/package").glob("ganeti-virtio-rng_*.deb"))
  lines = []
  costs = {}
  for name, release in (("Debian 12", "bookworm"), ("Debian 13", "trixie")):
    progress("Counting instructions on a node of %s" % name)
    costs[name] = measure_hook(release, deb, progress)
    lines += hook.lines(name, costs[name])

  progress("Timing the functions")
  lines += functions.lines()

  with Cluster("bookworm", progress=progress) as cluster:
    samples = turns.measure(cluster, deb, progress)
    lines += turns.lines(samples, turns.measure_runtime(cluster))
    boots = guests.measure(cluster, progress)
    lines += guests.lines(boots)
    lines += guests.rate_lines(*guests.measure_rate(cluster, progress))
    lines.append(guests.hotplug_line(*guests.measure_hotplug(cluster,
                                                             progress)))
    lines += scale.lines(scale.measure(cluster, deb, progress))

  where = table.machine()
  print("\n%s\n\n%s" % (where, table.render(lines)))
  if arguments.plot:
    results = ROOT / "tests/results"
    plots.draw(results, costs, boots)
    (results / "table.rst").write_text(table.page(where, lines))
    readme = ROOT / "README.rst"
    readme.write_text(table.quote(readme.read_text(), where, lines))
  progress("Done")


if __name__ == "__main__":
  main()

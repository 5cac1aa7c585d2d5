# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What the package costs a node: with and without it, in turns.

"""

import collections
import re
import statistics
import time

from .table import Line
from .table import spread

_TURNS = 5

#: Of each turn
_STARTS = 2

_START = "gnt-instance start --paused web1.lab.test"

#: Loads what ganeti-noded does, which locks whole arenas of Python's in memory
_IMPORT = ("cd /etc/ganeti/share; PYTHONHASHSEED=0 python3 -c 'import"
           " ganeti.server.noded;"
           " print(open(\"/proc/self/smaps_rollup\").read())'")

_Sample = collections.namedtuple("_Sample", ["seconds", "processes", "daemon",
                                             "modules"])


def measure(cluster, deb, progress):
  """Measures a cluster of one node, where it leaves the package installed.

  @type cluster: L{lab.cluster.Cluster}
  @type deb: Path
  @type progress: callable
  @rtype: tuple
  @return: samples without, samples with the package

  """
  cluster.add_instance("web1.lab.test", start=False)
  samples = ([], [])
  for turn in range(_TURNS):
    progress("Starting instances without and with the package, turn %d of %d" %
             (turn + 1, _TURNS))
    for with_it in (False, True):
      if with_it:
        cluster.master.install(deb)
      else:
        cluster.run("dpkg --purge ganeti-virtio-rng 2>&1")
      samples[with_it].append(_measure(cluster, with_it))
  cluster.run("gnt-instance remove -f web1.lab.test")
  return samples


def _measure(cluster, with_it):
  for action in ("stop", "start"):
    cluster.run("/usr/lib/ganeti/daemon-util %s ganeti-noded" % action)
  pid = cluster.run("cat /run/ganeti/ganeti-noded.pid").stdout.strip()
  proc = cluster.master.root / "proc" / pid
  assert ("ganeti_virtio_rng" in (proc / "maps").read_text()) == with_it
  daemon, modules = [
    int(re.search(r"^Rss: +(\d+) kB", rollup, re.M).group(1))
    for rollup in ((proc / "smaps_rollup").read_text(),
                   cluster.run(_IMPORT).stdout)]

  seconds, processes = [], []
  for _ in range(_STARTS):
    before = time.monotonic()
    # The last field is the last process id that the node gave away.
    output = cluster.run("read -r _ _ _ _ before < /proc/loadavg; %s;"
                         " read -r _ _ _ _ after < /proc/loadavg;"
                         " echo $((after - before))" % _START)
    seconds.append(time.monotonic() - before)
    processes.append(int(output.stdout.split()[-1]))
    cluster.run("gnt-instance stop --timeout=0 web1.lab.test")
  return _Sample(seconds, processes, daemon, modules)


def measure_runtime(cluster, rounds=101):
  """Measures _GenerateKVMRuntime on a node with the package.

  @type rounds: int
  @param rounds: how often, of which the best one counts
  @rtype: list of float
  @return: the best times in seconds, without and with

  """
  path = cluster.master.copy(__file__.replace("turns.py", "runtime.py"))
  return [float(word) for word in
          cluster.run("python3 %s %d" % (path, rounds)).stdout.split()]


def lines(samples, runtime):
  """Makes lines of the table.

  """
  bare, extended = runtime
  yield Line("Ganeti makes a command line", "_GenerateKVMRuntime",
             "%.2f ms" % (1e3 * extended), "%.3f" % (extended / bare),
             "%.2f ms without" % (1e3 * bare),
             "best of 101 turns on the real module")

  without, with_it = [[value for sample in samples[i]
                       for value in sample.seconds] for i in (False, True)]
  yield Line("An instance starts", _START, spread(with_it),
             "%.2f" % (statistics.median(with_it) /
                       statistics.median(without)),
             spread(without) + " without",
             "median and spread of %d in turns" % len(with_it))

  without, with_it = [[value for sample in samples[i]
                       for value in sample.processes] for i in (False, True)]
  yield Line("Processes and threads that it takes", _START,
             spread(with_it, "%.0f"),
             "%.2f" % (statistics.median(with_it) /
                       statistics.median(without)),
             spread(without, "%.0f") + " without; limit 1",
             "process ids that the node gave away")

  for what, command, field, how in (
      ("Memory of ganeti-noded", "ganeti-noded", "daemon",
       "%d new daemons, which lock it"),
      ("Memory of its modules", "import ganeti.server.noded", "modules",
       "%d processes, which don't lock it")):
    without, with_it = [[getattr(sample, field) for sample in samples[i]]
                        for i in (False, True)]
    more = statistics.median(with_it) - statistics.median(without)
    yield Line(what, command, "%+.0f KiB" % more, "%.2f" % (more / 300),
               "300 KiB, the limit; %s without" % spread(without, "%.0f KiB"),
               "resident, in smaps_rollup; median of " + how % len(with_it))

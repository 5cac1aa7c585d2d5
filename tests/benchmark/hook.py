# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What the package adds to the start of programs, in instructions.

Valgrind's cachegrind counts them, the same to 0.1 % in each run, however busy
the machine is.

"""

import collections
import pathlib
import re
import shutil

from .table import Line

# cachegrind itself, not the programs that start it: a node would have to have
# them as well, and a libc as new as theirs
_VALGRIND = pathlib.Path("/usr/libexec/valgrind")
_CACHEGRIND = ("VALGRIND_LAUNCHER=none %s/cachegrind-amd64-linux"
               " --tool=cachegrind --cache-sim=no"
               " --cachegrind-out-file=/dev/null" % _VALGRIND)

#: instructions without and with the package, limit of their ratio, and more on
#: how they were taken
Cost = collections.namedtuple("Cost", ["what", "command", "without", "with_it",
                                       "limit", "more"])

#: What, command, limit of the ratio
PROGRAMS = [
  ("Start of Python", "python3 -c pass", 1.03),
  ("Usual imports",
   "python3 -c 'import json, argparse, subprocess'", 1.02),
  ("gnt-instance --version", "python3 /usr/sbin/gnt-instance --version", 1.01),
  ("import hv_kvm",
   "python3 -c 'import ganeti.hypervisor.hv_kvm'", 1.01),
  ]

#: Stands for another package's, and does nothing
_OTHER_PTH = "/usr/lib/python3/dist-packages/another.pth"
_MODULE = "/usr/lib/python3/dist-packages/empty_module.py"


def count_instructions(run, command):
  """Counts the instructions of a whole run of a program.

  @type run: callable
  @param run: runs a shell's command line, returns the completed process
  @type command: str
  @rtype: int

  """
  result = run("PYTHONHASHSEED=0 %s %s" % (_CACHEGRIND, command))
  count = re.search(r"I +refs: +([\d,]+)", result.stderr).group(1)
  return int(count.replace(",", ""))


def measure(node, deb):
  """Measures the programs on a node, where it leaves the package installed.

  @type node: L{lab.node.Node}
  @param node: one without the package
  @type deb: Path
  @rtype: list of L{Cost}

  """
  # The nodes' network has no mirror to install it from.
  (node.root / "usr/libexec/valgrind").mkdir(parents=True)
  for pattern in ("cachegrind-*", "vgpreload_core-*", "*.supp"):
    for path in _VALGRIND.glob(pattern):
      shutil.copy(str(path), str(node.root / "usr/libexec/valgrind"))

  def count(command):
    # from the folder that has Ganeti's modules
    return count_instructions(
      lambda line: node.run("cd /etc/ganeti/share; %s" % line), command)

  # Python 3.13 takes 2 % more for the first .pth that it finds, for it imports
  # a codec to read it, and 1 % for any module that this imports. A node may or
  # may not have another.
  start = PROGRAMS[0][1]
  alone = count(start)
  node.run("echo import empty_module > {0}; : > {1};"
           " python3 -m py_compile {1}".format(_OTHER_PTH, _MODULE))
  empty_module = count(start)
  node.run("rm {1}; echo '# nothing' > {0}".format(_OTHER_PTH, _MODULE))
  without = [count(command) for _, command, _ in PROGRAMS]
  node.install(deb)
  with_it = [count(command) for _, command, _ in PROGRAMS]
  node.run("rm %s" % _OTHER_PTH)
  costs = [Cost(what, command, *figures, limit, "") for
           (what, command, limit), *figures in
           zip(PROGRAMS, without, with_it)]
  more = ("; an empty .pth file costs %.3f, one that imports an empty module"
          " %.3f" % (without[0] / alone, empty_module / alone))
  costs.insert(1, Cost("No other .pth file", start, alone, count(start),
                       PROGRAMS[0][2], more))
  return costs


def lines(release, costs):
  """Makes lines of the table.

  @type release: str
  @type costs: list of L{Cost}

  """
  for cost in costs:
    yield Line("%s, %s" % (cost.what, release), cost.command,
               "%.1f million" % (cost.with_it / 1e6),
               "%.3f" % (cost.with_it / cost.without),
               "%.1f million without; limit %.2f" % (cost.without / 1e6,
                                                     cost.limit),
               "instructions, by cachegrind" + cost.more)

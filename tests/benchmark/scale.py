# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Commands on a cluster of many instances and values: on those of virtio_rng
with the package, and without it on those of disk_cache, which Ganeti was born
with.

"""

import copy
import statistics
import time
import uuid

from .table import Line
from .table import spread

_INSTANCES = 2000

_OSES = 50

_TURNS = 5

#: Of each turn
_TIMES = 2

#: What the commands call a parameter and its values
_WORDS = {True: {"PARAM": "virtio_rng", "LOW": "off", "MID": "random"},
          False: {"PARAM": "disk_cache", "LOW": "none", "MID": "writeback"}}

#: Where one instance has a value of its own: to verify each takes Ganeti 30 ms
_VERIFY = ("All is verified", "gnt-cluster verify", 1.1)

#: Where each second one has one; with the limits
_COMMANDS = [
  ("A list with the field", "gnt-instance list -o name,hv/PARAM", 1.2),
  ("A list by a filter", "gnt-instance list -o name -F 'hv/PARAM == \"MID\"'",
   2),
  ("One instance's value", "gnt-instance modify -H PARAM=LOW web1.lab.test",
   1.1),
  ("The cluster's value", "gnt-cluster modify -H kvm:PARAM=MID", 1.1),
  ]

_CLEAR = "ganeti-virtio-rng clear --yes"


def _copies(config, number):
  """Returns a configuration with many copies of its first instance.

  @type config: dict
  @type number: int
  @param number: how many instances it has in the end: web1.lab.test, ...
  @rtype: dict

  """
  config = copy.deepcopy(config)
  pattern = next(iter(config["instances"].values()))
  config["instances"] = {}
  for i in range(1, number + 1):
    ident = str(uuid.uuid5(uuid.NAMESPACE_OID, str(i)))
    config["instances"][ident] = copy.deepcopy(
      dict(pattern, name="web%d.lab.test" % i, uuid=ident))
  return config


def measure(cluster, deb, progress):
  """Times the commands, in turns, on a cluster that is not used any more.

  @type cluster: L{lab.cluster.Cluster}
  @type deb: Path
  @type progress: callable
  @rtype: dict
  @return: (command, with the package) -> seconds

  """
  cluster.run("dpkg --purge ganeti-virtio-rng 2>&1")
  cluster.add_instance("web1.lab.test", start=False)
  config = _copies(cluster.configuration, _INSTANCES)
  seconds = {}

  def take(command, installed):
    before = time.monotonic()
    cluster.run(_say(command, installed) + " > /dev/null",
                check="verify" not in command) # a lab has its complaints
    seconds.setdefault((command, installed), []).append(
      time.monotonic() - before)

  for turn in range(_TURNS):
    progress("Commands on %d instances, turn %d of %d" %
             (_INSTANCES, turn + 1, _TURNS))
    for installed in (False, True):
      cluster.run("/etc/init.d/ganeti stop")
      if installed:
        cluster.master.install(deb)
      for commands, every in ([_VERIFY], _INSTANCES), (_COMMANDS, 2):
        cluster.replace_configuration(_with_values(config, installed, every))
        for (_, command, _) in commands * _TIMES:
          take(command, installed)
    take(_CLEAR, True)
    cluster.run("dpkg --purge ganeti-virtio-rng 2>&1")
  return seconds


def _say(text, installed):
  for word, meaning in _WORDS[installed].items():
    text = text.replace(word, meaning)
  return text


def _with_values(config, installed, every):
  """A configuration where the cluster, each OS and some instances have one.

  @type every: int
  @param every: each instance of so many has one, beginning with the first

  """
  name, low, mid = _WORDS[installed].values()
  config = _copies(config, _INSTANCES)
  config["cluster"]["hvparams"]["kvm"][name] = mid
  config["cluster"]["os_hvp"] = {"noop+os%d" % i: {"kvm": {name: low}}
                                 for i in range(_OSES)}
  for instance in list(config["instances"].values())[::every]:
    instance["hvparams"] = {name: low}
  return config


def lines(seconds):
  """Makes lines of the table.

  """
  def line(what, command, others, text):
    (ours, theirs) = (seconds[command, True], seconds[others, False])
    return Line("%s, %d instances" % (what, _INSTANCES), _say(command, True),
                spread(ours), "%.2f" % (statistics.median(ours) /
                                        statistics.median(theirs)),
                "%s %s" % (spread(theirs), text),
                "%d OSes; median and spread of %d in turns" %
                (_OSES, len(ours)))

  for what, command, limit in _COMMANDS + [_VERIFY]:
    yield line(what, command, command, "with disk_cache; limit %s" % limit)
  yield line("All values are cleared", _CLEAR, _COMMANDS[-1][1],
             "for disk_cache of the cluster")

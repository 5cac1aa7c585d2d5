# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Lists of many instances, next to the same ones without our field.

"""

import copy
import json
import statistics
import time
import uuid


from .table import Line
from .table import spread

_INSTANCES = 1000

_TURNS = 11

#: What, options, those of the other, what to say of it and the limit
_LISTS = [
  ("A list with the field", "-o name,hv/virtio_rng", "-o name,hv/kvm_extra",
   "with hv/kvm_extra; limit 1.2"),
  ("A list by a filter", "-o name -F 'hv/virtio_rng == \"random\"'", "-o name",
   "without; limit 2"),
  ]


def measure(cluster, progress):
  """Times the lists, in turns, on a cluster that is not used any more.

  @type cluster: L{lab.cluster.Cluster}
  @param cluster: with the package
  @type progress: callable
  @rtype: dict
  @return: options -> seconds

  """
  progress("Listing %d instances" % _INSTANCES)
  cluster.add_instance("web1.lab.test", start=False)
  config = cluster.configuration
  (pattern,) = config["instances"].values()
  for i in range(2, _INSTANCES + 1):
    instance = copy.deepcopy(pattern)
    instance.update(name="web%d.lab.test" % i, uuid=str(uuid.uuid4()))
    if i % 2: # the most UUIDs that a filter can name
      instance["hvparams"]["virtio_rng"] = "off"
    config["instances"][instance["uuid"]] = instance
  cluster.run("/etc/init.d/ganeti stop")
  cluster.run("cat > /var/lib/ganeti/config.data", input=json.dumps(config))
  cluster.run("/etc/init.d/ganeti start")

  seconds = {}
  for _ in range(_TURNS):
    for options in [some for line in _LISTS for some in line[1:3]]:
      before = time.monotonic()
      cluster.run("gnt-instance list %s > /dev/null" % options)
      seconds.setdefault(options, []).append(time.monotonic() - before)
  return seconds


def lines(seconds):
  """Makes lines of the table.

  """
  for what, options, others, theirs in _LISTS:
    (ours, other) = (seconds[options], seconds[others])
    yield Line("%s, %d instances" % (what, _INSTANCES),
               "gnt-instance list %s" % options, spread(ours),
               "%.2f" % (statistics.median(ours) / statistics.median(other)),
               "%s %s" % (spread(other), theirs),
               "median and spread of %d in turns" % len(ours))

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Many instances."""

import contextlib
import os
import time

import pytest

from lab.cluster import copies
from lab.expectations import RNG
from lab.expectations import pci


@pytest.mark.full
def test_forty_started_together(bare_cluster, deb):
  cluster = bare_cluster()
  cluster.master.install(deb)
  # Ganeti gives up on a node daemon that takes five seconds to answer, as that
  # of two slow cores does when the usual twenty jobs run at once.
  cluster.run("gnt-cluster modify --max-running-jobs=4")
  names = ["many%d.lab.test" % i for i in range(40)]
  instances = cluster.add_instances(names, 64)
  cluster.run("gnt-instance start --paused --force-multiple %s" %
              " ".join(names))
  for instance in instances:
    assert "rng-random,filename=/dev/random,id=virtio_rng0" in instance.argv()
    assert list(pci(instance).values()).count(RNG) == 1


@contextlib.contextmanager
def ahead_of_others():
  """Has what is started meanwhile run before all else on the machine.

  """
  os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
  try:
    yield
  finally:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_verify_with_five_hundred_configured(bare_cluster, deb):
  """It takes no longer than without the package."""
  cluster = bare_cluster()
  cluster.add_instance("web1.lab.test", start=False)
  config = copies(cluster.configuration, 500)
  with ahead_of_others():
    cluster.replace_configuration(config)
    assert len(cluster.run("gnt-instance list --no-headers").stdout.split("\n")
               ) == 501

    cluster.run("gnt-cluster verify", check=False) # the first one is shorter
    # The best of a few in turns
    seconds = {True: [], False: []}
    for turn in range(8):
      for installed in (False, True):
        if installed:
          cluster.master.install(deb)
        before = time.monotonic()
        output = cluster.run("gnt-cluster verify", check=False).stdout
        seconds[installed].append(time.monotonic() - before)
        assert "Unknown parameter" not in output
      cluster.run("dpkg --purge ganeti-virtio-rng")
      ratio = min(seconds[True]) / min(seconds[False])
      if turn >= 2 and ratio < 1.1:
        break
    assert ratio < 1.1, seconds

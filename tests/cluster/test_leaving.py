# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What was set is cleared before one leaves, in one write."""

import json
import signal

import pytest

from lab.expectations import cluster_parameter
from lab.expectations import essence
from lab.expectations import replaced
from lab.expectations import values
from lab.expectations import wait_for


@pytest.fixture
def with_values(cluster, add):
  """An instance of a cluster that has values everywhere, and how to set them.

  """
  instance = add("web1.lab.test", "-H kvm:virtio_rng=off", start=False)
  cluster.run("gnt-os modify -H kvm:virtio_rng=random noop+other")
  with cluster_parameter(cluster, virtio_rng="urandom"):
    yield instance


COMMANDS = """\
gnt-cluster modify -H kvm:virtio_rng=urandom
gnt-os modify -H kvm:virtio_rng=random noop+other
gnt-instance modify -H virtio_rng=off web1.lab.test
"""


def test_clear(cluster, with_values, add, candidate):
  """In one write, and what it prints is the way back."""
  add("web2.lab.test", start=False)
  before = cluster.configuration
  assert cluster.run("ganeti-virtio-rng clear --dry-run").stdout == COMMANDS
  result = cluster.run("ganeti-virtio-rng clear", check=False)
  assert result.returncode == 1
  assert COMMANDS in result.stdout
  assert "nothing was changed" in result.stderr
  assert cluster.configuration == before

  assert COMMANDS in cluster.run("ganeti-virtio-rng clear --yes").stdout
  after = cluster.configuration
  assert values(cluster) == []
  assert after["serial_no"] == before["serial_no"] + 1
  assert (after["cluster"]["serial_no"] ==
          before["cluster"]["serial_no"] + 1)
  assert cluster.run("ganeti-virtio-rng clear").stdout == (
    "No value of virtio_rng is set.\n")
  sent = candidate.root / "var/lib/ganeti/config.data"
  wait_for(lambda: json.loads(sent.read_text()) == after)

  cluster.run(COMMANDS)
  assert essence(cluster.configuration) == essence(before)


def test_clear_of_instances(cluster, add):
  """Jobs that change the cluster meanwhile have what is current."""
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=off", start=False)
  before = cluster.configuration
  cluster.run("ganeti-virtio-rng clear --yes")
  assert values(cluster) == []
  after = cluster.configuration
  assert essence(after["cluster"]) == essence(before["cluster"])
  assert after["cluster"]["serial_no"] == before["cluster"]["serial_no"]
  web1.modify("-H virtio_rng=off")
  assert values(cluster) == ["off"]


def test_clear_elsewhere(cluster, with_values):
  result = cluster.nodes[1].run("ganeti-virtio-rng clear --yes", check=False)
  assert result.returncode == 1
  assert "not the master" in result.stderr
  assert len(values(cluster)) == 3


def waiting(cluster):
  """Starts the command, and waits until it waits.

  """
  # Tests that run in the background have their children ignore SIGINT.
  process = cluster.master.popen("exec env --default-signal ganeti-virtio-rng"
                                 " clear --yes")
  assert any("Waiting for the locks of job " in line
             for line in iter(process.stdout.readline, ""))
  return process


def test_clear_waits(cluster, with_values, add):
  """For a job on an instance that has a value; others go on, also when it is
  interrupted.

  """
  web2 = add("web2.lab.test", start=False)
  with_values.start("--paused") # and so it doesn't hear that it is to stop
  cluster.run("gnt-instance stop --timeout=900 --submit web1.lab.test")
  wait_for(lambda: "SHUTDOWN" in cluster.run("gnt-job list --running").stdout)
  for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    process = waiting(cluster)
    cluster.run("pkill -%s -f '[g]aneti-virtio-rng clear'" % number.name[3:])
    (_, stderr) = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (1, "Interrupted\n")
    assert "ganeti-virtio-rng" not in cluster.run("gnt-debug locks").stdout
  assert len(values(cluster)) == 3
  # What it waits for is given to it after its death.
  killed = waiting(cluster)
  cluster.run("pkill -KILL -f '[g]aneti-virtio-rng clear'")
  killed.communicate(timeout=60)
  process = waiting(cluster)
  web2.modify("-H virtio_rng=urandom") # while it waits
  assert process.poll() is None
  with_values.node.run("kill -9 %d" % with_values.pid) # which ends the job
  (stdout, _) = process.communicate(timeout=120)
  assert process.returncode == 0
  assert "gnt-instance modify -H virtio_rng=urandom web2.lab.test" in stdout
  assert values(cluster) == []


def test_master_daemons_that_do_not_run(cluster):
  """It fails with Ganeti's words, and is run again."""
  with cluster_parameter(cluster, virtio_rng="off"):
    for action in ("stop", "start"):
      for daemon in ("luxid", "wconfd"):
        cluster.run("/usr/lib/ganeti/daemon-util %s ganeti-%s" %
                    (action, daemon))
      result = cluster.run("ganeti-virtio-rng clear --yes", check=False)
      assert "Traceback" not in result.stderr
      assert result.returncode == (1 if action == "stop" else 0), result.stderr
    assert values(cluster) == []


def test_ganeti_that_knows_it(cluster, with_values):
  """Its values are its own."""
  with replaced(cluster.master, "/etc/ganeti/share/ganeti/_constants.py",
                "sed '$aHVS_PARAMETER_TYPES[\"virtio_rng\"] = \"string\"'"):
    result = cluster.run("ganeti-virtio-rng clear --yes", check=False)
  assert result.returncode == 1
  assert "This Ganeti knows virtio_rng itself" in result.stderr
  assert len(values(cluster)) == 3


@pytest.mark.parametrize("arguments, status", [
  ("", 2), ("nonsense", 2), ("clear --nonsense", 2), ("--help", 0),
  ("clear --help", 0)])
def test_arguments(cluster, arguments, status):
  result = cluster.run("ganeti-virtio-rng %s" % arguments, check=False)
  assert result.returncode == status

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The package comes to a cluster that exists, on one node after the other."""

import re

import pytest

from lab.expectations import PACKAGE
from lab.expectations import daemons
from lab.expectations import expect
from lab.expectations import values
from lab.expectations import verify


def test_node_daemon_first(bare_cluster, deb):
  """Instances that run go on as they are; those that start have the device."""
  cluster = bare_cluster()
  running = cluster.add_instance("running.lab.test", guest=False)
  stopped = cluster.add_instance("stopped.lab.test", start=False,
                                 guest=False)
  pid = running.pid
  complaints = verify(cluster)
  before = daemons(cluster.master)

  cluster.master.install(deb)
  after = daemons(cluster.master)
  assert after["noded"] != before["noded"]
  assert after["rapi"] != before["rapi"]

  # Jobs know the default at once, and none writes it down.
  stopped.start()
  expect(stopped, "/dev/random")
  assert verify(cluster) == complaints
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  stopped.modify("-H acpi=true")
  assert values(cluster) == []
  assert "virtio_rng: random" in cluster.run("gnt-cluster info").stdout
  assert verify(cluster) == complaints

  assert running.pid == pid
  expect(running, None)
  running.reboot("soft")
  expect(running, None)
  running.stop()
  running.start()
  expect(running, "/dev/random")


def test_daemons_that_do_not_run_are_not_started(bare_cluster, deb):
  cluster = bare_cluster()
  for daemon in ("noded", "rapi"):
    cluster.run("/usr/lib/ganeti/daemon-util stop ganeti-%s" % daemon)
  cluster.master.install(deb)
  for daemon in ("noded", "rapi"):
    result = cluster.run("/usr/lib/ganeti/daemon-util check ganeti-%s" %
                         daemon, check=False)
    assert result.returncode != 0


@pytest.mark.long
def test_node_by_node(bare_cluster, deb):
  """Through all mixed states of a master and another node, and back."""
  cluster = bare_cluster(nodes=2)
  (master, other) = cluster.nodes
  old = cluster.add_instance("old.lab.test", node=other, guest=False)
  new = cluster.add_instance("new.lab.test", start=False, node=other,
                             guest=False)
  complaints = verify(cluster)
  modify = "gnt-instance modify -H virtio_rng=urandom new.lab.test"
  unknown = "Unknown parameter 'virtio_rng'"

  # on the other node only: off, as the master knows nothing of it
  other.install(deb)
  new.start()
  expect(new, None)
  assert unknown in cluster.run(modify, check=False).stderr
  assert verify(cluster) == complaints
  assert values(cluster) == []
  old.migrate()
  expect(old, None)

  # on both
  master.install(deb)
  assert verify(cluster) == complaints
  cluster.run(modify)
  new.reboot("hard")
  expect(new, "/dev/urandom")
  old.migrate()
  expect(old, None)

  # on the master only: what runs goes on and migrates, a start has no device
  other.run("dpkg -r ganeti-virtio-rng")
  missing = "File %s/__init__.py is missing from node(s) %s" % (PACKAGE,
                                                                other.name)
  assert [line.partition("File")[1:] for line in verify(cluster)
          if line not in complaints] == [("File", missing[4:])]
  ignoring = "gnt-cluster verify --ignore-errors=ECLUSTERFILECHECK"
  assert re.search("WARNING: cluster *: " + re.escape(missing), cluster.run(
    ignoring, check=False).stdout)
  new.migrate()
  assert new.node == master
  expect(new, "/dev/urandom")
  new.migrate()
  assert new.node == other
  expect(new, "/dev/urandom")
  new.reboot("soft")
  expect(new, "/dev/urandom")
  new.reboot("hard")
  expect(new, None)
  cluster.run("gnt-instance modify -H virtio_rng=random new.lab.test")
  old.migrate()
  old.reboot("hard")
  expect(old, "/dev/random")

  # on none, with the parameter in the configuration
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  master.run("echo ganeti-virtio-rng ganeti-virtio-rng/remove-with-values"
             " boolean true | debconf-set-selections;"
             " dpkg -r ganeti-virtio-rng")
  old.migrate()
  expect(old, "/dev/random")
  old.reboot("hard")
  expect(old, None)
  for command in ("gnt-cluster modify -H kvm:acpi=true",
                  "gnt-cluster verify",
                  "gnt-os modify -H kvm:acpi=true noop+default",
                  "gnt-instance modify -H acpi=true old.lab.test",
                  "gnt-instance add -t diskless -o noop+default --no-nics"
                  " %s web1.lab.test" % cluster.unchecked):
    result = cluster.run(command, check=False)
    assert result.returncode != 0
    assert re.search("Unknown parameter 'virtio_rng'|Parameter 'virtio_rng' is"
                     " not supported", result.stdout + result.stderr)
  cluster.run("gnt-instance modify -B memory=128 old.lab.test")

  # on both again: all is as it was
  for node in cluster.nodes:
    node.install(deb)
  assert verify(cluster) == complaints
  other.run("cp -a {0} {0}.kept && echo >> {0}".format(
    PACKAGE + "/__init__.py"))
  [line] = [line for line in verify(cluster) if line not in complaints]
  assert "File %s/__init__.py found with 2 different checksums" % PACKAGE in line
  other.run("mv {0}.kept {0}".format(PACKAGE + "/__init__.py"))
  assert "virtio_rng: urandom" in cluster.run("gnt-cluster info").stdout
  old.reboot("hard")
  expect(old, "/dev/urandom")

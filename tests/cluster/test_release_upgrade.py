# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Nodes get another Debian or another Ganeti; the package stays as it is."""

import pytest

from lab.cluster import Cluster
from lab.expectations import expect
from lab.expectations import table
from lab.expectations import values
from lab.expectations import verify
from lab.expectations import wait_for

BACKPORTS = "deb http://deb.debian.org/debian bookworm-backports main"

GANETI_3_1 = "install " + " ".join(
  "ganeti-%s3.1/bookworm-backports" % part for part in ("", "haskell-",
                                                        "htools-"))


def install(node, sources, command):
  """Has apt do something, which says nothing of the package.

  @param sources: the shell's command that changes apt's sources

  """
  node.run("%s /etc/apt/sources.list" % sources)
  node.run_online("apt-get -qq -o APT::Update::Error-Mode=any update &&"
                  " apt-get -qqy --download-only " + command)
  output = node.run("DEBIAN_FRONTEND=noninteractive apt-get -qy --no-download"
                    " -o Dpkg::Options::=--force-confold " + command).stdout
  assert "virtio-rng" not in output and "virtio_rng" not in output
  result = node.run("python3 -c 'print(1)'")
  assert (result.stdout, result.stderr) == ("1\n", "")


def upgrade(cluster, command):
  """Has Ganeti change its version on all nodes.

  @param command: options of C{gnt-cluster upgrade}

  """
  output = cluster.run("gnt-cluster upgrade %s 2>&1" % command, check=False
                       ).stdout
  # It fails in the end all the same, if verify has its complaints.
  assert "Unpausing the watcher" in output
  assert "virtio" not in output


@pytest.fixture
def cluster(deb, progress):
  """Two nodes of Debian 12, with values."""
  with Cluster("bookworm", nodes=2, deb=deb, progress=progress, quick=True
               ) as result:
    result.run("gnt-cluster modify -H"
               " kvm:virtio_rng=off,machine_version=pc-i440fx-7.2")
    yield result


@pytest.fixture
def web1(cluster):
  """An instance that runs, with a value of its own."""
  result = cluster.add_instance("web1.lab.test", "-H kvm:virtio_rng=urandom",
                                node=cluster.nodes[1])
  expect(result, "/dev/urandom")
  return result


def expect_as_before(cluster, web1):
  """The values, and an instance that has run since."""
  for node in cluster.nodes:
    node.run("ganeti-virtio-rng check")
  assert sorted(values(cluster)) == ["off", "urandom"]
  assert "virtio_rng: off" in cluster.run("gnt-cluster info").stdout
  [line] = table(web1.node, web1.name)
  assert "/dev/urandom 1024 B/1000 ms virtio_rng0 0xb virtio_rng" in line
  expect(web1, "/dev/urandom")


@pytest.mark.full
@pytest.mark.long
def test_debian_13(cluster, web1):
  """One node after the other, and then Ganeti."""
  web2 = cluster.add_instance("web2.lab.test")
  web2.guest.run("true")
  complaints = verify(cluster)
  pids = [web1.pid, web2.pid]
  for node in reversed(cluster.nodes):
    install(node, "sed -i s/bookworm/trixie/", "dist-upgrade")
    # Nothing does here that would restart it
    node.run("pkill -o sshd; while pgrep -x sshd; do sleep 0.1; done;"
             " /usr/sbin/sshd")
    assert sorted(values(cluster)) == ["off", "urandom"]
    assert "virtio_rng: off" in cluster.run("gnt-cluster info").stdout
  upgrade(cluster, "--to 3.1")
  assert cluster.version == "3.1"
  expect_as_before(cluster, web1)
  assert verify(cluster) == complaints
  assert [web1.pid, web2.pid] == pids

  # from the QEMU of Debian 12 to that of Debian 13
  assert "hotplug:done" in web2.hotplug("-H virtio_rng=random").stdout
  for instance in web1, web2:
    instance.migrate()
  [line] = table(web2.node, web2.name)
  assert "/dev/random 1024 B/1000 ms virtio_rng0 0xb virtio_rng" in line
  expect(web1, "/dev/urandom")
  web1.reboot("hard")
  expect(web1, "/dev/urandom")
  cluster.run("ganeti-virtio-rng clear --yes")
  for node in cluster.nodes:
    node.run("dpkg --purge ganeti-virtio-rng")
  web1.reboot("hard")
  expect(web1, None)


@pytest.mark.full
@pytest.mark.long
def test_ganeti_there_and_back(cluster, web1):
  """And once more there, in two halves."""
  complaints = verify(cluster)
  pid = web1.pid
  for node in cluster.nodes:
    install(node, "echo %s >>" % BACKPORTS, GANETI_3_1)
  for version in "3.1", "3.0":
    upgrade(cluster, "--to " + version)
    assert cluster.version == version
    expect_as_before(cluster, web1)

  with cluster.master.popen("gnt-cluster upgrade --to 3.1") as process:
    wait_for(lambda: "ganeti/3.1" in cluster.run("ls -l /etc/ganeti").stdout,
             interval=0.01)
    cluster.run("pkill -KILL -f '[g]nt-cluster upgrade'")
    process.communicate()
  assert sorted(values(cluster)) == ["off", "urandom"]
  upgrade(cluster, "--resume")
  assert cluster.version == "3.1"
  expect_as_before(cluster, web1)
  assert verify(cluster) == complaints
  assert web1.pid == pid

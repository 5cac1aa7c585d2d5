# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What happens to an instance in the years after its first start."""

import time

import pytest

from lab.expectations import READER
from lab.expectations import RNG
from lab.expectations import disks_can_be_sent
from lab.expectations import expect
from lab.expectations import pci
from lab.expectations import reads
from lab.expectations import wait_for


def test_live_migration(cluster, add):
  """There and back, while the guest reads and its owner changes his mind."""
  web1 = add("web1.lab.test", node=cluster.nodes[1])
  before = pci(web1)
  web1.guest.run(READER)
  web1.modify("-H virtio_rng=off")
  for node in (cluster.nodes[0], cluster.nodes[1]):
    so_far = len(reads(web1))
    web1.migrate()
    assert web1.node == node
    assert pci(web1) == before
    expect(web1, "/dev/random") # as it was started
    wait_for(lambda: len(reads(web1)) > so_far)
    assert set(reads(web1)) == {"16"}
  web1.reboot("hard")
  expect(web1, None)


def test_migration_without_a_generator(cluster, add):
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=off", node=cluster.nodes[1],
             guest=False)
  web1.modify("-H virtio_rng=random")
  web1.migrate()
  expect(web1, None)
  web1.reboot("soft")
  expect(web1, None)


def test_migration_between_different_sources(cluster, add):
  """One node's /dev/random is another name of its /dev/urandom."""
  web1 = add("web1.lab.test", node=cluster.nodes[1], guest=False)
  cluster.run("mv /dev/random /dev/kept && mknod -m 666 /dev/random c 1 9")
  try:
    web1.migrate()
    assert web1.node == cluster.master
    expect(web1, "/dev/random")
    web1.reboot("hard")
    expect(web1, "/dev/random")
  finally:
    cluster.run("mv -f /dev/kept /dev/random")


def test_failover(cluster, add):
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=urandom",
             node=cluster.nodes[1], guest=False)
  web1.modify("-H virtio_rng=random")
  cluster.run("gnt-instance failover -f --shutdown-timeout=0 web1.lab.test")
  assert web1.node == cluster.master
  expect(web1, "/dev/random") # a start like any other


def test_reboot_by_the_guest(add):
  web1 = add("web1.lab.test")
  web1.modify("-H virtio_rng=off")
  (pid, before) = (web1.pid, pci(web1))
  web1.guest.run("(sleep 1; reboot -f) > /dev/null 2>&1 &")
  time.sleep(2)
  expect(web1, "/dev/random")
  assert (web1.pid, pci(web1)) == (pid, before)


def test_shutdown_by_the_guest(add):
  """The guest honours ACPI, so this is no pulled plug."""
  web1 = add("web1.lab.test")
  web1.shut_down()
  assert web1.running is False
  web1.start()
  expect(web1, "/dev/random")


def test_paused(web1):
  web1.start("--paused")
  assert web1.qmp("query-status")["running"] is False
  assert RNG in pci(web1).values()
  web1.qmp("cont")
  expect(web1, "/dev/random")


def test_watcher(cluster, web1):
  """It starts again what was killed, with the present value."""
  web1.start()
  web1.modify("-H virtio_rng=urandom")
  cluster.run("kill -9 %d" % web1.pid)
  cluster.run("ganeti-watcher --wait-children")
  expect(web1, "/dev/urandom")


@pytest.mark.long
def test_file_storage(cluster, add):
  """Reinstalled, renamed, exported after a hot-plug, moved and imported."""
  web1 = add("web1.lab.test", "-t file -s 32M -H kvm:virtio_rng=random",
             guest=False)
  expect(web1, "/dev/random")
  web1.stop()
  cluster.run("gnt-instance reinstall -f web1.lab.test")
  web1.rename("web3.lab.test")
  web1.modify("-H virtio_rng=off")
  web1.start()
  assert web1.hotplug("-H virtio_rng=urandom").returncode == 0

  (master, other) = [node.name for node in cluster.nodes]
  with disks_can_be_sent(cluster):
    cluster.run("gnt-backup export --long-sleep --shutdown-timeout=0 -n %s"
                " web3.lab.test" % other)
    expect(web1, "/dev/urandom")
    export = "/var/lib/ganeti/export/web3.lab.test"
    saved = cluster.nodes[1].run("cat %s/config.ini" % export).stdout
    assert "virtio_rng = urandom" in saved

    cluster.run("gnt-instance move -f --shutdown-timeout=0 -n %s web3.lab.test"
                % other)
    assert web1.node == cluster.nodes[1]
    expect(web1, "/dev/urandom")
    web1.remove()
    cluster.run("gnt-backup import --src-node=%s --src-dir=%s -t file -n %s"
                " --no-nics %s web3.lab.test" %
                (other, export, master, cluster.unchecked))
  cluster.nodes[1].run("rm -r %s" % export)
  web1.start()
  expect(web1, "/dev/urandom")


def test_hotplug(cluster, add):
  """Devices come and go before and after a migration."""
  web1 = add("web1.lab.test", "-t sharedfile -s 16M", node=cluster.nodes[1])
  expect(web1, "/dev/random") # a guest that is still booting ejects nothing
  before = pci(web1)
  for node in cluster.nodes[1], cluster.nodes[0]:
    assert web1.node == node
    for device, how in ("net", "mode=bridged,link=br0"), ("disk", "size=16M"):
      devices = pci(web1)
      assert web1.hotplug("--%s add:%s" % (device, how)).returncode == 0
      assert pci(web1).items() > devices.items()
    if node != cluster.master:
      web1.migrate()
    for device in "net", "disk":
      assert web1.hotplug("--%s remove" % device).returncode == 0
    wait_for(lambda: pci(web1) == before)
    expect(web1, "/dev/random")


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

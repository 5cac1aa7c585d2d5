# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Nodes of two Debian releases in one cluster, in the middle of an upgrade.

They have the same Ganeti, and one package.

"""

import pytest

from lab.cluster import Cluster
from lab.expectations import CURRENT
from lab.expectations import READER
from lab.expectations import SLOT
from lab.expectations import expect
from lab.expectations import reads
from lab.expectations import slot_of
from lab.expectations import table
from lab.expectations import verify
from lab.expectations import wait_for


@pytest.mark.full
@pytest.mark.parametrize("older, newer, machine", [
  ("bookworm-backports", "trixie", "pc-i440fx-7.2"),
  ("bullseye", "bookworm", "pc-i440fx-5.2")], ids=["ganeti-3.1", "ganeti-3.0"])
def test_migration(deb, progress, older, newer, machine):
  """Instances go to the newer node and come back, whatever plugged it in."""
  with Cluster(older, deb=deb, progress=progress, quick=True) as cluster:
    cluster.add_node(cluster.start_node(deb, newer))
    cluster.run("gnt-cluster modify -H kvm:machine_version=" + machine)
    assert not [line for line in verify(cluster) if "virtio_rng" in line]

    cold = cluster.add_instance("cold.lab.test")
    plugged = cluster.add_instance("plugged.lab.test", "-H kvm:virtio_rng=off")
    plugged.guest.run("true")
    assert "hotplug:done" in plugged.hotplug("-H virtio_rng=urandom").stdout
    for instance in cold, plugged:
      wait_for(lambda: instance.guest.run(CURRENT) == "virtio_rng.0\n")
      instance.guest.run(READER)

    for node in reversed(cluster.nodes):
      for instance, source in (cold, "/dev/random"), (plugged, "/dev/urandom"):
        so_far = len(reads(instance))
        instance.migrate()
        assert instance.node == node
        assert slot_of(instance) == SLOT
        expect(instance, source)
        wait_for(lambda: len(reads(instance)) > so_far)
        assert set(reads(instance)) == {"16"}
      assert len(table(node)) == 2

    for node in reversed(cluster.nodes):
      cluster.run("gnt-instance failover -f --shutdown-timeout=0 cold.lab.test")
      assert cold.node == node
      expect(cold, "/dev/random")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Exports hold what somebody set, and nothing else: any Ganeti takes them."""

import re

import pytest

from lab.expectations import cluster_parameter
from lab.expectations import disks_can_be_sent
from lab.expectations import values


@pytest.mark.long
def test_export(cluster, deb, add):
  """The master knows what was set; no other node has the package here."""
  (master, other) = cluster.nodes
  web1 = add("web1.lab.test", "-t file -s 16M -o noop+other", start=False)
  folder = "/var/lib/ganeti/export/web1.lab.test"

  def exported():
    """Exports it, and returns the values that are written."""
    with disks_can_be_sent(cluster):
      cluster.run("gnt-backup export -n %s web1.lab.test" % other.name)
    saved = other.run("cat %s/config.ini" % folder).stdout
    assert re.search("^acpi = True$", saved, re.M)
    return re.findall("^virtio_rng = (.*)$", saved, re.M)

  def imported():
    """Puts it in the place of the instance, and returns what info says."""
    web1.remove()
    with disks_can_be_sent(cluster):
      cluster.run("gnt-backup import --src-node=%s --src-dir=%s -t file -n %s"
                  " --no-nics %s web1.lab.test" %
                  (other.name, folder, master.name, cluster.unchecked))
    info = cluster.run("gnt-instance info web1.lab.test").stdout
    return re.findall("^ +virtio_rng: (.*)$", info, re.M)

  other.run("dpkg --purge ganeti-virtio-rng")
  try:
    web1.modify("-H virtio_rng=random")
    assert exported() == ["random"]
    assert imported() == ["random"]
    web1.modify("-H virtio_rng=default")
    with cluster_parameter(cluster, virtio_rng="urandom"):
      assert exported() == ["urandom"]
      cluster.run("gnt-os modify -H kvm:virtio_rng=off noop+other")
      assert exported() == ["off"]

    assert exported() == []
    with cluster_parameter(cluster, virtio_rng="urandom"):
      assert imported() == ["default (urandom)"]
    cluster.run("dpkg --purge ganeti-virtio-rng")
    assert imported() == []
    assert values(cluster) == []
  finally:
    for node in cluster.nodes:
      node.install(deb)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What happens to a cluster in the years after its installation."""

import pytest

from lab.cluster import Cluster
from lab.cluster import Instance
from lab.expectations import expect
from lab.expectations import verify


@pytest.mark.long
def test_master_failover(bare_cluster, deb):
  cluster = bare_cluster(nodes=2)
  (first, second) = cluster.nodes
  for node in cluster.nodes:
    node.install(deb)
  web1 = cluster.add_instance("web1.lab.test", "-H kvm:virtio_rng=off",
                              start=False, guest=False)
  cluster.run("gnt-node modify -C yes %s" % second.name)
  second.run("gnt-cluster master-failover --yes-do-it")
  assert "virtio_rng: random" in second.run("gnt-cluster info").stdout
  assert "virtio_rng: off" in second.run("gnt-instance info %s" % web1.name
                                         ).stdout
  second.run("gnt-instance modify -H virtio_rng=urandom %s" % web1.name)
  second.run("gnt-instance start %s" % web1.name)
  expect(web1, "/dev/urandom")
  assert ("not the master" in
          first.run("ganeti-virtio-rng clear", check=False).stderr)
  assert web1.name in second.run("ganeti-virtio-rng clear --dry-run").stdout
  first.run("gnt-cluster master-failover --yes-do-it")
  assert "virtio_rng: urandom" in cluster.run("gnt-instance info %s" %
                                              web1.name).stdout


@pytest.mark.long
def test_new_node(cluster, deb):
  """Without the package, which verify says, and then with it."""
  complaints = verify(cluster)
  node = cluster.start_node()
  cluster.add_node(node)
  [line] = [line for line in verify(cluster) if "virtio" in line]
  assert line.endswith("__init__.py is missing from node(s) %s" % node.name)
  web1 = cluster.add_instance("web1.lab.test", node=node, guest=False)
  expect(web1, None)
  node.install(deb)
  assert not [line for line in verify(cluster) if "virtio" in line]
  web1.reboot("hard")
  expect(web1, "/dev/random")
  web1.remove()
  cluster.remove_node(node)
  assert verify(cluster) == complaints


def test_configuration_tools(bare_cluster, deb):
  cluster = bare_cluster()
  cluster.master.install(deb)
  cluster.run("gnt-cluster redist-conf")
  tool = "/usr/lib/ganeti/tools/cfgupgrade --dry-run --verbose --force"
  assert "successfully upgraded" in cluster.run(tool).stderr
  before = cluster.configuration["cluster"]["hvparams"]
  cluster.run("gnt-cluster renew-crypto -f --new-cluster-certificate"
              " --new-rapi-certificate")
  assert cluster.configuration["cluster"]["hvparams"] == before
  assert "virtio_rng" not in before["kvm"]


def test_upgrade_from_3_0_to_3_1(deb, progress):
  """Ganeti 3.1 opens the configuration that 3.0 wrote."""
  files = "/var/lib/ganeti /root/.ssh /etc/ssh"
  with Cluster("bookworm", deb=deb, progress=progress) as old:
    old.run("gnt-cluster modify -H kvm:virtio_rng=off")
    old.add_instance("web1.lab.test", "-H kvm:virtio_rng=urandom", start=False)
    old.run("/etc/init.d/ganeti stop")
    old.run("tar -cf /tmp/cluster.tar %s" % files)
    saved = (old.master.root / "tmp/cluster.tar").read_bytes()

  with Cluster("trixie", nodes=0, progress=progress) as new:
    node = new.start_node(deb)
    (node.root / "tmp/cluster.tar").write_bytes(saved)
    node.run("tar -C / -xf /tmp/cluster.tar")
    node.run("/usr/lib/ganeti/tools/cfgupgrade --force --verbose"
             " --ignore-hostname --no-verify")
    node.run("/usr/lib/ganeti/ensure-dirs --full-run")
    node.run("/etc/init.d/ganeti start")
    assert "virtio_rng: off" in node.run("gnt-cluster info").stdout
    assert "virtio_rng: urandom" in node.run(
      "gnt-instance info web1.lab.test").stdout
    node.run("gnt-instance start web1.lab.test")
    expect(Instance(new, "web1.lab.test"), "/dev/urandom")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The package comes to a cluster that exists and has instances running."""

import json

SOURCE = "rng-random,filename=/dev/random,id=rng0"


def key_in_configuration(cluster):
  config = json.loads((cluster.master.root /
                       "var/lib/ganeti/config.data").read_text())
  return "virtio_rng" in config["cluster"]["hvparams"]["kvm"]


def verify(cluster):
  """What gnt-cluster verify complains of; a lab is never free of complaints.

  """
  output = cluster.run("gnt-cluster verify", check=False).stdout
  return sorted(line.partition("ERROR")[2] for line in output.splitlines()
                if "ERROR" in line)


def daemons(node):
  return {name: node.run("cat /run/ganeti/ganeti-%s.pid" % name).stdout
          for name in ("noded", "rapi")}


def test_node_daemon_first(bare_cluster, deb):
  """The usual order: dpkg restarts the daemon, then a job writes the key."""
  cluster = bare_cluster()
  running = cluster.add_instance("running.lab.test")
  stopped = cluster.add_instance("stopped.lab.test", start=False)
  pid = running.pid
  complaints = verify(cluster)
  before = daemons(cluster.master)

  cluster.master.install(deb)
  after = daemons(cluster.master)
  assert after["noded"] != before["noded"]
  assert after["rapi"] != before["rapi"]
  assert not key_in_configuration(cluster)

  # Jobs know the default at once. It is written down by the first one that
  # modifies the cluster.
  stopped.start()
  assert SOURCE in stopped.argv()
  assert verify(cluster) == complaints
  assert not key_in_configuration(cluster)
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  assert key_in_configuration(cluster)
  assert "virtio_rng: random" in cluster.run("gnt-cluster info").stdout
  assert verify(cluster) == complaints

  assert running.pid == pid
  assert SOURCE not in running.argv()
  running.reboot("soft")
  assert SOURCE not in running.argv()
  running.stop()
  running.start()
  assert SOURCE in running.argv()
  assert running.guest.run("cat /sys/class/misc/hw_random/rng_current") == (
    "virtio_rng.0\n")


def test_configuration_first(bare_cluster, deb):
  """Jobs have the package, and the node daemon does not know it yet."""
  cluster = bare_cluster()
  running = cluster.add_instance("running.lab.test")
  stopped = cluster.add_instance("stopped.lab.test", start=False)
  pid = running.pid
  complaints = verify(cluster)
  before = daemons(cluster.master)

  # between dpkg's two steps, the second of which restarts the daemons
  deb_on_node = cluster.master.copy(deb)
  cluster.run("dpkg --unpack %s" % deb_on_node)
  assert daemons(cluster.master) == before
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=random")
  assert key_in_configuration(cluster)
  assert verify(cluster) == complaints
  stopped.start()
  assert SOURCE not in stopped.argv()
  stopped.stop()

  cluster.run("dpkg --configure ganeti-virtio-rng")
  assert daemons(cluster.master)["noded"] != before["noded"]
  assert verify(cluster) == complaints
  assert running.pid == pid
  stopped.start()
  assert SOURCE in stopped.argv()
  running.reboot("hard")
  assert SOURCE in running.argv()


def test_daemons_that_do_not_run_are_not_started(bare_cluster, deb):
  cluster = bare_cluster()
  for daemon in ("noded", "rapi"):
    cluster.run("/usr/lib/ganeti/daemon-util stop ganeti-%s" % daemon)
  cluster.master.install(deb)
  for daemon in ("noded", "rapi"):
    result = cluster.run("/usr/lib/ganeti/daemon-util check ganeti-%s" %
                         daemon, check=False)
    assert result.returncode != 0


def test_one_node_of_two(bare_cluster, deb):
  """Nothing fails where only one of the nodes has the package."""
  cluster = bare_cluster(nodes=2)
  complaints = verify(cluster)
  other = cluster.add_instance("other.lab.test", node=cluster.nodes[1],
                               start=False)

  # on the node, not on the master: no key, and that means off
  cluster.nodes[1].install(deb)
  other.start()
  assert SOURCE not in other.argv()
  assert verify(cluster) == complaints
  assert not key_in_configuration(cluster)

  # on the master, not on the node that starts it
  mine = cluster.add_instance("mine.lab.test")
  cluster.master.install(deb)
  cluster.nodes[1].run("dpkg -r ganeti-virtio-rng")
  other.reboot("hard")
  assert SOURCE not in other.argv()
  mine.reboot("hard")
  assert SOURCE in mine.argv()
  assert verify(cluster) == complaints

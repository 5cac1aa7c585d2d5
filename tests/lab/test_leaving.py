# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""One installs it, uses it, leaves, comes back, and leaves for good."""

import json
import re
import signal

import pytest

from .expectations import cluster_parameter
from .expectations import configuration
from .expectations import expect
from .test_commands import CHECK
from .test_commands import replaced
from .test_rollout import daemons
from .test_rollout import verify

DISABLE = "gnt-cluster command ganeti-virtio-rng disable --yes"

ENABLE = "gnt-cluster command ganeti-virtio-rng enable"

SETTINGS = "/var/lib/ganeti-virtio-rng/settings.json"


def essence(value):
  """The configuration without what changes with each write, start and move.

  """
  if isinstance(value, dict):
    return {key: essence(item) for key, item in value.items()
            if key not in ("serial_no", "mtime", "ctime", "admin_state",
                           "disks_active", "primary_node")}
  return value


def unknown(cluster):
  """Whether Ganeti doesn't know the parameter.

  """
  result = cluster.run("gnt-cluster modify -H kvm:virtio_rng=off", check=False)
  return "Unknown parameter 'virtio_rng'" in result.stderr


def test_story(bare_cluster, deb):
  cluster = bare_cluster(nodes=2)
  web1 = cluster.add_instance("web1.lab.test", start=False)
  web2 = cluster.add_instance("web2.lab.test", start=False)
  complaints = verify(cluster)
  before = essence(configuration(cluster))

  # as the README says
  path = cluster.master.copy(deb)
  cluster.run("gnt-cluster queue drain")
  assert len(cluster.run("gnt-job list --running").stdout.splitlines()) == 1
  cluster.run("gnt-cluster copyfile %s" % path)
  cluster.run("gnt-cluster command dpkg -i %s" % path)
  cluster.run("gnt-cluster queue undrain")
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  cluster.run("gnt-os modify -H kvm:virtio_rng=random noop+other")
  web2.modify("-H virtio_rng=off")
  web1.start()
  expect(web1, "/dev/urandom")
  assert cluster.run("gnt-instance list --no-headers --separator=' '"
                     " -o name,hv/virtio_rng").stdout == (
                       "web1.lab.test urandom\nweb2.lab.test off\n")
  output = cluster.run("gnt-cluster command ganeti-virtio-rng check").stdout
  assert output.count("return code = 0") == 2
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=random")
  output = cluster.run("ganeti-virtio-rng status").stdout
  assert "restart needed" in output
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  output = cluster.run("ganeti-virtio-rng status").stdout
  assert "/dev/urandom" in output and "restart needed" not in output
  in_use = essence(configuration(cluster))

  # look, but don't touch
  output = cluster.run("ganeti-virtio-rng disable --dry-run").stdout
  for text in ("the cluster (urandom)", "noop+other (random)",
               "1 instance with a value of their own"):
    assert text in output
  first = "run 'ganeti-virtio-rng\ndisable' there first: node2.lab.test"
  assert first in output
  result = cluster.run("ganeti-virtio-rng disable --yes", check=False)
  assert result.returncode == 1
  assert first in result.stderr
  cluster.nodes[1].run("ganeti-virtio-rng disable --yes")
  result = cluster.run("ganeti-virtio-rng disable", check=False, input="n\n")
  assert result.returncode == 1
  assert "nothing was changed" in result.stderr
  assert essence(configuration(cluster)) == in_use

  # leave
  pid = web1.pid
  cluster.run(DISABLE)
  assert essence(configuration(cluster)) == before
  assert verify(cluster) == complaints
  assert unknown(cluster)
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  web2.modify("-H acpi=true")
  web2.modify("-H acpi=default")
  cluster.run("gnt-cluster redist-conf")
  assert essence(configuration(cluster)) == before
  assert web1.pid == pid
  web1.migrate()
  expect(web1, "/dev/urandom")
  web2.start()
  expect(web2, None)

  # come back
  cluster.run(ENABLE)
  assert essence(configuration(cluster))["cluster"] == in_use["cluster"]
  assert "virtio_rng: off" in cluster.run(
    "gnt-instance info web2.lab.test").stdout
  web1.reboot("hard")
  expect(web1, "/dev/urandom")
  assert verify(cluster) == complaints
  assert cluster.run("ganeti-virtio-rng enable").stdout.startswith(
    "Nothing to do")

  # leave for good
  web1.stop()
  web2.stop()
  cluster.run(DISABLE)
  for node in cluster.nodes:
    output = node.run("dpkg --purge ganeti-virtio-rng").stdout
    assert "'ganeti-virtio-rng disable'" not in output
    assert node.run("find /var/lib /etc /usr -name '*virtio[-_]rng*'"
                    " -path '*ganeti*'").stdout == ""
  assert essence(configuration(cluster)) == before
  assert verify(cluster) == complaints
  assert unknown(cluster)


def test_removal_of_what_is_in_use(bare_cluster, deb):
  """It goes on, and says what should have been done."""
  cluster = bare_cluster()
  cluster.master.install(deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off")
  output = cluster.run("dpkg -r ganeti-virtio-rng").stdout
  assert "run 'ganeti-virtio-rng disable' on all nodes" in output
  cluster.master.install(deb)
  # Ganeti's daemons aren't root, and must see what root has written.
  cluster.run("umask 077; ganeti-virtio-rng disable --yes")
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  assert "virtio_rng" not in json.dumps(configuration(cluster))
  assert unknown(cluster)
  before = daemons(cluster.master)
  cluster.master.install(deb) # an upgrade keeps it so
  assert daemons(cluster.master) == before
  assert unknown(cluster)


def test_killed_and_run_again(bare_cluster, deb):
  """While a job that knows the parameter runs, and is unharmed."""
  cluster = bare_cluster(nodes=2)
  for node in cluster.nodes:
    node.install(deb)
  web1 = cluster.add_instance("web1.lab.test", "-H kvm:virtio_rng=urandom")
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off")
  cluster.run("gnt-instance migrate -f --submit web1.lab.test")
  cluster.nodes[1].run("ganeti-virtio-rng disable --yes")
  process = cluster.master.popen("exec ganeti-virtio-rng disable --yes")
  assert any("Waiting for these jobs" in line for line in process.stdout)
  process.kill()
  process.communicate()
  # What is there is whole, and Ganeti takes it.
  configuration(cluster)
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  cluster.run("ganeti-virtio-rng disable --yes")
  assert "virtio_rng" not in json.dumps(configuration(cluster))
  assert web1.node == cluster.nodes[1]
  expect(web1, "/dev/urandom")
  assert unknown(cluster)
  cluster.run("ganeti-virtio-rng enable")
  assert "virtio_rng: off" in cluster.run("gnt-cluster info").stdout
  assert "virtio_rng: urandom" in cluster.run(
    "gnt-instance info web1.lab.test").stdout


def test_another_master_meanwhile(bare_cluster, deb):
  """What a node can't put back it keeps, and says where it belongs."""
  cluster = bare_cluster(nodes=2)
  (first, second) = cluster.nodes
  for node in cluster.nodes:
    node.install(deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  cluster.run(DISABLE)
  second.run("gnt-cluster master-failover --yes-do-it")
  output = second.run("ganeti-virtio-rng enable").stdout
  assert "on the node that was the master then" in output
  output = first.run("ganeti-virtio-rng enable").stdout
  assert "not the master" in output
  [kept] = first.run("ls %s.*" % SETTINGS).stdout.split()
  assert kept in output
  (second.root / SETTINGS[1:]).write_text((first.root / kept[1:]).read_text())
  second.run("ganeti-virtio-rng enable")
  assert "virtio_rng: urandom" in second.run("gnt-cluster info").stdout

  # What the former master has kept never comes back by itself.
  second.run("gnt-cluster modify -H kvm:virtio_rng=off")
  first.run("gnt-cluster master-failover --yes-do-it")
  assert "Nothing to do" in first.run("ganeti-virtio-rng enable").stdout
  cluster.run(DISABLE)
  cluster.run(ENABLE)
  assert "virtio_rng: off" in first.run("gnt-cluster info").stdout


def test_master_daemons_that_do_not_run(bare_cluster, deb):
  """It fails with Ganeti's words, and is run again."""
  cluster = bare_cluster()
  cluster.master.install(deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off")
  for action in ("stop", "start"):
    for daemon in ("luxid", "wconfd"):
      cluster.run("/usr/lib/ganeti/daemon-util %s ganeti-%s" % (action, daemon))
    result = cluster.run("ganeti-virtio-rng disable --yes", check=False)
    assert "Traceback" not in result.stderr
    assert result.returncode == (1 if action == "stop" else 0), result.stderr
  assert "virtio_rng" not in json.dumps(configuration(cluster))


def prerm(node):
  """Runs the package's script, and puts back the bytecode that it removes.

  """
  result = node.run("/var/lib/dpkg/info/ganeti-virtio-rng.prerm remove")
  node.run("py3compile -p ganeti-virtio-rng")
  return result


def interrupt(node, command, text):
  """Starts a command, and sends it a signal when it has printed a text.

  """
  process = node.popen("exec ganeti-virtio-rng %s" % command)
  lines = iter(process.stdout.readline, "")
  assert any(text in line for line in lines)
  node.run("pkill -TERM -f '[g]aneti-virtio-rng %s'" % command)
  (_, stderr) = process.communicate(timeout=60)
  assert process.returncode == 1
  assert "Interrupted; run the same command again" in stderr


def test_interrupted(cluster):
  """By a signal, while it waits for a job."""
  (master, other) = cluster.nodes
  other.run("ganeti-virtio-rng disable --yes")
  try:
    cluster.run("gnt-debug delay --no-master --submit 15 && sleep 2")
    interrupt(master, "disable --yes", "Waiting for these jobs: ")
    result = master.run(CHECK, check=False)
    assert result.returncode == 1
    assert ("'ganeti-virtio-rng disable' was interrupted; run it again, or"
            " 'ganeti-virtio-rng enable'" in result.stdout)
    output = prerm(master)
    assert "run 'ganeti-virtio-rng disable' on all nodes" in output.stdout
  finally:
    cluster.run(ENABLE)
  assert "virtio_rng: random" in cluster.run("gnt-cluster info").stdout
  assert master.run(CHECK).returncode == 0


def test_enable_interrupted(cluster):
  """What was not put back is kept, also by another disable."""
  master = cluster.master
  with cluster_parameter(cluster, virtio_rng="urandom"):
    cluster.run(DISABLE)
    try:
      output = cluster.run("gnt-debug delay --no-master --submit 100 2>&1 &&"
                           " sleep 2").stdout
      job = re.search(r"\d+", output).group()
      interrupt(master, "enable", "Waiting for these jobs: ")
      cluster.run("gnt-job cancel --kill --yes-do-it %s" % job, check=False)
      result = master.run(CHECK, check=False)
      assert result.returncode == 1
      assert "was not put back; run 'ganeti-virtio-rng enable'" in result.stdout
      cluster.run("gnt-cluster modify -H kvm:acpi=true") # writes the default
      cluster.run("ganeti-virtio-rng disable --yes")
    finally:
      cluster.run(ENABLE)
    assert "virtio_rng: urandom" in cluster.run("gnt-cluster info").stdout
    assert master.run(CHECK).returncode == 0


def test_changed_while_disable_waits(cluster, add):
  """What a job has changed meanwhile is kept, too."""
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=urandom", start=False)
  (master, other) = cluster.nodes
  other.run("ganeti-virtio-rng disable --yes")
  try:
    process = master.popen("exec ganeti-virtio-rng disable")
    while process.stdout.read(1) != "?": # Continue?
      assert process.poll() is None
    web1.modify("-H virtio_rng=off")
    process.communicate("y\n")
    assert process.returncode == 0
  finally:
    cluster.run(ENABLE)
  assert "virtio_rng: off" in cluster.run("gnt-instance info web1.lab.test"
                                          ).stdout


def test_disabled_while_enable_waits(cluster):
  """The later one counts."""
  master = cluster.master
  with cluster_parameter(cluster, virtio_rng="urandom"):
    cluster.run(DISABLE)
    try:
      cluster.run("gnt-debug delay --no-master --submit 15 && sleep 2")
      process = master.popen("exec ganeti-virtio-rng enable")
      lines = iter(process.stdout.readline, "")
      assert any("Waiting for these jobs" in line for line in lines)
      master.run("pkill -STOP -f '[g]aneti-virtio-rng enable'")
      master.run("ganeti-virtio-rng disable --yes")
      process.send_signal(signal.SIGCONT) # nsenter, which stopped with it
      (_, stderr) = process.communicate(timeout=60)
      assert "was disabled meanwhile" in stderr
      assert process.returncode == 1
      assert "virtio_rng" not in json.dumps(configuration(cluster))
    finally:
      cluster.run(ENABLE)
    assert "virtio_rng: urandom" in cluster.run("gnt-cluster info").stdout


def test_node_that_is_down(cluster):
  """Nobody knows what it will do as the master, unless it is offline."""
  node = cluster.nodes[1]
  node.run("pkill -o sshd")
  try:
    result = cluster.run("ganeti-virtio-rng disable --yes", check=False)
    assert result.returncode == 1
    assert "Can't ask node node2.lab.test" in result.stderr
    assert "Connection refused" in result.stderr
    cluster.run("gnt-node modify --offline=yes --force %s" % node.name)
    cluster.run("ganeti-virtio-rng disable --yes")
    assert "virtio_rng" not in json.dumps(configuration(cluster))
    cluster.run("ganeti-virtio-rng enable")
  finally:
    node.run("/usr/sbin/sshd")
    cluster.run("gnt-node modify --offline=no --force %s" % node.name)
    cluster.run("gnt-node modify --master-candidate=yes %s" % node.name)
  assert "virtio_rng: random" in cluster.run("gnt-cluster info").stdout


def test_ganeti_that_knows_it(cluster):
  """There is nothing to leave."""
  node = cluster.master
  with replaced(node, "/etc/ganeti/share/ganeti/_constants.py",
                "sed '$aHVS_PARAMETER_TYPES[\"virtio_rng\"] = \"string\"'"):
    result = node.run("ganeti-virtio-rng disable --yes", check=False)
    output = prerm(node)
  assert result.returncode == 1
  assert "This Ganeti knows virtio_rng itself" in result.stderr
  assert output.stdout == ""


@pytest.mark.parametrize("arguments, status", [
  ("", 2), ("nonsense", 2), ("disable --nonsense", 2), ("--help", 0),
  ("disable --help", 0), ("enable", 0)])
def test_arguments(cluster, arguments, status):
  result = cluster.run("ganeti-virtio-rng %s" % arguments, check=False)
  assert result.returncode == status

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Nodes whose first process is systemd, as on most machines."""

import pathlib
import re

import pytest

from lab import cluster as lab_cluster
from lab import node as lab_node
from lab.expectations import daemons
from lab.expectations import expect
from lab.expectations import wait_for

# Two at a time would share their control groups.
pytestmark = pytest.mark.xdist_group("systemd")

UNITS = pathlib.Path(__file__).with_name("systemd_units")


class SystemdNode(lab_node.Node):
  """A node whose first process is systemd.

  """
  INIT = pathlib.Path(__file__).with_name("systemd_init")

  def _enter(self, command):
    result = super()._enter(command)
    return result[:1] + ["--cgroup"] + result[1:]


@pytest.fixture
def node(bare_cluster, monkeypatch):
  """One of no cluster yet, that has booted.

  """
  monkeypatch.setattr(lab_cluster, "Node", SystemdNode)
  cluster = bare_cluster(nodes=0)
  result = cluster.start_node()
  result.cluster = cluster
  wait_for(lambda: result.run("systemctl is-system-running", check=False
                              ).stdout == "running\n")
  return result


@pytest.mark.not_on("bullseye", "bookworm", "bookworm-backports",
                    reason="Its base has no systemd")
@pytest.mark.parametrize("units", [
  pytest.param(False, id="Debian's"),
  pytest.param(True, id="Ganeti's", marks=pytest.mark.full)])
def test_daemons_and_instances(node, deb, units):
  """Daemons are restarted out of the control group of whoever called dpkg, and
  what runs goes on.

  """
  cluster = node.cluster
  if units:
    node.run("sh %s" % node.copy(UNITS))
  # Debian's package has an init script, or units of its own since 3.1.0~rc2-5.
  supervised = node.run("systemctl cat ganeti-noded.service", check=False
                        ).returncode == 0
  assert supervised or not units
  cluster.initialize()
  web1 = cluster.add_instance("web1.lab.test", guest=False)

  def group(daemon):
    return node.run("sed -n s/^0:://p /proc/%s/cgroup" %
                    daemons(node)[daemon].strip()).stdout

  def restarts(command):
    """Runs a command that does so, as a service: systemd kills what is left in
    its control group.

    """
    (pid, before) = (web1.pid, daemons(node))
    node.run("systemd-run --quiet --service-type=oneshot sh -c '%s'" % command)
    # Units count as started before their daemons answer.
    wait_for(lambda: node.run("cd /run/ganeti && ls ganeti-noded.pid"
                              " ganeti-rapi.pid", check=False).returncode == 0)
    assert not set(before.items()) & set(daemons(node).items())
    wait_for(lambda: web1.running is not None)
    assert web1.running
    assert web1.pid == pid

  install = "dpkg -i %s" % node.copy(deb)
  remove = "DEBIAN_FRONTEND=noninteractive dpkg -r ganeti-virtio-rng"
  for command in (install, "systemctl restart ganeti.service", install, remove,
                  install):
    restarts(command)
    if command in (install, remove):
      for daemon in daemons(node):
        own = "ganeti-%s[.]service" % daemon if supervised else "run-.*[.]scope"
        assert re.match("/system[.]slice/%s$" % own, group(daemon))
    else:
      web1.reboot("hard") # by a daemon that systemd has started
    if command != remove:
      node.run("ganeti-virtio-rng check")
  web1.reboot("hard")
  expect(web1, "/dev/random")

  if not supervised:
    # As systemd does by itself when memory runs out in there
    node.run("systemctl stop $(basename %s)" % group("noded"))
    assert web1.running

  node.run("mv /var/lib/ganeti/server.pem /tmp && systemctl restart ganeti",
           check=False)
  result = node.run("ganeti-virtio-rng check", check=False)
  assert "ganeti-noded: ERROR: does not run; run '" in result.stdout
  node.run("mv /tmp/server.pem /var/lib/ganeti")
  [command] = re.findall("run '(.* start ganeti-noded)'", result.stdout)
  node.run(command)
  wait_for(lambda: node.run("ganeti-virtio-rng check", check=False
                            ).returncode == 0)
  expect(web1, "/dev/random")

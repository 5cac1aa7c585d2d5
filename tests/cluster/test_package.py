# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The Debian package: what it does to a node, whole, damaged, or removed."""

import contextlib
import os
import pathlib
import subprocess

import pytest

from benchmark import hook
from benchmark import turns

from lab.expectations import PACKAGE
from lab.expectations import restart
from lab.node import Node
from lab.node import Rack

ROOT = pathlib.Path(__file__).parents[2]


@contextlib.contextmanager
def damaged(node, path, command):
  """Does something to a file of a node, and puts it back in the end.

  """
  node.run("cp -a {0} {0}.kept".format(path))
  try:
    node.run(command.format(path))
    restart(node)
    node.run(": > /var/log/syslog")
    yield
  finally:
    node.run("mv -f {0}.kept {0}".format(path))
    restart(node)


def expect_ganeti_works(cluster, reason):
  """All goes on without the device, and a line in the syslog says why.

  """
  node = cluster.master
  result = node.run("python3 -c 'print(1)'")
  assert (result.stdout, result.stderr) == ("1\n", "")
  log = node.root / "var/log/syslog"
  assert log.read_text() == ""

  assert cluster.run("gnt-cluster info").stderr == ""
  lines = [line for line in log.read_text().splitlines()
           if "virtio_rng is not available" in line and "gnt-cluster" in line]
  assert len(lines) == 1
  assert reason in lines[0]

  assert cluster.run("gnt-instance list").stderr == ""
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  assert "virtio_rng" not in cluster.run("gnt-cluster verify",
                                         check=False).stdout
  instance = cluster.add_instance("plain.lab.test", guest=False)
  try:
    assert "virtio-rng" not in " ".join(instance.argv())
    instance.modify("-H acpi=true,virtio_rng=off")
    instance.modify("-H acpi=default,virtio_rng=default")
    instance.reboot("hard")
    assert "virtio-rng" not in " ".join(instance.argv())
  finally:
    instance.remove()


def test_lintian(deb, tmp_path):
  """It says nothing of the package and its source that has no reason given."""
  result = subprocess.run(
    ["lintian", "--allow-root", "--display-info", "--pedantic",
     str(next(deb.parent.glob("*.changes")))],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    env=dict(os.environ, TMPDIR=str(tmp_path)), universal_newlines=True)
  assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.each_release
def test_contract_on_the_nodes_python(cluster):
  node = cluster.master
  (node.root / "tmp/test_contract.py").write_text(
    (ROOT / "tests/unit/test_contract.py").read_text())
  result = node.run("cd /tmp && python3 -m unittest -v test_contract")
  assert "OK" in result.stderr


@pytest.mark.each_release
def test_other_programs_load_nothing(cluster):
  modules = cluster.master.run("python3 -c 'import sys; print(*sys.modules)'")
  assert [name for name in modules.stdout.split() if "ganeti" in name] == [
    "ganeti_virtio_rng_finder"]


@pytest.mark.each_release
def test_ganeti_loads_nothing_else(cluster):
  """None of Python's own modules, which might take more than ours.

  """
  def load(prepare=""):
    return set(cluster.master.run(
      "cd /etc/ganeti/share && python3 -c 'import sys; %s"
      " import ganeti.hypervisor.hv_kvm; print(*sys.modules)'" % prepare
      ).stdout.split())

  more = load() - load("del sys.path_hooks[0];")
  assert "ganeti_virtio_rng.extensions.hv_kvm" in more
  assert [name for name in more if "ganeti_virtio_rng" not in name] == []


@pytest.mark.long
def test_costs_programs_little(release, deb, progress):
  """Ganeti's own, too, counted in instructions."""
  rack = Rack()
  node = Node(release, "node1.lab.test", "10.77.0.1", rack, {}, progress)
  try:
    costs = hook.measure(node, deb)
  finally:
    node.stop()
    rack.close()
  alone = costs.pop(1)
  # Debian 11's own imports take less, so that the same is a larger part.
  more = 0.005 if release == "bullseye" else 0
  for cost in costs:
    assert 1 < cost.with_it / cost.without <= cost.limit + more, cost
  # What more it costs there is the price of any .pth file.
  assert alone.with_it <= costs[0].with_it


def test_start_is_measured(cluster):
  """With Ganeti's own defaults, as tests/bench does it."""
  (bare, extended) = turns.measure_runtime(cluster, rounds=1)
  assert bare > 0 < extended


def test_installed_and_removed(release, deb, progress):
  """On a node that belongs to no cluster."""
  def traces():
    return set(node.run("find / -xdev -name '*ganeti[-_]virtio[-_]rng*'"
                        " -not -path '/tmp/*' -not -path '/proc/*'"
                        ).stdout.split())

  rack = Rack()
  node = Node(release, "node1.lab.test", "10.77.0.1", rack, {}, progress)
  try:
    node.install(deb)
    assert [path for path in traces() if "finder.cpython-" in path]
    node.run(node.copy(ROOT / "debian/tests/ganeti"))
    node.run("dpkg --purge ganeti-virtio-rng")
    assert traces() == set()
    # over version 0.1, but never configured
    node.run("mkdir /var/lib/ganeti-virtio-rng;"
             " touch /var/lib/ganeti-virtio-rng/disabled;"
             " dpkg --unpack %s; dpkg --purge ganeti-virtio-rng" %
             node.copy(deb))
    assert traces() == set()
    result = node.run("python3 -c 'print(1)'")
    assert (result.stdout, result.stderr) == ("1\n", "")
  finally:
    node.stop()
    rack.close()


def test_truncated_extension(cluster):
  with damaged(cluster.master, PACKAGE + "/_core.abi3.so",
               "truncate --size=9000 {0}"):
    expect_ganeti_works(cluster, "has lost its end")


def test_ganeti_that_is_not_as_expected(cluster):
  path = "/usr/share/ganeti/%s/ganeti/hypervisor/hv_kvm/__init__.py" % (
    cluster.version)
  with damaged(cluster.master, path,
               "sed -i s/_GenerateKVMRuntime/_GenerateRuntime/ {0}"):
    expect_ganeti_works(cluster, "can't extend ganeti.hypervisor.hv_kvm:"
                                 " AttributeError: type object 'KVMHypervisor'"
                                 " has no attribute '_GenerateKVMRuntime'")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""ganeti-virtio-rng check and status, on nodes in all sorts of states."""

import contextlib
import json

import pytest


from lab.expectations import IDENT
from lab.expectations import PACKAGE
from lab.expectations import cluster_parameter
from lab.expectations import expect
from lab.expectations import ours
from lab.expectations import replaced
from lab.expectations import restart
from lab.expectations import slot_of
from lab.expectations import status
from lab.expectations import table
from lab.expectations import wait_for

CHECK = "ganeti-virtio-rng check"

QEMU = "/usr/bin/qemu-system-x86_64"

SITE = "/usr/lib/python3/dist-packages"


@pytest.mark.each_release
def test_check(cluster):
  for node in cluster.nodes:
    lines = node.run(CHECK).stdout.splitlines()
    findings = json.loads(node.run(CHECK + " --json").stdout)
    assert lines[:-1] == ["%(subject)s: %(text)s" % finding
                          for finding in findings][:-1]
    text = {finding["subject"]: finding["text"] for finding in findings}
    assert text["Ganeti"].startswith(cluster.version)
    assert text["Ganeti"].endswith(", knows virtio_rng")
    assert text["ganeti-noded"] == "knows virtio_rng"
    assert text["ganeti-rapi"] == ("knows virtio_rng" if node == cluster.master
                                   else "does not run")
    assert text["QEMU"] == QEMU + " has the device"
    assert text["/dev/random"] == text["/dev/urandom"] == "usable"
    assert text["kernel"].startswith("its random number generator is seeded")


@contextlib.contextmanager
def upgraded(node):
  """The extension is another file than what the daemons have loaded.

  """
  with replaced(node, PACKAGE + "/_core.abi3.so", "cat"):
    yield
  restart(node)


@contextlib.contextmanager
def unreadable(node):
  """Jobs are another user's."""
  node.run("chmod o-r %s/_core.abi3.so" % PACKAGE)
  try:
    yield
  finally:
    node.run("chmod o+r %s/_core.abi3.so" % PACKAGE)


def without(node, word, path=QEMU):
  return replaced(node, path, "sed s/%s/%s/g" % (word, word.upper()))


@contextlib.contextmanager
def missing(node, path):
  node.run("mv {0} {0}.kept".format(path))
  try:
    yield
  finally:
    node.run("mv {0}.kept {0}".format(path))


@contextlib.contextmanager
def killed(node):
  """The node daemon is gone, its file of the process id is not."""
  node.run("pid=$(cat /run/ganeti/ganeti-noded.pid) && kill -KILL $pid &&"
           " while [ -e /proc/$pid ]; do sleep 0.1; done")
  try:
    yield
  finally:
    node.start_daemons("noded")


@contextlib.contextmanager
def stopped(node):
  node.run("/usr/lib/ganeti/daemon-util stop ganeti-noded")
  try:
    yield
  finally:
    node.start_daemons("noded")


@contextlib.contextmanager
def without_certificate(node):
  """The node daemon should run, but can't."""
  with stopped(node):
    with missing(node, "/var/lib/ganeti/server.pem"):
      yield


@pytest.mark.parametrize("state, problem", [
  (upgraded, "ganeti-noded: ERROR: was started before this version of the"
             " package was installed; run '/usr/lib/ganeti/daemon-util stop"
             " ganeti-noded; /usr/lib/ganeti/daemon-util start ganeti-noded'"),
  (killed, "ganeti-noded: ERROR: does not run; run"
           " '/usr/lib/ganeti/daemon-util start ganeti-noded'"),
  (stopped, "ganeti-noded: ERROR: does not run; run"),
  (without_certificate, "ganeti-noded: ERROR: does not run; run"),
  (lambda node: without(node, "virtio-rng-pci"),
   "QEMU: ERROR: /usr/bin/qemu-system-x86_64 has no virtio-rng-pci; set"
   " virtio_rng to 'off' where this node is used"),
  (lambda node: without(node, "rng-random"), "has no rng-random; set"),
  (lambda node: missing(node, QEMU),
   "QEMU: ERROR: can't run /usr/bin/qemu-system-x86_64: No such file or"
   " directory; install it, or change kvm_path"),
  (lambda node: missing(node, "/dev/random"),
   "/dev/random: ERROR: No such file or directory; instances with"
   " virtio_rng=random don't start here; mend it, or set"),
  (lambda node: without(
    node, "_GenerateKVMRuntime",
    "/etc/ganeti/share/ganeti/hypervisor/hv_kvm/__init__.py"),
   "virtio_rng is not available: can't extend ganeti.hypervisor.hv_kvm:"
   " AttributeError: type object 'KVMHypervisor' has no attribute"
   " '_GenerateKVMRuntime'; install the package again, or a version made for"
   " this Ganeti"),
  (lambda node: without(node, "QueryInstances",
                        "/etc/ganeti/share/ganeti/luxi.py"),
   "knows virtio_rng, but can't extend ganeti.luxi: AttributeError: type object"
   " 'Client' has no attribute 'QueryInstances'; install the package again"),
  (lambda node: replaced(node, PACKAGE + "/running.py", "true"),
   "knows virtio_rng, but can't extend ganeti.hypervisor.hv_kvm:"
   " AttributeError: "),
  (lambda node: replaced(node, SITE + "/ganeti_virtio_rng_fallback.py", "true"),
   "knows virtio_rng, but can't extend ganeti.hypervisor.hv_kvm:"
   " AttributeError: "),
  (lambda node: missing(node, SITE + "/ganeti_virtio_rng_startup.pth"),
   "does not know virtio_rng: Python does not start the package; install the"
   " package again"),
  (lambda node: replaced(node, SITE + "/ganeti_virtio_rng_loader.py", "true"),
   "virtio_rng is not available: can't extend Ganeti in"
   " /usr/bin/python3: ImportError: "),
  (lambda node: missing(node, SITE + "/ganeti_virtio_rng_finder.py"),
   "No module named 'ganeti_virtio_rng_finder'; install the package again"),
  (lambda node: missing(node, "/etc/ganeti/share/ganeti/constants.py"),
   "Ganeti: ERROR: its modules can't be loaded: "),
  (lambda node: missing(node,
                        "/etc/ganeti/share/ganeti/cmdlib/cluster/verify.py"),
   "knows virtio_rng, but can't extend ganeti.cmdlib.cluster.verify:"
   " ModuleNotFoundError: "),
  (unreadable, "package: ERROR: only root can read %s/_core.abi3.so; remove it"
   " and install it again, with umask 022" % PACKAGE),
  ])
def test_problem(cluster, state, problem):
  node = cluster.nodes[1]
  with state(node):
    result = node.run(CHECK, check=False)
    assert result.returncode == 1
    [line] = [line for line in result.stdout.splitlines() if "ERROR" in line]
    assert problem in line


def test_check_of_a_device_that_is_not_used(cluster, web1, candidate):
  """Whether it is says the configuration, where the node has it."""
  with without(candidate, "rng-random"):
    assert candidate.run(CHECK, check=False).returncode == 1
    with cluster_parameter(cluster, virtio_rng="off"):
      unused = "QEMU: %s has no rng-random\n" % QEMU
      wait_for(lambda: unused in candidate.run(CHECK, check=False).stdout)
      candidate.run(CHECK)
  with missing(candidate, "/dev/urandom"):
    unused = ("/dev/urandom: No such file or directory; virtio_rng=urandom is"
              " not used\n")
    wait_for(lambda: unused in candidate.run(CHECK, check=False).stdout)
    candidate.run(CHECK)
    web1.modify("-H virtio_rng=urandom")
    wait_for(lambda: candidate.run(CHECK, check=False).returncode == 1)


def test_check_with_odd_values(cluster):
  with cluster_parameter(cluster, kernel_args="a=b\nc"):
    assert cluster.run("cat /var/lib/ganeti/ssconf_hvparams_kvm"
                       ).stdout.count("\nc\n") == 1
    cluster.run(CHECK)


def test_check_without_kvm(cluster):
  cluster.run("gnt-cluster modify --enabled-hypervisors=fake")
  try:
    with missing(cluster.master, QEMU):
      wait_for(lambda: "KVM: is not used by this cluster" in
               cluster.run(CHECK, check=False).stdout)
      assert "QEMU" not in cluster.run(CHECK).stdout
  finally:
    cluster.run("gnt-cluster modify --enabled-hypervisors=kvm")


def test_check_where_no_instance_may_run(cluster):
  node = cluster.nodes[1]
  cluster.run("gnt-node modify --vm-capable=no %s" % node.name)
  try:
    with missing(node, QEMU):
      # what the node has of the configuration follows a moment later
      wait_for(lambda: node.run(CHECK, check=False).returncode == 0)
      assert "QEMU" not in node.run(CHECK).stdout
  finally:
    cluster.run("gnt-node modify --vm-capable=yes %s" % node.name)


def test_check_on_all_nodes(cluster):
  output = cluster.run("gnt-cluster command '%s'" % CHECK).stdout
  assert output.count("return code = 0") == 2


def test_status(cluster, add):
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=urandom", guest=False)
  web2 = add("web2.lab.test", "-H 'kvm:kvm_extra=-object rng-builtin\\,id=my"
             " -device virtio-rng-pci\\,rng=my'", guest=False)
  web3 = add("web3.lab.test", "-H kvm:virtio_rng=off", guest=False)
  add("web4.lab.test", start=False)
  generator = ours(web1, "/dev/urandom")
  extra = "rng-builtin unlimited my %#x kvm_extra" % slot_of(web2)
  assert table(cluster.master) == [
    "web1.lab.test urandom " + generator,
    "web2.lab.test random " + extra,
    "web3.lab.test off none - - - -"]
  assert table(cluster.master, "web3 web1.lab.test web1") == [
    "web1.lab.test urandom " + generator,
    "web3.lab.test off none - - - -"]

  web1.modify("-H virtio_rng=random")
  web2.modify("-H virtio_rng=off")
  web3.modify("-H virtio_rng=default")
  assert table(cluster.master) == [
    "web1.lab.test random %s restart needed" % generator,
    "web2.lab.test off " + extra,
    "web3.lab.test random none - - - - gnt-instance modify %s-H"
    " virtio_rng=default web3.lab.test" %
    ("--hotplug " if cluster.version == "3.0" else "")]
  web1.modify("-H virtio_rng=off")
  rows = status(cluster.master)
  assert rows["web1.lab.test"] == {
    "instance": "web1.lab.test", "configured": "off", "restart_needed": True,
    "hotplug": None,
    "generators": [{"source": "/dev/urandom", "max_bytes": "1024",
                    "period": "1000", "id": IDENT, "slot": slot_of(web1),
                    "from": "virtio_rng"}],
    "problem": None}
  for instance in web1, web3:
    instance.reboot("hard")
  assert [row["restart_needed"] for row in status(cluster.master).values()
          ] == [False] * 3

  add("web1.b.lab.test", guest=False)
  for name in ("web1", "web4", "web9.lab.test"):
    result = cluster.run("ganeti-virtio-rng status " + name, check=False)
    assert result.returncode == 1
    assert ("Failure: No instance, or more than one, that is called '%s' runs"
            " on this node" % name in result.stderr)


@pytest.mark.each_release
def test_status_of_an_instance_that_should_not_run(cluster, web1):
  """Ganeti 3.1 plugs nothing into it."""
  cluster.run("gnt-instance start --no-remember -H virtio_rng=off %s" %
              web1.name)
  [line] = table(cluster.master)
  assert line.endswith("restart needed" if cluster.version != "3.0" else
                       "--hotplug -H virtio_rng=default web1.lab.test")


@contextlib.contextmanager
def native(cluster):
  """The master's Ganeti knows the parameter without this package."""
  modules = "/usr/share/ganeti/%s/ganeti/" % cluster.version
  append = "sed '$a%s[\"virtio_rng\"] = %s'"
  with replaced(cluster.master, modules + "_constants.py",
                append % ("HVS_PARAMETER_TYPES", "VTYPE_STRING")), replaced(
    cluster.master, modules + "hypervisor/hv_kvm/__init__.py",
    append % ("KVMHypervisor.PARAMETERS", "hv_base.NO_CHECK")):
    restart(cluster.master)
    yield
  restart(cluster.master)


def test_ganeti_that_knows_it(cluster, add):
  """Its daemons need no module of this package, which plugs nothing in."""
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=off", guest=False)
  web1.modify("-H virtio_rng=random")
  with native(cluster):
    lines = cluster.run(CHECK).stdout.splitlines()
    assert lines[1].endswith(", knows virtio_rng")
    assert table(cluster.master) == [
      "web1.lab.test random none - - - - restart needed"]


def test_status_without_the_configuration(cluster, add):
  """A node that is no master candidate doesn't have it."""
  node = cluster.nodes[1]
  web1 = add("web1.lab.test", node=node, guest=False)
  result = node.run("ganeti-virtio-rng status")
  assert "gnt-instance list -o name,hv/virtio_rng" in result.stderr
  rows = status(node)
  lines = table(node)
  assert lines == ["web1.lab.test ? " + ours(web1, "/dev/random")]
  assert rows["web1.lab.test"]["restart_needed"] is None
  cluster.run("gnt-node modify -C yes %s" % node.name)
  try:
    wait_for(lambda: "random /dev/random" in table(node)[0])
  finally:
    cluster.run("gnt-node modify -C no %s" % node.name)
  expect(web1, "/dev/random")


def test_status_after_a_migration(cluster, add, candidate):
  """What came with it is its own, whatever the cluster says."""
  web1 = add("web1.lab.test", guest=False)
  with cluster_parameter(cluster, virtio_rng="off"):
    web1.migrate()
    assert table(cluster.master) == []
    [line] = table(candidate)
  assert line == ("web1.lab.test off %s restart needed" %
                  ours(web1, "/dev/random"))


def variables(node, path):
  return dict(line.split("=", 1) for line in
              node.run("cat %s" % path).stdout.splitlines() if "=" in line)


def expect_as_born(environment, value):
  """There is a variable of the parameter for each one of hv/disk_cache.

  """
  born = [name for name in environment if "HV_disk_cache" in name]
  assert born
  for name in born:
    assert environment[name.replace("disk_cache", "virtio_rng")] == value


def test_environment_of_hooks(cluster, web1):
  node = cluster.master
  hook = "/etc/ganeti/hooks/instance-start-pre.d/show"
  node.run("mkdir -p {0} && printf '#!/bin/sh\\nenv > /tmp/hook.env\\n' > {1}"
           " && chmod 755 {1}".format(hook.rpartition("/")[0], hook))
  try:
    for value in ("urandom", "off"):
      web1.modify("-H virtio_rng=%s" % value)
      web1.start()
      expect_as_born(variables(node, "/tmp/hook.env"), value)
      web1.stop()
  finally:
    node.run("rm %s" % hook)


def test_environment_of_os_scripts(cluster, add):
  node = cluster.master
  web1 = add("web1.lab.test", "-t file -s 16M -H kvm:virtio_rng=urandom",
             start=False)
  with replaced(node, "/usr/share/ganeti/os/noop/create",
                "sed '$ienv > /tmp/os.env'"):
    cluster.run("gnt-instance reinstall -f %s" % web1.name)
    expect_as_born(variables(node, "/tmp/os.env"), "urandom")

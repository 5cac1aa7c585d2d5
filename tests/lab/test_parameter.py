# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What an admin sees who uses the parameter, through Ganeti's own commands."""

import contextlib
import json
import re
import time

import pytest

LIMIT = "max-bytes=1024,period=1000"


@pytest.fixture
def web1(cluster):
  """An instance that isn't running yet.

  """
  instance = cluster.add_instance("web1.lab.test", start=False)
  yield instance
  instance.remove()


@contextlib.contextmanager
def cluster_parameter(cluster, **parameters):
  """Changes the cluster's parameters for a while.

  """
  known = configuration(cluster)["cluster"]["hvparams"]["kvm"]
  before = {name: known[name] for name in parameters}

  def modify(values):
    cluster.run("gnt-cluster modify -H 'kvm:%s'" % ",".join(
      "%s=%s" % item for item in values.items()))

  modify(parameters)
  try:
    yield
  finally:
    modify(before)


def configuration(cluster):
  return json.loads((cluster.master.root /
                     "var/lib/ganeti/config.data").read_text())


def expect(instance, source):
  """Checks all the places where the device can be seen.

  @type source: string or None
  @param source: the host device behind it; None: there must be no device

  """
  argv = instance.argv()
  pairs = [pair for pair in zip(argv, argv[1:])
           if pair[0] in ("-object", "-device") and "rng" in pair[1]]
  functions = [device["id"] for bus in instance.qmp("query-pci")
               for device in bus["devices"]]
  current = instance.guest.run("cat /sys/class/misc/hw_random/rng_current")
  guest_devices = instance.guest.run(
    "cat /sys/bus/pci/devices/*/vendor /sys/bus/pci/devices/*/device").split()

  if source is None:
    assert pairs == []
    assert {"vendor": 0x1af4, "device": 0x1005} not in [
      {"vendor": f["vendor"], "device": f["device"]} for f in functions]
    assert current == "none\n"
    assert "0x1005" not in guest_devices
    return

  assert pairs == [
    ("-object", "rng-random,filename=%s,id=rng0" % source),
    ("-device", "virtio-rng-pci,rng=rng0,%s" % LIMIT)]
  assert [f["vendor"] for f in functions if f["device"] == 0x1005] == [0x1af4]
  assert instance.qmp("qom-get", path="/objects/rng0",
                      property="filename") == source
  assert current == "virtio_rng.0\n"
  assert guest_devices.count("0x1005") == 1
  assert "crng init done" in instance.guest.run("dmesg")


def test_default_of_a_new_cluster(cluster, web1):
  info = cluster.run("gnt-cluster info").stdout
  assert re.search(r"^ +virtio_rng: random$", info, re.M)
  info = cluster.run("gnt-instance info %s" % web1.name).stdout
  assert re.search(r"^ +virtio_rng: default \(random\)$", info, re.M)
  web1.start()
  expect(web1, "/dev/random")


def test_instance_level(cluster, web1):
  web1.modify("-H virtio_rng=urandom")
  web1.start()
  expect(web1, "/dev/urandom")
  info = cluster.run("gnt-instance info %s" % web1.name).stdout
  assert re.search(r"^ +virtio_rng: urandom$", info, re.M)

  web1.modify("-H virtio_rng=off")
  expect(web1, "/dev/urandom") # until QEMU is started anew
  web1.reboot("hard")
  expect(web1, None)

  web1.modify("-H virtio_rng=default")
  web1.reboot("full")
  expect(web1, "/dev/random")


def test_soft_reboot_keeps_what_it_was_started_with(web1):
  web1.start()
  web1.modify("-H virtio_rng=urandom")
  web1.reboot("soft")
  expect(web1, "/dev/random")


def test_parameter_of_one_start(cluster, web1):
  web1.start("-H virtio_rng=urandom")
  expect(web1, "/dev/urandom")
  web1.stop()
  web1.start()
  expect(web1, "/dev/random")


def test_new_instance_with_a_value(cluster):
  instance = cluster.add_instance("web2.lab.test", "-H kvm:virtio_rng=urandom")
  try:
    expect(instance, "/dev/urandom")
  finally:
    instance.remove()


def test_os_level(cluster):
  # An OS of its own: Ganeti has no command that takes a parameter back from
  # one.
  cluster.run("gnt-os modify -H kvm:virtio_rng=urandom noop+other")
  instance = cluster.add_instance("web2.lab.test", "-o noop+other")
  try:
    expect(instance, "/dev/urandom")
    instance.modify("-H virtio_rng=off") # the instance's own value goes first
    instance.reboot("hard")
    expect(instance, None)
    instance.modify("-H virtio_rng=default")
    instance.reboot("hard")
    expect(instance, "/dev/urandom")
  finally:
    instance.remove()


def test_cluster_level(cluster, web1):
  with cluster_parameter(cluster, virtio_rng="off"):
    web1.start()
    expect(web1, None)
  with cluster_parameter(cluster, virtio_rng="urandom"):
    web1.reboot("hard")
    expect(web1, "/dev/urandom")


def test_rate_limit(web1):
  """A guest that reads as fast as it can gets 1 KiB/s, and a bit to start."""
  web1.start()
  guest = web1.guest
  before = time.monotonic()
  guest.run("timeout 10 dd if=/dev/hwrng of=/drawn bs=64 || true")
  seconds = time.monotonic() - before
  drawn = int(guest.run("wc -c < /drawn"))
  assert 0.5 * 1024 <= drawn / seconds <= 1.25 * 1024


@pytest.mark.parametrize("value, error", [
  ("foo", "fails syntax check: The value must be one of: off, random, urandom"
          " (current value: 'foo')"),
  ("", "is required but is currently not defined"),
  ("URANDOM", "(current value: 'URANDOM')"),
  ("urandom ", "(current value: 'urandom ')"),
  (r"urandom\,filename=/etc/shadow",
   "(current value: 'urandom,filename=/etc/shadow')"),
  # without the backslash, Ganeti takes it for another parameter
  ("urandom,filename=/etc/shadow", "Unknown parameter 'filename'"),
  ])
def test_refused_values(cluster, web1, value, error):
  before = configuration(cluster)
  for command in ("gnt-instance modify -H 'virtio_rng=%s' web1.lab.test",
                  "gnt-cluster modify -H 'kvm:virtio_rng=%s'",
                  "gnt-os modify -H 'kvm:virtio_rng=%s' noop",
                  "gnt-instance start -H 'virtio_rng=%s' web1.lab.test"):
    result = cluster.run(command % value, check=False)
    assert result.returncode == 1
    assert error in result.stderr
    if "filename" not in error or "\\" in value:
      assert "'virtio_rng'" in result.stderr
  assert configuration(cluster)["cluster"] == before["cluster"]
  assert configuration(cluster)["instances"] == before["instances"]
  assert not web1.running


@pytest.mark.parametrize("extra", [
  "-device virtio-rng-pci",
  "-object rng-random\\,filename=/dev/urandom\\,id=rng0"
  " -device virtio-rng-pci\\,rng=rng0",
  ])
def test_generator_in_kvm_extra(cluster, web1, extra):
  """It stays, alone, and the node daemon's log says so."""
  web1.modify("-H 'kvm_extra=%s'" % extra)
  web1.start()
  argv = " ".join(web1.argv())
  assert extra.replace("\\", "") in argv
  assert argv.count("-device virtio-rng-pci") == 1
  assert LIMIT not in argv
  available = web1.guest.run("cat /sys/class/misc/hw_random/rng_available")
  assert set(available.split()) - {"none"} == {"virtio_rng.0"}
  log = (web1.node.root / "var/log/ganeti/node-daemon.log").read_text()
  assert ("KVM: kvm_extra already adds a virtio-rng device to instance"
          " web1.lab.test, ignoring virtio_rng=random") in log


def test_verify_points_at_kvm_extra(cluster):
  advice = "kvm_extra already adds a virtio-rng device"
  assert advice not in cluster.run("gnt-cluster verify", check=False).stdout
  with cluster_parameter(cluster, kvm_extra="-device virtio-rng-pci"):
    said = advice in cluster.run("gnt-cluster verify", check=False).stdout
  assert said == (cluster.version != "3.0") # which gives no advice at all


def test_object_called_rng0_in_kvm_extra(web1):
  web1.modify("-H 'kvm_extra=-object iothread\\,id=rng0'")
  web1.start()
  assert "rng-random,filename=/dev/random,id=rng1" in web1.argv()
  assert web1.guest.run("cat /sys/class/misc/hw_random/rng_current") == (
    "virtio_rng.0\n")


@pytest.mark.parametrize("setup, reason", [
  ("true", "No such file or directory"),
  ("echo seed > /dev/random", "Not Linux's random number generator"),
  ("ln -s null /dev/random", "Not Linux's random number generator"),
  ])
def test_host_device(cluster, web1, setup, reason):
  node = web1.node
  error = ("Parameter 'virtio_rng' fails validation: /dev/random: %s"
           " (current value: 'random')" % reason)
  web1.modify("-H virtio_rng=off")
  node.run("mv /dev/random /dev/kept && %s" % setup)
  try:
    for command in ("gnt-instance modify -H virtio_rng=random %s",
                    "gnt-instance start -H virtio_rng=random %s"):
      result = cluster.run(command % web1.name, check=False)
      assert result.returncode == 1
      assert error in result.stderr
      assert node.name in result.stderr
    assert error in cluster.run("gnt-cluster verify", check=False).stdout
    assert not web1.running
    web1.start() # off needs no device
    expect(web1, None)
  finally:
    node.run("mv -f /dev/kept /dev/random")

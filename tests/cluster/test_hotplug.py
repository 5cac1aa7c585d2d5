# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""An instance that runs gets the device without a restart."""

import json
import re
import time

import pytest

from lab.draining import drain
from lab.expectations import CONTROL
from lab.expectations import CURRENT
from lab.expectations import EJECT
from lab.expectations import RNG
from lab.expectations import SLOT
from lab.expectations import expect
from lab.expectations import never_seeded_image
from lab.expectations import pci
from lab.expectations import slot_of
from lab.expectations import status
from lab.expectations import table
from lab.expectations import values
from lab.expectations import wait_for

DONE = "\n - hv/virtio_rng -> hotplug:done\n"
FAILED = "\n - hv/virtio_rng -> hotplug:failed\n"

OFF = "-H kvm:virtio_rng=off"


def plug(instance, value="default", outcome=DONE):
  """Sets a value, which has the device plugged in.

  @return: what gnt-instance says

  """
  result = instance.hotplug("-H virtio_rng=%s" % value)
  assert result.returncode == 0, result.stderr
  assert ("hotplug:" in result.stdout) == bool(outcome)
  assert outcome in result.stdout
  return result.stdout + result.stderr


def runtime(instance):
  """What a migration's target is started with."""
  path = "%s/conf/%s.runtime" % (CONTROL, instance.name)
  return json.loads((instance.node.root / path[1:]).read_text())[0]


def expect_plugged(instance, source, slot=SLOT):
  """Checks all places where it shows but the command line, which is older."""
  assert slot_of(instance) == slot
  assert instance.qmp("qom-get", path="/objects/virtio_rng0",
                      property="filename") == source
  assert runtime(instance)[-4:] == [
    "-object", "rng-random,filename=%s,id=virtio_rng0" % source,
    "-device", "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,max-bytes=1024,"
               "period=1000,bus=pci.0,addr=%#x" % slot]
  row = status(instance.node, instance.name)[instance.name]
  assert row["generators"] == [
    {"source": source, "max_bytes": "1024", "period": "1000",
     "id": "virtio_rng0", "slot": slot, "from": "virtio_rng"}]
  assert row["hotplug"] is None
  if instance.boots:
    wait_for(lambda: instance.guest.run(CURRENT) == "virtio_rng.0\n")


def rate(instance):
  """Bytes a second that the guest gets: ten seconds may see eleven windows."""
  [[seconds, drawn, _, _]] = drain([instance], 10)["guests"]
  return drawn / seconds


@pytest.fixture
def never_seeded(cluster):
  """The parameter for a guest that has not drawn from /dev/random."""
  images = [never_seeded_image(node) for node in cluster.nodes]
  yield "initrd_path=%s" % images[0]
  for node, image in zip(cluster.nodes, images):
    node.run("rm %s" % image)


def test_guest_that_was_never_seeded(cluster, add, never_seeded):
  """It gets ready, and draws what the limit allows, wherever it runs."""
  web1 = add("web1.lab.test", "%s,%s" % (OFF, never_seeded))
  ready = "dmesg | grep 'crng init done' || true"
  assert web1.guest.run(ready) == ""
  plug(web1)
  expect_plugged(web1, "/dev/random")
  wait_for(lambda: web1.guest.run(ready))
  assert values(cluster) == []
  for node in reversed(cluster.nodes):
    assert 500 < rate(web1) < 1024 * 1.15
    web1.migrate()
    assert web1.node == node
    expect_plugged(web1, "/dev/random")
  for kind in "soft", "full":
    web1.reboot(kind)
    expect(web1, "/dev/random")


@pytest.mark.each_release
def test_answers(cluster, add):
  """Plugging in only: what is there stays as it is until the next start."""
  web1 = add("web1.lab.test", OFF, guest=False)
  started = web1.argv()
  assert "virtio_rng=off takes effect at the instance's next start" in (
    plug(web1, "off", ""))
  option = "--hotplug " if cluster.version == "3.0" else ""
  assert table(cluster.master) == ["web1.lab.test off none - - - -"]
  web1.modify("-H virtio_rng=urandom")
  rows = status(cluster.master)
  [line] = table(cluster.master)
  command = rows["web1.lab.test"]["hotplug"]
  assert command == ("gnt-instance modify %s-H virtio_rng=urandom web1.lab.test"
                     % option)
  assert line == "web1.lab.test urandom none - - - - " + command
  assert RNG not in pci(web1).values()
  output = cluster.run(command).stdout
  assert DONE in output
  assert "INFO: Trying to hotplug device..." in output
  assert "INFO: Hotplug done." in output
  expect_plugged(web1, "/dev/urandom")
  [record] = re.findall(".* of virtio_rng=.*", cluster.run(
    "tail -n 50 /var/log/ganeti/node-daemon.log").stdout)
  assert record.endswith(
    " INFO KVM: hot-plugged the random number generator of"
    " virtio_rng=urandom into instance web1.lab.test, addr=0xb")

  assert "INFO: The instance has this random number generator already" in (
    plug(web1, "urandom", ""))
  assert ("INFO: The instance has another random number generator,"
          " virtio_rng=random takes effect at its next start") in (
    plug(web1, "random", ""))
  assert "virtio_rng=off takes effect at the instance's next start" in (
    plug(web1, "off", ""))
  [line] = table(cluster.master)
  assert line.endswith("restart needed")
  assert web1.argv() == started
  expect_plugged(web1, "/dev/urandom")
  web1.reboot("hard")
  expect(web1, None)
  assert "current value: 'foo'" in web1.hotplug("-H virtio_rng=foo").stderr


def test_stopped(cluster, web1):
  """Ganeti 3.0 refuses what it can't hot-plug, by itself."""
  result = web1.hotplug("-H virtio_rng=urandom")
  assert "hotplug:" not in result.stdout
  web1.modify("-H virtio_rng=urandom")
  web1.start()
  expect(web1, "/dev/urandom")


@pytest.mark.parametrize("hvparams, command, reason", [
  ("acpi=false", None, "no bus pci.0 that takes a device while it runs"),
  ("machine_version=q35,kvm_extra=-smbios type=1", None,
   "no bus pci.0 that takes a device while it runs"),
  ("kvm_extra=-global PIIX4_PM.acpi-root-pci-hotplug=off", None,
   "no bus pci.0 that takes a device while it runs"),
  pytest.param(
    "use_chroot=true", None, "QEMU is in a chroot without /dev/random",
    marks=pytest.mark.not_on("sid", reason="QEMU 11 has no -chroot")),
  ("kvm_extra=" + " ".join(["-device usb-ehci"] * 28), None,
   "No PCI slot is free"),
  ("acpi=true", "stop", "The instance does not run, QEMU's state is 'paused'"),
  ], ids=["acpi", "q35", "root bus", "chroot", "full", "paused"])
def test_refused(add, hvparams, command, reason):
  """With a warning and the reason; the value is set, and nothing changes."""
  web1 = add("web1.lab.test", "-H 'kvm:virtio_rng=off,%s'" % hvparams,
             guest=False)
  if command:
    web1.qmp(command)

  def state():
    return (pci(web1), runtime(web1), web1.qmp("qom-list", path="/objects"))

  before = state()
  assert re.search("WARNING: Could not hotplug device: .*%s; virtio_rng=random"
                   " takes effect at the instance's next start" %
                   re.escape(reason), plug(web1, outcome=FAILED))
  assert state() == before
  row = status(web1.node)["web1.lab.test"]
  assert row["hotplug"] is None
  assert row["restart_needed"]


def test_while_it_migrates(cluster, add):
  """An instance whose migration was given up halfway, and goes on."""
  web1 = add("web1.lab.test", OFF, guest=False)
  web1.qmp("migrate", uri="exec:sleep 12345") # which reads nothing
  assert "The instance is being migrated; " in plug(web1, outcome=FAILED)
  web1.qmp("migrate_cancel")
  cluster.run("pkill -f '[s]leep 12345'")
  wait_for(lambda: web1.qmp("query-migrate")["status"] == "cancelled")
  plug(web1)
  expect_plugged(web1, "/dev/random")


def test_kvm_extra(cluster, add):
  """The device of kvm_extra stays alone, also when the guest ejects it."""
  web1 = add("web1.lab.test", "-H 'kvm:virtio_rng=off,kvm_extra=-device"
             " virtio-rng-pci\\,addr=0x1c'")
  before = runtime(web1)
  assert ("INFO: kvm_extra already adds a virtio-rng device, ignoring"
          " virtio_rng=random") in plug(web1, outcome="")
  assert ("INFO: The instance has another random number generator,"
          " virtio_rng=random takes effect at its next start") in web1.hotplug(
            "-H 'kvm_extra=-global virtio-rng-pci.max-bytes=9,"
            "virtio_rng=random'").stdout
  web1.guest.run(EJECT.format(slot_of(web1)))
  wait_for(lambda: RNG not in pci(web1).values())
  assert ("kvm_extra adds a virtio-rng device, but QEMU has none now; " in
          plug(web1, outcome=FAILED))
  assert runtime(web1) == before


def test_next_to_other_devices(cluster, add):
  """NICs and disks before, between and after, until the bus is full."""
  slot = 24
  web1 = add("web1.lab.test", "-t sharedfile -s 16M %s,kvm_pci_reservations=%d"
             % (OFF, slot + 1))
  web1.guest.run("true")
  nic = "--net add:mode=bridged,link=br0"
  assert web1.hotplug(nic).returncode == 0
  assert web1.hotplug("--disk add:size=16M").returncode == 0
  plug(web1)
  expect_plugged(web1, "/dev/random", slot)
  assert web1.hotplug(nic).returncode == 0
  web1.migrate()
  expect_plugged(web1, "/dev/random", slot)
  while "hotplug:done" in web1.hotplug(nic).stdout:
    pass
  assert {place for (place, _) in pci(web1)} >= set(range(slot, 32))
  web1.guest.run("true")
  web1.migrate()
  expect_plugged(web1, "/dev/random", slot)


def test_where_a_start_would_not_put_it(cluster, add):
  """What has its slot was plugged by hand, or is all of the range."""
  web1 = add("web1.lab.test", OFF, guest=False)
  web1.qmp("device_add", driver="usb-ehci", addr=hex(SLOT))
  plug(web1)
  expect_plugged(web1, "/dev/random", SLOT - 1)
  web2 = add("web2.lab.test", "-H kvm:virtio_rng=off,kvm_pci_reservations=4",
             guest=False)
  plug(web2)
  expect_plugged(web2, "/dev/random", 31)


@pytest.mark.parametrize("kernel_args, command", [
  ("quiet", None),
  pytest.param("quiet", "while :; do :; done > /dev/null 2>&1 &",
               marks=pytest.mark.not_on("bullseye", reason="The processor that"
                                        " QEMU 5.2 emulates leaves its monitor"
                                        " no time")),
  ("acpiphp.disable=1", "true"),
  ], ids=["boots", "busy", "without hot-plug"])
def test_guest(add, kernel_args, command):
  """Whatever the guest does, no job waits for it, and it has the device."""
  web1 = add("web1.lab.test", "-H 'kvm:virtio_rng=off,kernel_args=%s"
             " random.trust_cpu=off cryptomgr.notests no_timer_check'" %
             kernel_args)
  if command:
    web1.guest.run(command)
  before = time.monotonic()
  plug(web1)
  assert time.monotonic() - before < 60
  assert slot_of(web1) == SLOT
  if "disable" in kernel_args:
    time.sleep(1)
    assert web1.guest.run(CURRENT) == "none\n"
    web1.guest.run("(sleep 1; reboot -f) > /dev/null 2>&1 &")
    time.sleep(2)
  expect_plugged(web1, "/dev/random")


@pytest.mark.not_on("sid", reason="QEMU 11 has no -runas")
@pytest.mark.parametrize("hvparams", [
  "security_model=user,security_domain=nobody", "security_model=pool"])
def test_confined(cluster, add, hvparams):
  cluster.run("gnt-cluster modify --uid-pool=65534")
  try:
    web1 = add("web1.lab.test", "%s,%s" % (OFF, hvparams), guest=False)
    plug(web1)
    expect_plugged(web1, "/dev/random")
    web1.stop()
  finally:
    cluster.run("gnt-cluster modify --uid-pool=")


def test_ejected_and_plugged_again(add):
  """From another source, too; the backend that was left is no obstacle."""
  web1 = add("web1.lab.test")
  expect(web1, "/dev/random")
  for value in "urandom", "default":
    web1.guest.run(EJECT.format(SLOT))
    wait_for(lambda: RNG not in pci(web1).values())
    plug(web1, value)
    expect_plugged(web1, "/dev/" + value.replace("default", "random"))
    web1.migrate()
    expect_plugged(web1, "/dev/" + value.replace("default", "random"))
  web1.stop()
  web1.start()
  expect(web1, "/dev/random")


def test_started_by_0_1(add):
  """Version 0.1 gave it neither this id nor a place."""
  web1 = add("web1.lab.test")
  path = web1.node.root / ("%s/conf/web1.lab.test.runtime" % CONTROL)[1:]
  path.write_text(path.read_text().replace(",bus=pci.0,addr=0xb", "").replace(
    "pci,id=virtio_rng0", "pci").replace("virtio_rng0", "rng0"))
  web1.reboot("soft")
  assert runtime(web1)[-1] == ("virtio-rng-pci,rng=rng0,max-bytes=1024,"
                               "period=1000")
  web1.guest.run(EJECT.format(slot_of(web1)))
  wait_for(lambda: RNG not in pci(web1).values())
  plug(web1)
  expect_plugged(web1, "/dev/random")
  assert "id=rng0" not in str(runtime(web1))


def test_failover(cluster, add):
  web1 = add("web1.lab.test", OFF, node=cluster.nodes[1], guest=False)
  plug(web1, "urandom")
  cluster.run("gnt-instance failover -f --shutdown-timeout=0 web1.lab.test")
  assert web1.node == cluster.master
  expect(web1, "/dev/urandom")


def test_mixed_cluster(bare_cluster, deb):
  """A node without the package takes what was plugged, and can't plug."""
  cluster = bare_cluster(nodes=2)
  cluster.master.install(deb)
  web1 = cluster.add_instance("web1.lab.test", OFF)
  web1.guest.run("true")
  plug(web1)
  web1.migrate()
  expect_on = cluster.nodes[1]
  assert web1.node == expect_on
  assert slot_of(web1) == SLOT
  web1.migrate()
  expect_plugged(web1, "/dev/random")
  web2 = cluster.add_instance("web2.lab.test", OFF, node=cluster.nodes[1],
                              guest=False)
  assert ("WARNING: Could not hotplug device: node node2.lab.test can't, install"
          " ganeti-virtio-rng 0.2 or later there; virtio_rng=random takes effect"
          " at the instance's next start") in plug(web2, outcome=FAILED)
  assert RNG not in pci(web2).values()
  cluster.nodes[1].install(deb)
  plug(web2)
  expect_plugged(web2, "/dev/random")


#: As in the README
ALL_THAT_RUN = """\
gnt-instance list --no-headers -o name -F 'status == "running"' |
  xargs -rn 1 gnt-instance modify --submit %s-H virtio_rng=default"""


@pytest.mark.full
def test_forty_that_run(bare_cluster, deb):
  """Instances that ran before the package came."""
  cluster = bare_cluster()
  cluster.run("gnt-cluster modify --max-running-jobs=4")
  cluster.run("gnt-cluster modify -H kvm:kernel_path=") # firmware takes less
  names = ["many%d.lab.test" % i for i in range(40)]
  instances = cluster.add_instances(names, 64)
  cluster.run("gnt-instance start --force-multiple %s" % " ".join(names))
  cluster.master.install(deb)
  assert not any(RNG in pci(instance).values() for instance in instances)
  cluster.run(ALL_THAT_RUN % ("--hotplug " if cluster.version == "3.0" else ""))
  for instance in instances:
    wait_for(lambda: RNG in pci(instance).values(), 300)
  assert "error" not in cluster.run("gnt-job list --no-headers -o status").stdout

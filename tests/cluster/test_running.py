# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What ganeti-virtio-rng status says of QEMUs in all sorts of states.

Its table for everyday ones is tested with the other commands.

"""

import contextlib
import pathlib
import signal
import socket
import time

import pytest

from lab.expectations import CONTROL
from lab.expectations import CURRENT
from lab.expectations import EJECT
from lab.expectations import RNG
from lab.expectations import expect
from lab.expectations import ours
from lab.expectations import pci
from lab.expectations import slot_of
from lab.expectations import status
from lab.expectations import table
from lab.expectations import wait_for


def alive(instance):
  return instance.cluster.run("ls /proc/%d" % instance.pid, check=False
                              ).returncode == 0


@pytest.mark.parametrize("reads", [False, True], ids=["idle", "reading"])
def test_ejected_by_the_guest(cluster, add, reads):
  """It is gone; migration and hot-plug of others work without it."""
  web1 = add("web1.lab.test")
  expect(web1, "/dev/random")
  version = web1.qmp("query-version")["qemu"]
  if reads:
    web1.guest.run("cat /dev/hwrng > /dev/null 2>&1 &")
    time.sleep(3) # it has used up what it may draw
    web1.guest.run("pidof cat") # it waits
  web1.guest.run(EJECT.format(slot_of(web1)))
  with contextlib.suppress(OSError):
    wait_for(lambda: RNG not in pci(web1).values())
  if reads and not alive(web1):
    assert [version[part] for part in ("major", "minor", "micro")] < [10, 0, 13]
    pytest.xfail("This QEMU has no mend for CVE-2026-50624")

  rows = status(cluster.master)
  [line] = table(cluster.master)
  assert line.startswith("web1.lab.test random none - - - - gnt-instance modify")
  assert rows["web1.lab.test"]["generators"] == []

  assert web1.hotplug("--net add:mode=bridged,link=br0").returncode == 0
  for node in cluster.nodes[1], cluster.nodes[0]:
    web1.migrate()
    assert web1.node == node
    # The new QEMU was started with it.
    value = "random" if node == cluster.master else "?"
    assert table(node) == ["web1.lab.test %s %s" %
                           (value, ours(web1, "/dev/random"))]
  web1.reboot("soft")
  expect(web1, "/dev/random")


#: A backend in another process
BACKEND = pathlib.Path(__file__).with_name("vhost_user_backend.py")


@pytest.mark.not_on("bullseye", reason="QEMU 5.2 has no vhost-user-rng-pci")
def test_generators_of_kvm_extra(cluster, add):
  """Without an object, in another process, with odd names, and several."""
  node = cluster.master
  node.run("mknod /dev/a:b=c c 1 8")
  web1 = add("web1.lab.test", "-H 'kvm:kvm_extra=-object"
             " rng-random\\,filename=/dev/urandom\\,id=rng0 -device"
             " virtio-rng-pci\\,rng=rng0\\,max-bytes=1024\\,period=1000'",
             guest=False)
  with node.popen("python3 -") as backend:
    backend.stdin.write(BACKEND.read_text())
    backend.stdin.close()
    backend.stdout.readline()
    add("web2.lab.test", "-H 'kvm:kvm_extra="
        "-device virtio-rng-pci\\,addr=0x19"
        " -device virtio-rng-pci\\,id=x\\,addr=0x1a"
        " -device virtio-rng-pci\\,id=virtio_rng1\\,addr=0x1e"
        "\\,max-bytes=1024\\,period=1000 -object"
        " rng-random\\,filename=/dev/a:b=c\\,id=rng0 -device"
        " virtio-rng-pci\\,rng=rng0\\,addr=0x1b\\,max-bytes=5\\,period=7"
        " -object rng-random\\,id=virtio_rng0\\,filename=/dev/random -device"
        " virtio-rng-pci\\,id=virtio_rng0\\,rng=virtio_rng0\\,addr=0x1d"
        "\\,max-bytes=1024\\,period=1000"
        " -chardev socket\\,id=c\\,path=/run/vhost-user.sock -device"
        " vhost-user-rng-pci\\,chardev=c\\,addr=0x1c'", guest=False)
    rows = status(node)
    lines = table(node)
    backend.kill()
  node.run("rm /dev/a:b=c /run/vhost-user.sock")
  assert lines[0] == ("web1.lab.test random /dev/urandom 1024 B/1000 ms rng0"
                      " %#x kvm_extra" % slot_of(web1))
  expected = [
    "rng-builtin unlimited - 0x19 kvm_extra",
    "rng-builtin unlimited x 0x1a kvm_extra",
    "rng-builtin 1024 B/1000 ms virtio_rng1 0x1e kvm_extra",
    "/dev/a:b=c 5 B/7 ms rng0 0x1b kvm_extra",
    "vhost-user-rng-pci - - 0x1c kvm_extra",
    "/dev/random 1024 B/1000 ms virtio_rng0 0x1d kvm_extra"]
  assert sorted(lines[1:]) == sorted("web2.lab.test random " + generator
                                     for generator in expected)
  assert [row["restart_needed"] for row in rows.values()] == [False, False]


def test_copy_of_ours_in_kvm_extra(cluster, add):
  """As somebody has read it in QEMU's command line."""
  pair = ["-object", "rng-random,filename=/dev/urandom,id=virtio_rng0",
          "-device", "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,"
                     "max-bytes=1024,period=1000,addr=0x1d"]
  add("web1.lab.test", "-H 'kvm:kvm_extra=%s'" %
      " ".join(pair).replace(",", "\\,"), guest=False)
  rows = status(cluster.master)
  lines = table(cluster.master)
  assert lines == ["web1.lab.test random /dev/urandom 1024 B/1000 ms"
                   " virtio_rng0 0x1d kvm_extra"]
  assert not rows["web1.lab.test"]["restart_needed"]


def test_plugged_while_it_runs(cluster, add):
  """One of ours, and one that somebody else adds by hand."""
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=off")
  web1.guest.run("true") # it would not let go of a device before
  web1.qmp("object-add", **{"qom-type": "rng-random", "id": "virtio_rng0",
                            "filename": "/dev/urandom"})
  web1.qmp("device_add", driver="virtio-rng-pci", id="virtio_rng0",
           rng="virtio_rng0", addr="0xb", period=1000, **{"max-bytes": 1024})
  line = "/dev/urandom 1024 B/1000 ms virtio_rng0 0xb virtio_rng"
  assert table(cluster.master) == [
    "web1.lab.test off %s restart needed" % line]
  web1.modify("-H virtio_rng=urandom")
  web1.qmp("object-add", **{"qom-type": "rng-builtin", "id": "rng0"})
  web1.qmp("device_add", driver="virtio-rng-pci", rng="rng0", addr="0x1d",
           period=1000, **{"max-bytes": 1024})
  assert table(cluster.master) == [
    "web1.lab.test urandom " + line,
    "web1.lab.test urandom rng-builtin 1024 B/1000 ms rng0 0x1d kvm_extra"]

  web1.qmp("device_del", id="virtio_rng0")
  wait_for(lambda: len(table(cluster.master)) == 1)
  web1.qmp("object-del", id="rng0") # QEMU does not refuse
  assert table(cluster.master) == [
    "web1.lab.test urandom virtio-rng-pci 1024 B/1000 ms - 0x1d kvm_extra"]


def test_started_by_0_1(cluster, add, candidate):
  """Version 0.1 had rng0, and no id of the device."""
  web1 = add("web1.lab.test")
  cluster.run("sed -i 's/virtio-rng-pci,id=virtio_rng0/virtio-rng-pci/;"
              " s/=virtio_rng0/=rng0/g' %s/conf/web1.lab.test.runtime" %
              CONTROL)
  web1.reboot("soft") # which takes what it starts from there
  assert "rng-random,filename=/dev/random,id=rng0" in web1.argv()
  line = "/dev/random 1024 B/1000 ms rng0 %#x virtio_rng" % slot_of(web1)
  assert table(cluster.master) == ["web1.lab.test random " + line]
  web1.guest.run("true")
  web1.migrate()
  assert web1.guest.run(CURRENT) == "virtio_rng.0\n"
  web1.modify("-H virtio_rng=off")
  assert table(candidate) == [
    "web1.lab.test off %s restart needed" % line]


def test_damaged_runtime(cluster, add):
  """What can't be plugged in has no command for it; the others have theirs."""
  instances = [add("web%d.lab.test" % i, "-H kvm:virtio_rng=off", guest=False)
               for i in range(3)]
  for instance in instances:
    instance.modify("-H virtio_rng=random")
  folder = "%s/conf" % CONTROL
  cluster.run("cd %s && echo {} > web0.lab.test.runtime && rm"
              " web1.lab.test.runtime" % folder)
  rows = status(cluster.master)
  lines = table(cluster.master)
  for line in lines[:2]:
    assert line.endswith("random none - - - - restart needed")
  assert " -H virtio_rng=random web2.lab.test" in lines[2]
  assert [row["problem"] for row in rows.values()] == [None] * 3


@contextlib.contextmanager
def stopped(instance):
  """As a debugger does it."""
  kill = "kill -%d %d"
  instance.cluster.run(kill % (signal.SIGSTOP, instance.pid))
  try:
    yield
  finally:
    instance.cluster.run(kill % (signal.SIGCONT, instance.pid))


@contextlib.contextmanager
def in_use(instance):
  """Somebody talks to its monitor."""
  with socket.socket(socket.AF_UNIX) as monitor:
    monitor.connect("%s%s/ctrl/%s.qmp" % (instance.cluster.master.root, CONTROL,
                                          instance.name))
    monitor.recv(1)
    yield


@contextlib.contextmanager
def without_a_monitor(instance):
  path = "%s/ctrl/%s.qmp" % (CONTROL, instance.name)
  instance.cluster.run("mv {0} {0}.kept".format(path))
  try:
    yield
  finally:
    instance.cluster.run("mv {0}.kept {0}".format(path))


def test_no_answer(cluster, add):
  """That is said, and the others are told of."""
  states = [stopped, in_use, without_a_monitor]
  instances = [add("web%d.lab.test" % i, "-H kvm:virtio_rng=off", guest=False)
               for i in range(len(states) + 1)]
  with contextlib.ExitStack() as stack:
    for (state, instance) in zip(states, instances):
      stack.enter_context(state(instance))
    before = time.monotonic()
    rows = status(cluster.master)
    lines = table(cluster.master)
    assert time.monotonic() - before < 2 * 15 # it was asked twice
  for (instance, line) in zip(instances[:-1], lines):
    assert line.startswith("%s off ? - - - - QEMU does not answer: " %
                           instance.name)
    row = rows[instance.name]
    assert row["generators"] is row["restart_needed"] is None
    assert line.endswith(row["problem"])
  assert [line.rpartition(": ")[2] for line in lines[:2]] == ["timed out"] * 2
  fine = ["web%d.lab.test off none - - - -" % i for i in range(len(instances))]
  assert lines[-1] == fine[-1]
  assert table(cluster.master) == fine

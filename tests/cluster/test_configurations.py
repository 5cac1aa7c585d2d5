# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Awkward configurations: what stock Ganeti starts, starts with the device.

All places that the device may take on the bus, and what else is there, are in
tests/ganeti/test_placement.py.

"""

import contextlib
import shlex

import pytest

from lab.expectations import CURRENT
from lab.expectations import LIMIT
from lab.expectations import RNG
from lab.expectations import SLOT
from lab.expectations import expect
from lab.expectations import pci

NIC = "--net 0:mode=bridged,link=br0"


@pytest.mark.parametrize("hvparams, slot", [
  ("kvm_pci_reservations=4", 31),
  ("kvm_pci_reservations=8,spice_bind=10.77.0.1,vga=std,use_guest_agent=true,"
   "cdrom_disk_type=paravirtual,cdrom_image_path=/usr/lib/os-release", 7),
  ("kvm_extra=-device virtio-serial\\,addr=b", SLOT - 1),
  ("nic_type=e1000", SLOT),
  ("machine_version=pc-i440fx-5.2", SLOT),
  ("acpi=false", SLOT),
  ("vnc_bind_address=10.77.0.1,vga=cirrus", SLOT),
  ])
def test_starts(add, hvparams, slot):
  guest = hvparams.startswith(("acpi", "machine_version")) # which it may notice
  web1 = add("web1.lab.test", "%s -H 'kvm:%s'" % (NIC, hvparams), guest=guest)
  expect(web1, "/dev/random", slot)


@pytest.mark.not_on("sid", reason="QEMU 11 has neither -chroot nor -runas")
@pytest.mark.parametrize("hvparams", [
  "use_chroot=true",
  "security_model=user,security_domain=nobody",
  "use_chroot=true,security_model=user,security_domain=nobody",
  ])
def test_confined(add, hvparams):
  web1 = add("web1.lab.test", "%s -H 'kvm:%s'" % (NIC, hvparams),
             guest="chroot=true,security" in hvparams)
  expect(web1, "/dev/random")


def test_nothing_moves(add):
  """With all that Ganeti adds to the bus, in the slots of Ganeti 2.x."""
  web1 = add("web1.lab.test", "%s --net 1:mode=bridged,link=br0 -t file"
             " --disk 0:size=16M -H kvm:virtio_rng=off,kvm_pci_reservations=8,"
             "use_guest_agent=true,cdrom_disk_type=paravirtual,vga=std,"
             "cdrom_image_path=/usr/lib/os-release" % NIC, guest=False)
  before = pci(web1)
  web1.modify("-H virtio_rng=default")
  web1.reboot("hard")
  assert dict(pci(web1).items() - before.items()) == {(7, 0): RNG}
  expect(web1, "/dev/random", 7)


def test_machine_without_ganetis_bus(add):
  """There stock Ganeti starts what has neither NIC nor virtio disk."""
  web1 = add("web1.lab.test", "-H 'kvm:machine_version=q35,"
                              "kvm_extra=-smbios type=1'")
  assert RNG in pci(web1).values()
  assert web1.guest.run(CURRENT) == "virtio_rng.0\n"


def test_disk_that_is_not_on_the_bus(add):
  """Ganeti gives an address to a disk of IDE's, too, and makes no use of it."""
  web1 = add("web1.lab.test", "-t file -s 16M -H kvm:machine_version=q35,"
                              "disk_type=ide", guest=False)
  assert RNG in pci(web1).values()


def test_devices_of_a_file(cluster, add):
  """QEMU places them before the device, or where the file says."""
  device = '[device "d%d"]\n  driver = "virtio-serial-pci"\n'
  (cluster.master.root / "etc/qemu.conf").write_text(
    "".join(device % number for number in range(8)) + '  addr = "0xb"\n')
  web1 = add("web1.lab.test", "%s -H 'kvm:kvm_extra=-readconfig"
                              " /etc/qemu.conf'" % NIC, guest=False)
  expect(web1, "/dev/random", 31)


@pytest.mark.not_on("sid", reason="QEMU 11 has no -runas")
def test_pool_of_users(cluster, add):
  cluster.run("gnt-cluster modify --uid-pool=65534")
  try:
    web1 = add("web1.lab.test", "-H kvm:security_model=pool", guest=False)
    expect(web1, "/dev/random")
    assert web1.node.run("stat -c %%u /proc/%d" % web1.pid).stdout == "65534\n"
    web1.stop()
  finally:
    cluster.run("gnt-cluster modify --uid-pool=")


@contextlib.contextmanager
def qemu(node, path, command):
  """Another QEMU on a node, while the context lasts.

  """
  node.run("%s < /usr/bin/qemu-system-x86_64 > %s && chmod +x %s" %
           (command, path, path))
  try:
    yield
  finally:
    node.run("rm %s" % path)


def test_another_qemu(cluster, add):
  with qemu(cluster.master, "/usr/bin/my-qemu", "cat"):
    web1 = add("web1.lab.test", "-H kvm:kvm_path=/usr/bin/my-qemu",
               guest=False)
    assert web1.argv()[0] == "/usr/bin/my-qemu"
    expect(web1, "/dev/random")
    web1.stop()
    web1.modify("-H kvm_path=default")


@pytest.mark.parametrize("missing", ["virtio-rng-pci", "rng-random"])
def test_qemu_without_the_device(cluster, add, missing):
  """It is QEMU, but for the name of the device in its tables."""
  command = "sed s/%s/%s/g" % (missing, missing.replace("rng", "xyz"))
  with qemu(cluster.master, "/usr/bin/old-qemu", command):
    web1 = add("web1.lab.test", "-H kvm:kvm_path=/usr/bin/old-qemu",
               start=False, guest=False)
    result = cluster.run("gnt-instance start web1.lab.test", check=False)
    assert result.returncode == 1
    assert missing in result.stderr
    assert ("due to the hypervisor parameter 'virtio_rng', set it to 'off' to"
            " start the instance without it" in " ".join(result.stderr.split()))
    web1.modify("-H virtio_rng=off")
    web1.start()
    expect(web1, None)
    web1.stop()
    web1.modify("-H kvm_path=default")


@pytest.mark.parametrize("kvm_extra", [
  "-device virtio-rng",
  "-object rng-random,filename=/dev/urandom,id=rng0"
  " -device virtio-rng-pci,rng=rng0",
  pytest.param("""-device {"driver":"virtio-rng-pci"}""",
               marks=[pytest.mark.each_release, pytest.mark.not_on(
                 "bullseye", reason="QEMU 5.2 reads no JSON here")]),
  ])
def test_generator_in_kvm_extra(cluster, add, kvm_extra):
  """It stays, alone, and the node daemon's log says so."""
  web1 = add("web1.lab.test", start=False, guest="rng0" in kvm_extra)
  value = kvm_extra.replace(",", "\\,")
  if cluster.version != "3.0": # which reads it as a shell does
    value = value.replace("{", "'{").replace("}", "}'")
  web1.modify("-H %s" % shlex.quote("kvm_extra=%s" % value))
  web1.start()
  argv = " ".join(web1.argv())
  assert kvm_extra in argv
  assert LIMIT not in argv
  assert list(pci(web1).values()).count(RNG) == 1
  if web1.boots:
    available = web1.guest.run("cat /sys/class/misc/hw_random/rng_available")
    assert set(available.split()) - {"none"} == {"virtio_rng.0"}
  log = (web1.node.root / "var/log/ganeti/node-daemon.log").read_text()
  assert ("KVM: kvm_extra already adds a virtio-rng device to instance"
          " web1.lab.test, ignoring virtio_rng=random") in log


def test_our_id_in_kvm_extra(add):
  web1 = add("web1.lab.test",
             "-H 'kvm:kvm_extra=-object iothread\\,id=virtio_rng0'",
             guest=False)
  assert "rng-random,filename=/dev/random,id=virtio_rng1" in web1.argv()
  assert list(pci(web1).values()).count(RNG) == 1


def test_hotplug_until_the_bus_is_full(add):
  """Where all slots below the reservation are taken, the device has the last
  one; the error is QEMU's, and all goes on.

  """
  web1 = add("web1.lab.test", "-H 'kvm:kvm_pci_reservations=28,kvm_extra=%s'" %
             " ".join(["-device pci-testdev"] * 24), guest=False)
  expect(web1, "/dev/random", 31)
  for _ in range(3):
    assert web1.hotplug("--net add:mode=bridged,link=br0").returncode == 0
  before = pci(web1)
  result = web1.hotplug("--net add:mode=bridged,link=br0")
  assert "in use by virtio-rng-pci" in result.stdout + result.stderr
  assert pci(web1) == before
  expect(web1, "/dev/random", 31)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What tests look at and wait for, in Ganeti, in QEMU and in the guest."""

import contextlib
import json
import re
import time

from ganeti_virtio_rng import build_argv

PACKAGE = "/usr/lib/python3/dist-packages/ganeti_virtio_rng"

#: Of our generator
IDENT = build_argv("random")[1].rpartition("=")[2]

LIMIT = "max-bytes=1024,period=1000"

#: Vendor and device
RNG = (0x1af4, 0x1005)

#: Where Ganeti keeps what it needs to control its QEMUs
CONTROL = "/run/ganeti/kvm-hypervisor"

#: Has a guest eject what is in a slot of its PCI bus
EJECT = ("echo 0 > $(dirname $(grep -lx 0000:00:{0:02x}"
         " /sys/bus/pci/slots/*/address))/power")

#: Has a guest read all the time, and note how many bytes it got each time
READER = """(while :; do
  dd if=/dev/hwrng bs=16 count=1 2> /dev/null | wc -c >> /reads
  sleep 0.1
done) > /dev/null 2>&1 &"""

CURRENT = "cat /sys/class/misc/hw_random/rng_current"


def never_seeded_image(node):
  """Makes a boot image whose first program draws nothing, where others wait.

  Linux cares for its generator when somebody waits for it.

  @rtype: str
  @return: its path on the node

  """
  image = "/boot/never_seeded.img"
  node.run("cd /tmp && busybox cpio -i init < /boot/initrd.img &&"
           " sed -i '/^dd /d' init && echo init | busybox cpio -o -H newc |"
           " cat /boot/initrd.img - > %s && rm init" % image)
  return image


@contextlib.contextmanager
def cluster_parameter(cluster, **parameters):
  """Changes the cluster's parameters for a while.

  """
  known = cluster.configuration["cluster"]["hvparams"]["kvm"]
  before = {name: known[name] for name in parameters if name in known}

  def modify(values):
    cluster.run("gnt-cluster modify -H 'kvm:%s'" % ",".join(
      "%s=%s" % item for item in values.items()))

  modify(parameters)
  try:
    yield
  finally:
    if before:
      modify(before)
    if parameters.keys() - before.keys():
      cluster.run("ganeti-virtio-rng clear --yes")


@contextlib.contextmanager
def disks_can_be_sent(cluster):
  """Makes up for what Ganeti 3.1 expects of a node that takes a disk.

  Its certificate is to have the name that its address resolves to, but Ganeti
  itself writes this one into it (impexpd/__init__.py).

  """
  for node in cluster.nodes:
    node.run("""mv /usr/bin/socat /usr/bin/socat.kept
cat > /usr/bin/socat <<'EOF'
#!/bin/bash
exec /usr/bin/socat.kept "${@/node?.lab.test/ganeti.example.com}"
EOF
chmod 755 /usr/bin/socat""")
  try:
    yield
  finally:
    for node in cluster.nodes:
      node.run("mv /usr/bin/socat.kept /usr/bin/socat")


def reads(instance):
  """Returns what L{READER} has noted."""
  return instance.guest.run("cat /reads").split()


def values(cluster):
  """All values of the parameter that the configuration has.

  @rtype: list of str

  """
  return re.findall('"virtio_rng": "([^"]*)"',
                    json.dumps(cluster.configuration))


def essence(value):
  """A configuration without what changes with each write, start and move.

  """
  if isinstance(value, dict):
    return {key: essence(item) for key, item in value.items()
            if key not in ("serial_no", "mtime", "ctime", "admin_state",
                           "disks_active", "primary_node")}
  return value


def pci(instance):
  """Returns the PCI functions of an instance, as QEMU tells them.

  @rtype: dict
  @return: (slot, function) -> (vendor, device)

  """
  return {(device["slot"], device["function"]):
          (device["id"]["vendor"], device["id"]["device"])
          for bus in instance.qmp("query-pci") for device in bus["devices"]}


#: Below Ganeti's default of kvm_pci_reservations
SLOT = 11


def expect(instance, source, slot=SLOT):
  """Checks all the places where the device can be seen: the guest, if there is
  one, too.

  @type source: string or None
  @param source: the host device behind it; None: there must be no device
  @type slot: int
  @param slot: its PCI slot

  """
  argv = instance.argv()
  pairs = [pair for pair in zip(argv, argv[1:])
           if pair[0] in ("-object", "-device") and "rng" in pair[1]]
  slots = [place[0] for place, device in pci(instance).items()
           if device == RNG]
  if source is None:
    assert (pairs, slots) == ([], [])
  else:
    assert pairs == [
      ("-object", "rng-random,filename=%s,id=virtio_rng0" % source),
      ("-device", "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,%s,bus=pci.0,"
                  "addr=%s" % (LIMIT, hex(slot)))]
    assert slots == [slot]
    assert instance.qmp("qom-get", path="/objects/virtio_rng0",
                        property="filename") == source

  assert ("-kernel" in argv) == instance.boots
  if instance.boots:
    seen = instance.guest.run(CURRENT + "; grep -l 0x1005"
                              " /sys/bus/pci/devices/*/device || true").split()
    if source is None:
      assert seen == ["none"]
    else:
      assert seen == ["virtio_rng.0",
                      "/sys/bus/pci/devices/0000:00:%02x.0/device" % slot]
      instance.guest.run("dmesg | grep 'crng init done'") # or it fails


def wait_for(condition, seconds=30, interval=0.2):
  """Waits for the guest, which has its own pace.

  """
  deadline = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(interval)


def verify(cluster):
  """What gnt-cluster verify complains of; a lab is never free of complaints.

  """
  output = cluster.run("gnt-cluster verify", check=False).stdout
  return sorted(line.partition("ERROR")[2] for line in output.splitlines()
                if "ERROR" in line)


def daemons(node):
  return {name: node.run("cat /run/ganeti/ganeti-%s.pid" % name).stdout
          for name in ("noded", "rapi")}


def restart(node):
  for action in ("stop", "start"):
    node.run("/usr/lib/ganeti/daemon-util %s ganeti-noded" % action)


@contextlib.contextmanager
def replaced(node, path, command):
  """A file of a node as the command writes it, for a while.

  """
  node.run("cp -a {0} {0}.kept && {1} < {0}.kept > {0}.new &&"
           " chmod --reference={0}.kept {0}.new && mv {0}.new {0}".format(
             path, command))
  try:
    yield
  finally:
    node.run("mv {0}.kept {0}".format(path))


def status(node, names=""):
  """Runs the command status.

  @rtype: dict
  @return: from an instance's name to what is said of it

  """
  rows = json.loads(node.run("ganeti-virtio-rng status --json %s" % names
                             ).stdout)
  return {row["instance"]: row for row in rows}


def table(node, names=""):
  """Runs the command status.

  @rtype: list of str
  @return: lines of its table, without the header

  """
  lines = node.run("ganeti-virtio-rng status %s" % names).stdout.splitlines()
  assert lines[0].split() == ["Instance", "Configured", "Source", "Rate", "Id",
                              "Slot", "From", "Note"]
  return [" ".join(line.split()) for line in lines[1:]]


def slot_of(instance):
  """The slot of its only generator.

  @rtype: int

  """
  [slot] = [slot for (slot, _), device in pci(instance).items()
            if device == RNG]
  return slot


def ours(instance, source):
  """What the table says of a generator that the parameter gave."""
  return "%s 1024 B/1000 ms %s %#x virtio_rng" % (source, IDENT,
                                                  slot_of(instance))

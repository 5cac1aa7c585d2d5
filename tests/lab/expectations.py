# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What tests look at, in Ganeti, in QEMU and in the guest."""

import contextlib
import json
import re

LIMIT = "max-bytes=1024,period=1000"

#: Vendor and device
RNG = (0x1af4, 0x1005)

CURRENT = "cat /sys/class/misc/hw_random/rng_current"


@contextlib.contextmanager
def cluster_parameter(cluster, **parameters):
  """Changes the cluster's parameters for a while.

  """
  known = configuration(cluster)["cluster"]["hvparams"]["kvm"]
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
    node.run("cp /etc/hosts /etc/hosts.kept; sed -nE '/node[0-9]/"
             "s/ .*/ ganeti.example.com/p' /etc/hosts.kept > /etc/hosts;"
             " cat /etc/hosts.kept >> /etc/hosts")
  try:
    yield
  finally:
    for node in cluster.nodes:
      node.run("mv /etc/hosts.kept /etc/hosts")


def configuration(cluster):
  return json.loads((cluster.master.root /
                     "var/lib/ganeti/config.data").read_text())


def values(cluster):
  """All values of the parameter that the configuration has.

  @rtype: list of str

  """
  return re.findall('"virtio_rng": "([^"]*)"',
                    json.dumps(configuration(cluster)))


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
  """Checks all the places where the device can be seen.

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
  current = instance.guest.run(CURRENT)
  in_guest = instance.guest.run("grep -l 0x1005 /sys/bus/pci/devices/*/device"
                                " || true").split()

  if source is None:
    assert (pairs, slots, current, in_guest) == ([], [], "none\n", [])
    return

  assert pairs == [
    ("-object", "rng-random,filename=%s,id=virtio_rng0" % source),
    ("-device", "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,%s,bus=pci.0,"
                "addr=%s" % (LIMIT, hex(slot)))]
  assert slots == [slot]
  assert instance.qmp("qom-get", path="/objects/virtio_rng0",
                      property="filename") == source
  assert current == "virtio_rng.0\n"
  assert in_guest == ["/sys/bus/pci/devices/0000:00:%02x.0/device" % slot]
  instance.guest.run("dmesg | grep 'crng init done'") # or it fails

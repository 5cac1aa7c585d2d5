# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Ganeti's QA suite, as far as it runs on a lab's nodes."""

import json
import pathlib
import re

import pytest

DRIVER = pathlib.Path(__file__).with_name("qa_driver.py")

#: Hypervisor parameters that the suite iterates through, each value in minutes.
#: Stock Ganeti refuses disk_aio=native, as it is set without disk_cache=none;
#: and without ACPI, each stop of an instance would wait long for the guest.
ITERATED = ["disk_type", "use_localtime"]

TESTS = [
  "cluster-info", "cluster-redist-conf", "cluster-verify",
  "default-instance-tests", "env", "group-list", "instance-add-shared-file",
  "instance-failover", "instance-info", "instance-iterate-hvparams",
  "instance-list", "instance-migrate", "instance-modify", "instance-reboot",
  "instance-reinstall", "instance-shutdown", "node-info", "node-modify", "os",
  "rapi", "tags",
  ]

#: What the suite asks of nodes that a lab has not: root may log in from any
#: node, names of instances are known, the remote API listens on each address,
#: and has a user, and there is an init. There is no packet filter to clean. Of
#: Linux's proc, a lab may have no sysrq-trigger, which verify complains of.
PREPARE = """
ssh-keyscan -t ed25519 node1.lab.test node2.lab.test \
  > /root/.ssh/known_hosts 2> /dev/null
for number in 1 2 3; do
  echo "10.77.0.20$number web$number.lab.test" >> /etc/hosts
done
sed -i s/^RAPI_ARGS=.*/RAPI_ARGS=/ /etc/default/ganeti
echo ganeti-qa secret write > /var/lib/ganeti/rapi/users
: >> /sbin/init
ln -s /bin/true /usr/local/sbin/iptables-save
ln -s /bin/true /usr/local/sbin/iptables-restore
cat > /usr/local/sbin/gnt-cluster <<'EOF'
#!/bin/sh
if [ "$1" = verify ]; then
  shift
  set -- verify --ignore-errors=ENODESETUP "$@"
fi
exec /usr/sbin/gnt-cluster "$@"
EOF
chmod 755 /usr/local/sbin/gnt-cluster
"""


def configuration(iterated):
  return {
    "name": "cluster.lab.test",
    "nodes": [{"primary": "node%d.lab.test" % i, "secondary": "10.77.0.%d" % i}
              for i in (1, 2)],
    "instances": [{"name": "web%d.lab.test" % i} for i in (1, 2, 3)],
    "groups": {"group-with-nodes": "default",
               "inexistent-groups": ["group1", "group2", "group3"]},
    "enabled-hypervisors": "kvm",
    "enabled-disk-templates": ["diskless", "file", "sharedfile"],
    "default-file-storage-dir": "/srv/ganeti/file-storage",
    "default-shared-file-storage-dir": "/srv/ganeti/shared-file-storage",
    "disks": [{"size": "1M", "growth": "1M"}],
    "os": "noop+default", "minmem": "128M", "maxmem": "128M",
    "tests": dict(dict.fromkeys(TESTS, True), default=False),
    "options": {"reboot-types": ["soft", "hard", "full"]},
    "iterated": iterated,
    }


def start(cluster, iterated):
  """Starts the suite on a cluster."""
  for node in cluster.nodes:
    node.run(PREPARE)
  cluster.run("/usr/lib/ganeti/daemon-util stop ganeti-rapi")
  cluster.master.start_daemons("rapi")
  cluster.run("cat > /tmp/qa.json", input=json.dumps(configuration(iterated)))
  return cluster.master.popen(
    "PYTHONPATH=/etc/ganeti/share HOME=/root python3 -u %s /tmp/qa.json"
    " < /dev/null > /tmp/qa.log 2>&1" % cluster.master.copy(DRIVER))


def log(cluster):
  return (cluster.master.root / "tmp/qa.log").read_text()


def results(cluster):
  """What passed, what failed, and what was iterated through, in this order."""
  return re.findall("^---- ((?:PASSED|FAILED|Starting reduced) .*?)(?: -+)?$",
                    log(cluster), re.M)


#: Tests that fail on stock Ganeti where there is neither Xen nor a network
STOCK_FAILS = {"TestOsModifyValid", "TestInstanceModify"}


@pytest.mark.full
@pytest.mark.timeout(7200) # Half an hour where nothing else runs
def test_qa(bare_cluster, deb):
  """With the package it comes to the same, and to the end."""
  (stock, ours) = clusters = [bare_cluster(nodes=2) for _ in range(2)]
  for node in ours.nodes:
    node.install(deb)
  iterated = dict.fromkeys(ITERATED)
  running = [start(stock, iterated),
             start(ours, dict(iterated, virtio_rng=["off", "urandom"]))]
  for process, cluster in zip(running, clusters):
    assert process.wait() == 0, log(cluster)[-5000:]
  expected = results(stock)
  found = results(ours)
  failed = set(re.findall(r"FAILED \[(\w+)", "\n".join(expected)))
  print("\n".join(expected))
  assert failed <= STOCK_FAILS
  if stock.version == "3.0": # whose suite does not iterate
    assert found == expected
    return

  (other, off, urandom) = [index for index, line in enumerate(found)
                           if "Starting reduced" in line][-3:]
  assert "virtio_rng=off" in found[off]
  assert "virtio_rng=urandom" in found[urandom]
  end = urandom + urandom - off
  assert urandom - off > 5
  assert (found[other + 1:off] == found[off + 1:urandom] ==
          found[urandom + 1:end])
  assert found[:off] + found[end:] == expected

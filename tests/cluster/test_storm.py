# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Random jobs on many instances at once, while node daemons die, the package is
installed again, and its values are taken out.

LAB_SEED=... has the jobs of an earlier run, whose seed is printed.

"""

import concurrent.futures
import os
import random
import re
import threading
import time

import pytest

from lab.cluster import Instance
from lab.expectations import CONTROL
from lab.expectations import RNG
from lab.expectations import disks_can_be_sent
from lab.expectations import pci
from lab.expectations import verify
from lab.expectations import wait_for

INSTANCES = 20
JOBS = 200
AT_ONCE = 4

#: Seconds between two of what disturbs the jobs
PAUSES = (5, 25)

COMMANDS = [
  "gnt-instance start", "gnt-instance stop --timeout=1",
  "gnt-instance migrate -f", "gnt-instance reboot -t soft",
  "gnt-instance reboot -t hard --shutdown-timeout=1",
  "gnt-instance modify -H acpi=true",
  ] + 2 * ["gnt-instance modify -H virtio_rng=%s" % value
           for value in ("off", "random", "urandom", "default")] + [
  "gnt-backup export --long-sleep --shutdown-timeout=1 -n node%d.lab.test" % i
  for i in (1, 2)]

#: What Ganeti says of a node whose daemon was killed
_KILLED = r"Error \d+: |RPC|rpc"


class Storm:
  """What was run.

  @ivar jobs: dict from an instance's name to its jobs, in their order: command,
      when it began and ended, and its result
  @ivar cleared: when each C{clear} began and ended
  @ivar outages: when a node daemon was told to end, and when it was back

  """
  def __init__(self, cluster, deb, seed):
    self.jobs = {}
    self.cleared = []
    self.outages = []
    self._cluster = cluster
    self._deb = deb
    self._seed = seed
    self._over = threading.Event()

  def run(self, instances):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE + 1) as threads:
      disturbing = threads.submit(self._disturb)
      working = [threads.submit(self._work, number, instances[number::AT_ONCE])
                 for number in range(AT_ONCE)]
      try:
        for thread in working:
          thread.result()
      finally:
        self._over.set()
      disturbing.result()

  def _work(self, number, instances):
    """Runs a part of the jobs, one after the other."""
    dice = random.Random("%s %d" % (self._seed, number))
    for _ in range(JOBS // AT_ONCE):
      command = dice.choice(COMMANDS)
      name = dice.choice(instances).name
      asked = ("--hotplug-if-possible" if " modify " in command and
               self._cluster.version == "3.0" else "")
      began = time.monotonic()
      result = self._cluster.run("%s %s %s" % (command, asked, name),
                                 check=False)
      self.jobs.setdefault(name, []).append((command, began, time.monotonic(),
                                             result))

  def _disturb(self):
    dice = random.Random(self._seed)
    while not self._over.wait(dice.uniform(*PAUSES)):
      node = dice.choice(self._cluster.nodes)
      began = time.monotonic()
      (disturb, times) = dice.choice([(self._clear, self.cleared),
                                      (self._kill, self.outages),
                                      (self._install, self.outages)])
      disturb(node)
      times.append((began, time.monotonic()))

  def _clear(self, _):
    self._cluster.run("ganeti-virtio-rng clear --yes")

  @staticmethod
  def _kill(node):
    node.run("pkill -KILL -f '[s]bin/ganeti-noded'; sleep 1;"
             " /usr/lib/ganeti/daemon-util start ganeti-noded")

  def _install(self, node):
    node.install(self._deb)

  def possible_values(self, name):
    """What an instance may have said of the parameter in the end.

    @rtype: set of str

    """
    possible = {"default"}
    for command, began, ended, result in self.jobs.get(name, []):
      (_, ours, value) = command.partition("virtio_rng=")
      if ours:
        possible = {value} | (possible if result.returncode else set())
        if any(start > ended for start, _ in self.cleared):
          possible = {"default"}
        elif any(end > began for _, end in self.cleared):
          possible.add("default")
    return possible

  def said(self, name):
    """What was said of each of an instance's jobs.

    @return: tuples of a command, whether it failed, the text, and whether a
        node daemon was away while it ran

    """
    return [(command, bool(result.returncode), result.stdout + result.stderr,
             any(start < ended and end > began for start, end in self.outages))
            for command, began, ended, result in self.jobs.get(name, [])]


def states(cluster):
  return dict(line.split() for line in cluster.run(
    "gnt-instance list --no-headers -o name,status").stdout.splitlines())


def settle(cluster):
  """Puts right what killed node daemons left of instances."""
  for node in cluster.nodes:
    node.start_daemons("noded")
  wait_for(lambda: not cluster.run("gnt-job list --no-headers --running"
                                   ).stdout, seconds=300)
  # A migration whose end nobody was told of leaves one on the other node, too.
  for name, host in re.findall("instance (.*): instance should not run on node"
                               " (.*)", "\n".join(verify(cluster))):
    [node] = [node for node in cluster.nodes if node.name == host]
    node.run("kill -9 $(cat {0}); rm {0}".format("%s/pid/%s" % (CONTROL, name)))
  for name, state in states(cluster).items():
    if state == "ERROR_up":
      cluster.run("gnt-instance stop --timeout=1 %s" % name)
    elif state.startswith("ERROR"):
      cluster.run("gnt-instance start %s" % name)
  assert set(states(cluster).values()) <= {"running", "ADMIN_down"}


def slots(instance):
  """Where QEMU has the device, and where the saved runtime has it."""
  path = "%s/conf/%s.runtime" % (CONTROL, instance.name)
  saved = (instance.node.root / path[1:]).read_text()
  return ([slot for (slot, _), device in pci(instance).items()
           if device == RNG],
          [int(slot, 16) for slot in re.findall(
            r"virtio-rng-pci,[^\"]*addr=([^\",]*)", saved)])


@pytest.mark.full
def test_storm(bare_cluster, deb):
  cluster = bare_cluster(nodes=2)
  for node in cluster.nodes:
    node.install(deb)
  complaints = verify(cluster)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off,kernel_path=")
  instances = cluster.add_instances(
    ["web%d.lab.test" % number for number in range(INSTANCES)], memory=64,
    disk=1)
  for instance in instances: # all without the device
    instance.start()
  cluster.run("ganeti-virtio-rng clear --yes")
  seed = os.environ.get("LAB_SEED") or str(random.getrandbits(32))
  print("LAB_SEED=%s" % seed)
  storm = Storm(cluster, deb, seed)
  with disks_can_be_sent(cluster):
    storm.run(instances)
  settle(cluster)

  done = set()
  for name in storm.jobs:
    cut_off = False
    for command, failed, text, outage in storm.said(name):
      cut_off = cut_off or outage
      assert not re.search("Traceback|Unhandled|Unknown parameter", text), text
      if "hotplug:failed" in text:
        # A start or a migration that was cut off leaves a QEMU that waits.
        [reason] = re.findall("Could not hotplug device: (.*)", text)
        assert (outage and re.search(_KILLED, reason) or cut_off and
                reason.startswith("The instance does not run")), text
      elif failed and " modify " in command:
        assert outage and re.search(_KILLED, text), text
      elif failed:
        assert "virtio" not in text, text
      else:
        done.add("hotplug" if "hotplug:done" in text else command.split()[0])
  assert done >= {"hotplug", "gnt-backup"}
  for instance in instances:
    found = cluster.configuration["instances"]
    [own] = [item["hvparams"].get("virtio_rng", "default")
             for item in found.values() if item["name"] == instance.name]
    assert own in storm.possible_values(instance.name), instance.name

  assert "virtio" not in cluster.run("gnt-debug locks").stdout
  assert verify(cluster) == complaints
  running = [Instance(cluster, name) for name, state in states(cluster).items()
             if state == "running"]
  assert running
  for instance in running:
    (there, saved) = slots(instance)
    if there != saved:
      # Only of a job that was cut off: the runtime is written before a plug,
      # and after what is unplugged is gone.
      assert not there and any(
        "virtio_rng=" in command and outage
        for command, _, _, outage in storm.said(instance.name)), instance.name
    assert instance.hotplug("-H virtio_rng=urandom").returncode == 0
    (there, saved) = slots(instance)
    assert len(there) == 1 and there == saved, instance.name
    instance.migrate()
    assert slots(instance) == (there, saved)

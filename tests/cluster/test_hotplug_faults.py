# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Hot-plugs of which a part fails, or is killed.

The value is set all the same, the saved runtime has at least what QEMU has, and
the next C{gnt-instance modify} completes it.

"""

import contextlib
import json
import re
import socket
import statistics
import time

import pytest

from lab.expectations import EJECT
from lab.expectations import IDENT
from lab.expectations import SLOT
from lab.expectations import expect
from lab.expectations import ours
from lab.expectations import slot_of
from lab.expectations import table
from lab.expectations import wait_for

CONTROL = "run/ganeti/kvm-hypervisor"

LATER = "virtio_rng=random takes effect at the instance's next start"


@pytest.fixture
def node(cluster):
  """One that is sent no configuration: it renames nothing but runtimes.

  """
  return cluster.nodes[1]


@pytest.fixture
def web1(add, node):
  """It has none yet, and a guest that takes one.

  """
  # Ganeti tells nodes of instances when it likes; the node daemon then renames
  # files, too, and what it renames is traced below.
  told = node.root / "var/lib/ganeti/ssconf_instance_list"
  wait_for(lambda: "web1.lab.test" not in told.read_text())
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=off", node=node)
  wait_for(lambda: "web1.lab.test" in told.read_text())
  web1.guest.run("true")
  return web1


def saved(web1):
  """The file of the saved runtime."""
  return web1.node.root / CONTROL / ("conf/%s.runtime" % web1.name)


def devices(web1):
  """What QEMU has by our name: of backends, and of devices."""
  return [[entry["type"] for entry in web1.qmp("qom-list", path=path)
           if entry["name"] == IDENT]
          for path in ("/objects", "/machine/peripheral")]


def plug(web1, value="random"):
  """Sets the value.

  @return: what the job said

  """
  result = web1.hotplug("-H virtio_rng=%s" % value)
  assert result.returncode == 0, result.stderr
  return result.stdout + result.stderr


def expect_failure(web1, said, reason=""):
  """A warning, and the value."""
  assert re.search("Could not hotplug device: .*%s.*; %s" % (reason, LATER),
                   said), said
  assert "hv/virtio_rng -> hotplug:failed" in said
  expect_value(web1)


def expect_value(web1):
  result = web1.cluster.run("gnt-instance list --no-headers -o hv/virtio_rng %s"
                            % web1.name)
  assert result.stdout == "random\n"


def complete(web1):
  """Sets it once more, which cures all."""
  said = plug(web1, "default")
  assert "hotplug:done" in said or "this random number generator alr" in said
  expect_one(web1)


def expect_one(web1):
  assert slot_of(web1) == SLOT
  [line] = table(web1.node)
  # No node but the master knows what is configured.
  assert line.split(" ", 2)[2] == ours(web1, "/dev/random")
  assert str(json.loads(saved(web1).read_text())[0]).count("virtio-rng") == 1


def migrate(web1):
  for _ in "there", "and back":
    web1.migrate()
    expect_one(web1)


@contextlib.contextmanager
def strace(node, inject=""):
  """Traces what the node daemon's children do to runtimes and monitors.

  """
  tracer = node.popen("exec strace -f -o /tmp/noded -e signal=none"
                      " -e trace=accept4,rename,sendto -s 64 %s"
                      " -p $(cat /run/ganeti/ganeti-noded.pid)" % inject)
  while "attached" not in tracer.stderr.readline():
    assert tracer.poll() is None
  try:
    yield
  finally:
    # It writes its last lines then, and what it traces goes on.
    node.run("kill $(pidof strace)", check=False)
    tracer.communicate(timeout=60)


def read_trace(node):
  """Returns what strace has written, as process, system call and line.

  """
  return [(*re.match(r"(\d+) +(\w*)", line).groups(), line)
          for line in (node.root / "tmp/noded").read_text().splitlines()]


def unplug(web1, before):
  """Makes QEMU and the runtime as they were."""
  (backends, there) = devices(web1)
  if there:
    web1.qmp("device_del", id=IDENT)
    wait_for(lambda: not devices(web1)[1])
  if backends:
    web1.qmp("object-del", id=IDENT)
  saved(web1).write_text(before)


#: From the last query on: what happens next, and whether by then there are the
#: arguments in the runtime, the backend, and the device
STEPS = [
  ("query-pci", False, False, False),
  ("rename", False, False, False),
  ("qmp_capabilities", True, False, False),
  ("object-add", True, False, False),
  ("device_add", True, True, False),
  ("query-pci", True, True, True),
  ]


def find_steps(trace):
  """Returns call and number, as strace counts, of each of L{STEPS}, and of the
  call by which the daemon accepts the connection that asks for it all.

  """
  [child] = {pid for (pid, _, line) in trace if "object-add" in line}
  own = [(call, line) for (pid, call, line) in trace if pid == child]
  found = []
  rest = enumerate(own)
  for (text, *_) in STEPS:
    (i, call) = next((i, call) for (i, (call, line)) in rest if text in line)
    found.append((call, [other for (other, _) in own[:i + 1]].count(call)))
  parents = [call for (pid, call, _) in trace[:[pid for (pid, _, _) in trace
                                                ].index(child)]]
  return found, ("accept4", parents.count("accept4"))


def test_killed(node, web1):
  """The node daemon's child, before each step, and then the daemon itself."""
  before = saved(web1).read_text()
  with strace(node):
    assert "hotplug:done" in plug(web1)
  (steps, asked) = find_steps(read_trace(node))
  assert steps[1] == ("rename", 1)
  for ((call, number), (text, *there)) in zip(steps + [asked],
                                              STEPS + [STEPS[0]]):
    unplug(web1, before)
    with strace(node, "-e inject=%s:signal=KILL:when=%d" % (call, number)):
      said = plug(web1)
    assert "= ?" in str(read_trace(node)), text
    if (call, number) == asked:
      node.start_daemons("noded")
    expect_failure(web1, said)
    assert ["virtio-rng" in saved(web1).read_text(),
            *map(bool, devices(web1))] == there, text
    if text in ("object-add", "device_add"):
      migrate(web1)
    complete(web1)
    if all(there):
      migrate(web1)


@contextlib.contextmanager
def held(node, web1):
  """A job whose child of the node daemon is stopped between runtime and QEMU.

  @return: a list, which has in the end what the job said

  """
  said = []
  with strace(node, "-e inject=rename:signal=STOP:when=1"):
    asked = "--hotplug" if web1.cluster.version == "3.0" else ""
    job = web1.cluster.master.popen("gnt-instance modify %s -H"
                                    " virtio_rng=random %s" % (asked,
                                                               web1.name))
    wait_for(lambda: "rename" in str(read_trace(node)))
    [child] = [pid for (pid, call, _) in read_trace(node) if call == "rename"]
    try:
      yield said
    finally:
      node.run("kill -CONT %s" % child)
      said.extend(job.communicate(timeout=120))


def test_job_killed(node, web1):
  """The node goes on."""
  with held(node, web1):
    web1.cluster.run("pkill -9 -f '[j]queue/exec.py'")
    job = web1.cluster.run("gnt-job list --no-headers -o id | tail -n 1").stdout
    # Ganeti looks for dead jobs every five minutes, or when it is told to.
    web1.cluster.run("gnt-job cancel --kill --yes-do-it %s" % job, check=False)
  wait_for(lambda: devices(web1)[1])
  expect_value(web1)
  complete(web1)


def test_qemu_stopped(node, web1):
  """Nobody can tell, so the runtime keeps it; QEMU does it when it goes on."""
  with held(node, web1) as said:
    node.run("kill -STOP %d" % web1.pid)
  expect_failure(web1, "".join(said))
  assert "virtio-rng" in saved(web1).read_text()
  node.run("kill -CONT %d" % web1.pid)
  complete(web1)


def test_qemu_killed(node, web1):
  """A cold start is right."""
  with held(node, web1) as said:
    node.run("kill -9 %d" % web1.pid)
  expect_failure(web1, "".join(said))
  web1.start()
  expect(web1, "/dev/random")


def test_full_disk(node, web1):
  """Nothing is changed, and nothing left there."""
  before = saved(web1).read_text()
  conf = "/%s/conf" % CONTROL
  names = node.run("ls %s" % conf).stdout.split()
  node.run("cp -a {0} /tmp/kept && mount -t tmpfs -o size=64k full {0} &&"
           " cp -a /tmp/kept/. {0}; cat /dev/zero > {0}/zero".format(conf),
           check=False)
  try:
    expect_failure(web1, plug(web1), "No space left on device")
    assert saved(web1).read_text() == before
    assert devices(web1) == [[], []]
    assert node.run("ls %s" % conf).stdout.split() == names + ["zero"]
  finally:
    node.run("umount %s; rm -r /tmp/kept" % conf)
  complete(web1)


@contextlib.contextmanager
def in_use(web1):
  with socket.socket(socket.AF_UNIX) as monitor:
    monitor.connect(web1._socket("qmp"))
    monitor.recv(1)
    yield


def test_monitor_in_use(web1):
  """A warning, within seconds."""
  before = saved(web1).read_text()
  with in_use(web1):
    start = time.monotonic()
    said = plug(web1)
    assert time.monotonic() - start < 30
  expect_value(web1)
  if web1.cluster.version == "3.0":
    expect_failure(web1, said, "Timeout")
  else: # Ganeti itself looks at this monitor before
    assert "Modification will take place without hotplugging" in said
  assert saved(web1).read_text() == before
  assert devices(web1) == [[], []]
  complete(web1)


def test_name_is_taken(web1):
  """QEMU refuses the device; the backend goes, and the runtime is as before."""
  before = saved(web1).read_bytes()
  web1.qmp("device_add", driver="virtio-serial-pci", id=IDENT, addr="0x1d")
  expect_failure(web1, plug(web1), "Duplicate (device )?ID '%s'" % IDENT)
  assert saved(web1).read_bytes() == before
  assert devices(web1) == [[], ["child<virtio-serial-pci>"]]
  web1.qmp("device_del", id=IDENT)
  wait_for(lambda: not devices(web1)[1])
  complete(web1)


def test_orphaned_backend(web1):
  """Of a device that the guest has ejected, or that never came."""
  web1.qmp("object-add", **{"qom-type": "rng-random", "id": IDENT,
                            "filename": "/dev/urandom"})
  complete(web1)


#: Plugs in, for each line a value, what the guest ejects
PLUGS = """
import sys
from ganeti_virtio_rng.cli import node
node.import_ganeti()
from ganeti import hypervisor, objects
from ganeti_virtio_rng import hotplug
kvm = hypervisor.GetHypervisor("kvm")
for value in sys.stdin:
  instance = objects.Instance(name="web1.lab.test",
                              hvparams={"virtio_rng": value.strip()})
  print(hotplug.plug(kvm, instance) or "done", flush=True)
"""


def memory(node, instance):
  """The KiB that QEMU has most of the time: it frees some a moment later.

  The mappings of 128 MiB and more are the guest's: its memory, and its
  translated code.

  """
  path = node.root / ("proc/%d/smaps" % instance.pid)
  sizes = []
  for _ in range(21):
    mappings = re.findall(r"^Size: +(\d+) kB$.*?^Anonymous: +(\d+) kB$",
                          path.read_text(), re.MULTILINE | re.DOTALL)
    sizes.append(sum(int(anonymous) for size, anonymous in mappings
                     if int(size) < 128 << 10))
    time.sleep(0.1)
  return statistics.median(sizes)


@pytest.mark.not_on("bullseye", reason="QEMU 5.2 keeps the id of what was"
                    " ejected for a moment")
@pytest.mark.full
def test_many_times(node, web1):
  """What the guest has ejected is plugged in again; nothing of it stays."""
  node.run("cat > /tmp/plugs", input=PLUGS)
  sizes = []
  with node.popen("exec python3 /tmp/plugs") as plugs:
    for turn in range(50):
      plugs.stdin.write(("random\n", "urandom\n")[turn % 2])
      plugs.stdin.flush()
      assert plugs.stdout.readline() == "done\n", plugs.stderr.read()
      web1.guest.run(EJECT.format(SLOT))
      wait_for(lambda: not devices(web1)[1])
      if turn in (9, 49):
        sizes.append(memory(node, web1))
  assert (sizes[1] - sizes[0]) / 40 < 64, sizes # KiB a turn
  assert len(devices(web1)[0]) == 1
  complete(web1)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""kill -9, between any two steps of all that changes something.

A step is a system call by which a program changes a file, starts another one
or asks a daemon for something. A whole run under strace tells which there are,
and then strace kills one run before each of them, or of many before some.

"""

import collections
import pathlib
import re

import pytest

from lab.cluster import Instance
from lab.expectations import essence
from lab.expectations import expect
from lab.expectations import replaced
from lab.expectations import values
from lab.expectations import verify
from lab.expectations import wait_for

CALLS = "mkdir,rename,rmdir,sendto,unlink,openat,clone,vfork"

#: What changes nothing: a file that is only read or isn't there, and the
#: queries of the name service
NO_STEP = re.compile(r"openat\((?!.*O_CREAT)|.*= -1 E|[+]")

Step = collections.namedtuple("Step", ["call", "number", "text"])


def read_steps(node, path):
  """Reads what strace has written.

  """
  count = collections.Counter()
  steps = []
  for line in (node.root / path).read_text().splitlines():
    call = line.partition("(")[0]
    count[call] += 1
    # without what differs from run to run
    text = re.sub(r"\d+", "", line.rpartition(" = ")[0].rstrip())
    steps.append((Step(call, count[call], text), line))
  return steps


def steps_of(node, command):
  """Runs a command to its end.

  @rtype: list of L{Step}

  """
  node.run("strace -o /tmp/steps -e signal=none -e trace=%s %s" %
           (CALLS, command))
  steps = [step for (step, line) in read_steps(node, "tmp/steps")
           if not NO_STEP.match(line)]
  assert steps
  return steps


def kill_at(node, command, step):
  """Runs a command that is killed before a step.

  """
  result = node.run("strace -o /tmp/steps -e signal=none -e trace=%s"
                    " -e inject=%s:signal=KILL:when=%d %s" %
                    (CALLS, step.call, step.number, command), check=False)
  assert result.returncode == 128 + 9, result.stderr
  assert read_steps(node, "tmp/steps")[-1][0] == step


@pytest.fixture
def in_use(cluster, add):
  """The master of a cluster where somebody set values. Instances run on.

  """
  web1 = add("web1.lab.test", "-H kvm:virtio_rng=urandom", guest=False)
  complaints = verify(cluster)
  pid = web1.pid
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off")
  yield cluster.master
  cluster.run("ganeti-virtio-rng clear --yes")
  assert web1.pid == pid
  expect(web1, "/dev/urandom")
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  assert verify(cluster) == complaints


#: With the umask of an admin who is careful
CLEAR = "sh -c 'umask 077; exec ganeti-virtio-rng clear --yes'"


@pytest.mark.long
def test_clear(cluster, in_use, some):
  """All or nothing, and the next run works at once, as do jobs then."""
  node = in_use
  restore = node.run("ganeti-virtio-rng clear --dry-run").stdout
  before = essence(cluster.configuration)
  whole = values(cluster)
  assert sorted(whole) == ["off", "urandom"]
  steps = steps_of(node, CLEAR)
  steps = some(steps[:-4]) + steps[-4:] # by which it writes, and unlocks
  assert values(cluster) == []
  cleared = 0
  for step in steps:
    node.run(restore)
    assert essence(cluster.configuration) == before
    kill_at(node, CLEAR, step)
    assert values(cluster) in (whole, []), step
    cleared += not values(cluster)
    node.run(CLEAR, timeout=60)
    assert values(cluster) == [], step
  assert 0 < cleared < len(steps)
  node.run(restore)


def test_clear_is_told_to_stop(cluster, in_use, some):
  """Whatever it does: all or nothing, as it says, and no lock is left."""
  node = in_use
  restore = node.run("ganeti-virtio-rng clear --dry-run").stdout
  whole = values(cluster)
  steps = [step for step in steps_of(node, CLEAR) if step.call == "sendto"]
  assert len([step for step in steps if "Config" in step.text]) >= 3
  node.run(restore)
  for step in some(steps):
    result = node.run("strace -o /tmp/steps -e signal=none -e trace=%s"
                      " -e inject=%s:signal=TERM:when=%d %s" %
                      (CALLS, step.call, step.number, CLEAR), check=False)
    assert values(cluster) == (whole if result.returncode else []), step
    assert "ganeti-virtio-rng" not in cluster.run("gnt-debug locks").stdout
    if not values(cluster):
      node.run(restore)


def test_clear_keeps_jobs_out(cluster, in_use, add):
  """Those that change the cluster's parameters, or an instance with a value;
  others go on.

  """
  node = in_use
  web2 = add("web2.lab.test", start=False)
  restore = node.run("ganeti-virtio-rng clear --dry-run").stdout
  (*_, read) = [step for step in steps_of(node, CLEAR)
                if "updateLocksWaiting" in step.text]
  node.run(restore)

  # Stopped when it has asked for its locks, and holds them
  process = node.popen("exec strace -o /tmp/steps -e signal=none -e trace=%s"
                       " -e inject=%s:signal=STOP:when=%d %s" %
                       (CALLS, read.call, read.number, CLEAR))
  try:
    wait_for(lambda: [step for step, _ in read_steps(node, "tmp/steps")][-1:]
             == [read])
    submitted = []
    for change in ("gnt-cluster modify --submit -H kvm:acpi=true",
                   "gnt-instance modify --submit -H acpi=true web1.lab.test"):
      result = cluster.run(change)
      submitted += re.findall(r"\d+", result.stdout + result.stderr)
    for value in ("true", "default"):
      web2.modify("-H acpi=%s" % value)
    assert cluster.run("gnt-job list --no-headers -o status %s" %
                       " ".join(submitted)).stdout.split() == ["waiting"] * 2
  finally:
    node.run("pkill -CONT -f '[g]aneti-virtio-rng clear'")
    process.communicate(timeout=60)
  assert process.returncode == 0
  for job in submitted:
    cluster.run("gnt-job watch %s" % job)
  assert values(cluster) == []
  cluster.run("gnt-instance modify -H acpi=default web1.lab.test")
  node.run(restore)


@pytest.fixture
def no_daemons(in_use):
  """The master without the daemons that the package restarts.

  """
  for name in ("noded", "rapi"):
    in_use.run("/usr/lib/ganeti/daemon-util stop ganeti-%s" % name)
  yield in_use
  in_use.run("dpkg --configure -a")
  in_use.start_daemons("noded", "rapi")


#: What Python sees
OURS = re.compile(r"/ganeti_virtio_rng[^-]*[.](py|so|pth|start)$")


def of_python(steps):
  """Those by which dpkg changes what Python sees.

  """
  return [step for step in steps if step.call in ("rename", "unlink") and
          OURS.search(step.text.strip('")').split('"')[-1])]


def expect_all_work(node):
  """Each Python, and so Ganeti, whatever there is of the package.

  """
  result = node.run("python3 -c 'print(1)'")
  assert (result.stdout, result.stderr) == ("1\n", "")
  node.run("gnt-cluster info")


@pytest.mark.long
def test_installation(deb, no_daemons, some):
  """dpkg's own steps; those of the package's scripts have another test."""
  node = no_daemons
  unpack = "dpkg --unpack %s" % node.copy(deb)
  remove = "dpkg --remove ganeti-virtio-rng"
  node.run(CLEAR) # with values it would be refused
  node.run(unpack)
  files = list(filter(OURS.search, node.run(
    "dpkg -L ganeti-virtio-rng").stdout.split()))
  assert files
  upgrading = of_python(steps_of(node, unpack))
  # to the same version, so that nothing changes
  for step in upgrading[::8]:
    kill_at(node, unpack, step)
    expect_all_work(node)
    node.run(unpack)

  removing = of_python(steps_of(node, remove))
  installing = of_python(steps_of(node, unpack))
  assert len(upgrading) == len(removing) == len(installing) == len(files)
  for (removed, installed) in some(list(zip(removing, installing))):
    for (command, step) in [(remove, removed), (unpack, installed)]:
      kill_at(node, command, step)
      expect_all_work(node)
      node.run(command)


@pytest.mark.not_on("bullseye", reason="Its Python starts programs by fork, as"
                    " the daemon does what answers a request")
@pytest.mark.long
def test_node_daemon(cluster, add):
  """While it starts an instance: once its runtime is saved, and until QEMU runs.

  """
  other = add("web2.lab.test", node=cluster.nodes[1], guest=False)
  web1 = add("web1.lab.test", node=cluster.nodes[1], start=False, guest=False)
  node = cluster.nodes[1]
  other_pid = other.pid

  def start(inject=""):
    """Starts the instance, with strace at the daemon, which forks for each
    request. Only this one starts more than one program.

    """
    tracer = node.popen("exec strace -f -o /tmp/noded -e signal=none"
                        " -e trace=rename,execve,vfork %s"
                        " -p $(cat /run/ganeti/ganeti-noded.pid)" % inject)
    while "attached" not in tracer.stderr.readline():
      assert tracer.poll() is None
    result = cluster.run("gnt-instance start web1.lab.test", check=False)
    node.run("kill -9 $(pidof -x ganeti-noded)")
    tracer.kill()
    tracer.communicate()
    node.start_daemons("noded")
    return result

  assert start().returncode == 0
  web1.stop()
  lines = (node.root / "tmp/noded").read_text().splitlines()
  (saved,) = [line for line in lines if "web1.lab.test.runtime" in line]
  # Once QEMU runs, paused, Ganeti holds the instance to be started.
  (runs,) = [i for (i, line) in enumerate(lines)
             if "execve(" in line and '"-name", "web1.lab.test"' in line]
  own = [line for line in lines[:runs] if line == saved or
         line.split()[0] == saved.split()[0] and "vfork(" in line]
  first = own.index(saved) + 1
  assert 1 < first < len(own)

  for number in range(first, len(own)):
    result = start("-e inject=vfork:signal=KILL:when=%d" % number)
    assert result.returncode != 0, number
    assert cluster.configuration
    web1.start()
    expect(web1, "/dev/random")
    assert other.pid == other_pid
    web1.stop()
  expect(other, "/dev/random")


#: Takes the place of the program of a job
TRACED = pathlib.Path(__file__).with_name("traced_job.py")


@pytest.mark.long
@pytest.mark.parametrize("command, undo", [
  ("gnt-instance modify -H virtio_rng=urandom",
   lambda web1: web1.modify("-H virtio_rng=default")),
  ("gnt-instance start --paused", Instance.stop),
  ], ids=["modify", "start"])
def test_job(cluster, add, some, command, undo):
  """The process of a job, when it has changed something or is about to.

  """
  web1 = add("web1.lab.test", start=False, guest=False)
  node = cluster.master

  def run(inject=""):
    """Runs the job until its process has ended.

    """
    node.run("rm -f /tmp/steps; cat > /tmp/inject",
             input="-e trace=%s %s" % (CALLS, inject))
    result = node.run("%s --submit web1.lab.test" % command)
    steps = node.root / "tmp/steps"
    wait_for(lambda: steps.exists() and steps.read_text() and
             node.run("pidof strace", check=False).returncode)
    # Some commands have it in the one, some in the other
    return re.search(r"\d+", result.stdout + result.stderr).group()

  program = node.run("ls /usr/share/ganeti/3.*/ganeti/jqueue/exec.py").stdout
  with replaced(node, program.strip(), "cat %s" % node.copy(TRACED)):
    run()
    steps = [step for (step, line) in read_steps(node, "tmp/steps")
             if re.search("^rename|livelocks/job.*O_CREAT|updateInstance|"
                          "setInstanceStatus", line)]
    assert len(steps) >= 5
    node.run("rm /tmp/steps; : > /tmp/inject")
    undo(web1)
    for step in some(steps):
      job = run("-e inject=%s:signal=KILL:when=%d" % (step.call, step.number))
      assert read_steps(node, "tmp/steps")[-1][0].call == step.call
      node.run("rm /tmp/steps; : > /tmp/inject")
      # Ganeti looks for dead jobs every five minutes, or when it is told to.
      node.run("gnt-job cancel --kill --yes-do-it %s" % job, check=False)
      assert cluster.configuration
      node.run("%s web1.lab.test" % command, timeout=60)
      undo(web1)
  web1.start()
  expect(web1, "/dev/random")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Guests that draw from the host as fast as they can, and what it costs."""

import os
import statistics
import time

#: How many processes of a guest read
READERS = 16

#: A read counts when it is done, so each is small. The readers yield to the
#: shell that is asked for the result.
_START = ("for i in $(seq %d); do"
          " dd if=/dev/hwrng of=/dev/null bs=64 2> /dev/null &"
          " echo $! >> /run/readers; done;"
          " renice 19 $(cat /run/readers)" % READERS)


def _drawn(instance):
  """Returns how many bytes the readers of a guest have got so far.

  """
  output = instance.guest.run(
    "grep -h ^rchar $(sed 's,.*,/proc/&/io,' /run/readers)")
  counts = [int(line.split()[1]) for line in output.splitlines()]
  assert len(counts) == READERS
  return sum(counts)


def _read_by_qemu(proc):
  """Returns what it has read, of which the random bytes are a part.

  """
  return int((proc / "io").read_text().split()[1])


def _cpu_seconds(proc):
  fields = (proc / "stat").read_text().rpartition(")")[2].split()
  return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def latency(calls=20000):
  """Returns the median of the nanoseconds that the host's getrandom takes.

  """
  times = []
  for _ in range(calls):
    before = time.perf_counter_ns()
    os.getrandom(32)
    times.append(time.perf_counter_ns() - before)
  return statistics.median(times)


def drain(instances, seconds):
  """Has all processes of all guests read, for a while.

  @type instances: list of L{Instance<lab.cluster.Instance>}
  @type seconds: float
  @rtype: dict
  @return: "guests": for each one, a list of seconds, of bytes that it got, of
      bytes that its QEMU read (for its own affairs, too) and of CPU seconds
      that its QEMU took; "latency": of the host's getrandom meanwhile, in
      nanoseconds

  """
  procs = [instance.node.root / "proc" / str(instance.pid)
           for instance in instances]

  def look(instance, proc):
    return (time.monotonic(), _drawn(instance), _read_by_qemu(proc),
            _cpu_seconds(proc))

  for instance in instances:
    instance.guest.run(_START)
  before = list(map(look, instances, procs))
  end = time.monotonic() + seconds
  medians = []
  while time.monotonic() < end:
    medians.append(latency(2000))
    time.sleep(0.5)
  after = list(map(look, instances, procs))
  for instance in instances:
    instance.guest.run("kill $(cat /run/readers); rm /run/readers")
  return {"guests": [[last - first for (first, last) in zip(*pair)]
                     for pair in zip(before, after)],
          "latency": statistics.median(medians)}

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The lab leaves nothing behind, whatever ends the tests."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

NODE = """
import signal
import sys
import time
signal.signal(signal.SIGINT, signal.default_int_handler) # a job ignores it
sys.path.insert(0, sys.argv[1])
from lab.node import Node, Rack
rack = Rack()
node = Node(sys.argv[2], "node1.lab.test", "10.77.0.1", rack, {}, print)
node.popen("sleep 1000")
print("\\nup", flush=True)
time.sleep(1000)
"""


def descendants(pid):
  """Process ids of all that a process has started, and what they have.

  """
  listing = subprocess.run(["ps", "-eo", "ppid=,pid="], check=True,
                           stdout=subprocess.PIPE, universal_newlines=True)
  pairs = [tuple(map(int, line.split()))
           for line in listing.stdout.splitlines()]
  found = {pid}
  while True:
    more = {child for parent, child in pairs if parent in found} - found
    if not more:
      return found
    found |= more


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGKILL])
def test_nothing_is_left(release, number):
  with subprocess.Popen(
      ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", NODE,
       str(pathlib.Path(__file__).parents[1]), release],
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
      universal_newlines=True) as process:
    while process.stdout.readline() != "up\n":
      assert process.poll() is None
    running = descendants(process.pid)
    assert len(running) > 5 # it, the rack, unshare, sleep, sshd, ...
    process.send_signal(number)
    process.wait(30)

  deadline = time.monotonic() + 10
  while any(pathlib.Path("/proc", str(pid)).exists() for pid in running):
    assert time.monotonic() < deadline, running
    time.sleep(0.1)
  assert "lab" not in pathlib.Path("/proc/mounts").read_text().split()

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The lab leaves nothing behind, whatever ends the tests."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]

NODE = pathlib.Path(__file__).with_name("lasting_node.py")


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
      ["setpriv", "--pdeathsig", "KILL", sys.executable, str(NODE),
       str(ROOT / "tests"), release],
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

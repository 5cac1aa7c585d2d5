# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The lab leaves nothing behind, whatever ends the tests, and lets one look."""

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


def python(*arguments, text):
  """Runs Python on the tree, which reads the text.

  """
  return subprocess.run((sys.executable, ) + arguments, cwd=str(ROOT),
                        input=text, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, universal_newlines=True,
                        check=False)


def test_shell(release):
  """A cluster of its own, with the package; what it reads runs there."""
  result = python("-m", "tests.lab", release, "2", text=(
    "hostname\n"
    "ssh -n node2 hostname\n"
    "gnt-cluster command ganeti-virtio-rng check | grep -c 'knows virtio_rng'\n"
    "exit 3\n"))
  assert result.stdout.splitlines()[:2] == ["node1.lab.test", "node2.lab.test"]
  assert int(result.stdout.splitlines()[2]) >= 4 # Ganeti and noded of each
  assert result.returncode == 3, result.stderr


def test_kept_cluster(release):
  """The cluster of a test that failed is there until one has looked."""
  test = pathlib.Path(__file__).with_name("failing.py")
  result = python("-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider",
                  "--keep", "--full", str(test), "-k", release,
                  text="echo written $(cat /tmp/note)\n")
  assert "\nwritten by the test\n" in result.stdout
  assert "1 failed" in result.stdout

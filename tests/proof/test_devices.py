# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""check_source on nodes whose devices are not what they should be.

Each test has a /dev of its own, in a mount namespace of its own, which takes
root to make.

"""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

CHECK = ROOT / "tests/proof/check_source.py"

WRONG = "19: /dev/random: Not Linux's random number generator"


def check_source(value, setup, options="", program=CHECK, under=""):
  """Runs check_source(value) in a /dev that the shell commands made.

  """
  script = ("mount -t tmpfs %s none /dev && %s && exec %s '%s' -c \"$@\"" %
            (options, setup, under, sys.executable))
  return subprocess.run(
    ["unshare", "--mount", "--propagation", "private", "sh", "-c", script,
     "sh", program.read_text(), value],
    cwd=str(ROOT), check=True, universal_newlines=True,
    stdout=subprocess.PIPE).stdout.strip()


@pytest.mark.parametrize("setup", [
  "mknod /dev/random c 1 8",
  "mknod /dev/elsewhere c 1 8 && ln -s elsewhere /dev/random",
  # once a common advice for hosts that were short of entropy
  "mknod /dev/random c 1 9",
  ])
def test_generator(setup):
  assert check_source("random", setup) == "fine"


@pytest.mark.parametrize("setup", [
  "mknod /dev/random c 1 3", # null
  "mknod /dev/random c 1 5", # zero
  "mknod /dev/random c 1 7", # full
  "mknod /dev/random c 10 200", # net/tun
  "mknod /dev/random b 1 8",
  "mknod /dev/random p",
  "echo seed > /dev/random",
  "mkdir /dev/random",
  "mknod /dev/null c 1 3 && ln -s null /dev/random",
  ])
def test_another_file(setup):
  if "b 1 8" in setup: # a block device without a driver does not even open
    assert check_source("random", setup).startswith("6: /dev/random: ")
  else:
    assert check_source("random", setup) == WRONG


def test_missing():
  assert (check_source("random", "mknod /dev/urandom c 1 9") ==
          "2: /dev/random: No such file or directory")
  assert (check_source("urandom", "mknod /dev/random c 1 8") ==
          "2: /dev/urandom: No such file or directory")
  assert (check_source("random", "ln -s nowhere /dev/random") ==
          "2: /dev/random: No such file or directory")
  assert check_source("off", "true") == "fine"


def test_unreadable():
  assert (check_source("random", "mknod /dev/random c 1 8", "-o nodev") ==
          "13: /dev/random: Permission denied")


@pytest.mark.parametrize("call, error, result", [
  ("openat", "EINTR:when=1..3", "fine"),
  ("openat", "EMFILE", "24: /dev/random: Too many open files"),
  ("statx", "EIO", "5: /dev/random: Input/output error"),
  ])
def test_failing_call(call, error, result):
  """The kernel fails, or is interrupted, where it hardly ever does."""
  strace = ("strace -qq -o /dev/log -P /dev/random -e trace=%s"
            " -e inject=%s:error=%s" % (call, call, error))
  devices = "mknod /dev/random c 1 8 && mknod /dev/null c 1 3"
  assert check_source("random", devices, under=strace) == result


NO_MEMORY = ROOT / "tests/proof/check_source_without_memory.py"


def test_no_memory_for_the_error():
  """Each allocation fails in turn, as in memory.py."""
  assert (check_source("random", "mkfifo /dev/random", program=NO_MEMORY) ==
          "True <class 'OSError'> [Errno 19] Not Linux's random number"
          " generator: '/dev/random'")

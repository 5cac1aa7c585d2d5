# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the tree importable as its package is on a node."""

import contextlib
import fcntl
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

sys.path[:0] = [str(ROOT), str(ROOT / "ganeti_virtio_rng/site"),
                str(ROOT / "tests")]


@pytest.hookimpl(tryfirst=True) # pytest-xdist looks at the marks later
def pytest_collection_modifyitems(items):
  """Keeps the tests that share a cluster in one process, for each release.

  """
  for item in items:
    params = getattr(item, "callspec", None) and item.callspec.params or {}
    release = params.get("release", params.get("ganeti"))
    if release:
      kind = "shared" if "cluster" in item.fixturenames else "own"
      item.add_marker(pytest.mark.xdist_group("%s-%s" % (release, kind)))


@contextlib.contextmanager
def locked(path, operation):
  with open(str(path)) as lock:
    fcntl.flock(lock, operation)
    yield


@pytest.fixture(autouse=True)
def turn(request):
  """Lets a test that is marked "alone" have the machine for itself.

  The second file keeps newcomers back while it waits for the others.

  """
  alone = request.node.get_closest_marker("alone")
  (main, gate) = (ROOT / "setup.py", ROOT / "pyproject.toml")
  with contextlib.ExitStack() as stack:
    with locked(gate, fcntl.LOCK_EX):
      stack.enter_context(locked(main,
                                 fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
    yield

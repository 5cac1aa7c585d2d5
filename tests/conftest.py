# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the tree importable as its package is on a node."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

sys.path[:0] = [str(ROOT), str(ROOT / "ganeti_virtio_rng/site"),
                str(ROOT / "tests")]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
  """Keeps tests that share a cluster, or Ganeti's modules, in one process.

  Each release has two clusters, for two processes; about half of the work is
  in files before test_g.

  """
  for item in items:
    params = getattr(item, "callspec", None) and item.callspec.params or {}
    if "cluster" in item.fixturenames:
      half = "first" if item.path.name < "test_g" else "second"
      group = "%s-%s" % (params["release"], half)
    elif "ganeti" in params:
      group = params["ganeti"]
    else:
      continue
    item.add_marker(pytest.mark.xdist_group(group))
  yield # to pytest-xdist, which looks at the marks, and to pytest's own order
  # Long ones first, so that the short ones fill up the end
  items.sort(key=lambda item: ("cluster" not in item.fixturenames,
                               "release" not in item.fixturenames))

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the tree importable as its package is on a node."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

sys.path[:0] = [str(ROOT), str(ROOT / "ganeti_virtio_rng/site"),
                str(ROOT / "tests")]


@pytest.hookimpl(tryfirst=True) # pytest-xdist looks at the marks later
def pytest_collection_modifyitems(items):
  """Keeps each release's tests, and so its clusters, in one process.

  """
  for item in items:
    params = getattr(item, "callspec", None) and item.callspec.params or {}
    release = params.get("release", params.get("ganeti"))
    if release:
      item.add_marker(pytest.mark.xdist_group(release))

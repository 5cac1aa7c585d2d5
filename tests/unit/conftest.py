# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A Python environment that the package is copied to, as it is in the tree."""

import pathlib
import shutil
import sys

import pytest

from environment import Environment

PACKAGE = pathlib.Path(__file__).parents[2] / "ganeti_virtio_rng"


@pytest.fixture
def environment(tmp_path):
  result = Environment(sys.executable, tmp_path / "venv")
  shutil.copytree(str(PACKAGE), str(result.site / PACKAGE.name),
                  ignore=shutil.ignore_patterns("__pycache__", "site"))
  for path in (PACKAGE / "site").glob("*.*"):
    shutil.copy(str(path), str(result.site))
  return result

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The wheel, and a Python environment that it is installed in."""

import fcntl
import pathlib
import subprocess
import sys
import zipfile

import pytest

from environment import Environment

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory):
  """Folder with the wheel and the sdist, the wheel made from the sdist.

  """
  path = tmp_path_factory.mktemp("dist")
  with open(str(ROOT / "pyproject.toml")) as lock:
    # Meanwhile there are files in the tree that another build would trip over.
    fcntl.flock(lock, fcntl.LOCK_EX)
    result = subprocess.run(
      [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(path),
       str(ROOT)],
      check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
      universal_newlines=True)
  assert result.returncode == 0, result.stdout
  return path


@pytest.fixture(scope="session")
def wheel(distributions):
  return next(distributions.glob("*.whl"))


@pytest.fixture
def install(wheel, tmp_path):
  """Function that installs the wheel for the Python whose path it is given.

  """
  def _install(python):
    result = Environment(python, tmp_path / "venv")
    zipfile.ZipFile(str(wheel)).extractall(str(result.site))
    return result

  return _install


@pytest.fixture
def environment(install):
  return install(sys.executable)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The wheel, and a Python environment that it is installed in."""

import fcntl
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]


class Environment:
  """A virtual environment with the wheel in it."""

  def __init__(self, python, path, wheel):
    subprocess.run([python, "-m", "venv", "--without-pip", str(path)],
                   check=True)
    self.python = str(path / "bin/python")
    self.site = next(path.glob("lib/python*/site-packages"))
    zipfile.ZipFile(str(wheel)).extractall(str(self.site))

  def run(self, *arguments):
    """Runs Python, away from the tree.

    @return: what it wrote to stdout
    @raise AssertionError: when it failed, or wrote to stderr

    """
    result = subprocess.run([self.python] + list(arguments),
                            cwd="/", universal_newlines=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


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
  return lambda python: Environment(python, tmp_path / "venv", wheel)


@pytest.fixture
def environment(install):
  return install(sys.executable)

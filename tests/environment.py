# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A Python that has the package as a node has it."""

import subprocess


class Environment:
  """A virtual environment, without the package at first.

  @ivar python: path of its Python
  @ivar site: its site-packages, as a Path

  """
  def __init__(self, python, path):
    subprocess.run([python, "-m", "venv", "--without-pip", str(path)],
                   check=True)
    self.python = str(path / "bin/python")
    self.site = next(path.glob("lib/python*/site-packages"))

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



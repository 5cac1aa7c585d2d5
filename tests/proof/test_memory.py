# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The binding and memory."""

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).parents[2]


def test_in_a_process_of_its_own():
  """There memory is short for no thread of pytest-xdist's, and none allocates.

  """
  result = subprocess.run(
    [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider",
     "--verbose", "memory.py"],
    cwd=str(ROOT / "tests/proof"), check=False, stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, universal_newlines=True)
  assert result.returncode == 0, result.stdout


def test_valgrind(tmp_path):
  """memcheck finds nothing that goes through our files."""
  report = tmp_path / "report.xml"
  subprocess.run(
    ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite",
     "--num-callers=50", "--xml=yes", "--xml-file=%s" % report,
     sys.executable, "-m", "unittest", "--quiet", "test_contract"],
    cwd=str(ROOT / "tests/unit"), check=True,
    env=dict(os.environ, PYTHONMALLOC="malloc", PYTHONPATH=str(ROOT)))
  errors = xml.etree.ElementTree.parse(str(report)).findall("error")
  ours = [xml.etree.ElementTree.tostring(error, "unicode") for error in errors
          if any("ganeti_virtio_rng" in (obj.text or "")
                 for obj in error.iter("obj"))]
  assert ours == []

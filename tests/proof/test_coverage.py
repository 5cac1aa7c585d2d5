# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What of the C is run by the core's tests and by the binding's."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

#: The tests: those left out run what others run, or run it a million times
TESTS = ["tests/unit/test_contract.py", "tests/proof/test_devices.py",
         "tests/proof/memory.py", "-k",
         "not no_leak and not threads and not subinterpreters"]

#: Branches that no test can take: where, how many of the line, and why
UNREACHABLE = [
  ("argv.c", "if (object.full || device.full) {", 1,
   "if the object fits, so does the device, which has 32 bytes more"),
  ("module.c", "switch (status) {", 1, "there is no sixth status"),
  ("module.c", "int result = empty ? 0 : -1;", 1,
   "the string of no characters is there from the start"),
  ("module.c", "if (list && needed && nul && append_needed(needed, list, all)"
   " == 0) {", 1, "strings of one character are there from the start"),
  ("module.c", "if (!text || PyList_SetItem(list, i, text) < 0) {", 1,
   "a new list takes an item"),
  ("module.c", "for (size_t i = 0; state && i < VIRTIO_RNG_VALUES; i++) {", 1,
   "before the module is filled, no Python since 3.9 frees it that way"),
  ("module.c", "if (!cmdline || PyBytes_AsStringAndSize(cmdline, &text,"
   " &length) < 0) {", 1, "what was encoded is bytes"),
  ]

# One process makes the measurement once.
pytestmark = pytest.mark.xdist_group("coverage")


def run(*command, cwd, **env):
  result = subprocess.run(command, cwd=str(cwd), env=dict(os.environ, **env),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, universal_newlines=True)
  assert result.returncode == 0, result.stdout


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
  """Each line of code: file, number, text, times it ran, branches not taken.

  """
  path = tmp_path_factory.mktemp("coverage")
  for name in ("ext", "ganeti_virtio_rng", "tests"):
    shutil.copytree(str(ROOT / name), str(path / name),
                    ignore=shutil.ignore_patterns("*.so", "__pycache__"))
  for name in ("setup.py", "pyproject.toml", "README.rst"):
    shutil.copy(str(ROOT / name), str(path))

  run(sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", cwd=path,
      CFLAGS="--coverage -O0 -U_FORTIFY_SOURCE", LDFLAGS="--coverage")
  run(sys.executable, "-m", "pytest", "-p", "no:xdist", "-p",
      "no:cacheprovider", *TESTS, cwd=path)
  run("gcc", "--coverage", "-O0", "-std=c11", "-D_GNU_SOURCE", "-Iext",
      "ext/argv.c", "ext/cmdline.c", "ext/source.c",
      "tests/core/test_core.c", "-lcmocka",
      "-o", "test_core", cwd=path)
  run("./test_core", cwd=path)

  run("gcovr", "--filter", "ext/", "--json", "coverage.json", cwd=path)
  report = json.loads((path / "coverage.json").read_text())
  assert len(report["files"]) == 5
  result = []
  for file in report["files"]:
    source = (path / file["file"]).read_text().splitlines()
    for line in file["lines"]:
      if not line["gcovr/noncode"]:
        result.append((os.path.basename(file["file"]), line["line_number"],
                       source[line["line_number"] - 1].strip(), line["count"],
                       [branch["count"]
                        for branch in line["branches"]].count(0)))
  return result


def test_all_lines_run(lines):
  assert [line for line in lines if line[3] == 0] == []


def test_all_branches_are_taken(lines):
  """But those below."""
  known = set((file, text) for file, text, _, _ in UNREACHABLE)
  assert [line for line in lines
          if line[4] != 0 and (line[0], line[2]) not in known] == []


@pytest.mark.parametrize("file, text, branches, reason", UNREACHABLE,
                         ids=lambda value: str(value))
def test_unreachable(lines, file, text, branches, reason):
  """The list says what is so; the name of the test shows the reason."""
  assert {line[4] for line in lines
          if (line[0], line[2]) == (file, text)} == {branches}

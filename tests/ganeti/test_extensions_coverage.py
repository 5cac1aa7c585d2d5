# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""All lines of the extensions and of site/ run in the ganeti and unit tiers.

Tests of both run once more for this, on a copy of the tree, and only so many
as it takes. Not measured are the command, which takes a cluster, and hotplug,
placement and running, which take QEMU.

"""

import os
import pathlib
import shutil
import subprocess
import sys

import coverage

ROOT = pathlib.Path(__file__).parents[2]

TESTS = [
  ["tests/ganeti/test_extensions.py", "tests/ganeti/test_luxi.py",
   "tests/ganeti/test_defaults.py", "tests/ganeti/test_placement.py",
   "tests/ganeti/test_jobs.py", "-k",
   "(test_extensions and not nothing) or test_luxi or test_defaults or test_jobs or"
   " test_no_slot_is_left or in_kvm_extra or 80 or 0XB"],
  ["tests/unit/test_finder.py", "-k",
   "test_extends or of_0_1 or broken_package or two_finders or silent or"
   " missing_loader or too_late or other_hands or no_ganeti or"
   " (truncated and 64) or lacks_a_module or lacks_all or"
   " (extension_takes and error) or HVS_PARAMETER_TYPES"],
  ]

#: The virtual environments' modules are the tree's.
CONFIGURATION = """
[run]
parallel = true
data_file = {0}/coverage/data
source_pkgs =
    ganeti_virtio_rng
    ganeti_virtio_rng_fallback
    ganeti_virtio_rng_finder
    ganeti_virtio_rng_loader
[paths]
package =
    {0}/tree/ganeti_virtio_rng
    */site-packages/ganeti_virtio_rng
hook =
    {0}/tree/ganeti_virtio_rng/site
    */site-packages
"""


def test_all_lines_run(tmp_path):
  tree = tmp_path / "tree"
  # Not the root itself: another test may be building in it.
  for name in ("ext", "ganeti_virtio_rng", "tests"):
    shutil.copytree(str(ROOT / name), str(tree / name),
                    ignore=shutil.ignore_patterns("__pycache__"))
  shutil.copy(str(ROOT / "pyproject.toml"), str(tree))
  # Every Python that is started from here measures itself.
  folder = tmp_path / "coverage"
  folder.mkdir()
  (folder / "sitecustomize.py").write_text(
    "import coverage; coverage.process_startup()")
  (folder / "coverage").symlink_to(os.path.dirname(coverage.__file__))
  configuration = folder / "rc"
  configuration.write_text(CONFIGURATION.format(tmp_path))
  # The later release has all that is extended.
  env = dict(os.environ, PYTHONPATH=str(folder), LAB_RELEASES="trixie",
             COVERAGE_PROCESS_START=str(configuration))
  for tests in TESTS:
    result = subprocess.run(
      [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist",
       "-p", "no:cacheprovider"] + tests,
      cwd=str(tree), env=env, check=False, universal_newlines=True,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout

  measured = coverage.Coverage(config_file=str(configuration))
  measured.combine()
  package = tree / "ganeti_virtio_rng"
  files = ([package / "__init__.py"] + sorted(package.glob("extensions/*.py")) +
           sorted(package.glob("site/*.py")))
  assert len(files) == 15
  for path in files:
    (_, lines, missing, _) = measured.analysis(str(path))
    assert not missing, (path.name, missing)

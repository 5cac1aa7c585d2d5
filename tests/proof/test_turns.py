# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Which of the tests on clusters run on which release."""

import collections
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
RELEASES = ("bookworm", "trixie")

#: Tests that take much of the processor
FULL = {"tests/cluster/test_%s[]" % name for name in (
  "hostile.py::test_greedy_guests", "hotplug.py::test_forty_that_run",
  "hotplug_faults.py::test_many_times",
  "lifecycle.py::test_forty_started_together", "qa.py::test_qa",
  "storm.py::test_storm")
  } | {"tests/cluster/test_mixed_releases.py::test_migration[ganeti-%s]" % version
       for version in ("3.0", "3.1")
  } | {"tests/cluster/test_release_upgrade.py::test_%s" % name
       for name in ("debian_13", "ganeti_there_and_back")
  } | {"tests/cluster/test_systemd.py::test_daemons_and_instances[-Ganeti's]"}


def collect(*options, releases=" ".join(RELEASES)):
  """Tests on clusters that these options run.

  @rtype: dict
  @return: name without the release -> releases, in order

  """
  result = subprocess.run(
    [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only",
     "--quiet", "tests/cluster"] + list(options), cwd=str(ROOT), check=True,
    env=dict(os.environ, LAB_RELEASES=releases), stdout=subprocess.PIPE,
    universal_newlines=True)
  found = collections.defaultdict(list)
  for line in filter(lambda line: "::" in line, result.stdout.splitlines()):
    release = next((release for release in RELEASES if release in line), "")
    found[line.replace(release, "", 1)].append(release)
  return {name: sorted(some) for name, some in found.items()}


def test_turns():
  """But for a few, all have one, and neither release has few."""
  some = collect()
  assert some == collect()
  everything = collect("--full")
  assert set(everything) - set(some) == FULL
  assert set(some) < set(everything)
  assert set(map(tuple, everything.values())) == {RELEASES, ("", )}
  for release in RELEASES:
    alone = sum(found == [release] for found in some.values())
    assert alone > len(some) / 4
    # Where there is but one release, it has all.
    assert set(collect(releases=release)) == set(some)
  name = "tests/cluster/test_hotplug.py::test_answers[]"
  assert some[name] == list(RELEASES)

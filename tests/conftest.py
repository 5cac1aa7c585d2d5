# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the tree importable as its package is on a node, and says which tests
run, in which order, on which release.

"""

import collections
import os
import pathlib
import sys
import zlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]

sys.path[:0] = [str(ROOT), str(ROOT / "ganeti_virtio_rng/site"),
                str(ROOT / "tests")]


def pytest_addoption(parser):
  parser.addoption("--full", action="store_true", help="run every test on every"
                   " release, where by default most run on one of two, those of"
                   " many instances on none, and those of many steps on some")
  parser.addoption("--keep", action="store_true", help="when a test fails that"
                   " has a cluster, open a shell there; it takes -n0")


def pytest_configure(config):
  if config.option.keep and getattr(config.option, "numprocesses", None):
    raise pytest.UsageError("--keep takes -n0: pytest-xdist's processes have no"
                            " terminal")


@pytest.fixture
def some(request):
  """A function that leaves out two of three items of a list, but with --full.

  """
  full = request.config.option.full
  return lambda items: items if full else items[::3]


def _releases(config):
  """Debian releases to test.

  @rtype: list of str

  """
  from lab.base import RELEASES
  if "LAB_RELEASES" in os.environ:
    return os.environ["LAB_RELEASES"].split()
  return list(RELEASES) if config.option.full else ["bookworm", "trixie"]


def pytest_generate_tests(metafunc):
  if "release" in metafunc.fixturenames:
    metafunc.parametrize("release", _releases(metafunc.config), indirect=True)


def _release(item):
  """The release that a test runs on, or None.

  """
  return hasattr(item, "callspec") and item.callspec.params.get("release")


def _is_excluded(item, release):
  """Whether a test can't run on a release, which its mark not_on says.

  """
  mark = item.get_closest_marker("not_on")
  return mark is not None and release in mark.args


def _has_its_turn(item):
  """Whether a test that runs on one release only runs on this one.

  The test's name decides, so that it is the same one each time.

  """
  if item.config.option.full:
    return True
  if item.get_closest_marker("full"):
    return False
  if not _release(item) or item.get_closest_marker("each_release"):
    return True
  releases = _releases(item.config)
  releases = [release for release in releases
              if not _is_excluded(item, release)] or releases
  (path, _, name) = item.location # its nodeid may have its group's name, too
  name = "%s::%s" % (path, name.replace(_release(item), "", 1))
  turn = zlib.crc32(name.encode()) % len(releases)
  return _release(item) == releases[turn]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
  """Leaves out what runs on another release, and puts the rest into order.

  """
  for item in items:
    if _is_excluded(item, _release(item)):
      reason = item.get_closest_marker("not_on").kwargs["reason"]
      item.add_marker(pytest.mark.skip(reason=reason))
    if item.path.parent.name == "ganeti" and _release(item):
      # They are quick, and those of a file share Ganeti's modules.
      item.add_marker(pytest.mark.each_release)
      item.add_marker(pytest.mark.xdist_group(
        "%s-%s" % (_release(item), item.path.stem)))
  yield # to pytest-xdist, which looks at the marks, and to pytest's own order
  others = [item for item in items if not _has_its_turn(item)]
  config.hook.pytest_deselected(items=others)
  # Long ones first, so that the short ones fill up the end
  items[:] = sorted((item for item in items if _has_its_turn(item)),
                    key=lambda item: (not item.get_closest_marker("long"),
                                      "bare_cluster" not in item.fixturenames,
                                      "release" not in item.fixturenames))


def pytest_terminal_summary(terminalreporter):
  """Says where the time went: for each tier, and each file of the clusters'.

  """
  seconds = collections.Counter()
  tests = collections.defaultdict(set)
  for reports in terminalreporter.stats.values():
    for report in reports:
      if hasattr(report, "when") and report.nodeid:
        path = pathlib.Path(report.nodeid.partition("::")[0])
        part = "/".join(path.parts[1:] if "cluster" in path.parts
                        else path.parts[1:-1])
        seconds[part] += report.duration
        tests[part].add(report.nodeid)
  total = sum(seconds.values())
  if len(seconds) < 2:
    return
  terminalreporter.section("where the time went, of all processes together")
  terminalreporter.write_line("%-36s %5s  %7s  %5s" % ("tests of", "tests",
                                                       "seconds", "share"))
  for (part, taken) in seconds.most_common():
    terminalreporter.write_line("%-36s %5d  %7.0f  %3.0f %%" % (
      part, len(tests[part]), taken, 100 * taken / total))
  terminalreporter.write_line("%-36s %5d  %7.0f" % (
    "all", sum(map(len, tests.values())), total))

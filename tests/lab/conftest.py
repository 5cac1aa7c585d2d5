# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What all lab tests share: the clusters, and what to show when a test fails.

"""

import os

from pathlib import Path

import pytest

from .cluster import Cluster


_RELEASES = os.environ.get("LAB_RELEASES", "bookworm trixie").split()

_BUILD = Path(__file__).parents[2] / "build/package"

#: What an admin would look at when something fails
_LOGS = [
  "var/log/ganeti/node-daemon.log", "var/log/ganeti/jobs.log",
  "var/log/ganeti/commands.log", "var/log/ganeti/kvm/*.log", "var/log/syslog",
  ]

#: The clusters that are up
_clusters = []


@pytest.fixture(scope="session", params=_RELEASES)
def release(request):
  """The Debian release of the nodes: each test runs once on each.

  """
  if os.geteuid() != 0:
    pytest.fail("Lab tests need root")
  return request.param


@pytest.fixture(scope="session")
def deb():
  """The package to test.

  """
  debs = sorted(_BUILD.glob("ganeti-virtio-rng_*.deb"),
                key=lambda path: path.stat().st_mtime)
  if not debs:
    pytest.fail("No package to test: there is no ganeti-virtio-rng_*.deb in"
                " %s" % _BUILD)
  return debs[-1]


@pytest.fixture(scope="session")
def progress(request):
  """Says on the terminal what takes so long, whatever pytest captures.

  """
  reporter = request.config.pluginmanager.getplugin("terminalreporter")
  return lambda text: reporter.write_line("lab: %s" % text)


@pytest.fixture(scope="session")
def cluster(release, deb, progress):
  """A cluster of one node with the package installed.

  All tests share it, and leave it as they found it.

  """
  with Cluster(release, deb=deb, progress=progress) as result:
    _clusters.append(result)
    yield result
    _clusters.remove(result)


@pytest.fixture
def bare_cluster(release, progress):
  """A function that raises a cluster without the package, for one test.

  """
  made = []

  def _raise(nodes=1):
    made.append(Cluster(release, nodes=nodes, progress=progress))
    _clusters.append(made[-1])
    return made[-1]

  yield _raise

  for one in made:
    _clusters.remove(one)
    one.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  # pylint: disable=W0613
  """Shows the end of all logs with each failure.

  """
  outcome = yield
  report = outcome.get_result()
  if report.failed:
    for node in [node for one in _clusters for node in one.nodes]:
      for path in [path for log in _LOGS for path in node.root.glob(log)]:
        lines = path.read_text(errors="replace").splitlines()[-30:]
        title = "%s:/%s" % (node.name, path.relative_to(node.root))
        report.sections.append((title, "\n".join(lines)))

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What all lab tests share: the clusters, and what to show when a test fails.

"""

import contextlib
import functools
import os

import pytest

from lab.cluster import Cluster
from lab.cluster import Instance
from lab.guest import Guest
from lab.guest import GuestError
from lab.package import built_package

pytest.register_assert_rewrite("lab.expectations")


#: What an admin would look at when something fails
_LOGS = [
  "var/log/ganeti/node-daemon.log", "var/log/ganeti/jobs.log",
  "var/log/ganeti/commands.log", "var/log/ganeti/kvm/*.log", "var/log/syslog",
  ]

#: Those of the present test's own
_bare_clusters = []


@pytest.fixture(scope="session")
def release(request):
  """The Debian release of the nodes.

  """
  if os.geteuid() != 0:
    pytest.fail("Lab tests need root")
  return request.param


@pytest.fixture(scope="session")
def deb():
  """The package to test.

  """
  return built_package()


@pytest.fixture(scope="session")
def progress(request):
  """Says on the terminal what takes so long, whatever pytest captures.

  """
  plugins = request.config.pluginmanager
  reporter = plugins.getplugin("terminalreporter")
  capture = plugins.getplugin("capturemanager")

  def _progress(text):
    if reporter: # a worker of pytest-xdist has none
      with capture.global_and_fixture_disabled():
        reporter.write_line("lab: %s" % text)

  return _progress


@pytest.fixture(scope="session")
def shared_cluster(deb, progress):
  """A function that returns the cluster of a release, the same each time.

  It is raised when it is first asked for, and stays until the last test.

  """
  with contextlib.ExitStack() as stack:

    @functools.lru_cache(maxsize=None)
    def _raise(release):
      return stack.enter_context(Cluster(release, nodes=2, deb=deb,
                                         progress=progress, quick=True))

    yield _raise


@pytest.fixture
def cluster(release, shared_cluster):
  """A cluster of two nodes with the package installed.

  Tests share it, and leave it as they found it. Each process of pytest-xdist
  has its own.

  """
  return shared_cluster(release)


@pytest.fixture
def add(cluster):
  """Cluster.add_instance, for instances that a test removes in the end.

  """
  with contextlib.ExitStack() as stack:

    def _add(name, *args, guest=True, **kwargs):
      instance = Instance(cluster, name, guest)
      stack.callback(instance.remove) # it may be there, and not start
      cluster.add_instance(name, *args, guest=guest, **kwargs)
      return instance

    yield _add


@pytest.fixture
def web1(add):
  """An instance without a guest that isn't running yet.

  """
  return add("web1.lab.test", start=False, guest=False)


@pytest.fixture
def candidate(cluster):
  """The second node, which has the configuration, too.

  """
  node = cluster.nodes[1]
  cluster.run("gnt-node modify -C yes %s" % node.name)
  yield node
  cluster.run("gnt-node modify -C no %s" % node.name)


@pytest.fixture
def rapi_user(cluster):
  """A user of the remote API: "me", with the password "secret".

  """
  users = "/var/lib/ganeti/rapi/users"
  cluster.run("mkdir -p {0} && echo 'me secret write' > {1} &&"
              " chown -R gnt-rapi {0}".format(users.rpartition("/")[0], users))
  yield
  cluster.run("rm %s" % users)


@pytest.fixture
def bare_cluster(release, progress):
  """A function that raises a cluster without the package, for one test.

  """
  def _raise(nodes=1):
    _bare_clusters.append(Cluster(release, nodes=nodes, progress=progress,
                                  quick=True))
    return _bare_clusters[-1]

  yield _raise

  while _bare_clusters:
    _bare_clusters.pop().close()


def _clusters_of(item):
  """The clusters that a test has, or had when it failed.

  @rtype: list of L{Cluster}

  """
  funcargs = getattr(item, "funcargs", {})
  return ([funcargs["cluster"]] if "cluster" in funcargs else [])  + (
    _bare_clusters if "bare_cluster" in funcargs else [])


def pytest_exception_interact(node, report):
  """With --keep, opens a shell on the cluster of a test that failed.

  """
  if not node.config.option.keep:
    return
  for cluster in _clusters_of(node)[:1]:
    capture = node.config.pluginmanager.getplugin("capturemanager")
    capture.suspend_global_capture(in_=True)
    try:
      print("\n%s\n%s failed. A shell on its cluster, before that is gone:" %
            (report.longreprtext, node.nodeid), flush=True)
      cluster.master.shell()
    finally:
      capture.resume_global_capture()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  """Shows the end of all logs with each failure.

  """
  outcome = yield
  report = outcome.get_result()
  if report.failed:
    for node in [node for one in _clusters_of(item) for node in one.nodes]:
      for path in [path for log in _LOGS for path in node.root.glob(log)]:
        lines = path.read_text(errors="replace").splitlines()[-30:]
        title = "%s:/%s" % (node.name, path.relative_to(node.root))
        report.sections.append((title, "\n".join(lines)))
      for path in node.root.glob("run/ganeti/kvm-hypervisor/pid/*"):
        report.sections.append(("%s on %s" % (path.name, node.name),
                                _describe(node, path)))


def _describe(node, pidfile):
  """Tells of a running instance: QEMU's command line and the guest's messages.

  """
  text = []
  try:
    cmdline = node.root / "proc" / pidfile.read_text().strip() / "cmdline"
    text.append(cmdline.read_text().replace("\0", " "))
    serial = pidfile.parents[1] / "ctrl" / ("%s.serial" % pidfile.name)
    text.append(Guest(str(serial), 5).run("dmesg | tail -n 20"))
  except (OSError, GuestError) as error:
    text.append(str(error))
  return "\n".join(text)

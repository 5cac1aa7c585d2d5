# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Ganeti where others put it, and the wheel in place of the package.

Ganeti's real files are moved on a node of no cluster, and its real node daemon
runs there, without TLS. The hook, the command and the package's scripts find
them by Ganeti's own paths, and say what they can't find.

"""

import collections
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest

from lab.node import Node
from lab.node import Rack

BUILD = pathlib.Path(__file__).parents[2] / "build/package"

#: Debian's pip, which its python3-venv comes with; the nodes have none
PIP = pathlib.Path("/usr/share/python-wheels")

#: Folders that Ganeti is in: what is Python, with the modules, what is not, and
#: links to the commands
Layout = collections.namedtuple("Layout", ["share", "lib", "sbin"])

LAYOUTS = {
  "debian": Layout("/usr/share/ganeti", "/usr/lib/ganeti", "/usr/sbin"),
  # ./configure && make install, with --localstatedir and --sysconfdir
  "source": Layout("/usr/local/share/ganeti", "/usr/local/lib/ganeti",
                   "/usr/local/sbin"),
  # --prefix=/usr --libdir=/usr/lib64
  "rpm": Layout("/usr/share/ganeti", "/usr/lib64/ganeti", "/usr/sbin"),
  # and then the modules in one of Python's own folders: see _FLATTEN
  "python": Layout("/usr/share/ganeti", "/usr/lib64/ganeti", "/usr/sbin"),
  # --prefix=/opt/ganeti; its sbin is in no path but the admin's
  "opt": Layout("/opt/ganeti/share/ganeti", "/opt/ganeti/lib/ganeti",
                "/opt/ganeti/sbin"),
  }

#: Put Ganeti's files to the places that the environment says
_MOVE = pathlib.Path(__file__).with_name("layout_move")
_FLATTEN = pathlib.Path(__file__).with_name("layout_flatten")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
  """The wheel, built from what a release would contain.

  """
  path = tmp_path_factory.mktemp("wheel")
  with tarfile.open(next(BUILD.glob("*.tar.gz"))) as archive:
    archive.extractall(path)
  result = subprocess.run(
    [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir",
     str(path), str(next(path.iterdir()))],
    check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    encoding="utf-8")
  assert result.returncode == 0, result.stdout
  return next(path.glob("*.whl"))


@pytest.fixture
def bare_node(release, progress):
  """A node of no cluster, without the package.

  """
  rack = Rack()
  try:
    node = Node(release, "node1.lab.test", "10.77.0.1", rack, {}, progress)
    try:
      yield node
    finally:
      node.stop()
  finally:
    rack.close()


@pytest.fixture
def place(bare_node):
  """A function that puts Ganeti to another place and starts its node daemon.

  It returns the path of Ganeti's daemon-util.

  """
  def _place(name):
    layout = LAYOUTS[name]
    programs = {"debian": [], "python": [_MOVE, _FLATTEN]}.get(name, [_MOVE])
    for program in programs:
      bare_node.run("share={} lib={} sbin={} sh {}".format(
        *layout, bare_node.copy(program)))
    # Nothing is left for a path that is written down somewhere.
    for old in set(LAYOUTS["debian"]) - set(layout):
      assert bare_node.run("find %s -name 'gnt-*' -o -name 'ganeti*'" % old,
                           check=False).stdout == ""
    # No cluster has given it a certificate.
    bare_node.run("sed -i 's/^NODED_ARGS=.*/NODED_ARGS=\"--no-mlock"
                  " --no-ssl\"/' /etc/default/ganeti")
    daemon_util = "%s/daemon-util" % layout.lib
    bare_node.run("%s start ganeti-noded" % daemon_util)
    assert pid(bare_node)
    assert not knows(bare_node)
    assert "gnt-cluster (ganeti" in bare_node.run(
      "%s/gnt-cluster --version" % layout.sbin).stdout
    return daemon_util

  return _place


def pid(node):
  """Process id of the node daemon.

  """
  return node.run("cat /run/ganeti/ganeti-noded.pid").stdout.strip()


def knows(node):
  """Whether the node daemon has loaded the package.

  """
  maps = node.run("cat /proc/%s/maps" % pid(node)).stdout
  return "/ganeti_virtio_rng/_core" in maps


def commands_know(node, command="gnt-cluster"):
  """Whether the parameter is there in what a command of Ganeti's imports.

  """
  # As Python does it for a script: its folder, links resolved, comes first.
  probe = ("import os, sys; sys.path[0] = os.path.dirname(sys.argv[1]);"
           " from ganeti import constants;"
           " print('virtio_rng' in constants.HVS_PARAMETER_TYPES)")
  script = node.run("readlink -f $(command -v %s)" % command).stdout.strip()
  return node.run("$(head -n 1 {0} | cut -c 3-) -c \"{1}\" {0}".format(
    script, probe)).stdout == "True\n"


def check(node, command="ganeti-virtio-rng"):
  """What the command check says, and its exit status.

  """
  result = node.run("%s check" % command, check=False)
  assert result.stderr == ""
  lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
  return lines, result.returncode


def expect_in_effect(node):
  """Everything that finds Ganeti has found it.

  """
  assert commands_know(node)
  lines, status = check(node)
  assert re.fullmatch(r"3\.\d\S+, knows virtio_rng", lines["Ganeti"])
  assert lines["ganeti-noded"] == "knows virtio_rng"
  assert lines["ganeti-rapi"] == "does not run"
  assert lines["/dev/random"] == lines["/dev/urandom"] == "usable"
  assert status == 0
  # Whatever the path, as cron's
  assert "Instance" in node.run("env PATH=/usr/bin:/bin $(command -v"
                                " ganeti-virtio-rng) status").stdout


@pytest.mark.parametrize("layout", ["debian", "source", "rpm", "python"])
def test_package(bare_node, place, deb, layout):
  """Installed and removed: each time the daemon is restarted."""
  place(layout)
  before = pid(bare_node)
  # dpkg may be run with a path that lacks /usr/local.
  result = bare_node.run("PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg -i %s" %
                         bare_node.copy(deb))
  assert "Restarting ganeti-noded, so that it knows" in result.stdout
  assert result.stderr == ""
  assert pid(bare_node) != before
  assert knows(bare_node)
  expect_in_effect(bare_node)

  before = pid(bare_node)
  result = bare_node.run("PATH=/usr/sbin:/usr/bin:/sbin:/bin"
                         " dpkg -r ganeti-virtio-rng")
  assert "Restarting ganeti-noded, so that it forgets" in result.stdout
  assert result.stderr == ""
  assert pid(bare_node) != before
  assert not knows(bare_node)
  assert not commands_know(bare_node)


def pip_install(node, wheel, python="/usr/bin/python3", options=""):
  [pip] = PIP.glob("pip-*.whl")
  # It asks for what Python 3.12 and later lack, and does without.
  program = ("import pkgutil, sys; sys.path.insert(0, '%s');"
             " pkgutil.ImpImporter = type('ImpImporter', (), {});"
             " from pip._internal.cli.main import main; sys.exit(main())" %
             node.copy(pip))
  node.run("%s -c \"%s\" install --no-index --no-deps %s %s" %
           (python, program, options, node.copy(wheel)))


@pytest.mark.parametrize("layout, linked", [("debian", False), ("rpm", True)])
def test_wheel(bare_node, place, wheel, layout, linked):
  """No script of it restarts a daemon: check says what to run."""
  daemon_util = place(layout)
  if linked: # to another disk, whose path is what processes say
    bare_node.run("mv /usr/local /srv && ln -s /srv/local /usr")
  pip_install(bare_node, wheel, options="--break-system-packages")
  assert bare_node.run("command -v ganeti-virtio-rng").stdout.startswith(
    "/usr/local/bin/")
  assert commands_know(bare_node)
  lines, status = check(bare_node)
  assert lines["Ganeti"].endswith(", knows virtio_rng")
  restart = "{0} stop ganeti-noded; {0} start ganeti-noded".format(daemon_util)
  assert lines["ganeti-noded"] == (
    "ERROR: was started before this version of the package was installed;"
    " run '%s'" % restart)
  assert status == 1
  bare_node.run(restart)
  assert knows(bare_node)
  expect_in_effect(bare_node)


def test_wheel_in_another_python(bare_node, place, wheel):
  """It isn't in effect in Ganeti's own, whatever this one could load."""
  place("debian")
  bare_node.run("/usr/bin/python3 -m venv --without-pip --system-site-packages"
                " /opt/venv")
  pip_install(bare_node, wheel, "/opt/venv/bin/python")
  assert not commands_know(bare_node)
  lines, status = check(bare_node, "/opt/venv/bin/ganeti-virtio-rng")
  assert "ERROR: " in lines["Ganeti"]
  assert ("in /usr/bin/python3: ModuleNotFoundError: No module named"
          " 'ganeti_virtio_rng_finder'") in lines["Ganeti"]
  assert status == 1


def test_commands_in_no_path(bare_node, place, deb):
  """Whoever has them in the path is served, and others are told."""
  daemon_util = place("opt")
  before = pid(bare_node)
  install = "dpkg -i %s" % bare_node.copy(deb)
  result = bare_node.run(install)
  assert "no daemon is restarted" in result.stdout
  assert result.stderr == ""
  assert pid(bare_node) == before
  # All that Python starts is extended, wherever it is.
  assert commands_know(bare_node, "/opt/ganeti/sbin/gnt-cluster")
  # Nor does a folder of that name count, here or above.
  for folder in ("/var/lib", "/var/lib/ganeti"):
    lines, status = check(bare_node, "cd %s; ganeti-virtio-rng" % folder)
    assert "ERROR: its modules can't be loaded" in lines["Ganeti"]
    assert "No module named 'ganeti'" in lines["Ganeti"]
    assert status == 1

  path = "PATH=$PATH:/opt/ganeti/sbin "
  lines, status = check(bare_node, path + "ganeti-virtio-rng")
  assert lines["Ganeti"].endswith(", knows virtio_rng")
  assert daemon_util in lines["ganeti-noded"]
  assert status == 1
  bare_node.run(path + install)
  assert pid(bare_node) != before
  assert knows(bare_node)

  # A script that wraps a command has no modules next to it.
  bare_node.run("mkdir '/srv/my bin'; cd '/srv/my bin'; printf '#!/bin/sh\nexec"
                " /opt/ganeti/sbin/gnt-cluster \"$@\"\n' > gnt-cluster;"
                " chmod +x gnt-cluster")
  path = "PATH='/srv/my bin':$PATH:/opt/ganeti/sbin "
  (lines, status) = check(bare_node, path + "ganeti-virtio-rng")
  assert lines["Ganeti"].endswith(", knows virtio_rng")
  assert status == 0
  before = pid(bare_node)
  bare_node.run(path + install)
  assert pid(bare_node) != before

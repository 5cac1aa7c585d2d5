# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What dpkg runs: the package comes and goes whatever Ganeti's daemons do, and
goes only when nobody needs it any more.

"""

import fcntl
import json
import pathlib
import re
import subprocess

import pytest

from lab.expectations import PACKAGE
from lab.expectations import daemons
from lab.expectations import essence
from lab.expectations import expect
from lab.expectations import verify
from lab.expectations import wait_for

ROOT = pathlib.Path(__file__).parents[2]

#: The last commit of version 0.1
OLD_COMMIT = "69caff1"

DAEMON_UTIL = "/usr/lib/ganeti/daemon-util"

SITE = "/usr/lib/python3/dist-packages"

REMOVE = "DEBIAN_FRONTEND=noninteractive dpkg -r ganeti-virtio-rng"

QUESTION = "ganeti-virtio-rng ganeti-virtio-rng/remove-with-values boolean"

#: What dpkg and the package say where there is nothing to say
USUAL = re.compile(r"\(Reading database|Removing |Purging |Restarting ganeti-")


def status(node):
  """The first word of dpkg -l, such as "ii".

  """
  return node.run("dpkg -l ganeti-virtio-rng").stdout.splitlines()[-1][:3].strip()


def known(cluster):
  """Whether Ganeti knows the parameter.

  """
  return "virtio_rng" in cluster.run("gnt-cluster info").stdout


def runs(node, daemon):
  return node.run("%s check %s" % (DAEMON_UTIL, daemon),
                  check=False).returncode == 0


def unusual(result):
  """Lines that an admin would stop at.

  """
  return [line for line in (result.stdout + result.stderr).splitlines()
          if not USUAL.match(line)]


def traces(node):
  return node.run("find / -xdev -name '*ganeti[-_]virtio[-_]rng*' -not -path"
                  " '/tmp/*' -not -path '/proc/*'").stdout.split()


@pytest.fixture
def node(bare_cluster, deb):
  """The one node of a cluster, with the package.

  """
  cluster = bare_cluster()
  cluster.master.install(deb)
  cluster.master.cluster = cluster
  return cluster.master


def test_removal_where_nobody_set_a_value(bare_cluster, deb):
  """In any order, silently, and nothing is left."""
  cluster = bare_cluster(nodes=2)
  web1 = cluster.add_instance("web1.lab.test", start=False, guest=False)
  (complaints, configuration) = (verify(cluster), cluster.configuration)
  for node in cluster.nodes:
    node.install(deb)
  assert known(cluster)
  web1.start()
  expect(web1, "/dev/random")
  before = daemons(cluster.master)
  for (node, command) in zip(cluster.nodes, ("-r", "--purge")):
    result = node.run("dpkg %s ganeti-virtio-rng" % command)
    assert unusual(result) == []
    assert runs(node, "ganeti-noded")
  cluster.run("dpkg --purge ganeti-virtio-rng")
  for node in cluster.nodes:
    assert traces(node) == []
  after = daemons(cluster.master)
  assert not set(before.items()) & set(after.items())
  assert not known(cluster)
  assert verify(cluster) == complaints
  # Jobs go on, and what runs.
  cluster.run("gnt-cluster modify -H kvm:acpi=true")
  web1.modify("-H acpi=true")
  web1.modify("-H acpi=default")
  assert essence(cluster.configuration) == essence(configuration)
  web1.migrate()
  expect(web1, "/dev/random")
  web1.reboot("hard")
  expect(web1, None)


def test_refusal(node):
  """All is as it was, and the text is enough to go on."""
  cluster = node.cluster
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  cluster.run("gnt-os modify -H kvm:virtio_rng=off noop+other")
  before = (daemons(node), node.run("find %s" % SITE).stdout)
  for (command, state) in ((REMOVE, "ri"),
                           (REMOVE.replace("-r", "--purge", 1), "pi")):
    result = node.run(command, check=False)
    assert result.returncode == 1
    assert "the cluster, OSes (1)" in result.stderr
    assert "version 0.1" not in result.stderr
    for text in ("ganeti-virtio-rng clear\n", "dpkg -r ganeti-virtio-rng",
                 '"%s"' % state, QUESTION + " true"):
      assert text in result.stderr
    assert status(node) == state
    assert (daemons(node), node.run("find %s" % SITE).stdout) == before
    assert "virtio_rng: urandom" in cluster.run("gnt-cluster info").stdout
    instance = cluster.add_instance("web1.lab.test", guest=False)
    assert "/dev/urandom" in " ".join(instance.argv())
    instance.remove()

  # A script in the place of the command has no modules next to it.
  node.run("dpkg-divert --quiet --rename --divert /usr/sbin/gnt-cluster.distrib"
           " /usr/sbin/gnt-cluster; cat > /usr/sbin/gnt-cluster;"
           " chmod +x /usr/sbin/gnt-cluster",
           input="#!/bin/sh\nexec gnt-cluster.distrib \"$@\"\n")
  result = node.run(REMOVE, check=False)
  assert result.returncode == 1
  assert "the cluster, OSes (1)" in result.stderr

  # as the text says
  [keep] = re.findall("echo .*dpkg --set-selections", result.stderr)
  node.run(keep)
  assert status(node) == "ii"
  node.run("ganeti-virtio-rng clear --yes")
  assert unusual(node.run(REMOVE)) == []
  assert not known(cluster)


def test_bytecode_of_another_build(bare_cluster, deb):
  """Its sources had the same date, and perhaps the same size."""
  node = bare_cluster(nodes=0).start_node()
  version = "python3 -c 'import ganeti_virtio_rng as it; print(it.__version__)'"
  node.install(deb)
  is_so = node.run(version).stdout
  node.run("dpkg --unpack " + node.copy(deb))
  node.run("cd %s; cp -a __init__.py /tmp; sed -i 's/^__version__ =.*/"
           "__version__ = \"0.x\"/' __init__.py; touch -r /tmp/__init__.py"
           " __init__.py; %s; cp -a /tmp/__init__.py ." % (PACKAGE, version))
  assert node.run(version).stdout == "0.x\n"
  node.run("dpkg --configure ganeti-virtio-rng")
  assert node.run(version).stdout == is_so


def test_default_of_0_1(node):
  """It counts as set, and the text says what it may be."""
  node.run("gnt-cluster modify -H kvm:virtio_rng=random")
  result = node.run(REMOVE, check=False)
  assert result.returncode == 1
  assert "default that version 0.1" in result.stderr


def test_forced_removal(node, deb):
  """By preseeding, once; by answering; not by a debconf that is broken."""
  cluster = node.cluster
  # for a removal that does not ask
  node.run("echo %s true | debconf-set-selections" % QUESTION)
  assert unusual(node.run(REMOVE)) == []
  node.install(deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off")
  result = node.run(REMOVE, check=False)
  assert result.returncode == 1
  command = re.search("echo ganeti-virtio-rng .*true [|]\n.*", result.stderr)
  node.run(command.group())
  assert unusual(node.run(REMOVE)) == []
  assert status(node) == "rc"
  assert "Unknown parameter 'virtio_rng'" in cluster.run(
    "gnt-cluster modify -H kvm:virtio_rng=off", check=False).stderr

  node.install(deb)
  assert node.run(REMOVE, check=False).returncode == 1
  # Newer ones ask only on a terminal.
  teletype = ("DEBIAN_FRONTEND=teletype script -qec"
              " 'dpkg --purge ganeti-virtio-rng' /dev/null")
  assert node.run(teletype, input="no\n", check=False).returncode == 1
  for (broken, mended) in [
      ("mv /usr/bin/debconf /usr/bin/debconf.kept",
       "mv /usr/bin/debconf.kept /usr/bin/debconf"),
      ("mv /usr/share/debconf/confmodule /tmp",
       "mv /tmp/confmodule /usr/share/debconf")]:
    node.run(broken)
    result = node.run(teletype, input="yes\n", check=False)
    assert result.returncode == 1
    assert "The package is not removed and stays" in result.stdout
    node.run(mended)
  node.run(teletype, input="yes\n")
  assert traces(node) == []


def test_removal_from_another_node(bare_cluster, deb):
  """Only a master's configuration matters. If it can't be read, that is said.

  """
  cluster = bare_cluster(nodes=2)
  for node in cluster.nodes:
    node.install(deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=off")
  assert unusual(cluster.nodes[1].run(REMOVE)) == []
  # also where that can't be told
  cluster.run("gnt-node modify -C yes %s" % cluster.nodes[1].name)
  cluster.nodes[1].install(deb)
  cluster.nodes[1].run(": > /usr/sbin/ganeti-virtio-rng")
  assert unusual(cluster.nodes[1].run(REMOVE)) == [
    "Whether values of virtio_rng are set can't be told:",
    "The command says nothing."]
  # and that of a Ganeti that nothing leads to
  cluster.run("mv /usr/sbin/gnt-cluster /usr/share/ganeti/default /root")
  assert "Whether values of virtio_rng are set can't be told:" in unusual(
    cluster.run(REMOVE))


@pytest.mark.parametrize("removes", [False, True], ids=["install", "remove"])
def test_daemon_that_does_not_start(bare_cluster, deb, removes):
  """The package is installed, or removed, and says what to do."""
  node = bare_cluster().master
  command = "dpkg -i %s" % node.copy(deb)
  if removes:
    node.run(command)
    command = REMOVE
  assert runs(node, "ganeti-noded")
  node.run("mv /var/lib/ganeti/server.pem /tmp")
  result = node.run(command)
  assert status(node) == ("rc" if removes else "ii")
  assert "ganeti-noded does not run" in result.stdout
  assert "ganeti-watcher" in result.stdout
  assert not runs(node, "ganeti-noded")
  node.run("mv /tmp/server.pem /var/lib/ganeti")
  [start] = re.findall("'(.* start ganeti-noded)'", result.stdout)
  node.run(start)
  assert runs(node, "ganeti-noded")


def test_daemon_that_does_not_run(bare_cluster, deb):
  """It isn't started."""
  node = bare_cluster().master
  node.run("%s stop ganeti-rapi" % DAEMON_UTIL)
  node.install(deb)
  assert not runs(node, "ganeti-rapi")
  assert runs(node, "ganeti-noded")
  node.run(REMOVE)
  assert not runs(node, "ganeti-rapi")


#: Ganeti's daemon-util, where whoever stops a daemon is killed then
_KILLS = """#!/bin/sh
[ "$1" = stop ] || exec "$0.kept" "$@"
"$0.kept" "$@"
kill -9 $PPID
"""


@pytest.mark.parametrize("daemon", ["noded", "rapi"])
def test_killed_while_a_daemon_restarts(bare_cluster, deb, daemon):
  """The next try starts it."""
  node = bare_cluster().master
  if daemon == "rapi":
    node.run("%s stop ganeti-noded" % DAEMON_UTIL)
  for command, again in (("dpkg -i %s" % node.copy(deb), "dpkg --configure -a"),
                         (REMOVE, REMOVE)):
    assert runs(node, "ganeti-" + daemon)
    node.run("mv {0} {0}.kept; cat > {0}; chmod +x {0}".format(DAEMON_UTIL),
             input=_KILLS)
    assert node.run(command, check=False).returncode
    node.run("mv {0}.kept {0}".format(DAEMON_UTIL))
    assert not runs(node, "ganeti-" + daemon)
    node.run(again)
    assert runs(node, "ganeti-" + daemon)
    assert not list(node.root.glob("run/ganeti-virtio*"))


def test_policy(bare_cluster, deb):
  """The local administrator's word on restarts counts."""
  node = bare_cluster().master
  policy = node.root / "usr/sbin/policy-rc.d"
  before = daemons(node)
  # forbidden; an error, which invoke-rc.d doesn't take for permission either
  for command, answer in (("dpkg -i %s" % node.copy(deb), 101), (REMOVE, 102)):
    policy.write_text('#!/bin/sh\n[ "$*" = "ganeti restart" ] && exit %d\n' %
                      answer)
    policy.chmod(0o755)
    output = node.run(command).stdout
    assert "ganeti-noded is not restarted, as policy-rc.d forbids" in output
    assert daemons(node) == before
  policy.write_text("#!/bin/sh\nexit 104\n")
  node.run("SECRET=1 dpkg -i %s" % node.copy(deb))
  after = daemons(node)
  assert not set(before.items()) & set(after.items())
  # QEMU gets the environment of the node daemon.
  environment = node.run("cat /proc/%s/environ" % after["noded"].strip()).stdout
  assert "PATH=" in environment and "SECRET" not in environment


def test_in_a_chroot(bare_cluster, deb):
  """Its daemons are not the system's, even if it has the system's /run."""
  node = bare_cluster().master
  node.run("mount -t tmpfs none /mnt; for path in /*; do if [ -L $path ]; then"
           " cp -a $path /mnt; elif [ $path != /mnt ]; then mkdir /mnt$path;"
           " mount --bind $path /mnt$path; fi; done")
  before = daemons(node)
  result = node.run("chroot /mnt dpkg -i %s" % node.copy(deb))
  assert "This is a chroot: no daemon is restarted" in result.stdout
  assert status(node) == "ii"
  assert daemons(node) == before
  # What has mounts of its own, as a service may have, is none.
  result = node.run("unshare --mount sh -c 'mount -t tmpfs none /srv; dpkg -i"
                    " %s'" % node.copy(deb))
  assert "Restarting ganeti-noded" in result.stdout


def test_node_without_ganeti_daemon_util(bare_cluster, deb):
  """Ganeti that is there in part is no reason to fail."""
  node = bare_cluster().master
  node.run("mv /usr/share/ganeti/default/ganeti/pathutils.py /tmp")
  assert "no daemon is restarted" in node.run("dpkg -i %s" % node.copy(deb)
                                              ).stdout
  assert status(node) == "ii"


@pytest.fixture(scope="session")
def old_deb(tmp_path_factory):
  """The package of version 0.1, built from the history.

  """
  tree = tmp_path_factory.mktemp("old")
  if not (ROOT / ".git").exists():
    pytest.skip("A release has no history, and so no version 0.1")
  archive = subprocess.run(["git", "-C", str(ROOT), "archive", OLD_COMMIT],
                           stdout=subprocess.PIPE, check=True)
  subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout,
                 check=True)
  with open(str(ROOT / "pyproject.toml")) as lock:
    # It calls apt, of which there can be one at a time.
    fcntl.flock(lock, fcntl.LOCK_EX)
    subprocess.run([str(tree / "tests/package")], stdout=subprocess.DEVNULL,
                   check=True)
  return next(tree.glob("build/package/ganeti-virtio-rng_*.deb"))


def cut(word):
  """A file of the command that has lost what follows a word."""
  return "sed -i '/%s/{s/%s.*/%s/;q}' %s/cli/clear.py" % (word, word, word,
                                                          PACKAGE)


@pytest.mark.parametrize("damage, reason", [
  ("echo '(' > %s/cli/clear.py" % PACKAGE, "SyntaxError: "),
  (cut("not the master of"), "SyntaxError: "),
  (": > /usr/sbin/ganeti-virtio-rng", "The command says nothing."),
  ], ids=["no Python", "cut", "empty"])
def test_removal_of_a_damaged_package(node, deb, damage, reason):
  """It can't tell whose values are set, but whether there are some.

  The node's name is the one that Ganeti goes by, whatever others have.

  """
  node.run("sed -i 's/node1.lab.test node1/NODE1 NODE1.lab.test/' /etc/hosts;"
           " hostname NODE1; gnt-cluster modify -H kvm:virtio_rng=off")
  node.run(damage)
  result = node.run(REMOVE, check=False)
  assert result.returncode == 1
  assert ("What lists them fails. If the\npackage is damaged, install it again"
          " first: " + reason) in result.stderr
  assert "post-installation" not in result.stderr
  assert status(node) == "ri"

  node.install(deb)
  node.run("ganeti-virtio-rng clear --yes")
  node.run(damage)
  assert unusual(node.run(REMOVE)) == []


@pytest.mark.xdist_group("0.1")
def test_upgrade_where_it_was_disabled(bare_cluster, deb, old_deb):
  """What disable saved is printed, as what would set it again."""
  cluster = bare_cluster()
  node = cluster.master
  node.install(old_deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  cluster.run("gnt-os modify -H kvm:virtio_rng=random noop+other")
  web1 = cluster.add_instance("web1.lab.test", "-H kvm:virtio_rng=off",
                              start=False)
  cluster.add_instance("web2.lab.test", "-H kvm:virtio_rng=urandom",
                       start=False)
  node.run("ganeti-virtio-rng disable --yes")
  settings = node.root / "var/lib/ganeti-virtio-rng/settings.json"
  saved = json.loads(settings.read_text())
  node.run(": > /run/ganeti-virtio-rng.ganeti-noded")
  # One that a former master can't give a name.
  uuid = next(uuid for uuid, value in saved["instances"].items()
              if value == "off")
  config = node.root / "var/lib/ganeti/config.data"
  assert uuid in config.read_text()
  node.run("sed -i.kept s/%s/00000000-0000-0000-0000-000000000000/ %s" %
           (uuid, "/var/lib/ganeti/config.data"))
  result = node.run("dpkg -i %s" % node.copy(deb))
  node.run("mv /var/lib/ganeti/config.data.kept /var/lib/ganeti/config.data")

  assert "in effect again" in result.stdout
  assert result.stderr == ""
  commands = [line for line in result.stdout.splitlines()
              if line.startswith("gnt-")]
  assert commands[:2] == ["gnt-cluster modify -H kvm:virtio_rng=urandom",
                          "gnt-os modify -H kvm:virtio_rng=random noop+other"]
  assert ("gnt-instance modify -H virtio_rng=urandom web2.lab.test"
          in commands[2:])
  assert len(commands) == 4
  assert node.run("ls -d /var/lib/*virtio* /run/*virtio*", check=False
                  ).stdout == ""

  # They are what the user would run.
  for command in commands:
    cluster.run(command)
  listed = node.run("ganeti-virtio-rng clear --dry-run").stdout.splitlines()
  assert listed == commands[:2] + [
    "gnt-instance modify -H virtio_rng=off %s" % web1.name,
    "gnt-instance modify -H virtio_rng=urandom web2.lab.test"]
  # Nothing more of that when it is installed once more.
  assert "gnt-" not in node.run("dpkg -i /tmp/%s" % deb.name).stdout


@pytest.mark.long
@pytest.mark.xdist_group("0.1")
def test_upgrade_step_by_step(bare_cluster, deb, old_deb, some):
  """Each Python works between any two of dpkg's steps, and nothing is left."""
  cluster = bare_cluster()
  node = cluster.master
  node.install(old_deb)
  cluster.run("gnt-cluster modify -H kvm:virtio_rng=urandom")
  node.copy(deb)
  trace = node.root / "tmp/trace"
  process = node.popen("exec strace -o /tmp/trace -e trace=rename,unlink -e"
                       " inject=rename,unlink:signal=STOP dpkg --unpack /tmp/%s"
                       % deb.name)
  stop = "--- stopped by SIGSTOP ---"
  seen = changes = 0
  looks = some(range(1, 1000))
  while True:
    wait_for(lambda: process.poll() is not None or
             trace.exists() and trace.read_text().count(stop) > seen,
             interval=0.02)
    if process.poll() is not None:
      break
    seen += 1
    steps = [line for line in trace.read_text().splitlines()
             if not line.startswith("---")]
    if re.search(r'dist-packages/ganeti_virtio_rng[^-"]*"[^"]*$', steps[-1]):
      changes += 1
      result = node.run("python3 -c 'print(1)'")
      assert (result.stdout, result.stderr) == ("1\n", ""), steps[-1]
      if changes in looks:
        assert node.run("gnt-cluster info").stderr == "", steps[-1]
    node.run("pkill -CONT -x dpkg")
  assert process.returncode == 0, process.communicate()
  process.communicate()
  assert changes > 30

  node.run("dpkg --configure -a")
  # Python has written bytecode of what was there in between.
  files = set(node.run("find %s -path '*ganeti_virtio_rng*'" % SITE
                       ).stdout.split())
  assert not [path for path in files if path.endswith(".pyc") and
              re.sub("__pycache__/([^.]*).*", "\\1.py", path) not in files]
  assert "virtio_rng: urandom" in cluster.run("gnt-cluster info").stdout

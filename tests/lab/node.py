# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Nodes: Debian systems in Linux namespaces, and the network between them.

All of it ends with the thread that made it: the kernel kills the first process
of each set of namespaces, and with that one all others.

"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

from pathlib import Path

from .base import node_base


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: The shell's program that is the first process of a node's namespaces
_BOOT = Path(__file__).with_name("node_boot")


class CommandError(Exception):
  """A command on a node failed; the text tells all about it.

  """


def _mortal(*command):
  """Returns a command that is killed when the calling thread ends.

  """
  return ["setpriv", "--pdeathsig", "KILL"] + list(command)


class Rack:
  """What nodes share: an Ethernet switch and a file system.

  The switch is a bridge in a network namespace, and the file system a tmpfs in
  a mount namespace that those of the nodes are copies of.

  """
  def __init__(self):
    self._holder = subprocess.Popen(
      _mortal("unshare", "--net", "--mount", "--propagation", "private",
              "sh", "-ec",
              "mount -t tmpfs -o mode=755 shared /mnt;"
              " ip link add lab type bridge; ip link set lab up; echo;"
              " exec sleep infinity"),
      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    if not self._holder.stdout.readline():
      raise RuntimeError("Can't make a network for the nodes")

  def command(self, *command):
    """Returns a command that sees the file system, at /mnt.

    """
    return ["nsenter", "--target", str(self._holder.pid), "--mount"] + list(
      command)

  def plug(self, name, pid, address):
    """Gives a process's network namespace a link to the switch, named gnt0.

    @type name: str
    @param name: name of the switch's port
    @type pid: int
    @type address: str
    @param address: the IPv4 address that it will have

    """
    # One hardware address for good: a node that replaces another of the same
    # name is reached at once.
    mac = "02:00:%02x:%02x:%02x:%02x" % tuple(map(int, address.split(".")))
    # Of a node that was stopped, the kernel may not have removed it yet.
    script = ("ip link del {0} 2> /dev/null || true;"
              " ip link add {0} type veth peer name gnt0 address {1} netns {2};"
              " ip link set {0} master lab up".format(name, mac, pid))
    subprocess.run(["nsenter", "--target", str(self._holder.pid), "--net",
                    "sh", "-ec", script], check=True)

  def close(self):
    """Removes both.

    """
    self._holder.kill()
    self._holder.wait()
    self._holder.stdout.close()


class Node:
  """A running node.

  @ivar name: its full host name
  @ivar address: its IPv4 address
  @ivar root: path of its root directory, to read and write its files; mind
      that an absolute symbolic link in there leads to the machine's own files
  @cvar INIT: the shell's program that starts what runs on it

  """
  INIT = Path(__file__).with_name("node_init")

  def __init__(self, release, name, address, rack, hosts, progress, saved=None):
    """Starts a node.

    @type release: str
    @type name: str
    @type address: str
    @type rack: L{Rack}
    @type hosts: dict
    @param hosts: names that the node knows, with their addresses
    @type progress: callable
    @param progress: called with a line of text before each slow step
    @type saved: Path or None
    @param saved: what a node of this name had written, see L{save}

    """
    self.name = name
    self.address = address
    layers = [str(path) for path in (saved, node_base(release, progress))
              if path]
    self._holder = subprocess.Popen(
      _mortal(*rack.command(
        "unshare", "--mount", "--uts", "--net", "--pid", "--ipc", "--fork",
        "--kill-child", "sh", "-c", _BOOT.read_text() + self.INIT.read_text(),
        "node", ":".join(layers), name)),
      env={"PATH": _PATH}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, encoding="utf-8", start_new_session=True)
    messages = []
    with self._holder.stdout as lines:
      for line in lines:
        messages.append(line)
        if line.strip().isdigit():
          break
      else:
        self._holder.wait()
        raise RuntimeError("Node %s doesn't start:\n%s" %
                           (name, "".join(messages)))
    self._pid = int(messages[-1])
    self.root = Path("/proc/%d/root" % self._pid)

    try:
      rack.plug(name.split(".")[0], self._pid, address)
      hosts_file = "".join("%s %s %s\n" % (ip, host, host.split(".")[0])
                           for (host, ip) in hosts.items())
      (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n" +
                                           hosts_file)
      self.run("ip addr add %s/24 dev gnt0 && ip link set gnt0 up &&"
               " ip link add br0 type bridge && ip link set br0 up" % address)
    except BaseException:
      self.stop()
      raise

  def _enter(self, command):
    # The shell dies with nsenter, so that a command that is given up ends
    return ["nsenter", "--target", str(self._pid), "--mount", "--uts", "--net",
            "--pid", "--ipc"] + _mortal("sh", "-c", command)

  def run(self, command, check=True, input=None, timeout=600):
    """Runs a command on the node.

    @type command: str
    @param command: for the shell
    @type check: bool
    @param check: whether to raise L{CommandError} if it fails
    @type input: str or None
    @param input: what the command reads from its standard input
    @type timeout: float
    @param timeout: seconds until it is killed, which raises L{CommandError}
    @rtype: subprocess.CompletedProcess

    """
    with self.popen(command) as process:
      try:
        (stdout, stderr) = process.communicate(input, timeout)
        status = "exit status %d" % process.returncode
      except subprocess.TimeoutExpired as error:
        # Not what comes after: its children may keep the pipes open
        (stdout, stderr) = [(data or b"").decode("utf-8", "replace")
                            for data in (error.stdout, error.stderr)]
        status = "killed after %s s" % timeout
        check = True
      finally:
        process.kill()

    if check and process.returncode != 0:
      raise CommandError("%s on %s: %s\n-- stdout:\n%s\n-- stderr:\n%s" %
                         (status, self.name, command, stdout, stderr))
    return subprocess.CompletedProcess(command, process.returncode, stdout,
                                       stderr)

  def popen(self, command):
    """Starts a command on the node.

    @type command: str
    @param command: for the shell
    @rtype: subprocess.Popen
    @return: the process, with pipes for text in and out

    """
    return subprocess.Popen(
      self._enter(command), env={"PATH": _PATH, "HOME": "/root"},
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      encoding="utf-8", errors="replace")

  def run_online(self, command):
    """Runs a command that has the machine's network, and not the node's.

    @type command: str
    @param command: for the shell

    """
    shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
    result = subprocess.run(
      [word for word in self._enter(command) if word != "--net"], check=False,
      env=dict(os.environ, PATH=_PATH), stdin=subprocess.DEVNULL, timeout=600,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
      errors="replace")
    if result.returncode != 0:
      raise CommandError("exit status %d on %s: %s\n%s" %
                         (result.returncode, self.name, command, result.stdout))

  def shell(self):
    """Opens a shell on the node, or runs there what the standard input has.

    @rtype: int
    @return: its exit status

    """
    # Nodes let each other in; but ssh would ask whether it knows them
    self.run("mkdir -p /root/.ssh && echo StrictHostKeyChecking no"
             " > /root/.ssh/config && echo LogLevel ERROR >> /root/.ssh/config")
    command = "cd; exec bash"
    if sys.stdin.isatty():
      print("A shell on %s, which is gone when you leave it.\n"
            "Another node: ssh node2" % self.name, flush=True)
      # A terminal of the node's own, for bash to have control of its jobs
      command = "cd; exec script --quiet --return --command bash /dev/null"
    environment = {"PATH": _PATH, "HOME": "/root",
                   "TERM": os.environ.get("TERM", "dumb")}
    return subprocess.run(self._enter(command), env=environment,
                          check=False).returncode

  def start_daemons(self, *names):
    """Starts some of Ganeti's daemons.

    @param names: such as "noded"

    """
    self.run(" && ".join("/usr/lib/ganeti/daemon-util start ganeti-%s" % name
                         for name in names))

  def install(self, deb):
    """Installs a package.

    @type deb: Path

    """
    self.run("dpkg -i %s" % self.copy(deb))

  def copy(self, path):
    """Copies a file to the node's /tmp.

    @type path: Path
    @rtype: str
    @return: its path on the node

    """
    shutil.copy(path, self.root / "tmp")
    return "/tmp/%s" % Path(path).name

  def save(self, path):
    """Saves all that was written to its file system, mounts aside.

    @type path: Path
    @param path: the directory to make

    """
    subprocess.run(["cp", "-a", self.root / "run/written", path], check=True)

  def stop(self):
    """Kills the node and all that runs on it.

    """
    # The first process of the namespaces: it ends only when all others have
    with contextlib.suppress(ProcessLookupError):
      os.kill(self._pid, signal.SIGKILL)
    self._holder.wait()

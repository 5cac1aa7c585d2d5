# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Ganeti clusters and their instances.

"""

import json
import os
import shlex
import socket

from pathlib import Path

from . import base
from .guest import Guest
from .node import Node, Rack


_NAME = "cluster.lab.test"

_HOSTS = dict({"node%d.lab.test" % i: "10.77.0.%d" % i for i in range(1, 4)},
              **{_NAME: "10.77.0.100"})

#: Boots the guest that comes with the node base. The generator of its kernel
#: must trust nothing that would hide what a virtio RNG does. The kernel's tests
#: of its own ciphers would take a fifth of the time, and making its locks those
#: of one processor a tenth; its test of the timer fails where the host is slow.
_HVPARAMS = ",".join([
  "kvm_flag=disabled", "kvm_path=/usr/bin/qemu-system-x86_64",
  "kernel_path=/boot/vmlinux", "initrd_path=/boot/initrd.img",
  "root_path=/dev/none",
  "kernel_args=quiet loglevel=1 random.trust_cpu=off"
  " random.trust_bootloader=off cryptomgr.notests noreplace-smp no_timer_check",
  "serial_console=true", "vhost_net=false",
  ])

#: QEMU before 9.0, as in these releases, can lose what an emulated guest writes
#: while it is migrated ("physmem: Fix migration dirty bitmap coherency with TCG
#: memory access"). With a long permitted downtime, QEMU stops the guest early.
_EARLY_STOP = ",migration_downtime=10000"
_NEEDS_EARLY_STOP = ("bullseye", "bookworm", "bookworm-backports")

#: Where Ganeti keeps what it needs to control its QEMUs
_CONTROL = "run/ganeti/kvm-hypervisor"


class Cluster:
  """A cluster, to be used as a context manager or closed in the end.

  @ivar nodes: its nodes, as a list of L{Node}: at most three

  """
  def __init__(self, release, nodes=1, deb=None, progress=print, quick=False):
    """Raises a cluster.

    @type release: str
    @param release: the Debian release that its nodes run
    @type nodes: int
    @param nodes: how many; with none there is no cluster yet
    @type deb: Path or None
    @param deb: a package to install on each node before its daemons start
    @type progress: callable
    @param progress: called with a line of text before each slow step
    @type quick: bool
    @param quick: whether it takes less time than by Ganeti's defaults: it is a
        saved one, if it has nodes, of which confd and mond are not started;
        node daemons don't lock their memory, which their child for each
        request would copy; and no node but the master is sent the
        configuration and each change of a job

    """
    self.nodes = []
    self._quick = quick
    self._rack = Rack()
    self._release = release
    self._progress = progress
    try:
      saved = self._saved(nodes) if quick and nodes else None
      for _ in range(nodes):
        self.start_node(deb, saved=saved)
      if saved:
        for node in self.nodes:
          node.start_daemons("noded")
        # Ganeti would ask for two seconds whether somebody else has it
        self.run("ip addr add %s/32 dev gnt0 label gnt0:0" % _HOSTS[_NAME])
        self.master.start_daemons("wconfd")
        # It runs before each, and here has nothing left to do.
        self.run("mount --bind /bin/true /usr/lib/ganeti/ensure-dirs")
        self.master.start_daemons("rapi", "luxid")
        self.run("umount /usr/lib/ganeti/ensure-dirs")
      elif nodes:
        self.initialize()
    except BaseException:
      self.close()
      raise

  def _saved(self, nodes):
    """Returns a cached directory with what each node of a cluster had written.

    """
    def build(path):
      path.mkdir()
      with Cluster(self._release, 0, None, self._progress, True) as cluster:
        for _ in range(nodes):
          cluster.start_node()
        cluster.initialize()
        for node in cluster.nodes:
          node.run("/etc/init.d/ganeti stop")
          node.save(path / node.name)

    system = base.node_base(self._release, self._progress)
    here = Path(__file__)
    recipe = b"".join(path.read_bytes() for path in (
      here, here.with_name("node.py"), here.with_name("node_boot"), Node.INIT))
    # A base that was deleted and made anew is another one of that name.
    made = system.stat().st_ctime_ns
    return base.cached("%s-%d-nodes" % (self._release, nodes),
                       recipe + b"%s %d" % (bytes(system), made), build)

  def initialize(self):
    """Makes a cluster of the nodes.

    """
    self._progress("Initializing the cluster")
    hvparams = _HVPARAMS
    if self._release in _NEEDS_EARLY_STOP:
      hvparams += _EARLY_STOP
    self.run("gnt-cluster init --no-etc-hosts --master-netdev=gnt0"
             " --enabled-hypervisors=kvm"
             " --enabled-disk-templates=diskless,file,sharedfile"
             " --nic-parameters=mode=bridged,link=br0"
             " --specs-nic-count=min=0 --specs-disk-size=min=1"
             " --specs-mem-size=min=64 --ipolicy-vcpu-ratio=64"
             " --candidate-pool-size=%d -H kvm:%s %s" %
             (1 if self._quick else 10, shlex.quote(hvparams), _NAME))
    for node in self.nodes[1:]:
      self.add_node(node)

  @property
  def master(self):
    """The first node, which the cluster is initialized on.

    """
    return self.nodes[0]

  @property
  def version(self):
    """Version of Ganeti, such as "3.0".

    """
    # /usr/share/ganeti/VERSION
    return os.path.basename(os.readlink(self.master.root / "etc/ganeti/share"))

  @property
  def configuration(self):
    """The configuration, as its file on the master has it.

    @rtype: dict

    """
    path = self.master.root / "var/lib/ganeti/config.data"
    return json.loads(path.read_text())

  def replace_configuration(self, config):
    """Has Ganeti start with another one.

    @type config: dict

    """
    self.run("/etc/init.d/ganeti stop")
    self.run("cat > /var/lib/ganeti/config.data", input=json.dumps(config))
    self.run("/etc/init.d/ganeti start")

  def start_node(self, deb=None, release=None, saved=None):
    """Starts one more node, which isn't part of the cluster yet.

    @type deb: Path or None
    @param deb: a package to install on it
    @type release: str or None
    @param release: the Debian release that it runs; None: as the others
    @type saved: Path or None
    @param saved: a directory with what it had written, under its name
    @rtype: L{Node}

    """
    name = "node%d.lab.test" % (len(self.nodes) + 1)
    node = Node(release or self._release, name, _HOSTS[name], self._rack,
                _HOSTS, self._progress, saved and saved / name)
    self.nodes.append(node)
    node.run("mkdir -p /srv/ganeti/file-storage && ls -d /srv/ganeti/*storage"
             " > /etc/ganeti/file-storage-paths")
    if self._quick:
      node.run("sed -i s/^NODED_ARGS=.*/NODED_ARGS=--no-mlock/"
               " /etc/default/ganeti")
    if deb:
      node.install(deb)
    return node

  def add_node(self, node):
    """Adds a started node to the cluster.

    @type node: L{Node}

    """
    keys = (self.master.root / "root/.ssh/authorized_keys").read_text()
    node.run("mkdir -m 700 -p /root/.ssh; cat > /root/.ssh/authorized_keys",
             input=keys)
    self.run("gnt-node add --no-ssh-key-check %s" % node.name)

  def remove_node(self, node):
    """Removes a node from the cluster and stops it.

    @type node: L{Node}

    """
    self.run("gnt-node remove %s" % node.name)
    node.stop()
    self.nodes.remove(node)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def close(self):
    """Removes the cluster and all that runs on it.

    """
    for node in self.nodes:
      node.stop()
    self._rack.close()

  @property
  def unchecked(self):
    """Options for a new instance whose name no DNS knows.

    """
    return "--no-name-check --no-ip-check" if self.version == "3.0" else ""

  def run(self, command, **kwargs):
    """Runs a command on the master node, see L{Node.run}.

    """
    return self.master.run(command, **kwargs)

  def add_instance(self, name, options="", start=True, node=None, guest=True):
    """Creates an instance.

    @type name: str
    @type options: str
    @param options: more options for C{gnt-instance add}, or other ones
    @type start: bool
    @param start: whether to start it
    @type node: L{Node} or None
    @param node: where; by default, on the master node
    @type guest: bool
    @param guest: whether it boots one, which takes as much of the processor as
        three jobs; otherwise, its firmware finds nothing to boot
    @rtype: L{Instance}

    """
    if not guest:
      options = (options.replace("kvm:", "kvm:kernel_path=,", 1)
                 if "kvm:" in options else options + " -H kvm:kernel_path=")
    if "--net" not in options:
      options += " --no-nics"
    if not start:
      options += " --no-start"
    self.run("gnt-instance add -t diskless -o noop+default"
             " -B memory=128,vcpus=1 -n %s %s %s %s" %
             ((node or self.master).name, self.unchecked, options, name))
    return Instance(self, name, guest)

  def add_instances(self, names, memory, disk=0):
    """Creates many instances on the master node, in one go.

    @type names: list of str
    @type memory: int
    @param memory: MiB that each has
    @type disk: int
    @param disk: MiB of a disk on the storage that nodes share; 0 for no disk
    @rtype: list of L{Instance}

    """
    self.run("cat > /tmp/instances.json", input=json.dumps([
      {"instance_name": name, "mode": "create",
       "disk_template": "sharedfile" if disk else "diskless",
       "disks": [{"size": disk}] if disk else [], "nics": [],
       "os_type": "noop+default", "no_install": True,
       "pnode": self.master.name, "hypervisor": "kvm", "start": False,
       "beparams": {"maxmem": memory, "minmem": memory, "vcpus": 1},
       "name_check": False, "ip_check": False}
      for name in names]))
    self.run("gnt-instance batch-create /tmp/instances.json")
    return [Instance(self, name) for name in names]


class Instance:
  """An instance, running or not.

  @ivar boots: whether it has a guest to boot

  """
  def __init__(self, cluster, name, boots=True):
    self.cluster = cluster
    self.name = name
    self.boots = boots

  @property
  def node(self):
    """The node that Ganeti says is its primary one.

    """
    config = self.cluster.configuration
    [primary] = [instance["primary_node"]
                 for instance in config["instances"].values()
                 if instance["name"] == self.name]
    return next(node for node in self.cluster.nodes
                if node.name == config["nodes"][primary]["name"])

  def start(self, options=""):
    """Starts it.

    @type options: str
    @param options: more options for C{gnt-instance start}

    """
    self.cluster.run("gnt-instance start %s %s" % (options, self.name))

  def stop(self):
    """Stops it, by pulling the plug.

    """
    self._pull_the_plug()
    self.shut_down()

  def shut_down(self):
    """Has Ganeti stop it, which asks the guest first.

    """
    command = "gnt-instance stop --timeout=60 %s" % self.name
    if self.cluster.run(command, check=False).returncode != 0:
      # Ganeti fails if it finds the guest going down by itself.
      self.cluster.run(command)

  def _pull_the_plug(self):
    """Kills its QEMU, should it run.

    """
    # Ganeti 3.1 gives the guest five seconds, whatever timeout it is told.
    for node in self._hosts:
      node.run("kill -9 $(cat /{0}); rm /{0}".format(self._pidfile))

  def reboot(self, kind):
    """Reboots it.

    @type kind: str
    @param kind: soft, hard or full

    """
    self.cluster.run("gnt-instance reboot -t %s --shutdown-timeout=0 %s" %
                     (kind, self.name))

  def migrate(self):
    """Migrates it, running, to the other node of two.

    """
    self.cluster.run("gnt-instance migrate -f %s" % self.name)

  def hotplug(self, options):
    """Changes its devices while it runs.

    @type options: str
    @param options: options for C{gnt-instance modify}
    @rtype: subprocess.CompletedProcess
    @return: which may have failed

    """
    # Ganeti 3.1 does so without being asked
    asked = "--hotplug" if self.cluster.version == "3.0" else ""
    return self.cluster.run("gnt-instance modify %s %s %s" %
                            (asked, options, self.name), check=False)

  def rename(self, name):
    """Gives it another name.

    @type name: str

    """
    force = "-f" if self.cluster.unchecked else ""
    self.cluster.run("gnt-instance rename %s %s %s %s" %
                     (force, self.cluster.unchecked, self.name, name))
    self.name = name

  def modify(self, options):
    """Changes its parameters, and not its devices while it runs.

    @type options: str
    @param options: options for C{gnt-instance modify}

    """
    asked = "" if self.cluster.version == "3.0" else "--no-hotplug"
    self.cluster.run("gnt-instance modify %s %s %s" %
                     (asked, options, self.name))

  def remove(self):
    """Removes it, running or not.

    """
    self._pull_the_plug()
    self.cluster.run("gnt-instance remove -f --shutdown-timeout=0 %s" %
                     self.name)

  @property
  def running(self):
    """Whether Ganeti says that it runs; None if it can't tell.

    """
    result = self.cluster.run("gnt-instance list --no-headers -o oper_state %s"
                              % self.name)
    return {"Y": True, "N": False}.get(result.stdout.strip())

  @property
  def _pidfile(self):
    return "%s/pid/%s" % (_CONTROL, self.name)

  @property
  def _hosts(self):
    """Nodes that have its QEMU: a look at all is quicker than to ask Ganeti.

    """
    return [node for node in self.cluster.nodes
            if (node.root / self._pidfile).exists()]

  @property
  def pid(self):
    """Process id of its QEMU, as seen on its node.

    """
    return int((self._hosts[0].root / self._pidfile).read_text())

  def argv(self):
    """Returns the command line of its QEMU.

    @rtype: list of str

    """
    cmdline = self._hosts[0].root / "proc" / str(self.pid) / "cmdline"
    return cmdline.read_text().rstrip("\0").split("\0")

  def qmp(self, command, **arguments):
    """Runs a QMP command.

    @type command: str
    @rtype: JSON value
    @return: what the command returns

    """
    # One at a time may talk to QEMU this way, and Ganeti wants to, too
    with socket.socket(socket.AF_UNIX) as monitor:
      monitor.settimeout(60)
      monitor.connect(self._socket("qmp"))
      with monitor.makefile("rw", encoding="utf-8") as lines:
        for (name, args) in [("qmp_capabilities", {}), (command, arguments)]:
          json.dump({"execute": name, "arguments": args}, lines)
          lines.write("\n")
          lines.flush()
          # Skips the greeting and events
          answer = {}
          while not answer.keys() & {"return", "error"}:
            answer = json.loads(lines.readline())
          if "error" in answer:
            raise RuntimeError("QMP command %s(%s) fails: %s" %
                               (name, args, answer["error"]))
    return answer["return"]

  @property
  def guest(self):
    """Its L{Guest}, once it has booted.

    """
    return Guest(self._socket("serial"))

  def _socket(self, kind):
    return str(self._hosts[0].root / _CONTROL / "ctrl" /
               ("%s.%s" % (self.name, kind)))

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What the parameter buys a guest: how soon it is seeded, how fast it reads.

"""

import collections
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from pathlib import Path

from lab.base import node_base
from lab.expectations import never_seeded_image

from .table import Line
from .table import spread

_VALUES = ["off", "random", "urandom"]

_RUNS = 5

#: Seconds that a guest reads
_SECONDS = 10

#: Debian releases whose kernels guests boot
_RELEASES = {"bullseye": "Debian 11", "bookworm": "Debian 12",
             "trixie": "Debian 13"}

_UNLIMITED = ("-object rng-random\\,filename=/dev/random\\,id=rng0"
              " -device virtio-rng-pci\\,rng=rng0")

#: Seconds in a guest: of the first 32 bytes of /dev/random and of the first
#: ssh-keygen, and when its kernel says that the generator is ready
Boot = collections.namedtuple("Boot", ["random", "ssh_keygen", "crng"])

#: Bytes per second, and seconds of QEMU's processor time per second
Rate = collections.namedtuple("Rate", ["got", "idle", "busy"])


def _archive(base):
  """Makes an archive of what a guest has more than the lab's.

  Linux unpacks all that are in one file, one over the other.

  @rtype: bytes

  """
  with tempfile.TemporaryDirectory() as folder:
    program = "/usr/bin/ssh-keygen"
    libraries = subprocess.run(["chroot", str(base), "ldd", program],
                               check=True, stdout=subprocess.PIPE,
                               universal_newlines=True).stdout
    for name in re.findall(r"(/\S+) \(", libraries):
      target = Path(folder, name.lstrip("/"))
      target.parent.mkdir(parents=True, exist_ok=True)
      shutil.copy(str(base / name.lstrip("/")), str(target))
    Path(folder, "bin").mkdir()
    shutil.copy(str(base / program.lstrip("/")), os.path.join(folder, "bin"))
    Path(folder, "etc").mkdir()
    Path(folder, "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    shutil.copy(str(Path(__file__).with_name("guest_start")),
                os.path.join(folder, "start"))
    return subprocess.run("find . | cpio --quiet -o -H newc -R 0:0", shell=True,
                          cwd=folder, stdout=subprocess.PIPE,
                          check=True).stdout


def measure(cluster, progress):
  """Boots guests of some kernels with each value.

  @type cluster: L{lab.cluster.Cluster}
  @param cluster: with the package
  @type progress: callable
  @rtype: dict
  @return: (kernel, value) -> list of L{Boot}

  """
  boot = cluster.master.root / "boot"
  more = _archive(node_base("bookworm", progress))
  for release in _RELEASES:
    base = node_base(release, progress) / "boot"
    shutil.copy(str(base / "vmlinux"), str(boot / ("vmlinux-%s" % release)))
    (boot / ("initrd-%s" % release)).write_bytes(
      (base / "initrd.img").read_bytes() + more)

  instance = cluster.add_instance(
    "web1.lab.test", "-H 'kvm:kernel_args=quiet loglevel=1 rdinit=/start"
    " random.trust_cpu=off random.trust_bootloader=off'", start=False)
  boots = collections.defaultdict(list)
  for release in _RELEASES:
    for turn in range(_RUNS):
      progress("Booting guests with the kernel of %s, turn %d of %d" %
               (_RELEASES[release], turn + 1, _RUNS))
      for value in _VALUES:
        instance.start("-H kernel_path=/boot/vmlinux-{0},initrd_path=/boot/"
                       "initrd-{0},virtio_rng={1}".format(release, value))
        guest = instance.guest
        kernel = "%s, Linux %s" % (_RELEASES[release],
                                   re.match(r"[0-9.]+",
                                            guest.run("uname -r")).group())
        words = guest.run("cat /run/random /run/ssh_keygen; dmesg |"
                          " grep 'crng init done' | tr -d '[]'").split()[:3]
        boots[kernel, value].append(Boot(*map(float, words)))
        instance.stop()
  instance.remove()
  return boots


def lines(boots):
  """Makes lines of the table.

  """
  for field, what, command in (
      ("random", "32 bytes of /dev/random", "dd if=/dev/random bs=32 count=1"),
      ("ssh_keygen", "The first ssh-keygen", "ssh-keygen -t ed25519"),
      ("crng", "\"crng init done\" after the start", "dmesg")):
    for kernel in dict.fromkeys(kernel for kernel, _ in boots):
      off, random, urandom = [[getattr(boot, field)
                               for boot in boots[kernel, value]]
                              for value in _VALUES]
      yield Line("%s, %s" % (what, kernel), command,
                 "random %s, urandom %s" % (spread(random), spread(urandom)),
                 ", ".join("%.2f" % (statistics.median(some) /
                                     statistics.median(off))
                           for some in (random, urandom)),
                 "%s with off" % spread(off),
                 "the guest's clock; median and spread of %d boots" % len(off))


def measure_rate(cluster, progress):
  """Has a guest read as fast as it can, limited and not.

  @rtype: tuple of L{Rate}

  """
  instance = cluster.add_instance("web1.lab.test", start=False)
  rates = []
  for what, options in (("the limit", "virtio_rng=random"),
                        ("no limit", "kvm_extra=%s" % _UNLIMITED)):
    progress("Reading in a guest with %s" % what)
    instance.modify("-H '%s'" % options)
    instance.start()
    guest = instance.guest
    time.sleep(2) # what it does at its start is over

    def spend(command):
      before = time.monotonic(), _processor_time(cluster.master, instance.pid)
      guest.run(command)
      after = time.monotonic(), _processor_time(cluster.master, instance.pid)
      seconds = after[0] - before[0]
      return seconds, (after[1] - before[1]) / seconds

    _, idle = spend("sleep %d" % _SECONDS)
    seconds, busy = spend("timeout %d dd if=/dev/hwrng of=/drawn bs=64 ||"
                          " true" % _SECONDS)
    rates.append(Rate(int(guest.run("wc -c < /drawn")) / seconds, idle, busy))
    instance.stop()
  instance.remove()
  return tuple(rates)


def _processor_time(node, pid):
  """Returns seconds of processor time that a process has used.

  """
  # proc(5): the 14th and 15th field; the second one may have spaces
  fields = (node.root / "proc" / str(pid) / "stat").read_text()
  fields = fields.rpartition(")")[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate_lines(limited, unlimited):
  """Makes lines of the table.

  @type limited: L{Rate}
  @type unlimited: L{Rate}

  """
  command = "dd if=/dev/hwrng bs=64"
  how = "one reader for %d s" % _SECONDS
  yield Line("Bytes that a guest gets", command, "%.0f B/s" % limited.got,
             "%.2f" % (limited.got / 1024),
             "1024 B/s, the limit; %.0f kB/s without one, by kvm_extra" %
             (unlimited.got / 1000), how)
  how += "; processor time of QEMU"
  yield Line("QEMU's load while the guest reads", command,
             "%.1f %%" % (100 * limited.busy),
             "%.2f" % (limited.busy / limited.idle),
             "%.1f %%, the guest idle" % (100 * limited.idle), how)
  yield Line("QEMU's load while the guest reads", command,
             "%.1f %%" % (100 * limited.busy),
             "%.2f" % (limited.busy / unlimited.busy),
             "%.1f %%, without a limit" % (100 * unlimited.busy), how)


def measure_hotplug(cluster, progress):
  """Times how a guest that was never seeded gets its first random bytes.

  @rtype: list of lists of float
  @return: seconds of each run, by hot-plug and by another start

  """
  image = never_seeded_image(cluster.master)

  def plug(instance):
    instance.hotplug("-H virtio_rng=random")

  def restart(instance):
    instance.modify("-H virtio_rng=random")
    instance.shut_down()
    instance.start()

  seconds = [[], []]
  for turn in range(_RUNS):
    progress("Plugging and restarting, turn %d of %d" % (turn + 1, _RUNS))
    for act, some in zip((plug, restart), seconds):
      instance = cluster.add_instance(
        "web1.lab.test", "-H kvm:virtio_rng=off,initrd_path=%s" % image)
      instance.guest.run("true")
      before = time.monotonic()
      act(instance)
      instance.guest.run("dd if=/dev/random of=/dev/null bs=32 count=1")
      some.append(time.monotonic() - before)
      instance.remove()
  return seconds


def hotplug_line(plugged, restarted):
  """Makes a line of the table.

  """
  return Line("32 bytes of /dev/random in a guest that runs",
              "gnt-instance modify --hotplug -H virtio_rng=random",
              spread(plugged),
              "%.2f" % (statistics.median(plugged) /
                        statistics.median(restarted)),
              "%s, by another start" % spread(restarted),
              "it was never seeded; median and spread of %d" % len(plugged))

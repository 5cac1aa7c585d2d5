# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The story that tests/demo tells."""

import pathlib
import sys
import textwrap
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from lab.cluster import Cluster
from lab.guest import GuestError
from lab.node import CommandError
from lab.package import built_package


class Progress:
  """Says what is being done, with a dot for every second that it takes."""

  def __init__(self):
    self._done = None

  def __call__(self, text):
    self.end()
    print(text, end=" ", flush=True)
    self._done = threading.Event()
    self._dots = threading.Thread(target=self._run, daemon=True)
    self._dots.start()

  def _run(self):
    while not self._done.wait(1):
      print(".", end="", flush=True)

  def end(self):
    if self._done:
      self._done.set()
      self._dots.join()
      self._done = None
      print(flush=True)


class Story:
  """Types commands on the master, as an admin would.

  @ivar results: what the guest said with each value

  """
  def __init__(self, cluster):
    self.cluster = cluster
    self.results = []

  def tell(self, text):
    print("\n# %s" % text, flush=True)

  def type(self, command):
    print("$ %s" % command, flush=True)
    result = self.cluster.run(command, check=False)
    for line in (result.stdout + result.stderr).splitlines():
      print(textwrap.fill(line.strip(), 88, initial_indent="  ",
                          subsequent_indent="    "))

  def look(self, instance, value):
    """Shows what QEMU got, and what the guest says of it.

    """
    argv = instance.argv()
    pairs = [pair for pair in zip(argv, argv[1:]) if "rng" in pair[1]]
    print("QEMU got: %s" % ("\n          ".join(map(" ".join, pairs)) or
                            "no generator"))
    guest = instance.guest
    current = guest.run("cat /sys/class/misc/hw_random/rng_current").strip()
    seconds = guest.run("cat /run/random_seconds").strip()
    ready = guest.run("dmesg | grep 'crng init done'").strip("[ ").split("]")[0]
    print("The guest has: %s" % current, flush=True)
    self.results.append((value, current, float(seconds), float(ready)))


def main():
  progress = Progress()
  with Cluster("bookworm", deb=built_package(), progress=progress) as cluster:
    progress.end()
    story = Story(cluster)

    story.tell("A new cluster has the parameter, at its default")
    story.type("gnt-cluster info | grep virtio_rng")
    story.type("ganeti-virtio-rng check")

    story.tell("An instance starts with it")
    web1 = cluster.add_instance("web1.lab.test")
    story.look(web1, "random")
    story.type("ganeti-virtio-rng status")

    for value, text in (("urandom", "Another value takes effect when QEMU is"
                                    " started anew"),
                        ("off", "And this one takes it away")):
      story.tell(text)
      story.type("gnt-instance modify -H virtio_rng=%s web1.lab.test" % value)
      story.type("gnt-instance reboot --shutdown-timeout=0 web1.lab.test")
      story.look(web1, value)

    story.tell("Any other value is refused, in Ganeti's words")
    story.type("gnt-instance modify -H virtio_rng=foo web1.lab.test")
    story.type(r"gnt-instance modify -H 'virtio_rng=urandom\,filename="
               r"/etc/shadow' web1.lab.test")
    story.type("gnt-instance info web1.lab.test | grep virtio_rng")

    story.tell("The same guest with each value: how long its first program"
               " waits for 32 bytes\n# of /dev/random, and when, after its start,"
               " its kernel's generator is ready")
    print("%-8s  %-14s  %-11s  %s" % ("value", "generator", "waits", "ready"))
    for value, current, seconds, ready in story.results:
      print("%-8s  %-14s  %-11s  at %.2f s" % (value, current,
                                               "%.2f s" % seconds, ready))
  print("\nThe cluster is gone. All this was without KVM.")


if __name__ == "__main__":
  try:
    main()
  except (CommandError, GuestError, RuntimeError) as err:
    sys.exit("\n%s" % err)
  except KeyboardInterrupt:
    sys.exit("\nInterrupted; the cluster is gone")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Guests that want all, and a user without rights on the node."""

import pathlib
import subprocess

import pytest

from lab.draining import drain
from lab.draining import latency
from lab.expectations import cluster_parameter
from lab.expectations import values
from lab.expectations import wait_for

#: How long guests draw
SECONDS = 10

#: What a guest may draw, in bytes per second
RATE = 1024


def draw_without_limit(instance):
  """Has a running guest use another generator, which has no limit.

  """
  instance.qmp("object-add", **{"qom-type": "rng-random", "id": "unlimited",
                                "filename": "/dev/random"})
  instance.qmp("device_add", driver="virtio-rng-pci", rng="unlimited")
  wait_for(lambda: "virtio_rng.1" in instance.guest.run(
    "cd /sys/class/misc/hw_random; cat rng_available"))
  instance.guest.run(
    "echo virtio_rng.1 > /sys/class/misc/hw_random/rng_current")


@pytest.mark.full
def test_greedy_guests(cluster, record_property):
  """One, and ten, get what they may; without the limit, several times that.

  """
  names = ["greedy%d.lab.test" % i for i in range(10)]
  instances = cluster.add_instances(names, 128)
  try:
    cluster.run("gnt-instance start --force-multiple %s" % " ".join(names))
    for instance in instances:
      instance.guest.run("true") # booting takes the processor
    idle = latency()
    limited = [drain(some, SECONDS) for some in (instances[:1], instances)]
    for instance in instances:
      draw_without_limit(instance)
    # enough for a rate, hard on the machine
    unlimited = [drain(some, SECONDS / 4)
                 for some in (instances[:1], instances)]
  finally:
    for instance in instances:
      instance.remove()

  # Ten without the limit soon take all of two busy processors.
  for (less, more, times) in zip(limited, unlimited, (10, 3)):
    rates = []
    for (kind, figures) in (("limited", less), ("unlimited", more)):
      count = len(figures["guests"])
      total = [sum(column) for column in zip(*figures["guests"])]
      (drawn, read, cpus) = [column / total[0] for column in total[1:]]
      rates.append((drawn, read))
      text = ("%d %s: %.0f B/s a guest; QEMU reads %.0f B/s and takes %.2f"
              " CPUs, all together; getrandom takes %.2f times as long as before"
              % (count, kind, drawn, read * count, cpus * count,
                 figures["latency"] / idle))
      record_property("%d %s" % (count, kind), text)
      print(text)
    # what the guests got, and what the host gave
    assert all(more > times * less for (less, more) in zip(*rates))

    for (seconds, drawn, _, _) in less["guests"]:
      # A period may have begun before, and another may end after; each reader
      # may have been about to finish.
      assert drawn <= RATE * (seconds + 2) + 16 * 64
      assert drawn >= RATE * seconds / 4 # it did read


def installed(node):
  """All that the package has on a node, and the folders above it.

  """
  paths = set(node.run("dpkg -L ganeti-virtio-rng; find /usr/lib/python3"
                       " -path '*ganeti?virtio?rng*'").stdout.split())
  paths -= {"/."}
  return paths | {str(parent) for path in paths
                  for parent in pathlib.PurePosixPath(path).parents}


def test_files_belong_to_root(cluster):
  """Others can't write them, nor put a link in their place."""
  node = cluster.master
  paths = installed(node)
  assert [path for path in paths if "__pycache__" in path]
  # The manual page has a second name; the link is in a folder of root's.
  listing = node.run("stat -L -c '%%U %%F %%a %%n' %s" %
                     " ".join(sorted(paths))).stdout
  for line in listing.splitlines():
    (owner, *kind, mode, path) = line.split()
    assert owner == "root", line
    # On a system with merged /usr, /lib is a link, in a folder of root's
    assert kind[-1:] == ["directory"] or kind[-1:] == ["file"], line
    assert int(mode, 8) & 0o022 == 0, line


def test_nobody_can_write(cluster):
  """The same as the kernel sees it."""
  node = cluster.master
  paths = " ".join(sorted(installed(node)))
  check = ("setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c"
           " 'for path in %s; do test -w $path && echo $path; done; true'")
  assert node.run(check % paths).stdout == ""
  assert node.run(check % "/tmp").stdout == "/tmp\n"


def test_clear_by_nobody(cluster):
  """It fails, and changes nothing."""
  node = cluster.master
  with cluster_parameter(cluster, virtio_rng="off"):
    result = node.run("setpriv --reuid=nobody --regid=nogroup --clear-groups"
                      " ganeti-virtio-rng clear --yes", check=False)
    assert "Traceback" not in result.stderr
    assert result.returncode == 1
    assert values(cluster) == ["off"]


def test_extension_reads_no_environment():
  """The library doesn't import what would."""
  (library,) = (pathlib.Path(__file__).parents[2] / "build/package").glob(
    "*/debian/ganeti-virtio-rng/usr/lib/python3/dist-packages"
    "/ganeti_virtio_rng/_core*.so")
  symbols = subprocess.run(["nm", "--dynamic", "--undefined-only",
                            str(library)], check=True, stdout=subprocess.PIPE,
                           universal_newlines=True).stdout
  assert "PyModuleDef_Init" in symbols
  assert not [line for line in symbols.splitlines() if "env" in line.lower()]


#: Runs Ganeti's modules, extended, and sees who looks at the environment
RECORDER = pathlib.Path(__file__).with_name("environment_recorder.py")


@pytest.mark.each_release
def test_python_reads_no_environment(cluster):
  output = cluster.run("python3 -", input=RECORDER.read_text()).stdout
  assert "addr=0xb" in output

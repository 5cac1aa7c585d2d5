# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A node whose /dev/random isn't what it should be, and one whose is."""

import contextlib

import pytest

from lab.expectations import expect


@contextlib.contextmanager
def replaced(node, command):
  """Another /dev/random, or none, while the context lasts.

  """
  node.run("mv /dev/random /dev/kept && %s" % command)
  try:
    yield
  finally:
    node.run("rm -rf /dev/random && mv /dev/kept /dev/random")


REASONS = {
  "true": "No such file or directory",
  "echo seed > /dev/random": "Not Linux's random number generator",
  "mkdir /dev/random": "Not Linux's random number generator",
  "ln -s null /dev/random": "Not Linux's random number generator",
  "ln -s random /dev/random": "Too many levels of symbolic links",
  "mknod /dev/random c 240 99": "No such device or address",
  }


@pytest.mark.long
def test_refused(cluster, add):
  """By modify as by start, by name of node and device; the other goes on."""
  (master, node) = cluster.nodes
  here = add("here.lab.test", start=False, guest=False)
  there = add("there.lab.test", "-H kvm:virtio_rng=off", start=False, node=node,
              guest=False)

  for command, reason in REASONS.items():
    error = ("Parameter 'virtio_rng' fails validation: /dev/random: %s"
             " (current value: 'random'), set it to 'off' to start the"
             " instance without it" % reason)
    with replaced(node, command):
      for request in ("modify", "start"):
        result = cluster.run("gnt-instance %s -H virtio_rng=random"
                             " there.lab.test" % request, check=False)
        assert result.returncode == 1
        assert error in result.stderr
        assert node.name in result.stderr and master.name not in result.stderr
  assert there.running is False

  with replaced(node, "true"):
    verify = [line for line in cluster.run("gnt-cluster verify", check=False
                                           ).stdout.splitlines()
              if "virtio_rng" in line]
    assert verify
    assert all("/dev/random: No such file" in line and node.name in line
               for line in verify)
    there.start() # off needs no device
    expect(there, None)
    here.start()
    expect(here, "/dev/random")


def test_new_instance(cluster, add):
  """It is refused before anything of it is made, also if the value is the
  default.

  """
  node = cluster.nodes[1]
  new = ("gnt-instance add -t file -s 16M -o noop+default --no-nics --no-start"
         " -n %s %s web1.lab.test" % (node.name, cluster.unchecked))
  before = cluster.configuration["instances"]
  with replaced(node, "true"):
    result = cluster.run(new, check=False)
    assert result.returncode == 1
    assert ("Parameter 'virtio_rng' fails validation: /dev/random: No such file"
            in result.stderr)
    assert node.name in result.stderr
    assert cluster.configuration["instances"] == before
    assert not list(node.root.glob("srv/ganeti/file-storage/web1*"))
    add("web1.lab.test", "-H kvm:virtio_rng=urandom", node=node, start=False)


def test_migration_to_it(cluster, add):
  """It fails, and the instance goes on where it is."""
  web1 = add("web1.lab.test", guest=False)
  for command in "true", "ln -s null /dev/random":
    with replaced(cluster.nodes[1], command):
      result = cluster.run("gnt-instance migrate -f web1.lab.test", check=False)
      assert result.returncode == 1
      said = " ".join((result.stdout + result.stderr).split())
      assert ("/dev/random: %s (value in use: 'random')" % REASONS[command]
              in said)
      assert "'off' and restart the instance to migrate without it" in said
      cluster.run("gnt-instance migrate -f --cleanup web1.lab.test")
      assert web1.node == cluster.master
      expect(web1, "/dev/random")
  web1.migrate()
  expect(web1, "/dev/random")


def test_soft_reboot(cluster, add):
  """Of an instance that would have what it runs with again."""
  web1 = add("web1.lab.test", node=cluster.nodes[1], guest=False)
  web1.modify("-H virtio_rng=urandom") # from its next start by Ganeti
  with replaced(cluster.nodes[1], "ln -s null /dev/random"):
    result = cluster.run("gnt-instance reboot -t soft web1.lab.test",
                         check=False)
    assert result.returncode == 1
    assert "random number generator (value in use: 'random')" in result.stderr
    assert web1.running is False
  web1.start()
  expect(web1, "/dev/urandom")

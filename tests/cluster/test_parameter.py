# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What an admin sees who uses the parameter, through Ganeti's own commands."""

import ast
import re
import time

import pytest

from lab.expectations import cluster_parameter
from lab.expectations import expect
from lab.expectations import values


def test_default_of_a_new_cluster(bare_cluster, deb):
  cluster = bare_cluster(nodes=0)
  cluster.start_node(deb)
  cluster.initialize()
  web1 = cluster.add_instance("web1.lab.test", start=False, guest=False)
  info = cluster.run("gnt-cluster info").stdout
  assert re.search(r"^ +virtio_rng: random$", info, re.M)
  info = cluster.run("gnt-instance info %s" % web1.name).stdout
  assert re.search(r"^ +virtio_rng: default \(random\)$", info, re.M)
  hvparams = ast.literal_eval(
    cluster.run("gnt-instance list --no-headers -o hvparams").stdout)
  assert hvparams["virtio_rng"] == "random"
  assert list(hvparams) == sorted(hvparams) # as luxid has them
  web1.start()
  expect(web1, "/dev/random")
  assert values(cluster) == []


def test_instance_level(cluster, web1):
  web1.modify("-H virtio_rng=urandom")
  web1.start()
  expect(web1, "/dev/urandom")
  info = cluster.run("gnt-instance info %s" % web1.name).stdout
  assert re.search(r"^ +virtio_rng: urandom$", info, re.M)

  web1.modify("-H virtio_rng=off")
  expect(web1, "/dev/urandom") # until QEMU is started anew
  web1.reboot("hard")
  expect(web1, None)

  web1.modify("-H virtio_rng=default")
  web1.reboot("full")
  expect(web1, "/dev/random")


def test_soft_reboot_keeps_what_it_was_started_with(web1):
  web1.start()
  web1.modify("-H virtio_rng=urandom")
  web1.reboot("soft")
  expect(web1, "/dev/random")


def test_parameter_of_one_start(cluster, web1):
  web1.start("-H virtio_rng=urandom")
  expect(web1, "/dev/urandom")
  web1.stop()
  web1.start()
  expect(web1, "/dev/random")


def test_new_instance_with_a_value(add):
  expect(add("web2.lab.test", "-H kvm:virtio_rng=urandom"), "/dev/urandom")


def test_os_level(cluster, add):
  # An OS of its own: Ganeti's commands take no parameter back from one.
  cluster.run("gnt-os modify -H kvm:virtio_rng=urandom noop+other")
  instance = add("web2.lab.test", "-o noop+other", guest=False)
  expect(instance, "/dev/urandom")
  instance.modify("-H virtio_rng=off") # the instance's own value goes first
  instance.reboot("hard")
  expect(instance, None)
  instance.modify("-H virtio_rng=default")
  instance.reboot("hard")
  expect(instance, "/dev/urandom")
  cluster.run("ganeti-virtio-rng clear --yes")
  instance.reboot("hard")
  expect(instance, "/dev/random")
  assert values(cluster) == []


def test_cluster_level(cluster, web1):
  with cluster_parameter(cluster, virtio_rng="off"):
    web1.start()
    expect(web1, None)
  with cluster_parameter(cluster, virtio_rng="urandom"):
    web1.reboot("hard")
    expect(web1, "/dev/urandom")


def test_rate_limit(add):
  """A guest that reads as fast as it can gets 1 KiB/s, and a bit to start."""
  guest = add("web1.lab.test").guest
  before = time.monotonic()
  guest.run("timeout 10 dd if=/dev/hwrng of=/drawn bs=64 || true")
  seconds = time.monotonic() - before
  drawn = int(guest.run("wc -c < /drawn"))
  assert 0.5 * 1024 <= drawn / seconds <= 1.25 * 1024


NAMES_ALL = ("fails syntax check: The value must be one of: 'off', 'random',"
             " 'urandom' (current value: '')")


REFUSED = [
  ("", NAMES_ALL),
  ("foo", "fails syntax check: The value must be one of: off, random, urandom"
          " (current value: 'foo')"),
  ("URANDOM", "(current value: 'URANDOM')"),
  (r"urandom\,filename=/etc/shadow",
   "(current value: 'urandom,filename=/etc/shadow')"),
  ("urandom ", "(current value: 'urandom ')"),
  # without the backslash, Ganeti takes it for another parameter
  ("urandom,filename=/etc/shadow", "Unknown parameter 'filename'"),
  ]


def test_refused_values(cluster, web1, some):
  before = cluster.configuration
  refused = REFUSED # all of them by the first command
  for command in ("gnt-instance modify -H 'virtio_rng=%s' web1.lab.test",
                  "gnt-cluster modify -H 'kvm:virtio_rng=%s'",
                  "gnt-os modify -H 'kvm:virtio_rng=%s' noop",
                  "gnt-instance start -H 'virtio_rng=%s' web1.lab.test",
                  "gnt-instance add -t diskless -o noop+default --no-nics "
                  + cluster.unchecked + " -H 'kvm:virtio_rng=%s' web2.lab.test"):
    for value, error in refused:
      result = cluster.run(command % value, check=False)
      assert result.returncode == 1, command % value
      assert error in result.stderr, command % value
      if "filename" not in error or "\\" in value:
        assert "'virtio_rng'" in result.stderr, command % value
    refused = some(REFUSED)
  assert cluster.configuration["cluster"] == before["cluster"]
  assert cluster.configuration["instances"] == before["instances"]
  assert web1.running is False


def test_off_that_is_no_string(cluster, web1):
  """As the client makes it of no_NAME, and Ganeti of YAML's unquoted off."""
  for command in ("gnt-instance modify -H no_virtio_rng web1.lab.test",
                  "gnt-cluster modify -H kvm:no_virtio_rng"):
    result = cluster.run(command, check=False)
    assert result.returncode == 1
    assert NAMES_ALL in result.stderr
  assert values(cluster) == []
  assert web1.running is False


@pytest.mark.each_release
def test_verify_points_at_kvm_extra(cluster):
  advice = "kvm_extra already adds a virtio-rng device"
  assert advice not in cluster.run("gnt-cluster verify", check=False).stdout
  with cluster_parameter(cluster, kvm_extra="-device virtio-rng-pci"):
    said = advice in cluster.run("gnt-cluster verify", check=False).stdout
  assert said == (cluster.version != "3.0") # which gives no advice at all

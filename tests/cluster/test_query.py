# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The field hv/virtio_rng beside hv/disk_cache, which Ganeti was born with."""

import contextlib
import re

import pytest

# Each Ganeti has its own way with queries.
pytestmark = pytest.mark.each_release

BORN = "hv/disk_cache"
OURS = "hv/virtio_rng"


@contextlib.contextmanager
def another_hypervisor(cluster):
  """An instance of it, so that no parameter of KVM is there.

  """
  cluster.run("gnt-cluster modify --enabled-hypervisors=kvm,fake")
  fake = cluster.add_instance("web9.lab.test", "-H fake", start=False)
  try:
    yield
  finally:
    fake.remove()
    cluster.run("gnt-cluster modify --enabled-hypervisors=kvm")


def test_list(cluster, add):
  """With all options of the command, both fields answer alike."""
  add("web1.lab.test", start=False)
  add("web2.lab.test", "-H kvm:virtio_rng=off,disk_cache=none", start=False)
  ours = {BORN: "FIELD", "default": "random", "none": "off", OURS: "FIELD"}

  def output(field, options):
    result = cluster.run("gnt-instance list " + options.format(field=field),
                         check=False)
    lines = (result.stdout + result.stderr).replace(":", " : ").splitlines()
    return (result.returncode,
            [[ours.get(word, word) for word in line.split()]
             for line in lines])

  with another_hypervisor(cluster):
    for options in (
        "-o name,{field}", "-o +{field}", "-o {field},name,{field}",
        "-o name,{field} --no-headers", "-o name,{field} --separator=:",
        "-v -o name,{field},hypervisor", "-o {field} web2.lab.test",
        "-o {field} web7.lab.test", "-o name,{field},nonsense",
        "-o name,{field} -F 'name =* \"web2*\"'"):
      assert output(OURS, options) == output(BORN, options), options
  listing = cluster.run("gnt-instance list --no-headers --separator=:"
                        " -o name,%s" % OURS).stdout
  assert listing == "web1.lab.test:random\nweb2.lab.test:off\n"
  listing = cluster.run("gnt-instance list --no-headers -o name,hvparams"
                        ).stdout
  assert re.findall(r"virtio_rng\W+(\w+)", listing) == ["random", "off"]


def test_list_fields(cluster):
  def lines(options=""):
    output = cluster.run("gnt-instance list-fields %s" % options).stdout
    return [" ".join(line.split()) for line in output.splitlines()]

  assert lines(OURS)[-1] == lines(BORN)[-1].replace("disk_cache",
                                                    "virtio_rng")
  names = [line.split()[0] for line in lines()[2:]]
  assert names == sorted(names)
  assert names.count(OURS) == 1


@pytest.mark.parametrize("qfilter", [
  "hv/virtio_rng == \"off\"", "not hv/virtio_rng == \"off\"",
  "name == \"web1\" and hv/virtio_rng != \"off\"", "hv/virtio_rng"])
def test_filter(cluster, qfilter):
  result = cluster.run("gnt-instance list -o name -F '%s'" % qfilter,
                       check=False)
  assert result.returncode == 1
  assert ("Field 'hv/virtio_rng' can't be used in a filter; list it with"
          " \"-o name,hv/virtio_rng\" and select from the output"
          in " ".join(result.stderr.split()))


def test_other_queries_go_on(cluster):
  for command in ("gnt-node list", "gnt-group list", "gnt-job list",
                  "gnt-node list-fields", "gnt-instance list",
                  "gnt-instance list -o hvparams"):
    assert cluster.run(command).stderr == ""

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The default: filled in wherever Ganeti fills in defaults, written nowhere."""

import importlib
import json
import re

import pytest


@pytest.fixture
def make_cluster(ganeti):
  """Function that makes a cluster of a configuration, as Ganeti loads it.

  """
  def make(kvm=(), os_hvp=None, **attributes):
    cluster = ganeti.objects.Cluster.FromDict(dict(
      {"hvparams": {"kvm": dict(kvm)}, "os_hvp": os_hvp or {}}, **attributes))
    cluster.UpgradeConfig()
    return cluster

  return make


def written(cluster):
  """Returns the values in a cluster's configuration."""
  return re.findall("'virtio_rng': '?([^',}]*)", str(cluster.ToDict()))


def test_nothing_is_written(ganeti, make_cluster):
  for cluster in (make_cluster(), make_cluster({"acpi": False}),
                  ganeti.objects.Cluster()):
    cluster.UpgradeConfig()
    assert cluster.GetHVDefaults("kvm")["virtio_rng"] == "random"
    instance = ganeti.objects.Instance(hypervisor="kvm", os="noop",
                                       hvparams={})
    assert cluster.FillHV(instance)["virtio_rng"] == "random"
    cluster.UpgradeConfig()
    assert written(cluster) == []
    assert instance.hvparams == {}


@pytest.mark.parametrize("value", ["off", "random", "urandom"])
def test_what_is_set_stays(make_cluster, value):
  """As a configuration has it that version 0.1 wrote."""
  cluster = make_cluster({"virtio_rng": value})
  assert cluster.GetHVDefaults("kvm")["virtio_rng"] == value
  assert written(cluster) == [value]


@pytest.mark.parametrize("kvm, os, instance, value", [
  ({}, {}, {}, "random"),
  ({"virtio_rng": "off"}, {}, {}, "off"),
  ({}, {"virtio_rng": "off"}, {}, "off"),
  ({"virtio_rng": "off"}, {"virtio_rng": "urandom"}, {}, "urandom"),
  ({}, {}, {"virtio_rng": "off"}, "off"),
  ({"virtio_rng": "off"}, {"virtio_rng": "urandom"}, {"virtio_rng": "random"},
   "random"),
  ])
def test_which_value_holds(ganeti, make_cluster, kvm, os, instance, value):
  cluster = make_cluster(kvm, {"noop": {"kvm": os}})
  of_another = kvm.get("virtio_rng", "random")
  assert (cluster.GetHVDefaults("kvm", "noop")["virtio_rng"] ==
          os.get("virtio_rng", of_another))
  assert cluster.GetHVDefaults("kvm", "another")["virtio_rng"] == of_another
  assert cluster.GetHVDefaults("kvm")["virtio_rng"] == of_another

  filled = cluster.SimpleFillHV("kvm", "noop", instance)
  assert filled["virtio_rng"] == value
  assert cluster.FillHV(ganeti.objects.Instance(
    hypervisor="kvm", os="noop", hvparams=instance)) == filled
  assert (cluster.SimpleFillHV("kvm", "noop", instance, skip_globals=True)
          ["virtio_rng"] == value)


def test_skipped(make_cluster):
  cluster = make_cluster()
  skip = ["acpi", "virtio_rng"]
  for skipped in (cluster.GetHVDefaults("kvm", None, skip),
                  cluster.GetHVDefaults("kvm", skip_keys=skip)):
    assert "kvm_flag" in skipped
    assert not {"acpi", "virtio_rng"} & set(skipped)
  assert (cluster.GetHVDefaults("kvm", skip_keys=["acpi"])["virtio_rng"] ==
          "random")


def test_other_hypervisors(ganeti, make_cluster):
  """Next to kvm, or without it."""
  for enabled in (["fake"], ["kvm", "fake"]):
    cluster = make_cluster(enabled_hypervisors=enabled)
    for name in set(ganeti.constants.HYPER_TYPES) - {"kvm"}:
      assert (cluster.GetHVDefaults(name, "noop") ==
              ganeti.constants.HVC_DEFAULTS[name])
      assert "virtio_rng" not in cluster.SimpleFillHV(name, "noop", {})


class Config:
  """What a job sees of a configuration with one node and one instance.

  """
  def __init__(self, ganeti, cluster):
    self._cluster = cluster
    self._node = ganeti.objects.Node(
      name="node1", uuid="1", primary_ip="192.0.2.1", secondary_ip="192.0.2.1",
      offline=False)

  def GetClusterInfo(self):
    return self._cluster

  def GetNodeInfo(self, _):
    return self._node

  def GetNodeName(self, _):
    return self._node.name

  def GetAllNodesInfo(self):
    return {self._node.uuid: self._node}

  def GetMultiNodeInfo(self, _):
    return [(self._node.uuid, self._node)]

  def _get_nothing(self, *_):
    return []

  GetInstanceSecondaryNodes = GetInstanceDisks = GetNonVmCapableNodeList = \
    _get_nothing

  def GetInstanceDiskParams(self, _):
    return {}


@pytest.fixture
def make_runner(ganeti):
  """Function that makes the runner of a job's RPCs, and a list of those sent.

  """
  def make(cluster):
    sent = []

    def answer(requests, **_):
      for request in requests:
        sent.append((request.path.lstrip("/"), json.loads(request.post_data)))
        request.success = True
        request.resp_status_code = 200
        request.resp_body = "[true, null]"

    node = importlib.import_module("ganeti.rpc.node")
    return node.RpcRunner(Config(ganeti, cluster), None,
                          _req_process_fn=answer), sent

  return make


class Unit:
  """A job's logical unit."""

  def __init__(self, op, config, runner):
    self.op = op
    self.cfg = config
    self.rpc = runner


@pytest.mark.parametrize("kvm, hvparams, value", [
  ({}, {}, "random"),
  ({"virtio_rng": "off"}, {}, "off"),
  ({"virtio_rng": "off"}, {"virtio_rng": "urandom"}, "urandom"),
  ({}, {"virtio_rng": "off"}, "off"),
  ])
@pytest.mark.parametrize("of_os", [None, "urandom"])
def test_nodes_check_the_value(ganeti, make_cluster, make_runner, kvm, hvparams,
                               value, of_os):
  """Also where Ganeti hands over only what the user asked for."""
  common = importlib.import_module("ganeti.cmdlib.common")
  opcodes = importlib.import_module("ganeti.opcodes")
  os_hvp = {"noop": {"kvm": {"virtio_rng": of_os}}} if of_os else {}
  cluster = make_cluster(kvm, os_hvp)
  runner, sent = make_runner(cluster)

  def check(op, hypervisor):
    given = dict(hvparams)
    common.CheckHVParams(Unit(op, Config(ganeti, cluster), runner), ["1"],
                         hypervisor, given)
    assert given == hvparams
    ((procedure, (name, checked)), ) = sent
    assert (procedure, name) == ("hypervisor_validate_params", hypervisor)
    sent.clear()
    return checked

  add = opcodes.OpInstanceCreate(instance_name="web1", os_type="noop")
  checked = check(add, "kvm")
  assert checked["virtio_rng"] == hvparams.get("virtio_rng", of_os or value)
  assert checked["acpi"] is True
  assert (check(opcodes.OpClusterSetParams(), "kvm")["virtio_rng"] == value)
  if not hvparams:
    assert "virtio_rng" not in check(add, "xen-hvm")


def test_jobs_have_that_check(ganeti):
  common = importlib.import_module("ganeti.cmdlib.common")
  for name in ("cluster", "instance_create", "instance_operation",
               "instance_set_params"):
    module = importlib.import_module("ganeti.cmdlib.%s" % name)
    assert module.CheckHVParams is common.CheckHVParams
  assert hasattr(common.CheckHVParams, "__wrapped__")


@pytest.mark.parametrize("kvm, os, instance, value", [
  ({}, {}, {}, None),
  ({}, {}, {"acpi": False}, None),
  ({"virtio_rng": "random"}, {}, {}, "random"),
  ({}, {"virtio_rng": "urandom"}, {}, "urandom"),
  ({"virtio_rng": "off"}, {"virtio_rng": "urandom"}, {}, "urandom"),
  ({}, {}, {"virtio_rng": "random"}, "random"),
  ({"virtio_rng": "off"}, {}, {"virtio_rng": "random"}, "random"),
  ])
def test_export(ganeti, make_cluster, make_runner, kvm, os, instance, value,
                tmp_path, monkeypatch):
  """The node writes what somebody set; of the default it knows nothing."""
  noded = importlib.import_module("ganeti.server.noded")
  monkeypatch.setattr(ganeti.pathutils, "EXPORT_DIR", str(tmp_path))
  runner, sent = make_runner(make_cluster(kvm, {"noop": {"kvm": os}}))
  web1 = ganeti.objects.Instance(
    name="web1", uuid="2", primary_node="1", os="noop", hypervisor="kvm",
    hvparams=instance, beparams={}, osparams={}, osparams_private={}, nics=[],
    disks=[])
  web1.UpgradeConfig()
  disk = ganeti.objects.Disk(uuid="3", size=16, dev_type="file",
                             iv_name="disk/0", logical_id=("loop", "/file"))
  (tmp_path / "web1.new").mkdir()
  result = runner.call_finalize_export("1", web1, [disk])
  assert not result.fail_msg
  assert web1.hvparams == instance

  ((procedure, params), ) = sent
  getattr(noded.NodeRequestHandler, "perspective_%s" % procedure)(params)
  saved = (tmp_path / "web1/config.ini").read_text()
  assert ("acpi = %s\n" % instance.get("acpi", True)) in saved
  assert (re.findall("^virtio_rng = (.*)$", saved, re.M) ==
          ([value] if value else []))

  # The call before left nothing behind.
  runner.call_instance_start("1", (web1, {}, {}), False, "")
  assert sent[1][1][0]["hvparams"]["virtio_rng"] == (value or "random")

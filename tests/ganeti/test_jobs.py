# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What jobs and the node daemon do besides, with Ganeti's own modules.

Daemons are not there; tests/cluster has the real ones.

"""

import importlib
import types

import pytest

import ganeti_virtio_rng

LATER = "virtio_rng=random takes effect at the instance's next start"


def extension(name):
  return importlib.import_module("ganeti_virtio_rng.extensions." + name)


class Job:
  """A job that modifies an instance, whose node answers as it is told.

  @ivar said: what the job says

  """
  def __init__(self, ganeti, cluster, value, fail_msg="", payload=""):
    self.said = []
    self.asked = []
    self.op = types.SimpleNamespace(hvparams={"virtio_rng": value},
                                    hotplug=True)
    hvparams = {} if value == "default" else {"virtio_rng": value}
    self.instance = ganeti.objects.Instance(
      name="web1", hypervisor="kvm", hvparams=hvparams, os="noop",
      primary_node="node1-uuid")
    self.cfg = types.SimpleNamespace(
      GetClusterInfo=lambda: cluster, GetNodeName=lambda uuid: uuid[:5])
    self.rpc = self
    self._answer = types.SimpleNamespace(fail_msg=fail_msg, payload=payload)

  def call_hotplug_device(self, *args):
    self.asked.append(args)
    return self._answer

  def LogInfo(self, text, *args):
    self.said.append(text % args)

  LogWarning = LogInfo

  def run(self):
    """Returns the job's result."""
    [(_, stock), *others] = extension("instance_set_params").Exec(
      lambda lu, feedback_fn: [("hv/virtio_rng", "stock")], self, None)
    assert stock == "stock"
    return others


@pytest.mark.parametrize("answer, result, said", [
  ({}, "hotplug:done", "Hotplug done."),
  ({"payload": "It has one"}, None, "It has one"),
  ({"fail_msg": "50 % of it"}, "hotplug:failed",
   "Could not hotplug device: 50 %% of it; %s" % LATER),
  ({"fail_msg": "Error while executing backend function: "}, "hotplug:failed",
   "Could not hotplug device: node node1 can't, install ganeti-virtio-rng 0.2"
   " or later there; %s" % LATER),
  ])
@pytest.mark.parametrize("value", ["default", "random"])
def test_plugs(ganeti, defaults, value, answer, result, said):
  job = Job(ganeti, defaults, value, **answer)
  assert job.run() == ([("hv/virtio_rng", result)] if result else [])
  assert job.said == ["Trying to hotplug device...", said]
  [(node, instance, action, kind, device, _, _)] = job.asked
  assert (node, instance) == ("node1-uuid", job.instance)
  assert (action, kind, device) == ("hotadd", "virtio_rng", (None, instance))


def test_does_not_plug(ganeti, defaults):
  job = Job(ganeti, defaults, "off")
  assert (job.run(), job.asked) == ([], [])
  assert job.said == [LATER.replace("random", "off")]
  for change in ({"hotplug": False}, {"hvparams": {"acpi": True}},
                 {"hvparams": {}}):
    job = Job(ganeti, defaults, "random")
    vars(job.op).update(change)
    assert (job.run(), job.asked, job.said) == ([], [], [])


def test_error_of_ours(ganeti, defaults):
  """The job has done what it is for, and ends well."""
  job = Job(ganeti, defaults, "random")
  job.cfg = None
  assert job.run() == []
  assert job.said == ["Could not hotplug device, see the log of jobs"]


@pytest.fixture
def noded(ganeti, monkeypatch):
  """The node daemon's module, on a node that is none."""
  result = importlib.import_module("ganeti.server.noded")
  monkeypatch.setattr(result.backend.hypervisor, "GetHypervisor", str)
  return result


def test_node_daemon(ganeti, noded, monkeypatch):
  hotplug = importlib.import_module("ganeti_virtio_rng.hotplug")
  answer = noded.NodeRequestHandler.perspective_hotplug_device
  instance = {"name": "web1", "hypervisor": "kvm"}
  monkeypatch.setattr(hotplug, "plug", lambda kvm, instance: (kvm,
                                                              instance.name))
  params = [instance, "hotadd", "virtio_rng", None, None, None]
  assert answer(params) == ("kvm", "web1")

  def refuse(kvm, instance):
    raise ganeti.errors.HotplugError("50 % of it")
  monkeypatch.setattr(hotplug, "plug", refuse)
  with pytest.raises(noded.backend.RPCFail, match="^50 % of it$"):
    answer(params)


def test_other_kinds(noded, monkeypatch):
  """They are Ganeti's own; it answers to one that it doesn't know like this."""
  monkeypatch.setattr(noded.backend, "HotplugDevice", lambda *args: args[2:4])
  answer = noded.NodeRequestHandler.perspective_hotplug_device
  (kind, nic) = answer([{}, "hotadd", "nic", {"mac": "x"}, None, 0])
  assert (kind, nic.mac) == ("nic", "x")
  with pytest.raises(AssertionError, match="^$"):
    answer([{}, "hotadd", "virtio_rng2", None, None, 0])


@pytest.mark.parametrize("hypervisors", [["kvm"], ["fake"], ["fake", "kvm"]])
@pytest.mark.parametrize("redist", [False, True])
def test_files_that_verify_compares(ganeti, defaults, hypervisors, redist):
  """The one with the version, but none is ever sent to nodes."""
  verify = importlib.import_module("ganeti.cmdlib.cluster.verify")
  common = importlib.import_module("ganeti.cmdlib.common")
  defaults.enabled_hypervisors = hypervisors
  defaults.enabled_disk_templates = ["diskless"]
  stock = common.ComputeAncillaryFiles(defaults, redist)
  ours = verify.ComputeAncillaryFiles(defaults, redist)
  assert ours[1:] == stock[1:]
  assert ours[0] - stock[0] == ({ganeti_virtio_rng.__file__}
                                if "kvm" in hypervisors else set())

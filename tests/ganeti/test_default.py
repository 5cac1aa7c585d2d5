# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The default: filled in where Ganeti fills in others, and never written."""

import json
import types

import pytest


def cluster(ganeti, kvm=(), os_kvm=()):
  return ganeti.objects.Cluster(
    hvparams={"kvm": dict({"acpi": True}, **dict(kvm)), "fake": {}},
    os_hvp={"debian": {"kvm": dict(os_kvm)}}, enabled_hypervisors=["kvm"])


def instance(ganeti, hypervisor="kvm", **hvparams):
  return ganeti.objects.Instance(name="web1", os="debian", hvparams=hvparams,
                                 hypervisor=hypervisor)


@pytest.mark.parametrize("levels, value", [
  (({}, {}, {}), "random"),
  (({"virtio_rng": "off"}, {}, {}), "off"),
  (({"virtio_rng": "off"}, {"virtio_rng": "urandom"}, {}), "urandom"),
  (({}, {"virtio_rng": "urandom"}, {"virtio_rng": "random"}), "random"),
  ])
def test_levels(ganeti, levels, value):
  (kvm, os_kvm, own) = levels
  filled = cluster(ganeti, kvm, os_kvm).FillHV(instance(ganeti, **own))
  assert filled["virtio_rng"] == value
  assert filled["acpi"] is True


def test_others_have_none(ganeti):
  one = cluster(ganeti)
  assert one.FillHV(instance(ganeti, "fake")) == {}
  assert "virtio_rng" not in one.GetHVDefaults("kvm",
                                               skip_keys=["virtio_rng"])
  # as info asks
  assert one.FillHV(instance(ganeti), True)["virtio_rng"] == "random"


def test_is_not_written(ganeti):
  one = cluster(ganeti)
  one.UpgradeConfig()
  one.FillHV(instance(ganeti))
  one.GetHVDefaults("kvm")
  assert "virtio_rng" not in json.dumps([one.hvparams, one.os_hvp])


@pytest.mark.parametrize("kvm, asked, os_type, checked", [
  ({}, {}, "debian", "off"), # an instance is added
  ({}, {}, "other", "random"),
  ({}, {"virtio_rng": "urandom"}, "debian", "urandom"),
  ({"virtio_rng": "urandom"}, {}, None, "urandom"), # the cluster is modified
  ({}, {}, None, "random"),
  ])
def test_nodes_check_it(ganeti, kvm, asked, os_type, checked):
  """By CheckHVParams, which has only what was asked for."""
  import ganeti.cmdlib.common as common
  one = cluster(ganeti, kvm, {"virtio_rng": "off"})
  sent = []

  def validate(nodes, hvname, hvparams):
    sent.append((hvname, hvparams))
    return {node: types.SimpleNamespace(offline=True) for node in nodes}

  lu = types.SimpleNamespace(
    op=types.SimpleNamespace(**({"os_type": os_type} if os_type else {})),
    cfg=types.SimpleNamespace(GetClusterInfo=lambda: one,
                              GetNonVmCapableNodeList=lambda: []),
    rpc=types.SimpleNamespace(call_hypervisor_validate_params=validate))
  common.CheckHVParams(lu, ["node1"], "kvm", asked)
  common.CheckHVParams(lu, ["node1"], "fake", {})
  [(_, hvparams), fake] = sent
  assert hvparams == {"acpi": True, "virtio_rng": checked}
  assert fake == ("fake", {})


@pytest.mark.parametrize("levels, is_set", [
  (({}, {}, {}), False),
  (({"virtio_rng": "random"}, {}, {}), True),
  (({}, {"virtio_rng": "random"}, {}), True),
  (({}, {}, {"virtio_rng": "random"}), True),
  ])
def test_exports_hold_what_was_set(ganeti, levels, is_set):
  """What a node is sent goes through Ganeti's own client and encoders."""
  import ganeti.rpc.node as rpc_node
  (kvm, os_kvm, own) = levels
  one = cluster(ganeti, kvm, os_kvm)
  runner = object.__new__(rpc_node.RpcRunner)
  runner._cfg = types.SimpleNamespace(GetClusterInfo=lambda: one)
  sent = []

  def encode(_, argument):
    (kind, value) = argument
    if kind == ganeti.rpc_defs.ED_INST_DICT:
      return {"name": value.name, "hvparams": one.FillHV(value)}
    return value

  def send(nodes, procedure, body, *_):
    sent.append((procedure, json.loads(body["node1"])))
    return {node: "done" for node in nodes}

  runner._encoder = encode
  runner._proc = send
  assert runner.call_finalize_export("node1", instance(ganeti, **own), []
                                     ) == "done"
  [(procedure, (encoded, disks))] = sent
  assert (procedure, disks) == ("finalize_export", [])
  assert encoded["name"] == "web1"
  assert encoded["hvparams"]["acpi"] is True
  assert encoded["hvparams"].get("virtio_rng") == ("random" if is_set else None)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Which of two values stays: the one that was saved, or one that is newer."""

import types

import pytest

from ganeti_virtio_rng import leaving

SAVED = {"cluster": "urandom", "os": {"a": "off", "b": "urandom"},
         "instances": {"1": "off", "2": "urandom", "gone": "off"}}


@pytest.mark.parametrize("newer, expected", [
  (None, "urandom"), ("random", "urandom"), ("off", "off")])
def test_cluster(newer, expected):
  found = {"cluster": newer, "os": {}, "instances": {}}
  assert leaving._merge(SAVED, found)["cluster"] == expected

  cluster = types.SimpleNamespace(hvparams={"kvm": {}}, os_hvp={})
  if newer is not None:
    cluster.hvparams["kvm"]["virtio_rng"] = newer
  leaving._put_back(SAVED, cluster, [])
  assert cluster.hvparams == {"kvm": {"virtio_rng": expected}}


def test_operating_systems_and_instances():
  """Here the default is a value as any other: nobody writes it unasked."""
  newer = {"cluster": None, "os": {"b": "random", "c": "off"},
           "instances": {"2": "random", "3": "off"}}
  merged = leaving._merge(SAVED, newer)
  assert merged["os"] == {"a": "off", "b": "random", "c": "off"}
  assert merged["instances"] == {"1": "off", "2": "random", "gone": "off",
                                 "3": "off"}

  cluster = types.SimpleNamespace(
    hvparams={}, os_hvp={"b": {"kvm": {"virtio_rng": "random", "acpi": True}},
                         "c": {"kvm": {"virtio_rng": "off"}}})
  instances = [types.SimpleNamespace(uuid=uuid, hvparams=hvparams)
               for (uuid, hvparams) in [("1", {"acpi": True}),
                                        ("2", {"virtio_rng": "random"}),
                                        ("3", {"virtio_rng": "off"}),
                                        ("4", {})]]
  changed = leaving._put_back(SAVED, cluster, instances)
  assert changed == [cluster, instances[0]]
  assert cluster.os_hvp == {
    "a": {"kvm": {"virtio_rng": "off"}},
    "b": {"kvm": {"virtio_rng": "random", "acpi": True}},
    "c": {"kvm": {"virtio_rng": "off"}}}
  assert [instance.hvparams for instance in instances] == [
    {"acpi": True, "virtio_rng": "off"}, {"virtio_rng": "random"},
    {"virtio_rng": "off"}, {}]


def test_nothing_was_saved():
  found = {"cluster": "random", "os": {}, "instances": {"1": "off"}}
  assert leaving._merge(None, found) == found

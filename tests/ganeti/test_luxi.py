# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The field hv/virtio_rng of queries, with Ganeti's own client.

Only luxid is not there; tests/cluster has the real one.

"""

import copy
import importlib

import pytest

FIELD = "hv/virtio_rng"

#: Cells as luxid sends them: status (0 is normal, 4 is offline) and value
INSTANCES = [
  {"name": [0, "off"], "hypervisor": [0, "kvm"],
   "hvparams": [0, {"acpi": True, "virtio_rng": "off"}]},
  {"name": [0, "old"], "hypervisor": [0, "kvm"], "hvparams": [0, {}]},
  {"name": [0, "fake"], "hypervisor": [0, "fake"], "hvparams": [0, {}]},
  {"name": [0, "away"], "hypervisor": [4, None], "hvparams": [4, None]},
  ]


def definition(name):
  return {"name": name, "title": name.title(), "kind": "text", "doc": name}


@pytest.fixture
def luxi(ganeti):
  return ganeti.luxi


@pytest.fixture
def client(luxi):
  class Client(luxi.Client):
    """Answers as luxid does, which knows nothing of the parameter."""

    def __init__(self): # pylint: disable=W0231
      self.asked = []

    def CallMethod(self, method, args): # pylint: disable=C0103
      self.asked.append(args)
      if method == luxi.REQ_QUERY_CLUSTER_INFO:
        return {"hvparams": {"kvm": {"acpi": True}, "fake": {}}}
      (what, fields) = args[:2]
      if method == luxi.REQ_QUERY_INSTANCES:
        return [[copy.deepcopy(instance[name][1]) for name in fields]
                for instance in INSTANCES]
      if method == luxi.REQ_QUERY:
        return {"fields": [definition(name) for name in fields],
                "data": [[copy.deepcopy(instance.get(name, [1, None]))
                          for name in fields] for instance in INSTANCES]}
      assert method == luxi.REQ_QUERY_FIELDS
      names = fields or ["name", "hypervisor", "hv/acpi", "hv/zzz"]
      return {"fields": [definition(name) for name in sorted(names)]}

  return Client()


def names(response):
  return [field.name for field in response.fields]


@pytest.mark.parametrize("fields", [
  [FIELD], ["name", FIELD], [FIELD, "name"], [FIELD, "name", FIELD],
  ["hvparams", FIELD, "hypervisor"],
  ])
def test_field(client, fields):
  response = client.Query("instance", fields, None)
  rest = [name for name in fields if name != FIELD]
  assert client.asked == [("instance", rest + ["hypervisor", "hvparams"],
                           None)]
  assert names(response) == fields
  cells = [[0, "off"], [0, "random"], [3, None], [4, None]]
  for row, instance, cell in zip(response.data, INSTANCES, cells):
    for name, answer in zip(fields, row):
      if name == FIELD:
        assert answer == cell
      elif name != "hvparams": # see test_all_parameters
        assert answer == instance[name]


def test_field_is_defined_as_others_are(ganeti, client):
  (field, ) = client.Query("instance", [FIELD], None).fields
  field.Validate()
  assert field.ToDict() == {
    "name": FIELD, "title": FIELD, "kind": ganeti.constants.QFT_OTHER,
    "doc": "The \"virtio_rng\" hypervisor parameter"}


@pytest.mark.parametrize("what, fields, qfilter", [
  ("instance", ["name", "hypervisor"], ["=", "name", "web1"]),
  ("node", ["name"], None),
  ("node", [FIELD], ["=", FIELD, "off"]), # luxid's to refuse
  ])
def test_other_queries(client, what, fields, qfilter):
  response = client.Query(what, fields, qfilter)
  assert client.asked == [(what, fields, qfilter)]
  assert names(response) == fields


@pytest.mark.parametrize("qfilter", [
  ["=", FIELD, "off"], ["?", FIELD], ["!", ["=", FIELD, "off"]],
  ["&", ["=", "name", "web1"], ["|", ("!=", FIELD, "off")]],
  ])
@pytest.mark.parametrize("fields", [["name"], [FIELD]])
def test_filter(ganeti, client, fields, qfilter):
  with pytest.raises(ganeti.errors.OpPrereqError) as context:
    client.Query("instance", fields, qfilter)
  assert FIELD in context.value.args[0]
  assert context.value.args[1] == ganeti.errors.ECODE_INVAL
  assert client.asked == []


def test_filter_for_its_name(client):
  """An instance may be called like the field."""
  qfilter = ["=", "name", FIELD]
  assert client.Query("instance", ["name"], qfilter)
  assert client.asked == [("instance", ["name"], qfilter)]


def test_fields(client):
  assert (names(client.QueryFields("instance", None)) ==
          ["hv/acpi", FIELD, "hv/zzz", "hypervisor", "name"])
  (field, name) = client.QueryFields("instance", ["name", FIELD]).fields
  assert (name.name, name.title) == ("name", "Name")
  assert (field.name, field.title) == (FIELD, FIELD)
  assert names(client.QueryFields("instance", ["name"])) == ["name"]
  assert FIELD not in names(client.QueryFields("node", None))


def test_all_parameters(client):
  """The field hvparams has the default filled in."""
  response = client.Query("instance", ["hvparams", "name"], None)
  assert names(response) == ["hvparams", "name"]
  values = [(params or {}).get("virtio_rng")
            for ((_, params), _) in response.data]
  assert values == ["off", "random", None, None]


def test_query_instances(client):
  """As the remote API asks, whose cells have no status."""
  rows = client.QueryInstances([], [FIELD, "hvparams", "name"], False)
  assert [row[0] for row in rows] == ["off", "random", None, None]
  assert [(row[1] or {}).get("virtio_rng") for row in rows] == [
    "off", "random", None, None]
  assert [row[2] for row in rows] == ["off", "old", "fake", "away"]
  assert client.QueryInstances([], ["name"], False)[0] == ["off"]
  assert client.asked[-1] == ([], ["name"], False)


def test_cluster_info(client):
  assert client.QueryClusterInfo()["hvparams"] == {
    "kvm": {"acpi": True, "virtio_rng": "random"}, "fake": {}}


def test_replaces_nothing_by_itself(luxi):
  extension = importlib.import_module("ganeti_virtio_rng.extensions.luxi")
  before = dict(vars(luxi.Client))
  [(owner, attributes)] = extension.extend(luxi)
  assert owner is luxi.Client
  assert set(attributes) == {"Query", "QueryFields", "QueryInstances",
                             "QueryClusterInfo"}
  assert dict(vars(luxi.Client)) == before


def test_native_support_wins(luxi, monkeypatch):
  generated = importlib.import_module("ganeti._constants")
  monkeypatch.setitem(generated.HVS_PARAMETER_TYPES, "virtio_rng", "string")
  for name in ("luxi", "objects", "common", "node", "noded", "verify",
               "instance_set_params"):
    extension = importlib.import_module("ganeti_virtio_rng.extensions." + name)
    assert extension.extend(luxi) == []

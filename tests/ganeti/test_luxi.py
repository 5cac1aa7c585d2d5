# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The field hv/virtio_rng of queries, with Ganeti's own client.

Only luxid is not there; tests/lab has the real one.

"""

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
      (what, fields) = args[:2]
      if method == luxi.REQ_QUERY:
        return {"fields": [definition(name) for name in fields],
                "data": [[list(instance.get(name, [1, None]))
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
  assert response.data == [
    [cell if name == FIELD else instance[name] for name in fields]
    for instance, cell in zip(INSTANCES, cells)]


def test_field_is_defined_as_others_are(ganeti, client):
  (field, ) = client.Query("instance", [FIELD], None).fields
  field.Validate()
  assert field.ToDict() == {
    "name": FIELD, "title": FIELD, "kind": ganeti.constants.QFT_OTHER,
    "doc": "The \"virtio_rng\" hypervisor parameter"}


@pytest.mark.parametrize("what, fields, qfilter", [
  ("instance", ["name", "hvparams"], ["=", "name", "web1"]),
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


def test_disabled(client, monkeypatch, tmp_path):
  """A process that has started before knows nothing of it from then on."""
  monkeypatch.setattr("ganeti_virtio_rng_loader.DISABLED", str(tmp_path))
  qfilter = ["=", FIELD, "off"]
  client.Query("instance", [FIELD], qfilter)
  assert client.asked == [("instance", [FIELD], qfilter)]
  assert FIELD not in names(client.QueryFields("instance", None))


def test_undo(luxi):
  room = importlib.import_module("ganeti_virtio_rng.luxi")
  ours = {name: vars(luxi.Client)[name] for name in ("Query", "QueryFields")}
  theirs = {name: method.__wrapped__ for name, method in ours.items()}
  for name, method in theirs.items():
    setattr(luxi.Client, name, method)
  undo = room.extend(luxi)
  try:
    assert luxi.Client.Query.__wrapped__ is theirs["Query"]
    undo()
    assert {name: vars(luxi.Client)[name] for name in theirs} == theirs
  finally:
    for name, method in ours.items():
      setattr(luxi.Client, name, method)


def test_native_support_wins(ganeti, luxi, monkeypatch):
  generated = importlib.import_module("ganeti._constants")
  monkeypatch.setitem(generated.HVS_PARAMETER_TYPES, "virtio_rng", "string")
  before = dict(vars(luxi.Client))
  room = importlib.import_module("ganeti_virtio_rng.luxi")
  assert room.extend(luxi) is None
  assert dict(vars(luxi.Client)) == before

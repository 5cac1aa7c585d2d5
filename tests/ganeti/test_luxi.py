# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The field hv/virtio_rng of queries, with Ganeti's own client.

Only luxid is not there; tests/cluster has the real one.

"""

import copy
import importlib
import itertools
import operator
import re

import pytest

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

FIELD = "hv/virtio_rng"
BORN = "hv/disk_cache"
SOURCES = ["hypervisor", "os", "custom_hvparams"]

COMPARISONS = {
  "=": operator.eq, "==": operator.eq, "!=": None, "<": operator.lt,
  "<=": operator.le, ">": operator.gt, ">=": operator.ge}

OPERANDS = {"?": [], "=~": [str], "=[]": [str, int]}


def make(name, hypervisor="kvm", os="noop", **custom):
  """An instance's cells as luxid sends them: status (0 is normal) and value.

  @param custom: what the instance has of its own

  """
  born = [0, "default"] if hypervisor == "kvm" else [3, None]
  return {"name": [0, name], "uuid": [0, "uuid-of-%s" % name],
          "hypervisor": [0, hypervisor], "os": [0, os],
          "hvparams": [0, dict(custom)], "custom_hvparams": [0, custom],
          BORN: born}


AWAY = dict(make("away"), **dict.fromkeys(SOURCES + ["hvparams", BORN],
                                          [4, None]))
INSTANCES = [make("off", acpi=True, virtio_rng="off"), make("old"),
             make("fake", "fake"), AWAY]


class Wrong(Exception):
  """luxid refuses a filter."""


def check(qfilter, known):
  """What luxid sees of a filter before it looks at any instance."""
  if (not isinstance(qfilter, (list, tuple)) or
      not isinstance((list(qfilter) or [None])[0], str)):
    raise Wrong("Cannot deserialise filter")
  (op, *operands) = qfilter
  if op in ("&", "|", "!"):
    if op == "!" and len(operands) != 1:
      raise Wrong("expected [filter]")
    for operand in operands:
      check(operand, known)
    return
  if op not in COMPARISONS and op not in OPERANDS:
    raise Wrong("Unknown filter operand")
  types = tuple(OPERANDS.get(op, [str, int]))
  if len(operands) != (2 if types else 1):
    raise Wrong("Cannot deserialise field")
  if operands[0] not in known:
    raise Wrong("Can't find field named '%s'" % operands[0])
  if types and (not isinstance(operands[1], types) or operands[1] is True):
    raise Wrong("Cannot deserialise filter value")
  if op == "=~":
    try:
      re.compile(operands[1].replace(r"\h", " ")) # as only PCRE reads it
    except (re.error, OverflowError):
      raise Wrong("Cannot compile")


def evaluate(qfilter, instance):
  """Whether an instance passes, as luxid has it."""
  (op, *operands) = qfilter
  if op == "!":
    return not evaluate(operands[0], instance)
  if op in ("&", "|"):
    return {"&": all, "|": any}[op](evaluate(operand, instance)
                                    for operand in operands)
  if op == "!=":
    return not evaluate(["="] + operands, instance)
  (status, value) = instance[operands[0]]
  if status != 0:
    return True
  if op == "?":
    raise Wrong("Unexpected value in boolean context")
  if op == "=[]":
    raise Wrong("Unable to read list")
  if op == "=~":
    return bool(re.search(operands[1].replace(r"\h", " "), value))
  if isinstance(operands[1], int):
    raise Wrong("Invalid types in comparison")
  return COMPARISONS[op](value, operands[1])


def requested(qfilter):
  """The names of a filter that is a list of names and no more, or None."""
  if qfilter[0] in ("=", "==") and qfilter[1] == "name":
    return [qfilter[2]]
  lists = ([requested(operand) for operand in qfilter[1:]]
           if qfilter[0] == "|" else [None])
  return None if None in lists else list(itertools.chain.from_iterable(lists))


def select(qfilter, instances):
  """The instances that luxid answers with, in order."""
  if qfilter is None:
    return instances
  check(qfilter, instances[0])
  by_name = dict((instance["name"][1], instance) for instance in instances)
  wanted = requested(qfilter) or list(by_name)
  if set(wanted) - set(by_name):
    raise Wrong("Instance not known")
  return [by_name[name] for name in wanted
          if evaluate(qfilter, by_name[name])]


def definition(name):
  return {"name": name, "title": name.title(), "kind": "text", "doc": name}


@pytest.fixture(scope="module")
def luxi(ganeti):
  return ganeti.luxi


@pytest.fixture(scope="module")
def connect(luxi):
  class Client(luxi.Client):
    """Answers as luxid does, which knows nothing of the parameter."""

    def __init__(self, instances=tuple(INSTANCES), **info):
      self.asked = []
      self.instances = instances
      self.info = dict({"hvparams": {"kvm": {"acpi": True}, "fake": {}},
                        "os_hvp": {}}, **info)

    def CallMethod(self, method, args):
      self.asked.append(args)
      if method == luxi.REQ_QUERY_CLUSTER_INFO:
        return copy.deepcopy(self.info)
      (what, fields) = args[:2]
      if method == luxi.REQ_QUERY_INSTANCES:
        return [[copy.deepcopy(instance[name][1]) for name in fields]
                for instance in self.instances]
      if method == luxi.REQ_QUERY:
        if not all(isinstance(name, str) for name in fields):
          raise Wrong("Unable to read the field")
        qfilter = args[2] if what == "instance" else None
        return {"fields": [definition(name) for name in fields],
                "data": [[copy.deepcopy(instance.get(name, [1, None]))
                          for name in fields]
                         for instance in select(qfilter, self.instances)]}
      assert method == luxi.REQ_QUERY_FIELDS
      names = fields or ["disk/10", "disk/2", "hv/acpi", "hv/zzz", "name"]
      return {"fields": [definition(name) for name in sorted(names)]}

  return Client


@pytest.fixture
def client(connect):
  return connect()


def names(response):
  return [field.name for field in response.fields]


@pytest.mark.parametrize("fields", [
  [FIELD], ["name", FIELD], [FIELD, "name"], [FIELD, "name", FIELD],
  ["hvparams", FIELD, "hypervisor"],
  ])
def test_field(client, fields):
  response = client.Query("instance", fields, None)
  (query, cluster_info) = client.asked
  assert FIELD not in query[1] and query[1][-3:] == SOURCES
  assert ("hvparams" in query[1]) == ("hvparams" in fields) # it is large
  assert cluster_info == ()
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


def test_fields_that_are_no_text(connect):
  """The remote API passes on what it is asked for; luxid refuses it."""
  client = connect(instances=())
  with pytest.raises(Wrong):
    client.Query("instance", [["name"]], None)
  assert client.asked == [("instance", [["name"]], None)]


@pytest.mark.parametrize("what, fields, qfilter", [
  ("instance", ["name", "hypervisor"], ["=", "name", "old"]),
  ("node", ["name"], None),
  ("node", [FIELD], ["=", FIELD, "off"]), # luxid's to refuse
  ])
def test_other_queries(client, what, fields, qfilter):
  response = client.Query(what, fields, qfilter)
  assert client.asked == [(what, fields, qfilter)]
  assert names(response) == fields


@pytest.mark.parametrize("expected, level", [
  ("random", {}), ("off", {"cluster": "off"}),
  ("urandom", {"cluster": "off", "os": "urandom"}),
  ("random", {"cluster": "off", "os": "urandom", "instance": "random"})])
def test_levels(connect, expected, level):
  """The instance's own value holds, else that of its OS, else the cluster's."""
  (cluster, os_hvp, custom) = [
    {"virtio_rng": level[name]} if name in level else {}
    for name in ("cluster", "os", "instance")]
  client = connect([make("web1", **custom)], hvparams={"kvm": cluster},
                   os_hvp={"noop": {"kvm": os_hvp, "fake": {}},
                           "other": {"kvm": {"virtio_rng": "off"}}})
  assert client.Query("instance", [FIELD], None).data == [[[0, expected]]]
  assert client.QueryInstances([], [FIELD], False) == [[expected]]


VALUES = ["off", "random", "urandom"]

RIGHT = st.one_of(
  st.tuples(st.sampled_from(sorted(COMPARISONS)),
            st.sampled_from([FIELD, FIELD, BORN]),
            st.sampled_from(VALUES + ["", "p", "default"])),
  st.tuples(st.just("=~"), st.just(FIELD),
            st.sampled_from(["r", "^off$", "(?i)URANDOM", "", "o|u"])),
  st.tuples(st.sampled_from(["=", "!=", "=~"]), st.just("name"),
            st.sampled_from(["i0", "i1"])))

WRONG = st.sampled_from([
  ("?", FIELD), ("=", FIELD, 5), (">", FIELD, 5), ("=~", FIELD, "("),
  ("=[]", FIELD, "off"), ("=[]", FIELD, 5)])


def filters(leaves):
  """Filters of some leaves, nested in any way."""
  return st.recursive(leaves.map(list), lambda parts: st.one_of(
    parts.map(lambda part: ["!", part]),
    st.tuples(st.sampled_from("&|"), st.lists(parts, max_size=4)).map(
      lambda it: [it[0]] + it[1])), max_leaves=12)


def outcome(function, *args):
  """What a query gives, as names, or the word wrong."""
  try:
    return [name for ((_, name), *_) in function(*args)]
  except Wrong:
    return "wrong"


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(VALUES + [None, "fake", "away"]), min_size=1,
                max_size=6),
       st.one_of(filters(RIGHT), filters(st.one_of(RIGHT, WRONG))),
       st.sampled_from([[], [FIELD]]))
def test_filter(connect, values, qfilter, fields):
  """Each gives the same as a luxid that was born with the field."""
  instances = []
  born = []
  for i, value in enumerate(values):
    cell = {"fake": [3, None], "away": [4, None]}.get(value)
    instance = make("i%d" % i, "fake" if value == "fake" else "kvm",
                    **(dict(virtio_rng=value) if value in VALUES else {}))
    if value == "away":
      instance.update((name, AWAY[name]) for name in SOURCES + [BORN])
    instances.append(instance)
    born.append(dict(instance, **{FIELD: cell or [0, value or "random"]}))
  client = connect(instances)
  cells = ["name"] + fields
  assert (outcome(lambda: client.Query("instance", cells, qfilter).data) ==
          outcome(lambda: [[instance[name] for name in cells]
                           for instance in select(qfilter, born)]))


@pytest.mark.parametrize("qfilter, left", [
  (["=", FIELD, "off"], "off fake away"),
  (["!", ["=", FIELD, "off"]], "old"),
  (["&", ["=~", "name", "o"], ["|", ("!=", FIELD, "off")]], "old"),
  (["|", ["=", "name", "old"], ["&", ["<", FIELD, "p"], ["=~", FIELD, "^o"]]],
   "off old fake away"),
  (["|", ["=", "name", "old"], ["=", "name", "fake"], ["!", ["=", FIELD, "x"]]],
   "off old fake")])
@pytest.mark.parametrize("fields", [["name"], ["name", FIELD]])
def test_some_filters(client, fields, qfilter, left):
  before = copy.deepcopy(qfilter)
  response = client.Query("instance", fields, qfilter)
  assert [row[0][1] for row in response.data] == left.split()
  assert qfilter == before
  queries = [args for args in client.asked if args]
  assert len(queries) == 2 # however many leaves
  assert queries[0][2] is None


def test_groups_of_uuids(connect):
  """Of a long list, each instance is compared with a few."""
  instances = [make("i%d" % i, virtio_rng=("off", "random")[i % 2])
               for i in range(100)]
  for i, instance in enumerate(instances):
    instance["uuid"] = [0, "%02d" % (37 * i % 100)] # in another order
  client = connect(instances)
  response = client.Query("instance", ["name"], ["=", FIELD, "random"])
  assert [row[0][1] for row in response.data] == [
    "i%d" % i for i in range(1, 100, 2)]
  (_, (_, *groups)) = client.asked[-1][2]
  assert len(groups) == 8 # of seven
  for (_, least, most, (_, *leaves)) in groups:
    operands = [operand for (_, _, operand) in leaves]
    assert len(operands) <= 7
    assert [least, most] == [[">=", "uuid", operands[0]],
                             ["<=", "uuid", operands[-1]]]
    assert operands == sorted(operands)


@pytest.mark.parametrize("operand", ["off", "random"])
def test_fewer_uuids(connect, operand):
  client = connect([make("i%d" % i, virtio_rng="random" if i else "off")
                    for i in range(9)])
  client.Query("instance", ["name"], ["=", FIELD, operand])
  assert str(client.asked[-1]).count("['=', 'uuid'") == 1


@pytest.mark.parametrize("qfilter", [
  ["?", FIELD], ["=", FIELD, 5], ["=", FIELD, ["off"]], ["=", FIELD, True],
  ["=", FIELD], ["=", FIELD, "off", "off"], ["=[]", FIELD, "off"],
  ["=~", FIELD, "("], ["=~", FIELD, "a{99999999999}"], ["=~", FIELD, 5],
  ["=~", FIELD, r"\h"], ["foo", FIELD, "off"], [["="], FIELD, "off"],
  ["!", FIELD], ["&", FIELD, FIELD], ["!"], [],
  ])
def test_wrong_filters(client, qfilter):
  """They are luxid's to refuse, as for a field that it knows."""
  with pytest.raises(Wrong) as context:
    client.Query("instance", ["name"], qfilter)
  assert "Can't find field" not in str(context.value)


def test_filter_for_its_name(client):
  """An instance may be called like the field."""
  qfilter = ["=~", "name", FIELD]
  assert client.Query("instance", ["name"], qfilter)
  assert client.asked == [("instance", ["name"], qfilter)]


def test_fields(client):
  assert (names(client.QueryFields("instance", None)) ==
          ["disk/2", "disk/10", "hv/acpi", FIELD, "hv/zzz", "name"])
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


def test_order(connect):
  """luxid sorts parameters by name."""
  client = connect([make("web1", vnc_tls=False, acpi=True)])
  [[(_, params)]] = client.Query("instance", ["hvparams"], None).data
  assert list(params) == ["acpi", "virtio_rng", "vnc_tls"]


def test_replaces_nothing_by_itself(luxi):
  extension = importlib.import_module("ganeti_virtio_rng.extensions.luxi")
  before = dict(vars(luxi.Client))
  (owner, attributes) = extension.extend(luxi)
  assert owner is luxi.Client
  assert set(attributes) == {"Query", "QueryFields", "QueryInstances",
                             "QueryClusterInfo"}
  assert dict(vars(luxi.Client)) == before


def test_native_support_wins(luxi, monkeypatch):
  loader = importlib.import_module("ganeti_virtio_rng_loader")
  generated = importlib.import_module("ganeti._constants")
  monkeypatch.setitem(generated.HVS_PARAMETER_TYPES, "virtio_rng", "string")
  before = dict(vars(luxi.Client))
  loader.extend("ganeti.luxi", luxi)
  assert dict(vars(luxi.Client)) == before

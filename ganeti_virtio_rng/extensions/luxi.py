# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.luxi: what luxid tells of parameters has virtio_rng, too.

luxid fills in defaults by itself, from the configuration, and the fields that
it answers to are compiled into it. The field hv/virtio_rng is made of some of
them and of what the cluster has; filters name the instances that pass instead.

"""

import functools
import operator
import re

from typing import Any, Callable, Dict, List, Optional, Tuple

from ganeti import _constants, constants, objects, utils

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import objects as defaults

FIELD = "hv/%s" % HV_VIRTIO_RNG

#: All hypervisor parameters of an instance
_HVPARAMS = "hvparams"

#: What the fields are made of
_SOURCES = ["hypervisor", "os", "custom_hvparams"]

#: A field of luxid's own that has a string where L{FIELD} has one
_BORN = "hv/disk_cache"

#: Whether a value passes an operand, by operators of ganeti.qlang
_TESTS = {
  "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
  "<=": operator.le, ">": operator.gt, ">=": operator.ge,
  "=~": lambda value, pattern: re.search(pattern, value),
  } # type: Dict[str, Callable[[str, str], Any]]


def _definition() -> Any:
  """As luxid defines the fields of other parameters that are strings."""
  return objects.QueryFieldDefinition(
    name=FIELD, title=FIELD, kind=constants.QFT_OTHER,
    doc="The \"%s\" hypervisor parameter" % HV_VIRTIO_RNG)


def _cell(info: Any, hypervisor: str, os_name: str,
          custom: "List[Any]") -> "List[Any]":
  """Makes an instance's cell of L{FIELD}.

  @param info: what the cluster has
  @type custom: list
  @param custom: status and value of the instance's own parameters
  @rtype: list
  @return: status and value

  """
  (status, params) = custom
  if params is None:
    return [status, None]
  params = {**info["hvparams"].get(hypervisor, {}),
            **info["os_hvp"].get(os_name, {}).get(hypervisor, {}), **params}
  defaults.fill(hypervisor, params)
  value = params.get(HV_VIRTIO_RNG)
  return [constants.RS_UNAVAIL if value is None else status, value]


def _complete(client: Any, fields: "List[str]",
              rows: "List[List[Any]]") -> None:
  """Makes rows of the fields that were asked for.

  @type fields: list of str
  @param fields: as they were asked for
  @type rows: list
  @param rows: what luxid has for L{_ask}, as cells; changed in place

  """
  info = client.QueryClusterInfo() if FIELD in fields else None
  for row in rows:
    ((_, hypervisor), (_, os_name), custom) = row[-len(_SOURCES):]
    del row[-len(_SOURCES):]
    for i, name in enumerate(fields):
      if name == FIELD:
        row[i] = _cell(info, hypervisor, os_name, custom)
      elif name == _HVPARAMS and row[i][1] is not None:
        defaults.fill(hypervisor, row[i][1])


def _ask(fields: "List[str]") -> "List[str]":
  """Returns what luxid is asked for: something else in our field's place."""
  return ["name" if name == FIELD else name for name in fields] + _SOURCES


def _is_concerned(fields: "List[str]") -> bool:
  return FIELD in fields or _HVPARAMS in fields


def _query(query: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query)
  def Query(self: Any, what: str, fields: "List[str]", qfilter: Any) -> Any:
    # pylint: disable=C0103
    if what != constants.QR_INSTANCE:
      return query(self, what, fields, qfilter)

    @functools.lru_cache(maxsize=None)
    def values() -> Any:
      return [(uuid, value) for ((_, uuid), (_, value)) in
              Query(self, what, ["uuid", FIELD], None).data]

    qfilter = _translate(qfilter, values)
    if not _is_concerned(fields):
      return query(self, what, fields, qfilter)
    response = query(self, what, _ask(fields), qfilter)
    response.fields = [_definition() if name == FIELD else field
                       for name, field in zip(fields, response.fields)]
    _complete(self, fields, response.data)
    return response

  return Query


def _translate(qfilter: Any, values: "Callable[[], Any]") -> Any:
  """Makes a filter that luxid knows, and that the same instances pass.

  A list of names only is more to luxid than a filter: C{&} and C{!} see to it
  that the UUIDs never look like a part of one.

  @param qfilter: an operator and its operands, which may be filters
  @type values: callable
  @param values: returns UUID and value of each instance

  """
  if not isinstance(qfilter, (list, tuple)) or len(qfilter) < 2:
    return qfilter
  (op, field, *operands) = qfilter
  if field != FIELD:
    return [op] + [_translate(operand, values) for operand in qfilter[1:]]
  if not _is_right(op, operands):
    # luxid may read a pattern that Python doesn't: it is wrong without that.
    return ["&"] + [["?", _BORN]] * (op == "=~") + [[op, _BORN] + operands]
  leaves = ([], []) # type: Tuple[List[Any], List[Any]]
  for uuid, value in values():
    # In luxid, what has no value passes, and "!=" is the contrary of "=".
    passes = op != "!=" if value is None else _TESTS[op](value, operands[0])
    leaves[bool(passes)].append(["=", "uuid", uuid])
  (failing, passing) = leaves
  (op, fewer) = min(("!", failing), ("&", passing), key=lambda it: len(it[1]))
  return [op, ["|"] + fewer]


def _is_right(op: Any, operands: "List[Any]") -> bool:
  """Whether a leaf may compare a string so."""
  if str(op) not in _TESTS or [type(operand) for operand in operands] != [str]:
    return False
  try:
    _TESTS[op]("", operands[0])
  except (re.error, OverflowError, RecursionError):
    return False
  return True


def _query_instances(query: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query)
  def QueryInstances(self: Any, names: "List[str]", fields: "List[str]",
                     use_locking: bool) -> Any:
    # pylint: disable=C0103
    if not _is_concerned(fields):
      return query(self, names, fields, use_locking)
    rows = [[[constants.RS_NORMAL, value] for value in row]
            for row in query(self, names, _ask(fields), use_locking)]
    _complete(self, fields, rows)
    return [[value for (_, value) in row] for row in rows]

  return QueryInstances


def _query_cluster_info(query: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query)
  def QueryClusterInfo(self: Any) -> Any:
    # pylint: disable=C0103
    info = query(self)
    for hypervisor, params in info["hvparams"].items():
      defaults.fill(hypervisor, params)
    return info

  return QueryClusterInfo


def _query_fields(query_fields: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query_fields)
  def QueryFields(self: Any, what: str, fields: "Optional[List[str]]") -> Any:
    # pylint: disable=C0103
    response = query_fields(self, what, fields)
    if what == constants.QR_INSTANCE:
      if fields:
        response.fields = [_definition() if field.name == FIELD else field
                           for field in response.fields]
      else:
        response.fields = utils.NiceSort(response.fields + [_definition()],
                                         key=lambda field: field.name)
    return response

  return QueryFields


def extend(luxi: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what makes Client know the parameter, see L{constants.extend}."""
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return []
  before = vars(luxi.Client)
  return [(luxi.Client, {
    "Query": _query(before["Query"]),
    "QueryFields": _query_fields(before["QueryFields"]),
    "QueryInstances": _query_instances(before["QueryInstances"]),
    "QueryClusterInfo": _query_cluster_info(before["QueryClusterInfo"]),
    })]

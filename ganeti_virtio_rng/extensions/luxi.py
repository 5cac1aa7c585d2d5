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

from ganeti import constants, objects, utils

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import objects as defaults
from ganeti_virtio_rng.extensions import wrapping

FIELD = "hv/%s" % HV_VIRTIO_RNG

#: Fields in which it is missing from what luxid answers
_FIELDS = [FIELD, "hvparams"]

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
  """Returns status and value of L{FIELD}; custom: those of custom_hvparams."""
  (status, params) = custom
  if params is None:
    return [status, None]
  value = defaults.fill(hypervisor, {
    **info["hvparams"].get(hypervisor, {}),
    **info["os_hvp"].get(os_name, {}).get(hypervisor, {}), **params,
    }).get(HV_VIRTIO_RNG)
  return [constants.RS_UNAVAIL if value is None else status, value]


def _complete(client: Any, fields: "List[str]",
              rows: "List[List[Any]]") -> None:
  """Makes rows of the fields that were asked for.

  @param rows: what luxid has for L{_ask}, as cells; changed in place

  """
  info = client.QueryClusterInfo() if FIELD in fields else None
  for row in rows:
    ((_, hypervisor), (_, os_name), custom) = row[-len(_SOURCES):]
    del row[-len(_SOURCES):]
    for i, name in enumerate(fields):
      if name == FIELD:
        row[i] = _cell(info, hypervisor, os_name, custom)
      elif name == "hvparams" and row[i][1] is not None:
        row[i][1] = defaults.fill(hypervisor, row[i][1])


def _ask(fields: "List[str]") -> "List[str]":
  """Returns what luxid is asked for: something else in our field's place."""
  return ["name" if name == FIELD else name for name in fields] + _SOURCES


def Query(query: "Callable[..., Any]", client: Any, what: str,
          fields: "List[str]", qfilter: Any) -> Any:
  if what != constants.QR_INSTANCE:
    return query(client, what, fields, qfilter)

  @functools.lru_cache(maxsize=None)
  def values() -> Any:
    return [(uuid, value) for ((_, uuid), (_, value)) in
            client.Query(what, ["uuid", FIELD], None).data]

  qfilter = _translate(qfilter, values)
  if not any(name in _FIELDS for name in fields):
    return query(client, what, fields, qfilter)
  response = query(client, what, _ask(fields), qfilter)
  response.fields = [_definition() if name == FIELD else field
                     for name, field in zip(fields, response.fields)]
  _complete(client, fields, response.data)
  return response


def _translate(qfilter: Any, values: "Callable[[], Any]") -> Any:
  """Makes a filter that luxid knows, and that the same instances pass.

  A list of names only is more to luxid than a filter: C{&} and C{!} see to it
  that the UUIDs never look like a part of one.

  @param qfilter: an operator and its operands, which may be filters
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
  (passing, failing) = ([], []) # type: Tuple[List[str], List[str]]
  for uuid, value in values():
    # In luxid, an instance without a value passes all tests but "!=", which is
    # the contrary of "=".
    passes = op != "!=" if value is None else _TESTS[op](value, operands[0])
    (passing if passes else failing).append(uuid)
  if len(passing) < len(failing):
    return ["&", _one_of(passing)]
  return ["!", _one_of(failing)]


def _one_of(uuids: "List[str]") -> "List[Any]":
  """Makes a filter that these pass.

  luxid compares an instance with those of a group only in the group's range.

  """
  uuids = sorted(uuids)
  size = max(1, int(len(uuids) ** 0.5))
  return ["|"] + [
    ["&", [">=", "uuid", group[0]], ["<=", "uuid", group[-1]],
     ["|"] + [["=", "uuid", uuid] for uuid in group]]
    for group in (uuids[i:i + size] for i in range(0, len(uuids), size))]


def _is_right(op: Any, operands: "List[Any]") -> bool:
  """Whether a leaf may compare a string so."""
  if str(op) not in _TESTS or [type(operand) for operand in operands] != [str]:
    return False
  try:
    _TESTS[op]("", operands[0])
  except (re.error, OverflowError, RecursionError):
    return False
  return True


def QueryInstances(query: "Callable[..., Any]", client: Any,
                   names: "List[str]", fields: "List[str]",
                   use_locking: bool) -> Any:
  if not any(name in _FIELDS for name in fields):
    return query(client, names, fields, use_locking)
  rows = [[[constants.RS_NORMAL, value] for value in row]
          for row in query(client, names, _ask(fields), use_locking)]
  _complete(client, fields, rows)
  return [[value for (_, value) in row] for row in rows]


def QueryClusterInfo(query: "Callable[..., Any]", client: Any) -> Any:
  info = query(client)
  info["hvparams"] = {name: defaults.fill(name, params)
                      for name, params in info["hvparams"].items()}
  return info


def QueryFields(query_fields: "Callable[..., Any]", client: Any, what: str,
                fields: "Optional[List[str]]") -> Any:
  response = query_fields(client, what, fields)
  if what == constants.QR_INSTANCE:
    if fields:
      response.fields = [_definition() if field.name == FIELD else field
                         for field in response.fields]
    else:
      response.fields = utils.NiceSort(response.fields + [_definition()],
                                       key=lambda field: field.name)
  return response


def extend(luxi: Any) -> "Tuple[Any, Dict[str, Any]]":
  return wrapping.wrap(luxi.Client, Query, QueryInstances, QueryClusterInfo,
                       QueryFields)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.luxi: what luxid tells of parameters has virtio_rng, too.

luxid fills in defaults by itself, from the configuration, and the fields that
it answers to are compiled into it. All hypervisor parameters of an instance are
one of them: the field hv/virtio_rng comes from that.

"""

import functools

from typing import Any, Callable, Dict, List, Optional, Tuple

from ganeti import _constants, constants, errors, objects

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import objects as defaults

FIELD = "hv/%s" % HV_VIRTIO_RNG

#: All hypervisor parameters of an instance
_HVPARAMS = "hvparams"

#: What the fields are made of
_SOURCES = ["hypervisor", _HVPARAMS]


def _definition() -> Any:
  """As luxid defines the fields of other parameters that are strings."""
  return objects.QueryFieldDefinition(
    name=FIELD, title=FIELD, kind=constants.QFT_OTHER,
    doc="The \"%s\" hypervisor parameter" % HV_VIRTIO_RNG)


def _compose(fields: "List[str]", answer: "List[Any]",
             field: Any) -> "List[Any]":
  """Makes a row of the fields that were asked for.

  @type fields: list of str
  @param fields: as they were asked for
  @type answer: list
  @param answer: luxid's row: those that it knows of them, and L{_SOURCES}
  @param field: what the row has for L{FIELD}
  @rtype: list

  """
  cells = iter(answer)
  row = [field if name == FIELD else next(cells) for name in fields]
  # The last one has the default filled in.
  return [answer[-1] if name == _HVPARAMS else cell
          for name, cell in zip(fields, row)]


def _ask(fields: "List[str]") -> "List[str]":
  """Returns what luxid is asked for instead of some fields."""
  return [name for name in fields if name != FIELD] + _SOURCES


def _is_concerned(fields: "List[str]") -> bool:
  return FIELD in fields or _HVPARAMS in fields


def _query(query: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query)
  def Query(self: Any, what: str, fields: "List[str]", qfilter: Any) -> Any:
    # pylint: disable=C0103
    if what == constants.QR_INSTANCE and _mentions(qfilter):
      raise errors.OpPrereqError("Field '%s' can't be used in a filter; list"
                                 " it with \"-o name,%s\" and select from the"
                                 " output" % (FIELD, FIELD),
                                 errors.ECODE_INVAL)
    if what != constants.QR_INSTANCE or not _is_concerned(fields):
      return query(self, what, fields, qfilter)

    response = query(self, what, _ask(fields), qfilter)
    response.fields = _compose(fields, response.fields, _definition())
    response.data = [_compose(fields, row, _cell(*row[-len(_SOURCES):]))
                     for row in response.data]
    return response

  return Query


def _cell(hypervisor: "List[Any]", hvparams: "List[Any]") -> "List[Any]":
  """Fills in the default, and makes an instance's cell of L{FIELD}.

  @type hypervisor: list
  @param hypervisor: status and value
  @type hvparams: list
  @param hvparams: status and value, changed in place
  @rtype: list
  @return: status and value

  """
  (status, params) = hvparams
  if status != constants.RS_NORMAL:
    return [status, None]
  defaults.fill(hypervisor[1], params)
  if HV_VIRTIO_RNG not in params:
    return [constants.RS_UNAVAIL, None]
  return [constants.RS_NORMAL, params[HV_VIRTIO_RNG]]


def _query_instances(query: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query)
  def QueryInstances(self: Any, names: "List[str]", fields: "List[str]",
                     use_locking: bool) -> Any:
    # pylint: disable=C0103
    if not _is_concerned(fields):
      return query(self, names, fields, use_locking)
    rows = []
    for row in query(self, names, _ask(fields), use_locking):
      (hypervisor, params) = row[-len(_SOURCES):]
      if params is not None:
        defaults.fill(hypervisor, params)
      rows.append(_compose(fields, row, (params or {}).get(HV_VIRTIO_RNG)))
    return rows

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


def _mentions(qfilter: Any) -> bool:
  """Whether a filter uses the field.

  A filter is a list of an operator and its operands, which may be filters.

  """
  return isinstance(qfilter, (list, tuple)) and (
    FIELD in qfilter[1:2] or any(_mentions(operand) for operand in qfilter))


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
        response.fields = sorted(response.fields + [_definition()],
                                 key=lambda field: str(field.name))
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

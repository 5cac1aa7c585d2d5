# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.luxi: queries know the field hv/virtio_rng of instances.

The fields that luxid answers to are compiled into it. All hypervisor parameters
of an instance are one of them, and what the commands and the remote API ask for
comes from that.

"""

import functools
import os
import types

from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional

from ganeti import _constants
from ganeti import constants
from ganeti import errors
from ganeti import objects

import ganeti_virtio_rng_loader as loader

from ganeti_virtio_rng import DEFAULT
from ganeti_virtio_rng import HV_VIRTIO_RNG

FIELD = "hv/%s" % HV_VIRTIO_RNG

#: What the field is made of
_SOURCES = ["hypervisor", "hvparams"]


def extend(luxi: types.ModuleType) -> "Optional[Callable[[], None]]":
  """Makes Client.Query and Client.QueryFields know the field.

  @type luxi: module
  @param luxi: ganeti.luxi
  @rtype: callable or None
  @return: function that takes it all back; None if Ganeti knows virtio_rng
  @raise Exception: when the module isn't as expected; it is unchanged then

  """
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return None

  before = dict((name, vars(luxi.Client)[name])
                for name in ["Query", "QueryFields"])

  def replace(attributes: "Dict[str, Any]") -> None:
    for name, value in attributes.items():
      setattr(luxi.Client, name, value)

  replace({
    "Query": _query(before["Query"]),
    "QueryFields": _query_fields(before["QueryFields"]),
    })
  return functools.partial(replace, before)


def _definition() -> Any:
  """As luxid defines the fields of other parameters that are strings.

  """
  return objects.QueryFieldDefinition(
    name=FIELD, title=FIELD, kind=constants.QFT_OTHER,
    doc="The \"%s\" hypervisor parameter" % HV_VIRTIO_RNG)


def _query(query: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(query)
  def Query(self: Any, what: str, fields: "List[str]", qfilter: Any) -> Any:
    # pylint: disable=C0103
    if not (what == constants.QR_INSTANCE and
            (FIELD in fields or _mentions(qfilter)) and _is_enabled()):
      return query(self, what, fields, qfilter)
    if _mentions(qfilter):
      raise errors.OpPrereqError("Field '%s' can't be used in a filter; list"
                                 " it with \"-o name,%s\" and select from the"
                                 " output" % (FIELD, FIELD),
                                 errors.ECODE_INVAL)

    rest = [name for name in fields if name != FIELD]
    response = query(self, what, rest + _SOURCES, qfilter)
    places = [i for i, name in enumerate(fields) if name == FIELD]
    _replace_sources(response.fields, places, lambda *_: _definition())
    for row in response.data:
      _replace_sources(row, places, _cell)
    return response

  return Query


def _is_enabled() -> bool:
  """Whether the field is to be known: rapi goes on running when it is disabled.

  """
  return not os.path.exists(loader.DISABLED)


def _replace_sources(row: "List[Any]", places: "List[int]",
                     function: "Callable[..., Any]") -> None:
  """Replaces the last cells of a row by one that is made of them.

  @type row: list
  @type places: list of int
  @param places: indices that the new cell gets, in ascending order
  @type function: callable
  @param function: makes it

  """
  sources = row[-len(_SOURCES):]
  del row[-len(_SOURCES):]
  for index in places:
    row.insert(index, function(*sources))


def _cell(hypervisor: "List[Any]", hvparams: "List[Any]") -> "List[Any]":
  """Makes the cell of an instance from those of the sources.

  @type hypervisor: tuple
  @param hypervisor: status and value
  @type hvparams: tuple
  @param hvparams: status and value

  """
  (status, params) = hvparams
  if status != constants.RS_NORMAL:
    return [status, None]
  value = params.get(HV_VIRTIO_RNG)
  if value is None and hypervisor[1] == constants.HT_KVM:
    value = DEFAULT # not in the configuration yet
  if value is None:
    return [constants.RS_UNAVAIL, None]
  return [constants.RS_NORMAL, value]


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
    if what == constants.QR_INSTANCE and _is_enabled():
      if fields:
        response.fields = [_definition() if field.name == FIELD else field
                           for field in response.fields]
      else:
        response.fields = sorted(response.fields + [_definition()],
                                 key=lambda field: str(field.name))
    return response

  return QueryFields

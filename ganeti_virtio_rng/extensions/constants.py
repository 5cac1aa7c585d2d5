# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.constants with the parameter, its values and its default."""

import types

from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional

from ganeti_virtio_rng import DEFAULT
from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng import VALUES


def extend(constants: types.ModuleType) -> "Optional[Callable[[], None]]":
  """Adds what Ganeti's constants would say of virtio_rng.

  Names are bound anew and nothing is changed in place, so that a reloaded
  module is as it came, and is extended again.

  @type constants: module
  @param constants: ganeti.constants
  @rtype: callable or None
  @return: function that takes it all back; None if Ganeti knows virtio_rng
  @raise Exception: when the module isn't as expected; it is unchanged then

  """
  if HV_VIRTIO_RNG in constants.HVS_PARAMETER_TYPES:
    return None

  names = {} # type: Dict[str, Any]
  names.update(("HT_VIRTIO_RNG_" + value.upper(), value) for value in VALUES)
  names.update({
    "HV_VIRTIO_RNG": HV_VIRTIO_RNG,
    "HT_VALID_VIRTIO_RNG_TYPES": frozenset(VALUES),
    "HVS_PARAMETERS": constants.HVS_PARAMETERS | frozenset([HV_VIRTIO_RNG]),
    "HVS_PARAMETER_TYPES":
      _with(constants.HVS_PARAMETER_TYPES, HV_VIRTIO_RNG,
            constants.VTYPE_STRING),
    "HVC_DEFAULTS":
      _with(constants.HVC_DEFAULTS, constants.HT_KVM,
            _with(constants.HVC_DEFAULTS[constants.HT_KVM], HV_VIRTIO_RNG,
                  DEFAULT)),
    })

  namespace = vars(constants)
  before = dict((name, namespace[name]) for name in names if name in namespace)
  namespace.update(names)

  def undo() -> None:
    for name in names:
      namespace.pop(name, None)
    namespace.update(before)

  return undo


def _with(mapping: "Dict[str, Any]", key: str, value: Any) -> "Dict[str, Any]":
  """Copy of a dict with one more item.

  """
  result = dict(mapping)
  result[key] = value
  return result

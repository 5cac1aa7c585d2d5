# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.rpc.node: exports hold only what somebody set.

A node is sent an instance with its defaults filled in, and writes all of them
into an export, which a Ganeti without this package could not import then. Only
the master knows what was set.

"""

import functools

from typing import Any, Callable, Dict, List, Tuple

from ganeti import _constants, rpc_defs

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import objects as defaults

#: Index of the function that prepares the encoded arguments (rpc_defs.py)
_PREPARE = 5


def _without_default(finalize: "Callable[..., Any]") -> "Callable[..., Any]":
  definition = rpc_defs.CALLS["RpcClientDefault"]["finalize_export"]
  before = definition[_PREPARE] or (lambda _, args: args)

  def prepare(node: str, args: "List[Any]") -> Any:
    args[0]["hvparams"].pop(HV_VIRTIO_RNG, None)
    return before(node, args)

  changed = definition[:_PREPARE] + (prepare,) + definition[_PREPARE + 1:]

  @functools.wraps(finalize)
  def call_finalize_export(self: Any, node: str, instance: Any,
                           snap_disks: Any, **kwargs: Any) -> Any:
    # pylint: disable=W0212
    if not defaults.is_set(self._cfg.GetClusterInfo(), instance):
      kwargs["_def"] = changed
    return finalize(self, node, instance, snap_disks, **kwargs)

  return call_finalize_export


def extend(node: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what leaves the default out of exports, see L{constants.extend}."""
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return []
  runner = node.RpcRunner
  return [(runner, {"call_finalize_export":
                    _without_default(runner.call_finalize_export)})]

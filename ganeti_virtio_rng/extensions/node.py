# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.rpc.node: exports hold only what somebody set.

A node is sent an instance with its defaults filled in, and writes all of them
into an export, which a Ganeti without this package could not import then. Only
the master knows what was set.

"""

from typing import Any, Callable, Dict, List, Tuple

from ganeti import rpc_defs

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import objects as defaults
from ganeti_virtio_rng.extensions import wrapping

#: Index of the function that prepares the encoded arguments (rpc_defs.py)
_PREPARE = 5


def call_finalize_export(finalize: "Callable[..., Any]", runner: Any, node: str,
                         instance: Any, snap_disks: Any, **kwargs: Any) -> Any:
  if not defaults.is_set(runner._cfg.GetClusterInfo(), instance):
    kwargs["_def"] = _without_default()
  return finalize(runner, node, instance, snap_disks, **kwargs)


def _without_default() -> Any:
  """Returns the definition of the call, which leaves the default out."""
  definition = rpc_defs.CALLS["RpcClientDefault"]["finalize_export"]
  before = definition[_PREPARE] or (lambda _, args: args)

  def prepare(node: str, args: "List[Any]") -> Any:
    args[0]["hvparams"].pop(HV_VIRTIO_RNG, None)
    return before(node, args)

  return definition[:_PREPARE] + (prepare,) + definition[_PREPARE + 1:]


def extend(node: Any) -> "Tuple[Any, Dict[str, Any]]":
  _without_default() # it is defined as is expected
  return wrapping.wrap(node.RpcRunner, call_finalize_export)

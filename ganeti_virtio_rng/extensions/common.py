# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.cmdlib.common: nodes check the default, too.

CheckHVParams fills in what the configuration has, and is given only what was
asked for when an instance is added or imported.

"""

from typing import Any, Callable, Dict, List, Tuple

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import wrapping


def CheckHVParams(check_params: "Callable[..., None]", lu: Any,
                  node_uuids: "List[str]", hvname: str,
                  hvparams: "Dict[str, Any]") -> None:
  # Only a job that makes an instance names an OS without its parameters.
  filled = lu.cfg.GetClusterInfo().GetHVDefaults(
    hvname, getattr(lu.op, "os_type", None))
  if HV_VIRTIO_RNG in filled:
    hvparams = dict({HV_VIRTIO_RNG: filled[HV_VIRTIO_RNG]}, **hvparams)
  check_params(lu, node_uuids, hvname, hvparams)


def extend(common: Any) -> "Tuple[Any, Dict[str, Any]]":
  return wrapping.wrap(common, CheckHVParams)

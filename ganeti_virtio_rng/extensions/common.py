# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.cmdlib.common: nodes check the default, too.

CheckHVParams fills in what the configuration has, and is given only what was
asked for when an instance is added or imported.

"""

import functools

from typing import Any, Callable, Dict, List, Tuple

from ganeti import _constants

from ganeti_virtio_rng import HV_VIRTIO_RNG


def _fill_checked(check_params: "Callable[..., None]") -> "Callable[..., None]":
  @functools.wraps(check_params)
  def CheckHVParams(lu: Any, node_uuids: "List[str]", hvname: str,
                    hvparams: "Dict[str, Any]") -> None:
    # pylint: disable=C0103
    # Only a job that makes an instance names an OS without its parameters.
    filled = lu.cfg.GetClusterInfo().GetHVDefaults(
      hvname, getattr(lu.op, "os_type", None))
    if HV_VIRTIO_RNG in filled:
      hvparams = dict({HV_VIRTIO_RNG: filled[HV_VIRTIO_RNG]}, **hvparams)
    check_params(lu, node_uuids, hvname, hvparams)

  return CheckHVParams


def extend(common: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what makes nodes check the default, see L{constants.extend}."""
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return []
  return [(common, {"CheckHVParams": _fill_checked(common.CheckHVParams)})]

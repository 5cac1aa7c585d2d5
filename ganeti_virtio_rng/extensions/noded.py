# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.server.noded: one more kind of device to hot-plug."""

from typing import Any, Callable, Dict, Tuple

from ganeti import backend, errors, hypervisor, objects

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import wrapping


def perspective_hotplug_device(plug: "Callable[..., Any]", params: Any) -> Any:
  (instance, _, kind) = params[:3]
  if kind != HV_VIRTIO_RNG:
    return plug(params)
  from ganeti_virtio_rng import hotplug
  instance = objects.Instance.FromDict(instance)
  try:
    return hotplug.plug(hypervisor.GetHypervisor(instance.hypervisor), instance)
  except errors.HypervisorError as err:
    return backend._Fail("%s", err)


def extend(noded: Any) -> "Tuple[Any, Dict[str, Any]]":
  return wrapping.wrap(noded.NodeRequestHandler, perspective_hotplug_device)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.server.noded: one more kind of device to hot-plug."""

import functools

from typing import Any, Callable, Dict, List, Tuple

from ganeti import _constants

from ganeti_virtio_rng import HV_VIRTIO_RNG


def _plug_ours(noded: Any, plug: "Callable[..., Any]") -> object:
  @functools.wraps(plug)
  def perspective_hotplug_device(params: Any) -> Any:
    (idict, _, kind) = params[:3]
    if kind != HV_VIRTIO_RNG:
      return plug(params)
    from ganeti_virtio_rng import hotplug
    instance = noded.objects.Instance.FromDict(idict)
    kvm = noded.backend.hypervisor.GetHypervisor(instance.hypervisor)
    try:
      return hotplug.plug(kvm, instance)
    except noded.errors.HypervisorError as err:
      # pylint: disable=W0212
      return noded.backend._Fail("%s", err)

  return staticmethod(perspective_hotplug_device)


def extend(noded: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what makes the node plug, see L{constants.extend}."""
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return []
  handler = noded.NodeRequestHandler
  return [(handler, {"perspective_hotplug_device": _plug_ours(
    noded, handler.perspective_hotplug_device)})]

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.cmdlib.instance_set_params: hot-plugs the device.

Where Ganeti would hot-plug a NIC or a disk, a job that sets the parameter has the
primary node plug the device in. What goes wrong there is a warning: the value is
set, and takes effect at the next start.

"""

import functools
import logging

from typing import Any, Callable, Dict, List, Tuple

from ganeti import _constants, constants

from ganeti_virtio_rng import HV_VIRTIO_RNG, VALUES

_KEY = "hv/%s" % HV_VIRTIO_RNG

#: What a node daemon answers that does not know this kind of device
_UNKNOWN_KIND = "Error while executing backend function: "


def _then_plug(execute: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(execute)
  def Exec(self: Any, feedback_fn: Any) -> Any:
    # pylint: disable=C0103
    result = execute(self, feedback_fn)
    try:
      if HV_VIRTIO_RNG in (self.op.hvparams or {}) and self.op.hotplug:
        result.extend(_plug(self))
    except Exception: # pylint: disable=W0703
      logging.exception("Can't hotplug the random number generator")
      self.LogWarning("Could not hotplug device, see the log of jobs")
    return result

  return Exec


def _plug(lu: Any) -> "List[Tuple[str, str]]":
  """Has the primary node plug the device in.

  @type lu: L{LUInstanceSetParams}
  @rtype: list
  @return: what is to be added to the job's result

  """
  instance = lu.instance
  value = lu.cfg.GetClusterInfo().FillHV(instance)[HV_VIRTIO_RNG]
  later = "%s=%s takes effect at the instance's next start" % (HV_VIRTIO_RNG,
                                                               value)
  if value == VALUES[0]:
    lu.LogInfo("%s", later)
    return []

  lu.LogInfo("Trying to hotplug device...")
  # The encoder takes a pair of a device, which this kind has not, and instance.
  answer = lu.rpc.call_hotplug_device(
    instance.primary_node, instance, constants.HOTPLUG_ACTION_ADD,
    HV_VIRTIO_RNG, (None, instance), None, None)
  problem = answer.fail_msg
  if problem:
    if problem == _UNKNOWN_KIND:
      problem = ("node %s can't, install ganeti-virtio-rng 0.2 or later there" %
                 lu.cfg.GetNodeName(instance.primary_node))
    lu.LogWarning("Could not hotplug device: %s; %s", problem, later)
    return [(_KEY, "hotplug:failed")]
  if answer.payload:
    lu.LogInfo("%s", answer.payload)
    return []
  lu.LogInfo("Hotplug done.")
  return [(_KEY, "hotplug:done")]


def extend(instance_set_params: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what makes the job plug, see L{constants.extend}."""
  if HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return []
  lu = instance_set_params.LUInstanceSetParams
  return [(lu, {"Exec": _then_plug(lu.Exec)})]

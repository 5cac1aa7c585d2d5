# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.cmdlib.instance_set_params: hot-plugs the device.

Where Ganeti would hot-plug a NIC or a disk, a job that sets the parameter has
the primary node plug the device in. What goes wrong there is a warning: the
value is set, and takes effect at the next start.

"""

import logging

from typing import Any, Callable, Dict, List, Tuple

from ganeti import constants

from ganeti_virtio_rng import HV_VIRTIO_RNG, VALUES
from ganeti_virtio_rng.extensions import wrapping

_KEY = "hv/%s" % HV_VIRTIO_RNG

#: What a node daemon answers that does not know this kind of device
_UNKNOWN_KIND = "Error while executing backend function: "


def Exec(execute: "Callable[..., Any]", lu: Any, feedback_fn: Any) -> Any:
  result = execute(lu, feedback_fn)
  try:
    if HV_VIRTIO_RNG in (lu.op.hvparams or {}) and lu.op.hotplug:
      result.extend(_plug(lu))
  except Exception:
    logging.exception("Can't hotplug the random number generator")
    lu.LogWarning("Could not hotplug device, see the log of jobs")
  return result


def _plug(lu: Any) -> "List[Tuple[str, str]]":
  """Has the primary node plug the device in.

  @type lu: L{LUInstanceSetParams}
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


def extend(instance_set_params: Any) -> "Tuple[Any, Dict[str, Any]]":
  return wrapping.wrap(instance_set_params.LUInstanceSetParams, Exec)

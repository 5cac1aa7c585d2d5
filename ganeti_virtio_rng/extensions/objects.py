# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.objects: where Ganeti fills in defaults, it fills in ours.

The configuration never holds it, so that a Ganeti without this package takes
the configuration of a cluster where nobody set a value.

"""

from typing import Any, Callable, Dict, Tuple

from ganeti import constants

from ganeti_virtio_rng import DEFAULT, HV_VIRTIO_RNG
from ganeti_virtio_rng.extensions import wrapping


def fill(hypervisor: str, hvparams: "Dict[str, Any]") -> "Dict[str, Any]":
  """Returns hvparams, or a copy with the default if KVM's have no value."""
  if hypervisor != constants.HT_KVM or HV_VIRTIO_RNG in hvparams:
    return hvparams
  return dict(sorted([*hvparams.items(), (HV_VIRTIO_RNG, DEFAULT)])) # as luxid


def is_set(cluster: Any, instance: Any) -> bool:
  """Whether somebody set a value that holds for an instance.

  @type cluster: L{objects.Cluster}
  @type instance: L{objects.Instance}

  """
  hypervisor = instance.hypervisor
  return any(HV_VIRTIO_RNG in hvparams for hvparams in (
    instance.hvparams, cluster.hvparams.get(hypervisor, {}),
    cluster.os_hvp.get(instance.os, {}).get(hypervisor, {})))


def GetHVDefaults(get_defaults: "Callable[..., Any]", cluster: Any,
                  hypervisor: str, os_name: Any = None,
                  skip_keys: Any = None) -> Any:
  result = get_defaults(cluster, hypervisor, os_name, skip_keys)
  if HV_VIRTIO_RNG in (skip_keys or ()):
    return result
  return fill(hypervisor, result)


def extend(objects: Any) -> "Tuple[Any, Dict[str, Any]]":
  return wrapping.wrap(objects.Cluster, GetHVDefaults)

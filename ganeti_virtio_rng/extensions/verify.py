# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.cmdlib.cluster.verify: it tells which nodes lack the package.

gnt-cluster verify compares files that all nodes must have. The one with the
version of this package is among them, also where no instances run: the master
has to know the parameter.

"""

import functools

from typing import Any, Callable, Dict, List, Tuple

from ganeti import _constants, constants

import ganeti_virtio_rng

#: The same bytes on each architecture
_FILE = ganeti_virtio_rng.__file__


def _with_ours(compute: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(compute)
  def ComputeAncillaryFiles(cluster: Any, redist: bool) -> Any:
    # pylint: disable=C0103
    (everywhere, *others) = compute(cluster, redist)
    if constants.HT_KVM in cluster.enabled_hypervisors:
      everywhere = everywhere | {_FILE}
    return (everywhere, *others)

  return ComputeAncillaryFiles


def extend(verify: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what makes verify compare it, see L{constants.extend}."""
  if ganeti_virtio_rng.HV_VIRTIO_RNG in _constants.HVS_PARAMETER_TYPES:
    return []
  return [(verify, {"ComputeAncillaryFiles":
                    _with_ours(verify.ComputeAncillaryFiles)})]

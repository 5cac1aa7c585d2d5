# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.cmdlib.cluster.verify: it tells which nodes lack the package.

gnt-cluster verify compares files that all nodes must have. The one with the
version of this package is among them, also where no instances run: the master
has to know the parameter.

"""

from typing import Any, Callable, Dict, Tuple

from ganeti import constants

import ganeti_virtio_rng
from ganeti_virtio_rng.extensions import wrapping


def ComputeAncillaryFiles(compute: "Callable[..., Any]", cluster: Any,
                          redist: bool) -> Any:
  (everywhere, *others) = compute(cluster, redist)
  if constants.HT_KVM in cluster.enabled_hypervisors:
    # It has the same bytes on each architecture.
    everywhere = everywhere | {ganeti_virtio_rng.__file__}
  return (everywhere, *others)


def extend(verify: Any) -> "Tuple[Any, Dict[str, Any]]":
  return wrapping.wrap(verify, ComputeAncillaryFiles)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.constants with the parameter and its values.

Its default is not among them: Ganeti writes HVC_DEFAULTS into the
configuration, which is to hold only what somebody set (see objects.py).

"""

from typing import Any, Dict, Tuple

from ganeti_virtio_rng import HV_VIRTIO_RNG, VALUES


def extend(constants: Any) -> "Tuple[Any, Dict[str, Any]]":
  names = {"HT_VIRTIO_RNG_" + value.upper(): value for value in VALUES
           } # type: Dict[str, Any]
  names["HV_VIRTIO_RNG"] = HV_VIRTIO_RNG
  names["HT_VALID_VIRTIO_RNG_TYPES"] = frozenset(VALUES)
  names["HVS_PARAMETERS"] = constants.HVS_PARAMETERS | {HV_VIRTIO_RNG}
  names["HVS_PARAMETER_TYPES"] = {**constants.HVS_PARAMETER_TYPES,
                                  HV_VIRTIO_RNG: constants.VTYPE_STRING}
  return constants, names

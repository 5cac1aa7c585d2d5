# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Collects what is logged, and tells whether the plugin is in effect: each
program of test_finder.py begins with this.

"""

import sys
import syslog

logged = []
syslog.syslog = lambda priority, text: logged.append(text)


def in_effect(constants):
  known = ["virtio_rng" in constants.HVS_PARAMETERS,
           hasattr(constants, "HV_VIRTIO_RNG"),
           hasattr(constants, "HT_VIRTIO_RNG_OFF"),
           hasattr(constants, "HT_VALID_VIRTIO_RNG_TYPES")]
  assert len(set(known)) == 1, known
  assert "virtio_rng" not in constants.HVC_DEFAULTS["kvm"]
  return known[0]

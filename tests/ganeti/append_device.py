# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Appends the device between two marks that strace shows. The arguments are the
folders of Ganeti's modules and of the package's.

"""

import os
import sys
sys.path[:0] = sys.argv[1:]
import ganeti_virtio_rng_finder
ganeti_virtio_rng_finder.start()
from ganeti import constants, objects
from ganeti.hypervisor import hv_kvm
from ganeti_virtio_rng import placement
from ganeti_virtio_rng.extensions.hv_kvm import _GenerateKVMRuntime
instance = objects.Instance(
  hvparams=dict(constants.HVC_DEFAULTS["kvm"], virtio_rng="random"))

def generate(_, instance):
  return (["kvm"], [], instance.hvparams, [])

os.access("/marker", os.F_OK)
assert len(_GenerateKVMRuntime(generate, None, instance)[0]) == 5
os.access("/marker", os.F_OK)

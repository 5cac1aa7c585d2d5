# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Loads Ganeti's modules, of which the last one can't be extended. The arguments
are the folders of the package and of Ganeti, and the modules.

"""

import importlib, sys, syslog
logged = []
syslog.syslog = lambda priority, text: logged.append(text)
sys.dont_write_bytecode = True
sys.path[:0] = sys.argv[1:3]
import ganeti_virtio_rng_finder as finder
finder.start()
names = sys.argv[3:]
lacking = names[-1]
for name in names:
  importlib.import_module(name)
import ganeti_virtio_rng_loader as loader
from ganeti import constants
(reason, ) = logged
assert lacking in reason, reason
assert list(loader.errors) == [lacking], loader.errors
assert ("HV_VIRTIO_RNG" in vars(constants)) == (lacking not in loader.REQUIRED)
assert "virtio_rng" in constants.HVS_PARAMETER_TYPES
kvm = sys.modules["ganeti.hypervisor.hv_kvm"].KVMHypervisor
assert ("virtio_rng" in kvm.PARAMETERS) == (lacking not in loader.REQUIRED)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

HT_KVM = "kvm"
VTYPE_STRING = "string"
HVS_PARAMETERS = frozenset(["acpi"])
HVS_PARAMETER_TYPES = {"acpi": "bool"}
HVC_DEFAULTS = {"kvm": {"acpi": True}, "fake": {}}

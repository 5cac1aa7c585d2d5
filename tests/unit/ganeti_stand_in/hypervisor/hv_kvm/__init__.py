# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

from ganeti import constants
from ganeti import errors


class KVMHypervisor(object):
  PARAMETERS = {"acpi": None}

  @classmethod
  def CheckParameterSyntax(cls, hvparams):
    for key in hvparams:
      if key not in cls.PARAMETERS:
        raise errors.HypervisorError("Parameter '%s' is not supported" % key)

  @classmethod
  def ValidateParameters(cls, hvparams):
    pass

  def _GenerateKVMRuntime(self, instance):
    return [["kvm"]]

  def _ExecuteKVMRuntime(self, instance, kvm_runtime, kvmhelp, incoming=None):
    pass

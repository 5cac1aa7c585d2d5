# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Makes Ganeti tolerate virtio_rng when nothing more works.

Ganeti refuses to modify or verify a cluster whose configuration has a parameter
that it doesn't know. So when the package can't do its work, Ganeti still takes
the three values, though there is no default and no device. Imports nothing of
the package, which may be what is broken.

"""

from typing import Any, Dict

_NAME = "virtio_rng"

#: As in the table of ext/source.c
VALUES = ("off", "random", "urandom")


def _extend(fullname: str, module: Any) -> None:
  """Makes a module of Ganeti tolerate the parameter."""
  try:
    if fullname == "ganeti.constants":
      _extend_constants(module)
    elif fullname == "ganeti.hypervisor.hv_kvm":
      _extend_hv_kvm(module)
  except Exception:
    pass # why it is needed has been logged


def _extend_constants(constants: Any) -> None:
  if _NAME not in constants.HVS_PARAMETER_TYPES:
    constants.HVS_PARAMETER_TYPES = {**constants.HVS_PARAMETER_TYPES,
                                     _NAME: constants.VTYPE_STRING}


def _extend_hv_kvm(hv_kvm: Any) -> None:
  kvm = hv_kvm.KVMHypervisor
  if _NAME in kvm.PARAMETERS:
    return
  check_syntax = vars(kvm)["CheckParameterSyntax"].__func__

  def CheckParameterSyntax(cls: Any, hvparams: "Dict[str, Any]") -> None:
    rest = dict(hvparams)
    value = rest.pop(_NAME, VALUES[0])
    check_syntax(cls, rest)
    if value not in VALUES:
      raise hv_kvm.errors.HypervisorError(
        "Parameter '%s' fails syntax check: The value must be one of: %s"
        " (current value: '%s')" % (_NAME, ", ".join(VALUES), value))

  kvm.CheckParameterSyntax = classmethod(CheckParameterSyntax)


# Last, so that a file that was cut off has no such function
extend = _extend

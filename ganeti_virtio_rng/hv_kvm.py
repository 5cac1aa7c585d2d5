# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.hypervisor.hv_kvm: checks the parameter, adds the device."""

import functools
import logging
import shlex

from ganeti import constants
from ganeti import errors

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng import VALUES
from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng import check
from ganeti_virtio_rng import check_source


def extend(hv_kvm):
  """Makes KVMHypervisor check virtio_rng and start instances with it.

  @type hv_kvm: module
  @param hv_kvm: ganeti.hypervisor.hv_kvm
  @rtype: callable or None
  @return: function that takes it all back; None if Ganeti knows virtio_rng
  @raise Exception: when the module isn't as expected; it is unchanged then

  """
  kvm = hv_kvm.KVMHypervisor
  if HV_VIRTIO_RNG in kvm.PARAMETERS:
    return None

  before = dict((name, vars(kvm)[name]) for name in
                ["PARAMETERS", "CheckParameterSyntax", "ValidateParameters",
                 "_GenerateKVMRuntime"])
  after = {
    "PARAMETERS": _add_parameter(before["PARAMETERS"]),
    "CheckParameterSyntax":
      _accept_missing(before["CheckParameterSyntax"].__func__),
    "ValidateParameters":
      _validate_source(before["ValidateParameters"].__func__),
    "_GenerateKVMRuntime": _append_device(before["_GenerateKVMRuntime"]),
    }
  if "AssessParameters" in vars(kvm): # since Ganeti 3.1
    before["AssessParameters"] = vars(kvm)["AssessParameters"]
    after["AssessParameters"] = \
      _assess_kvm_extra(before["AssessParameters"].__func__)

  def replace(attributes):
    for name, value in attributes.items():
      setattr(kvm, name, value)

  replace(after)
  return functools.partial(replace, before)


def _value(hvparams):
  """Returns the instance's value; a configuration without the key means off.

  """
  return hvparams.get(HV_VIRTIO_RNG, constants.HT_VIRTIO_RNG_OFF)


def _fill(hvparams):
  """Returns hvparams with the key that Ganeti looks up for each parameter.

  """
  result = dict(hvparams)
  result[HV_VIRTIO_RNG] = _value(hvparams)
  return result


def _add_parameter(parameters):
  """Adds the parameter to those that KVMHypervisor knows.

  It is a required one, as an empty value would pass unchecked otherwise.

  """
  result = dict(parameters)
  result[HV_VIRTIO_RNG] = (True, check,
                           "The value must be one of: %s" % ", ".join(VALUES),
                           None, None)
  return result


def _accept_missing(check_syntax):
  @classmethod
  @functools.wraps(check_syntax)
  def CheckParameterSyntax(cls, hvparams): # pylint: disable=C0103
    check_syntax(cls, _fill(hvparams))

  return CheckParameterSyntax


def _validate_source(validate):
  @classmethod
  @functools.wraps(validate)
  def ValidateParameters(cls, hvparams): # pylint: disable=C0103
    validate(cls, _fill(hvparams))

    value = _value(hvparams)
    try:
      check_source(value)
    except (TypeError, ValueError) as err:
      raise errors.HypervisorError(str(err))
    except OSError as err:
      raise errors.HypervisorError("Parameter '%s' fails validation: %s: %s"
                                   " (current value: '%s')" %
                                   (HV_VIRTIO_RNG, err.filename, err.strerror,
                                    value))

  return ValidateParameters


def _append_device(generate):
  @functools.wraps(generate)
  def _GenerateKVMRuntime(self, instance, *args, **kwargs):
    runtime = generate(self, instance, *args, **kwargs)

    # At the very end, so that no other device changes its place on the bus.
    kvm_cmd = runtime[0]
    value = _value(instance.hvparams)
    argv = build_argv(value, kvm_cmd)
    kvm_cmd.extend(argv)
    if not argv and value != constants.HT_VIRTIO_RNG_OFF:
      logging.info("KVM: kvm_extra already adds a virtio-rng device to instance"
                   " %s, ignoring %s=%s", instance.name, HV_VIRTIO_RNG, value)
    return runtime

  return _GenerateKVMRuntime


def _assess_kvm_extra(assess):
  @classmethod
  @functools.wraps(assess)
  def AssessParameters(cls, hvparams): # pylint: disable=C0103
    warnings = assess(cls, hvparams)

    value = _value(hvparams)
    try:
      kvm_extra = shlex.split(hvparams[constants.HV_KVM_EXTRA] or "")
    except ValueError: # unbalanced quotes, of which no start gets past either
      kvm_extra = []
    if (check(value) and value != constants.HT_VIRTIO_RNG_OFF and
        not build_argv(value, kvm_extra)):
      warnings.append("kvm_extra already adds a virtio-rng device, so that"
                      " %s=%s is ignored, please remove the device from"
                      " kvm_extra or set %s to '%s'." %
                      (HV_VIRTIO_RNG, value, HV_VIRTIO_RNG,
                       constants.HT_VIRTIO_RNG_OFF))
    return warnings

  return AssessParameters

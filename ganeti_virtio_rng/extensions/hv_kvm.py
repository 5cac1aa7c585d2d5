# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.hypervisor.hv_kvm: checks the parameter, adds the device."""

import functools
import logging
import os
import time

from typing import Any, Callable, Dict, List, Optional, Tuple

from ganeti import constants, errors, pathutils, utils

from ganeti_virtio_rng import (HV_VIRTIO_RNG, VALUES, build_argv, check,
  check_source, read_options)

_OFF = VALUES[0]

# Here and in the other extensions, types that take time to make are in quotes.
_Params = Any


def _value(hvparams: _Params) -> Any:
  """Returns the value; without one, the master doesn't know the parameter."""
  return hvparams.get(HV_VIRTIO_RNG, _OFF)


def _fill(hvparams: _Params) -> _Params:
  """Returns hvparams with the key that Ganeti looks up for each parameter."""
  result = dict(hvparams)
  result[HV_VIRTIO_RNG] = _value(hvparams)
  return result


def _add_parameter(parameters: _Params) -> _Params:
  """Adds the parameter to those that KVMHypervisor knows."""
  result = dict(parameters)
  result[HV_VIRTIO_RNG] = (True, check,
                           "The value must be one of: %s" % ", ".join(VALUES),
                           None, None)
  return result


def _check_empty(check_syntax: "Callable[..., None]") -> object:
  @functools.wraps(check_syntax)
  def CheckParameterSyntax(cls: Any, hvparams: _Params) -> None:
    # pylint: disable=C0103
    filled = _fill(hvparams)
    if filled[HV_VIRTIO_RNG] == "":
      # In YAML, off is false unless it is quoted, and Ganeti makes false an
      # empty string.
      raise errors.HypervisorError(
        "Parameter '%s' fails syntax check: The value must be one of: %s"
        " (current value: '')" %
        (HV_VIRTIO_RNG, ", ".join("'%s'" % value for value in VALUES)))
    check_syntax(cls, filled)

  return classmethod(CheckParameterSyntax)


def _validate_source(validate: "Callable[..., None]") -> object:
  @functools.wraps(validate)
  def ValidateParameters(cls: Any, hvparams: _Params) -> None:
    # pylint: disable=C0103
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

  return classmethod(ValidateParameters)


def _append_device(generate: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(generate)
  def _GenerateKVMRuntime(self: Any, instance: Any, *args: Any,
                          **kwargs: Any) -> Any:
    runtime = generate(self, instance, *args, **kwargs)

    # At the very end, so that no other device changes its place on the bus.
    try:
      runtime[0].extend(_arguments(instance, runtime))
    except Exception: # pylint: disable=W0703
      logging.exception("KVM: instance %s starts without the random number"
                        " generator of %s", instance.name, HV_VIRTIO_RNG)
    return runtime

  return _GenerateKVMRuntime


def _arguments(instance: Any, runtime: Any) -> "List[str]":
  """Returns what to append to an instance's command line.

  @type instance: L{objects.Instance}
  @param runtime: what _GenerateKVMRuntime returns: command line, NICs,
      hypervisor parameters, disks with their links
  @rtype: list of str

  """
  (kvm_cmd, nics, hvparams, disks) = (runtime[i] for i in range(4))
  value = _value(hvparams)
  argv = build_argv(value, kvm_cmd)

  if not argv:
    if value != _OFF:
      logging.info("KVM: kvm_extra already adds a virtio-rng device to instance"
                   " %s, ignoring %s=%s", instance.name, HV_VIRTIO_RNG, value)
    return argv

  from ganeti_virtio_rng import placement
  options = read_options(kvm_cmd)
  devices = nics + [disk[0] for disk in disks]
  if not placement.has_pci_0(options, devices):
    return argv # QEMU places it
  slot = placement.find_slot(options, devices,
                             hvparams[constants.HV_KVM_PCI_RESERVATIONS])
  if slot is None:
    logging.warning("KVM: no PCI slot is left for the random number generator"
                    " of instance %s, ignoring %s=%s", instance.name,
                    HV_VIRTIO_RNG, value)
    return []
  return build_argv(value, kvm_cmd, slot)


def _explain_failure(run: "Callable[..., Any]") -> "Callable[..., Any]":
  @functools.wraps(run)
  def _RunKVMCmd(self: Any, name: str, kvm_cmd: "List[Any]", *args: Any,
                 **kwargs: Any) -> Any:
    started = time.time()
    try:
      return run(self, name, kvm_cmd, *args, **kwargs)
    except errors.HypervisorError as err:
      text = None
      try:
        text = _explanation(str(err), name, kvm_cmd, started)
      except Exception: # pylint: disable=W0703
        logging.exception("KVM: can't tell why instance %s failed", name)
      if text is None:
        raise
      raise errors.HypervisorError(text)

  return _RunKVMCmd


def _explanation(text: str, name: str, kvm_cmd: "List[Any]",
                 started: float) -> "Optional[str]":
  """Says what to do if QEMU complains of the device of ours.

  It may lack the device or its backend, or can't place it, or open the source.

  @param text: Ganeti's error
  @param name: the instance's name
  @param started: when QEMU was started, in seconds since the epoch
  @return: the new error; None if there is nothing to add

  """
  from ganeti_virtio_rng import running
  backends = [properties for option, properties in read_options(kvm_cmd)
              if option == "object"]
  sources = [backend.get("filename") for backend in backends]
  for backend, source in zip(backends, sources):
    if (running.is_our_id(backend.get("id")) and
        source in ["/dev/%s" % value for value in VALUES[1:]]):
      break
  else:
    return None

  for said in (text, _log_since(started, name)):
    for line in said.splitlines():
      # QEMU begins with the option that it complains of. Of a source it may say
      # nothing but the path, which may be another object's, too.
      if str(backend["id"]) in line or (
          "'%s'" % source in line and ": -" not in line and
          sources.count(source) == 1):
        if said != text:
          text = "%s: %s" % (text, line)
        return ("%s; the random number generator is due to the hypervisor"
                " parameter '%s', set it to '%s' to start the instance without"
                " it" % (text.rstrip(), HV_VIRTIO_RNG, _OFF))
  return None


def _log_since(started: float, name: str) -> str:
  """Returns what QEMU wrote to its log, which it starts anew with each run.

  Since version 7 it may write its errors there only.

  """
  path = utils.PathJoin(pathutils.LOG_KVM_DIR, "%s.log" % name)
  try:
    # The clock of files may be a tick late.
    if os.stat(path).st_mtime > started - 1:
      return str(utils.ReadFile(path))
  except (EnvironmentError, ValueError): # ValueError: it isn't UTF-8
    pass
  return ""


def _assess_kvm_extra(assess: "Callable[..., List[str]]") -> object:
  @functools.wraps(assess)
  def AssessParameters(cls: Any, hvparams: _Params) -> "List[str]":
    # pylint: disable=C0103
    import shlex # which compiles a pattern, too

    warnings = assess(cls, hvparams)

    value = _value(hvparams)
    try:
      kvm_extra = shlex.split(hvparams[constants.HV_KVM_EXTRA] or "")
    except ValueError: # unbalanced quotes, of which no start gets past either
      kvm_extra = []
    if (check(value) and value != _OFF and
        not build_argv(value, kvm_extra)):
      warnings.append("kvm_extra already adds a virtio-rng device, so that"
                      " %s=%s is ignored, please remove the device from"
                      " kvm_extra or set %s to '%s'." %
                      (HV_VIRTIO_RNG, value, HV_VIRTIO_RNG,
                       _OFF))
    return warnings

  return classmethod(AssessParameters)


def extend(hv_kvm: Any) -> "List[Tuple[Any, Dict[str, Any]]]":
  """Returns what makes KVMHypervisor check virtio_rng and start instances so.

  @type hv_kvm: module
  @param hv_kvm: ganeti.hypervisor.hv_kvm
  @rtype: list of tuples of an owner and a dict of its attributes
  @return: empty if Ganeti knows virtio_rng itself

  """
  kvm = hv_kvm.KVMHypervisor
  if HV_VIRTIO_RNG in kvm.PARAMETERS:
    return []
  before = vars(kvm)
  after = {
    "PARAMETERS": _add_parameter(before["PARAMETERS"]),
    "CheckParameterSyntax":
      _check_empty(before["CheckParameterSyntax"].__func__),
    "ValidateParameters":
      _validate_source(before["ValidateParameters"].__func__),
    "_GenerateKVMRuntime": _append_device(before["_GenerateKVMRuntime"]),
    "_RunKVMCmd": _explain_failure(before["_RunKVMCmd"]),
    }
  if "AssessParameters" in before: # since Ganeti 3.1
    after["AssessParameters"] = \
      _assess_kvm_extra(before["AssessParameters"].__func__)
  return [(kvm, after)]

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends ganeti.hypervisor.hv_kvm: checks the parameter, adds the device."""

import logging
import os
import time

# Types that take time to make are in quotes, here and in the other extensions.
from typing import Any, Callable, Dict, List, Optional, Tuple

from ganeti import constants, errors, pathutils, utils

from ganeti_virtio_rng import (HV_VIRTIO_RNG, MAX_BYTES, PERIOD, VALUES,
  build_argv, check, check_source, read_options)
from ganeti_virtio_rng.extensions import wrapping

_OFF = VALUES[0]


def _value(hvparams: Any) -> Any:
  """Returns the value; without one, the master doesn't know the parameter."""
  return hvparams.get(HV_VIRTIO_RNG, _OFF)


def _fill(hvparams: Any) -> Any:
  """Returns hvparams with the key that Ganeti looks up for each parameter."""
  return {HV_VIRTIO_RNG: _OFF, **hvparams}


def CheckParameterSyntax(check_syntax: "Callable[..., None]", cls: Any,
                         hvparams: Any) -> None:
  filled = _fill(hvparams)
  if filled[HV_VIRTIO_RNG] == "":
    # In YAML, off is false unless it is quoted, and Ganeti makes false an empty
    # string.
    raise errors.HypervisorError(
      "Parameter '%s' fails syntax check: The value must be one of: %s"
      " (current value: '')" %
      (HV_VIRTIO_RNG, ", ".join("'%s'" % value for value in VALUES)))
  check_syntax(cls, filled)


def ValidateParameters(validate: "Callable[..., None]", cls: Any,
                       hvparams: Any) -> None:
  validate(cls, _fill(hvparams))
  if not _is_ignored(hvparams):
    _check_source(_value(hvparams), "current value", hvparams, None)


def _is_ignored(hvparams: Any) -> bool:
  """Whether kvm_extra adds a generator, so that the value adds none."""
  value = _value(hvparams)
  try:
    from ganeti_virtio_rng import running
    return (value in VALUES[1:] and
            not build_argv(value, running.kvm_extra(hvparams)))
  except Exception:
    logging.exception("KVM: can't read kvm_extra")
    return False


def _check_source(value: Any, what: str, hvparams: Any, incoming: Any) -> None:
  try:
    check_source(value)
  except (TypeError, ValueError) as err:
    raise errors.HypervisorError(str(err))
  except OSError as err:
    raise errors.HypervisorError(
      "Parameter '%s' fails validation: %s: %s (%s: '%s'), %s" %
      (HV_VIRTIO_RNG, err.filename, err.strerror, what, value,
       _way_out(hvparams, incoming)))
  except Exception:
    logging.exception("KVM: can't look at the source of %s", HV_VIRTIO_RNG)


def _way_out(hvparams: Any, incoming: Any) -> str:
  (word, step) = (("and", "restart the instance to migrate without it")
                  if incoming else ("to", "start the instance without it"))
  if _value(hvparams) == _OFF: # set after the start
    return step
  return "set it to '%s' %s %s" % (_OFF, word, step)


def _GenerateKVMRuntime(generate: "Callable[..., Any]", kvm: Any, instance: Any,
                        *args: Any, **kwargs: Any) -> Any:
  runtime = generate(kvm, instance, *args, **kwargs)
  # At the very end, so that no other device changes its place on the bus.
  try:
    runtime[0].extend(_arguments(instance, runtime))
  except Exception:
    logging.exception("KVM: instance %s starts without the random number"
                      " generator of %s", instance.name, HV_VIRTIO_RNG)
  return runtime


def _arguments(instance: Any, runtime: Any) -> "List[str]":
  """Returns what to append to an instance's command line.

  @param runtime: what _GenerateKVMRuntime returns: command line, NICs,
      hypervisor parameters, disks with their links

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
  # QEMU adds devices in JSON last, such as a bridge that is called as the bus.
  plain = ["" if str(word).startswith("{") else word for word in kvm_cmd]
  if not placement.has_pci_0(read_options(plain), devices):
    drivers = [properties.get("driver") for _, properties in options]
    if "pxb-pcie" in drivers or "pxb-cxl" in drivers:
      argv[3] += ",bus=pcie.0" # the newest, QEMU's choice, takes only bridges
    if "-device {" in " ".join(map(str, kvm_cmd)):
      import json # which Ganeti 3.0 does not import
      device = dict(read_options(argv))["device"]
      argv[3] = json.dumps({**device, "max-bytes": MAX_BYTES, "period": PERIOD})
    return argv
  slot = placement.find_slot(options, devices,
                             hvparams[constants.HV_KVM_PCI_RESERVATIONS])
  if slot is None:
    logging.warning("KVM: no PCI slot is left for the random number generator"
                    " of instance %s, ignoring %s=%s", instance.name,
                    HV_VIRTIO_RNG, value)
    return []
  return build_argv(value, kvm_cmd, slot)


def _ExecuteKVMRuntime(execute: "Callable[..., Any]", kvm: Any, instance: Any,
                       runtime: Any, *args: Any, **kwargs: Any) -> Any:
  incoming = kwargs.get("incoming")
  ours = {} # type: Dict[str, str]
  try:
    ours = _backends(runtime[0], runtime[2])
  except Exception:
    logging.exception("KVM: can't read the arguments of %s", instance.name)
  # QEMU would open any file. A start has looked at it, a migration has not.
  for source in ours.values():
    _check_source(os.path.basename(source), "value in use", instance.hvparams,
                  incoming)
  started = time.time()
  try:
    return execute(kvm, instance, runtime, *args, **kwargs)
  except errors.HypervisorError as err:
    text = str(err).rstrip()
    line = _complaint("%s\n%s" % (text, _log_since(started, instance.name)),
                      str(runtime[0]), ours)
    if line is None:
      raise
    raise errors.HypervisorError(
      "%s%s; the random number generator is due to the hypervisor parameter"
      " '%s', %s" % (text, "" if line in text else ": " + line, HV_VIRTIO_RNG,
                     _way_out(instance.hvparams, incoming)))


def _backends(kvm_cmd: "List[Any]", hvparams: Any) -> "Dict[str, str]":
  """Finds the backends of ours, and their sources."""
  from ganeti_virtio_rng import running
  sources = ["/dev/%s" % value for value in VALUES[1:]]
  return {str(properties["id"]): str(properties["filename"])
          for option, properties in read_options(kvm_cmd)
          if option == "object" and running.is_our_id(properties.get("id")) and
          not running.is_in_kvm_extra(properties["id"], hvparams) and
          properties.get("filename") in sources}


def _complaint(output: str, kvm_cmd: str,
               ours: "Dict[str, str]") -> "Optional[str]":
  """Returns the line by which QEMU complains of the device of ours, if any."""
  for line in output.splitlines():
    for (ident, source) in ours.items():
      if ident in line:
        return line
      # Of a source QEMU may say nothing but the path, and no option: that is
      # ours if no other object has it.
      is_shared = kvm_cmd.count("filename=%s" % source) != 1
      if "'%s'" % source in line and ": -" not in line and not is_shared:
        return line
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


def AssessParameters(assess: "Callable[..., List[str]]", cls: Any,
                     hvparams: Any) -> "List[str]":
  warnings = assess(cls, hvparams)
  if _is_ignored(hvparams):
    warnings.append(
      "kvm_extra already adds a virtio-rng device, so that %s=%s is ignored,"
      " please remove the device from kvm_extra or set %s to '%s'." %
      (HV_VIRTIO_RNG, _value(hvparams), HV_VIRTIO_RNG, _OFF))
  return warnings


def extend(hv_kvm: Any) -> "Tuple[Any, Dict[str, Any]]":
  kvm = hv_kvm.KVMHypervisor
  functions = [CheckParameterSyntax, ValidateParameters, _GenerateKVMRuntime,
               _ExecuteKVMRuntime] # type: List[Callable[..., Any]]
  if hasattr(kvm, "AssessParameters"): # since Ganeti 3.1
    functions.append(AssessParameters)
  (_, attributes) = wrapping.wrap(kvm, *functions)
  rule = "The value must be one of: %s" % ", ".join(VALUES)
  attributes["PARAMETERS"] = {**kvm.PARAMETERS,
                              HV_VIRTIO_RNG: (True, check, rule, None, None)}
  return kvm, attributes

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command check: is this node able and ready?"""

import argparse
import json
import os
import stat
import subprocess
import sys

from typing import Iterator, NamedTuple, Optional, Tuple

from ganeti_virtio_rng import HV_VIRTIO_RNG, VALUES, __version__, _core
from ganeti_virtio_rng import check_source
from ganeti_virtio_rng.cli import node

#: way_out is None where there is no problem
_Finding = NamedTuple("_Finding", [("subject", str), ("text", str),
                                   ("way_out", Optional[str])])

#: What Ganeti's Python tells of its modules; the argument is their place
_PROBE = """
import json
import sys
sys.path[:0] = sys.argv[1:]
try:
  from ganeti_virtio_rng_finder import EXTENDED
  from ganeti_virtio_rng_loader import errors, extend
except Exception as err:
  EXTENDED, errors = [], {"Ganeti in " + sys.executable: err}
for name in sorted(EXTENDED):
  try:
    __import__(name)
  except ImportError as err:
    errors[name] = err
from ganeti import constants
from ganeti.hypervisor import hv_kvm
if not errors:
  try:
    import ganeti_virtio_rng_fallback as fallback # loaded late, as are
    from ganeti_virtio_rng import hotplug, placement, running
    (fallback.extend, hotplug.plug, placement.find_slot, running.kvm_extra)
  except Exception as err:
    errors["ganeti.hypervisor.hv_kvm"] = err
json.dump({
  "version": constants.RELEASE_VERSION,
  "in_effect": "%s" in hv_kvm.KVMHypervisor.PARAMETERS,
  "errors": ["can't extend %%s: %%s: %%s" %% (name, type(err).__name__, err)
             for name, err in sorted(errors.items())],
  }, sys.stdout)
""" % HV_VIRTIO_RNG

_AGAIN = "install the package again, or a version made for this Ganeti"

_OFF = "set %s to '%s' where this node is used" % (HV_VIRTIO_RNG, VALUES[0])


def check(args: argparse.Namespace) -> int:
  """Prints what was found, and returns 1 if there is a problem."""
  findings = list(_findings())
  if args.json:
    json.dump([finding._asdict() for finding in findings], sys.stdout, indent=2)
    print()
  else:
    for (subject, text, way_out) in findings:
      print("%s: %s" % (subject, text) if way_out is None else
            "%s: ERROR: %s; %s" % (subject, text, way_out))
  return int(any(finding.way_out for finding in findings))


def _findings() -> Iterator[_Finding]:
  yield _Finding("package", __version__, None)
  (finding, in_effect) = _look_at_ganeti()
  yield finding
  if in_effect is None:
    return
  node.import_ganeti()
  from ganeti import constants
  if (constants.LUXID_USER != "root" and not node.is_native() and
      not os.stat(_core.__file__).st_mode & stat.S_IROTH):
    yield _Finding("package", "only root can read %s" % _core.__file__,
                   "remove it and install it again, with umask 022")
  # Where Ganeti does not know it, or has it itself, a restart mends nothing.
  if in_effect and not node.is_native():
    yield from map(_look_at_daemon, node.DAEMONS)
  if not node.has_kvm():
    yield _Finding("KVM", "is not used by this cluster", None)
  elif node.has_instances():
    used = node.used_values()
    yield _look_at_qemu(used != {VALUES[0]})
    for value in VALUES[1:]:
      yield _look_at_source(value, used is None or value in used)
    yield _look_at_kernel()


def _look_at_ganeti() -> Tuple[_Finding, Optional[bool]]:
  """Asks Ganeti's modules whether they know the parameter.

  @return: finding, and whether they do; None if there is no Ganeti

  """
  # Isolated from what a root shell's environment and directory may hold
  result = subprocess.run(
    node.ganeti_python() + ["-I", "-c", _PROBE] + node.ganeti_path(),
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
    check=False)
  if result.returncode != 0:
    reason = (result.stderr.splitlines() or ["killed"])[-1]
    return (_Finding("Ganeti", "its modules can't be loaded: %s" % reason,
                     "install Ganeti"), None)

  answer = json.loads(result.stdout)
  (in_effect, errors) = (answer["in_effect"], "; ".join(answer["errors"]))
  if in_effect:
    text = "knows %s, but " if errors else "knows %s"
  elif errors:
    text = "%s is not available: "
  else:
    text = "does not know %s: Python does not start the package"
  return (_Finding("Ganeti", "%s, %s%s" % (answer["version"],
                                           text % HV_VIRTIO_RNG, errors),
                   None if in_effect and not errors else _AGAIN), in_effect)


def _look_at_daemon(name: str) -> _Finding:
  """Asks the process itself whether it has loaded this very package."""
  from ganeti import pathutils, utils
  pid = utils.ReadPidFile(utils.DaemonPidFileName(name))
  try:
    with open("/proc/%d/maps" % pid) as maps:
      # of a file that was replaced, the kernel says that it is deleted
      path = os.path.realpath(_core.__file__)
      loaded = any(line.rstrip().endswith(path) for line in maps)
  except (FileNotFoundError, ProcessLookupError):
    return _Finding(name, "does not run",
                    "run '%s start %s'" % (pathutils.DAEMON_UTIL, name)
                    if name == node.DAEMONS[0] and node.in_cluster() else None)
  if loaded:
    return _Finding(name, "knows %s" % HV_VIRTIO_RNG, None)
  return _Finding(
    name, "was started before this version of the package was installed",
    "run '{0} stop {1}; {0} start {1}'".format(pathutils.DAEMON_UTIL, name))


def _look_at_qemu(is_used: bool) -> _Finding:
  """Asks the cluster's QEMU for the device and its backend."""
  path = _kvm_path()
  for (option, name) in (("-device", "virtio-rng-pci"),
                         ("-object", "rng-random")):
    try:
      result = subprocess.run(
        [path, "-machine", "none", option, "help"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, check=False)
    except EnvironmentError as err:
      return _Finding("QEMU", "can't run %s: %s" % (path, err.strerror),
                      "install it, or change kvm_path")
    if name not in result.stdout:
      return _Finding("QEMU", "%s has no %s" % (path, name),
                      _OFF if is_used else None)
  return _Finding("QEMU", "%s has the device" % path, None)


def _kvm_path() -> str:
  """Reads the cluster's kvm_path from ssconf, which each node has."""
  from ganeti import constants, ssconf
  name = ssconf.SimpleStore().KeyToFilename(constants.SS_HVPARAMS_PREF +
                                            constants.HT_KVM)
  try:
    with open(name) as lines:
      # Not by SimpleStore's method: a value may hold an "=", and a newline.
      params = dict(line.rstrip("\n").split("=", 1) for line in lines
                    if "=" in line)
  except FileNotFoundError: # no cluster yet
    params = {}
  return params.get(constants.HV_KVM_PATH, constants.KVM_PATH)


def _look_at_source(value: str, is_used: bool) -> _Finding:
  subject = "/dev/%s" % value
  try:
    check_source(value)
  except OSError as err:
    text = ("%s; instances with %s=%s don't start here" if is_used else
            "%s; %s=%s is not used")
    return _Finding(subject, text % (err.strerror, HV_VIRTIO_RNG, value),
                    "mend it, or %s" % _OFF if is_used else None)
  return _Finding(subject, "usable", None)


def _look_at_kernel() -> _Finding:
  with open("/proc/sys/kernel/random/entropy_avail") as entropy_avail:
    text = ("its random number generator is %%s, entropy_avail %s bits" %
            entropy_avail.read().strip())
  try:
    os.getrandom(1, os.GRND_NONBLOCK)
  except BlockingIOError:
    return _Finding("kernel", text % "not seeded yet",
                    "wait, or give the node a source such as rng-tools")
  return _Finding("kernel", text % "seeded", None)

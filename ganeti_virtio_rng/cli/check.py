# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The command check: is this node able and ready?"""

import argparse
import json
import os
import subprocess
import sys

from typing import Iterator
from typing import NamedTuple
from typing import Optional
from typing import Tuple

import ganeti_virtio_rng_loader as loader

from ganeti_virtio_rng import HV_VIRTIO_RNG
from ganeti_virtio_rng import VALUES
from ganeti_virtio_rng import __version__
from ganeti_virtio_rng import _core
from ganeti_virtio_rng import check_source
from ganeti_virtio_rng import node

#: way_out is None where there is no problem
_Finding = NamedTuple("_Finding", [("subject", str), ("text", str),
                                   ("way_out", Optional[str])])

#: What a fresh Python tells of Ganeti's modules; the argument is their place
_PROBE = """
import json
import sys
sys.path.insert(0, sys.argv[1])
from ganeti import constants
from ganeti import luxi
from ganeti.hypervisor import hv_kvm
import ganeti_virtio_rng_loader as loader
json.dump({
  "version": constants.RELEASE_VERSION,
  "in_effect": "%s" in hv_kvm.KVMHypervisor.PARAMETERS,
  "errors": ["%%s: %%s" %% (type(err).__name__, err) for err in loader.errors],
  }, sys.stdout)
""" % HV_VIRTIO_RNG

_AGAIN = "install the package again, or a version made for this Ganeti"

_OFF = "set %s to '%s' where this node is used" % (HV_VIRTIO_RNG, VALUES[0])


def check(args: argparse.Namespace) -> int:
  """Prints what was found.

  @rtype: int
  @return: 1 if there is a problem

  """
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
  if in_effect: # else they would have to be restarted once more
    for daemon in node.DAEMONS:
      yield _look_at_daemon(daemon)
  if node.has_instances():
    yield _look_at_qemu()
    for value in VALUES[1:]:
      yield _look_at_source(value)
    yield _look_at_kernel()


def _look_at_ganeti() -> Tuple[_Finding, Optional[bool]]:
  """Asks Ganeti's modules whether they know the parameter.

  @return: finding, and whether they do; None if there is no Ganeti

  """
  # Isolated from what a root shell's environment and directory may hold
  result = subprocess.run(
    [sys.executable, "-I", "-c", _PROBE, os.path.realpath(node.GANETI)],
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
    check=False)
  if result.returncode != 0:
    reason = (result.stderr.splitlines() or ["killed"])[-1]
    return (_Finding("Ganeti", "its modules can't be loaded: %s" % reason,
                     "install Ganeti"), None)

  answer = json.loads(result.stdout)
  version = answer["version"]
  if answer["in_effect"] and os.path.exists(loader.SETTINGS):
    return (_Finding("Ganeti", "%s, what 'ganeti-virtio-rng disable' took out of"
                     " the configuration was not put back" % version,
                     "run 'ganeti-virtio-rng enable'"), True)
  if answer["in_effect"]:
    return (_Finding("Ganeti", "%s, knows %s" % (version, HV_VIRTIO_RNG), None),
            True)
  if os.path.exists(loader.LEAVING):
    return (_Finding("Ganeti", "%s, 'ganeti-virtio-rng disable' was interrupted"
                     % version, "run it again, or 'ganeti-virtio-rng enable'"),
            False)
  if answer["errors"]:
    return (_Finding("Ganeti", "%s, %s is not available: %s" %
                     (version, HV_VIRTIO_RNG, "; ".join(answer["errors"])),
                     _AGAIN), False)
  if os.path.exists(loader.DISABLED):
    return (_Finding("Ganeti", "%s, %s is disabled on this node" %
                     (version, HV_VIRTIO_RNG),
                     "run 'ganeti-virtio-rng enable'"), False)
  return (_Finding("Ganeti", "%s, does not know %s: Python does not start the"
                   " package" % (version, HV_VIRTIO_RNG), _AGAIN), False)


def _look_at_daemon(name: str) -> _Finding:
  """Asks the process itself whether it has loaded this very package.

  """
  from ganeti import utils
  pid = utils.ReadPidFile(utils.DaemonPidFileName(name))
  try:
    with open("/proc/%d/maps" % pid) as maps:
      # of a file that was replaced, the kernel says that it is deleted
      loaded = any(line.rstrip().endswith(_core.__file__)
                   for line in maps)
  except FileNotFoundError:
    return _Finding(name, "does not run", None)
  if loaded:
    return _Finding(name, "knows %s" % HV_VIRTIO_RNG, None)
  return _Finding(name, "was started before this version of the package was"
                        " installed",
                  "run '{0} stop {1}; {0} start {1}'".format(node.DAEMON_UTIL,
                                                             name))


def _look_at_qemu() -> _Finding:
  """Asks the cluster's QEMU for the device and its backend.

  """
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
      return _Finding("QEMU", "%s has no %s" % (path, name), _OFF)
  return _Finding("QEMU", "%s has the device" % path, None)


def _kvm_path() -> str:
  """Reads the cluster's kvm_path from what each node has of its configuration.

  Not by SimpleStore's method, which can't read values that hold a "=".

  """
  from ganeti import constants
  from ganeti import ssconf
  name = ssconf.SimpleStore().KeyToFilename(constants.SS_HVPARAMS_PREF +
                                            constants.HT_KVM)
  try:
    with open(name) as lines:
      params = dict(line.rstrip("\n").split("=", 1) for line in lines)
  except FileNotFoundError: # no cluster yet
    params = {}
  return params.get(constants.HV_KVM_PATH, constants.KVM_PATH)


def _look_at_source(value: str) -> _Finding:
  subject = "/dev/%s" % value
  try:
    check_source(value)
  except OSError as err:
    return _Finding(subject, err.strerror, "mend it, or %s" % _OFF)
  return _Finding(subject, "usable", None)


def _look_at_kernel() -> _Finding:
  with open("/proc/sys/kernel/random/entropy_avail") as entropy_avail:
    text = "entropy_avail %s bits" % entropy_avail.read().strip()
  try:
    os.getrandom(1, os.GRND_NONBLOCK)
  except BlockingIOError:
    return _Finding("kernel", "its random number generator is not seeded yet,"
                              " %s" % text,
                    "wait, or give the node a source such as rng-tools")
  return _Finding("kernel", "its random number generator is seeded, %s" % text,
                  None)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the modules of Ganeti that are extended with virtio_rng.

Every Python on the node runs this at its start, so it imports nothing but sys,
never raises, and leaves all work to modules that only Ganeti's programs load.

"""

import sys

#: Ganeti's modules; the last part is the name of ours in extensions/
EXTENDED = frozenset([
  "ganeti.cmdlib.common",
  "ganeti.constants",
  "ganeti.hypervisor.hv_kvm",
  "ganeti.luxi",
  "ganeti.objects",
  "ganeti.rpc.node",
  ])


def find_spec(fullname: str, path: object = None,
              target: object = None) -> object:
  """Finds a module: this one is a meta path finder (PEP 451).

  The fallback has its turn when the loader is damaged.

  """
  if fullname in EXTENDED:
    for name in ("ganeti_virtio_rng_loader", "ganeti_virtio_rng_fallback"):
      try:
        return __import__(name).find_spec(fullname, path, target)
      except Exception as err:  # pylint: disable=W0703
        log(fullname, err)
  return None


#: What has been said, once each
_logged = set() # type: set[str]


def log(fullname: str, err: BaseException) -> None:
  """Says in the syslog why a module could not be extended.

  Ganeti's own logs aren't open yet while its modules are being imported.

  """
  text = "%s: %s" % (type(err).__name__, err)
  if text in _logged:
    return
  _logged.add(text)
  try:
    import syslog
    syslog.syslog(syslog.LOG_WARNING | syslog.LOG_DAEMON,
                  "virtio_rng is not available: can't extend %s: %s" %
                  (fullname, text))
  except Exception:  # pylint: disable=W0703
    pass


def start() -> None:
  """Called by site, through the .pth or the .start file, maybe twice."""
  finder = sys.modules[__name__]
  if finder not in sys.meta_path:
    sys.meta_path.insert(0, finder)

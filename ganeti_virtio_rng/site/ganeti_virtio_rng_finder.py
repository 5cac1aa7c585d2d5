# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends Ganeti's modules with virtio_rng when they are imported.

Every Python on the node runs this at its start, so it imports nothing but sys,
never raises, and leaves all work to a module that only Ganeti's programs load.

"""

import sys

#: Ganeti's module: ours that extends it
ROOMS = {
  "ganeti.constants": "ganeti_virtio_rng.constants",
  "ganeti.hypervisor.hv_kvm": "ganeti_virtio_rng.hv_kvm",
  "ganeti.luxi": "ganeti_virtio_rng.luxi",
  }


def find_spec(fullname: str, path: object = None,
              target: object = None) -> object:
  """Finds a module: this one is a meta path finder (PEP 451) for ROOMS.

  """
  if fullname not in ROOMS:
    return None
  try:
    import ganeti_virtio_rng_loader as loader
  except Exception as err:  # pylint: disable=W0703
    ROOMS.clear()
    log(fullname, err)
    return None
  return loader.find_spec(fullname, path, target)


def log(fullname: str, err: BaseException) -> None:
  """Says why virtio_rng is not available.

  Ganeti's own logs aren't open yet while its modules are being imported.

  """
  try:
    import syslog
    syslog.syslog(syslog.LOG_WARNING | syslog.LOG_DAEMON,
                  "virtio_rng is not available: can't extend %s: %s: %s" %
                  (fullname, type(err).__name__, err))
  except Exception:  # pylint: disable=W0703
    pass


def start() -> None:
  """Called by site, through the .pth or the .start file, maybe twice."""
  finder = sys.modules[__name__]
  if finder not in sys.meta_path:
    sys.meta_path.insert(0, finder)

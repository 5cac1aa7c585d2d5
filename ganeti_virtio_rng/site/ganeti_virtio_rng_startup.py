# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends Ganeti's modules with virtio_rng when they are imported.

Every Python on the node runs this at its start, so it imports nothing but sys
and never raises.

"""

import sys

# Ganeti's module: ours that extends it
_ROOMS = {
  "ganeti.constants": "ganeti_virtio_rng.constants",
  "ganeti.hypervisor.hv_kvm": "ganeti_virtio_rng.hv_kvm",
  }


class _Loader(object):
  """Loads a module as its own loader does, then extends it."""

  def __init__(self, loader):
    self._loader = loader

  def __getattr__(self, name):
    return getattr(self._loader, name)

  def exec_module(self, module):
    # From here on, nobody sees that another loader was there.
    module.__loader__ = module.__spec__.loader = self._loader
    self._loader.exec_module(module)
    _finder.extend(module)


class _Finder(object):
  """Meta path finder (PEP 451) for the modules in _ROOMS."""

  def __init__(self):
    self._extended = [] # modules, each with what takes it back
    self._aside = False

  def find_spec(self, fullname, path=None, target=None):
    if fullname not in _ROOMS:
      return None
    # Only the finders behind this one: two that both asked all the others
    # would ask each other for ever.
    finders = list(sys.meta_path)
    if self in finders:
      del finders[:finders.index(self) + 1]
    for finder in finders:
      spec = finder.find_spec(fullname, path, target)
      if spec is not None:
        if hasattr(spec.loader, "exec_module"):
          spec.loader = _Loader(spec.loader)
        return spec
    return None

  def extend(self, module):
    try:
      if not self._aside:
        room = __import__(_ROOMS[module.__name__], fromlist=["extend"])
        self._extended.append((module, room.extend(module)))
    except Exception as err:  # pylint: disable=W0703
      self._stand_aside(module.__name__, err)
    if self._aside:
      self._tolerate(module)

  def _stand_aside(self, name, err):
    """Takes everything back, and says so once, in the syslog.

    Ganeti's own logs aren't open yet while its modules are being imported.

    """
    self._aside = True
    try:
      import syslog
      syslog.syslog(syslog.LOG_WARNING | syslog.LOG_DAEMON,
                    "virtio_rng is not available: can't extend %s: %s: %s" %
                    (name, type(err).__name__, err))
      while self._extended:
        module, undo = self._extended.pop()
        if undo is not None:
          undo()
          self._tolerate(module)
    except Exception:  # pylint: disable=W0703
      pass

  def _tolerate(self, module):
    try:
      import ganeti_virtio_rng_aside
      ganeti_virtio_rng_aside.extend(module)
    except Exception:  # pylint: disable=W0703
      pass


_finder = _Finder()


def start():
  """Called by site, through the .pth or the .start file, maybe twice."""
  if _finder not in sys.meta_path:
    sys.meta_path.insert(0, _finder)

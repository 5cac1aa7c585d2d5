# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Loads Ganeti's modules and has them extended, or stands aside.

What goes wrong in here never reaches Ganeti, and nothing is half extended: if
one module can't be, those that were are taken back.

"""

import os
import sys
import types

from typing import Any
from typing import List

import ganeti_virtio_rng_startup as startup

_STATE = "/var/lib/ganeti-virtio-rng"

#: Exists while the plugin is disabled on this node
DISABLED = _STATE + "/disabled"

#: Exists while it is disabled and the configuration still has the parameter
LEAVING = _STATE + "/leaving"

#: What the configuration had, for the way back
SETTINGS = _STATE + "/settings.json"

#: Modules that are extended, each with the function that takes it back
_extended = [] # type: List[Any]

#: Why the plugin stands aside, if something is wrong
errors = [] # type: List[object]


class _Loader(object):
  """Loads a module as its own loader does, then extends it."""

  def __init__(self, loader: Any, fullname: str) -> None:
    self._loader = loader
    self._fullname = fullname

  def __getattr__(self, name: str) -> Any:
    if name == "_loader": # in a copy that is still being made
      raise AttributeError(name)
    return getattr(self._loader, name)

  def exec_module(self, module: Any) -> None:
    # From here on, nobody sees that another loader was there.
    if getattr(module, "__spec__", None) is not None:
      module.__loader__ = module.__spec__.loader = self._loader
    self._loader.exec_module(module)
    _extend(self._fullname, module)


def find_spec(fullname: str, path: Any, target: Any) -> Any:
  """Finds a module as the finders behind the hook do.

  Not all others: two hooks that both asked all would ask each other for ever.

  """
  if os.path.exists(DISABLED):
    if not os.path.exists(LEAVING):
      return None
    errors[:] = ["disabled"]

  finders = list(sys.meta_path) # type: List[Any]
  if startup in finders:
    del finders[:finders.index(startup) + 1]
  for finder in finders:
    find = getattr(finder, "find_spec", None) # older finders have none
    spec = find and find(fullname, path, target)
    if spec is not None:
      if hasattr(spec.loader, "exec_module"):
        spec.loader = _Loader(spec.loader, fullname)
      return spec
  return None


def _extend(fullname: str, module: types.ModuleType) -> None:
  if not errors:
    try:
      room = __import__(startup.ROOMS[fullname], fromlist=["extend"])
      _extended.append((fullname, module, room.extend(module)))
      return
    except Exception as err:  # pylint: disable=W0703
      errors.append(err)
      startup.log(fullname, err)
      _take_back()
  _tolerate(fullname, module)


def _take_back() -> None:
  while _extended:
    (fullname, module, undo) = _extended.pop()
    if undo is not None: # else Ganeti knows virtio_rng itself
      try:
        undo()
      except Exception:  # pylint: disable=W0703
        pass
      _tolerate(fullname, module)


def _tolerate(fullname: str, module: types.ModuleType) -> None:
  try:
    import ganeti_virtio_rng_aside
    ganeti_virtio_rng_aside.extend(fullname, module)
  except Exception:  # pylint: disable=W0703
    pass

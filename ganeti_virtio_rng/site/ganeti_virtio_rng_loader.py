# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Extends Ganeti's modules as they are loaded: all that is needed, or nothing.

An extension is a module whose function extend takes one of Ganeti's modules and
returns an owner, which is the module or a class of it, and a dict of what is to
replace its attributes. Only this module binds names in Ganeti's, and only this
one takes them back. What goes wrong in an extension never reaches Ganeti:
without one of REQUIRED, all are taken back, and Ganeti only tolerates the
parameter; without another one, only its feature is missing.

"""

from typing import Any, Dict, List

import ganeti_virtio_rng_finder as finder

#: Without these there is no parameter
REQUIRED = frozenset(["ganeti.constants", "ganeti.objects",
                      "ganeti.hypervisor.hv_kvm"])

#: Why a module of Ganeti could not be extended, by its name
errors = {} # type: Dict[str, Exception]

#: Modules of REQUIRED that are loaded, to be extended or already so
_required = [] # type: List[Any]

#: What was replaced, in this order: owner, name, and what was there before
_replaced = [] # type: List[Any]

_NOTHING = object()


def _extend(fullname: str, module: Any) -> None:
  """Extends a module of Ganeti that has just been executed."""
  if fullname in REQUIRED:
    _required.append((fullname, module))
  if REQUIRED.isdisjoint(errors):
    try:
      from ganeti import _constants
      if "virtio_rng" in _constants.HVS_PARAMETER_TYPES:
        return # Ganeti knows the parameter itself
      if "ganeti.constants" not in dict(_required):
        from ganeti import constants
        fullname = "ganeti.constants"
        _required.append((fullname, constants)) # to be tolerated, too
        raise ImportError("it was loaded before")
      extension = __import__("ganeti_virtio_rng.extensions.%s" %
                             fullname.rpartition(".")[2], fromlist=["extend"])
      _replace(*extension.extend(module))
    except Exception as err:
      errors[fullname] = err
      finder.log(fullname, err)
  if not REQUIRED.isdisjoint(errors):
    _take_back()


def _replace(owner: Any, attributes: "Dict[str, Any]") -> None:
  """Replaces attributes of a module or class."""
  for name, value in attributes.items():
    _replaced.append((owner, name, vars(owner).get(name, _NOTHING)))
    setattr(owner, name, value)


def _take_back() -> None:
  """Makes Ganeti as it was, but for tolerating the parameter."""
  while _replaced:
    (owner, name, before) = _replaced.pop()
    if before is _NOTHING:
      delattr(owner, name)
    else:
      setattr(owner, name, before)
  import ganeti_virtio_rng_fallback as fallback
  while _required:
    fallback.extend(*_required.pop(0))


def find_spec(*_: object) -> None:
  """Called by the finder of version 0.1, until dpkg has removed that.

  Makes way for the new one, whose turn is next.

  """
  finder.start()


# Last, so that a file that was cut off has no such function
extend = _extend

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Puts functions around Ganeti's own."""

import functools

from typing import Any, Callable, Dict, Tuple


def _wrap(owner: Any, function: "Callable[..., Any]") -> Any:
  name = function.__name__
  attribute = vars(owner).get(name) or getattr(owner, name) # it may inherit it
  before = getattr(attribute, "__func__", attribute)

  @functools.wraps(before)
  def call(*args: Any, **kwargs: Any) -> Any:
    return function(before, *args, **kwargs)

  # a class method is still one
  return call if before is attribute else type(attribute)(call)


# Last, so that a file that was cut off has no such function
def wrap(owner: Any, *functions: "Callable[..., Any]"
         ) -> "Tuple[Any, Dict[str, Any]]":
  """Makes what is to replace functions of Ganeti's.

  @type owner: module or class
  @type functions: functions, by the names of those that they replace
  @param functions: called with the one that it replaces before the arguments
  @rtype: tuple of the owner and a dict of its attributes

  """
  return owner, {function.__name__: _wrap(owner, function)
                 for function in functions}

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The Debian package that tests/package has built."""

from pathlib import Path


_BUILD = Path(__file__).parents[2] / "build/package"


def built_package():
  """Returns the path of the package, the newest if there are several.

  @rtype: Path
  @raise RuntimeError: if there is none

  """
  debs = sorted(_BUILD.glob("ganeti-virtio-rng_*.deb"),
                key=lambda path: path.stat().st_mtime)
  if not debs:
    raise RuntimeError("There is no package in %s; run tests/package" % _BUILD)
  return debs[-1]

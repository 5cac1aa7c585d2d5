# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Imports the package and unloads it again and again.

"""

import gc
import sys

for _ in range(10):
  import ganeti_virtio_rng
  assert ganeti_virtio_rng.build_argv("random")[1].endswith("id=virtio_rng0")
  try:
    ganeti_virtio_rng.build_argv("foo")
  except ValueError:
    pass
  for name in list(sys.modules):
    if name.startswith("ganeti_virtio_rng"):
      del sys.modules[name]
  del ganeti_virtio_rng
  gc.collect()

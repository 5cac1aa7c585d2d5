# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Makes the tree importable as its package is on a node."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]

sys.path[:0] = [str(ROOT), str(ROOT / "ganeti_virtio_rng/site"),
                str(ROOT / "tests")]

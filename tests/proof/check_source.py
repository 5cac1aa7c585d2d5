# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Says what the check of a value's host device finds.

"""

import sys

import ganeti_virtio_rng

try:
  ganeti_virtio_rng.check_source(sys.argv[1])
except OSError as err:
  print(err.errno, err.filename, err.strerror, sep=": ")
else:
  print("fine")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""As check_source.py, while each allocation fails in turn.

"""

import sys

sys.path.insert(0, "tests/proof")

from ganeti_virtio_rng import check_source
from memory import outcome

results = [(MemoryError, "")]
while results[-1] == results[0]:
  results.append(outcome(check_source, (sys.argv[1], ),
                         (len(results) - 1, 0)))
print(len(results) > 2, *results[-1])

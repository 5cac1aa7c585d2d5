# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Tests the contract in the package that is installed for this Python. The
arguments are its version and the folder of the test.

"""

import sys
import unittest

import ganeti_virtio_rng

assert "%d.%d" % sys.version_info[:2] == sys.argv[1], sys.version
assert ganeti_virtio_rng.__file__.startswith(sys.prefix)
sys.path.insert(0, sys.argv[2])
suite = unittest.defaultTestLoader.loadTestsFromName("test_contract")
result = unittest.TextTestRunner(stream=sys.stdout).run(suite)
assert result.wasSuccessful() and result.testsRun >= 18

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A test that fails, for test_lab.py: its name keeps pytest from it."""


def test_fails(bare_cluster):
  cluster = bare_cluster()
  cluster.run("echo by the test > /tmp/note")
  cluster.run("false")

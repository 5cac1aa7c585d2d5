# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A few seconds for each target; tests/fuzz/run takes as long as one likes."""

import pathlib
import subprocess

import pytest

RUN = pathlib.Path(__file__).with_name("run")


@pytest.mark.parametrize("target", ["read", "build"])
def test_fuzz(target):
  result = subprocess.run([str(RUN), "5", target], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  assert result.returncode == 0, result.stdout

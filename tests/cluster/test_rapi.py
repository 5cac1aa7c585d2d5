# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The parameter through the remote API, by Ganeti's own client."""

import pathlib

import pytest

from lab.cluster import Instance
from lab.expectations import ours
from lab.expectations import table

CLIENT = pathlib.Path(__file__).with_name("rapi_client.py")


@pytest.mark.each_release # it must be asked to hot-plug, or not
@pytest.mark.usefixtures("rapi_user")
def test_remote_api(cluster):
  unchecked = "ip_check name_check" if cluster.unchecked else ""
  try:
    cluster.run("python3 - %s" % unchecked, input=CLIENT.read_text())
    assert table(cluster.master) == ["web1.lab.test urandom " + ours(
      Instance(cluster, "web1.lab.test"), "/dev/urandom")]
  finally:
    cluster.run("gnt-instance remove -f --shutdown-timeout=0 web1.lab.test",
                check=False)

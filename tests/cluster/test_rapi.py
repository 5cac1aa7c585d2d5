# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The parameter through the remote API, by Ganeti's own client."""

import pathlib

import pytest

from lab.cluster import Instance
from lab.expectations import ours
from lab.expectations import status

# Each Ganeti has its own way with queries.
pytestmark = pytest.mark.each_release

CLIENT = pathlib.Path(__file__).with_name("rapi_client.py")


def test_remote_api(cluster):
  master = cluster.master
  users = "/var/lib/ganeti/rapi/users"
  master.run("mkdir -p {0} && echo 'me secret write' > {1} &&"
             " chown -R gnt-rapi {0}".format(users.rpartition("/")[0], users))
  unchecked = "ip_check name_check" if cluster.unchecked else ""
  try:
    master.run("python3 - %s" % unchecked, input=CLIENT.read_text())
    assert status(master)[1] == ["web1.lab.test urandom " + ours(
      Instance(cluster, "web1.lab.test"), "/dev/urandom")]
  finally:
    master.run("rm %s" % users)
    cluster.run("gnt-instance remove -f --shutdown-timeout=0 web1.lab.test",
                check=False)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Ganeti's own judges: its unit tests, and its burn-in tool."""

import re

import pytest

from lab.node import Node
from lab.node import Rack

#: Modules whose tests know the parameters, or what they pass through
MODULES = ["backend", "cli", "client.*", "config", "constants", "hypervisor",
           "hypervisor.hv_kvm", "objects", "opcodes", "query", "rapi.client",
           "rapi.rlib2"]


def judge(node):
  """Runs Ganeti's unit tests, which are scripts.

  @rtype: dict
  @return: script -> what failed, and how many tests it ran

  """
  scripts = node.run("cd /usr/src/ganeti/test/py && find . %s" % " -o ".join(
    "-name 'ganeti.%s_unittest.py'" % name for name in MODULES)).stdout.split()
  assert len(scripts) >= len(MODULES)
  results = {}
  for script in scripts:
    output = node.run(
      "cd /usr/src/ganeti && TOP_SRCDIR=. TOP_BUILDDIR=. PYTHONPATH=$(echo"
      " /usr/share/ganeti/3.*):test/py:test/py/legacy:. timeout 120"
      " python3 test/py/%s" % script, check=False).stderr
    results[script] = re.findall(r"^((?:FAIL|ERROR): .*|Ran \d+ tests?)",
                                 output, re.M)
  return results


#: Asks that each parameter has a default in HVC_DEFAULTS, from where Ganeti
#: writes it into the configuration: ours is not there, on purpose.
DEFAULTS = ("ganeti.hypervisor_unittest.py",
            "FAIL: test (__main__.TestParameters.test)",
            "FAIL: test (__main__.TestParameters)") # Python before 3.11


def test_unit_tests_of_ganeti(release, deb, progress):
  """They give the same result with the package as without, but for one."""
  rack = Rack()
  node = Node(release, "node1.lab.test", "10.77.0.1", rack, {}, progress)
  try:
    before = judge(node)
    assert all("Ran" in "".join(lines) for lines in before.values()), before
    node.install(deb)
    after = judge(node)
    (name, ) = [name for name in after if name.endswith(DEFAULTS[0])]
    failed = [line for line in after[name] if line in DEFAULTS]
    assert len(failed) == 1
    after[name].remove(failed[0])
    assert after == before
  finally:
    node.stop()
    rack.close()


@pytest.mark.long
def test_burnin(cluster, release, request, some):
  """Once with random, or with each value.

  Nobody looks into the guests: there is no kernel, and so no ACPI to stop it.

  """
  if release == "sid":
    result = cluster.run("/usr/lib/ganeti/tools/burnin --version", check=False)
    if "FancyURLopener" in result.stderr:
      pytest.skip("Ganeti 3.1's burn-in tool needs a Python before 3.14")
  cluster.master.start_daemons("confd") # which it asks
  request.addfinalizer(lambda: cluster.run(
    "/usr/lib/ganeti/daemon-util stop ganeti-confd"))
  for value in some(["random", "urandom", "off"]):
    output = cluster.run(
      "/usr/lib/ganeti/tools/burnin -n node1.lab.test,node2.lab.test"
      " -o noop+default -t diskless --no-nics --mem-size=128 --vcpu-count=1"
      " --no-replace1 --no-replace2 --no-importexport --no-reinstall"
      " --no-add-disks --no-add-nics --no-activate-disks --no-rename"
      " -H kvm:virtio_rng=%s,kernel_path=,acpi=false %s burnin.lab.test" %
      (value, cluster.unchecked), timeout=600).stdout
    assert "Migrating instances" in output

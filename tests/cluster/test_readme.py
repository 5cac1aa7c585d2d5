# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""One installs, begins with one instance, goes on, and removes: by README.rst.

"""

import pathlib

import docutils.core
import docutils.nodes
import pytest

from lab.expectations import RNG
from lab.expectations import expect
from lab.expectations import pci
from lab.expectations import values
from lab.expectations import verify
from lab.expectations import wait_for

README = pathlib.Path(__file__).parents[2] / "README.rst"


def blocks(title):
  """The commands of a section, a text for each of its blocks.

  @rtype: list of str

  """
  document = docutils.core.publish_doctree(README.read_text())
  (section,) = (node for node in document.findall(docutils.nodes.section)
                if node["names"] == [title])
  return [block.astext()
          for block in section.findall(docutils.nodes.literal_block)]


@pytest.mark.long
@pytest.mark.each_release # it has other options for each
def test_by_readme(bare_cluster, deb):
  cluster = bare_cluster(nodes=2)
  cluster.run("cp %s /root" % cluster.master.copy(deb))
  others = cluster.add_instance("web2.lab.test", guest=False)
  # With a guest, as Ganeti would wait two minutes for another one's shutdown
  one = cluster.add_instance("web1.lab.test", node=cluster.nodes[1])
  complaints = verify(cluster)
  (look, copy, close, canary, everywhere, plug, begin) = blocks("install")

  cluster.run(look)
  cluster.run(copy)
  variable = copy.splitlines()[0]
  cluster.run("%s; test -e $deb" % variable)
  cluster.run(close.splitlines()[0])
  for line in close.splitlines()[1:]:
    wait_for(lambda line=line: not cluster.run(line).stdout)

  output = cluster.run("%s\n%s" % (
    variable, canary.replace("NODE", "node2.lab.test"))).stdout
  assert output.count("return code = 0") == 2
  output = cluster.run("%s\n%s" % (variable, everywhere)).stdout
  assert output.count("return code = 0") == 2 # of dpkg, none of check
  assert output.count("return code") == 2

  cluster.run(begin.replace("example.com", "lab.test"))
  assert sorted(values(cluster)) == ["off", "random"]
  assert cluster.run("gnt-filter list --no-headers").stdout == ""
  expect(one, "/dev/random")
  others.stop()
  others.start()
  expect(others, None)

  cluster.run("gnt-cluster modify -H kvm:virtio_rng=random")
  if cluster.version != "3.0":
    plug = plug.replace("--hotplug ", "")
  cluster.run(plug)
  wait_for(lambda: RNG in pci(others).values())

  cluster.run(close.splitlines()[0])
  for line in close.splitlines()[1:]:
    wait_for(lambda line=line: not cluster.run(line).stdout)
  (remove,) = blocks("remove")
  # There is no terminal to ask at.
  output = cluster.run(remove.replace("clear", "clear --yes")).stdout
  assert output.count("return code = 0") == 2
  cluster.run("gnt-cluster queue undrain")
  assert values(cluster) == []
  assert verify(cluster) == complaints
  expect(one, "/dev/random")

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The parts of tests/bench that need no cluster."""

import pathlib
import xml.etree.ElementTree

import docutils.core
import docutils.nodes

from benchmark import functions
from benchmark import guests
from benchmark import hook
from benchmark import plots
from benchmark import table

ROOT = pathlib.Path(__file__).parents[2]


def rows(text):
  """Returns the cells of the first table in a reStructuredText.

  """
  document = docutils.core.publish_doctree(
    text, settings_overrides={"halt_level": 2})
  return [[" ".join(entry.astext().split())
           for entry in row.findall(docutils.nodes.entry)]
          for row in next(document.findall(docutils.nodes.tbody)).children]


def test_functions_make_a_table():
  lines = list(functions.lines(rounds=1))
  assert rows(table.render(lines)) == [
    [str(number)] + list(line) for number, line in enumerate(lines, 1)]


def test_table_goes_into_the_readme(tmp_path):
  readme = tmp_path / "README.rst"
  readme.write_text((ROOT / "README.rst").read_text())
  before = readme.read_text()
  for text in ("first", "second"):
    table.quote(readme, "A %s text\n" % text)
  after = readme.read_text()
  assert "A second text" in after and "A first text" not in after
  start = before.index("tests/bench --plot.\n")
  assert after.startswith(before[:start])
  assert after.endswith(before[before.index(".. Thus far."):])


def test_pictures(tmp_path):
  boots = {(kernel, value): [guests.Boot(random, 1, 2)]
           for kernel in ("Linux 1", "Linux 2")
           for value, random in (("off", 1.25), ("random", 0.01))}
  costs = {"Debian 12": [hook.Cost("a program", "a", 1000, 1021, 1.03)]}
  plots.draw(tmp_path, costs, boots)
  for name, texts in (("guests", ["Linux 1", "Linux 2", "1.25", "0.01",
                                  "virtio_rng=off", "virtio_rng=random"]),
                      ("hook", ["a program", "3.0 %", "2.1 %", "limit",
                                "Debian 12"])):
    picture = xml.etree.ElementTree.parse(str(tmp_path / ("%s.svg" % name)))
    shown = [element.text for element in picture.iter()]
    assert set(texts) <= set(shown)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The parts of tests/bench that need no cluster, and two of its limits."""

import pathlib
import subprocess
import xml.etree.ElementTree

import docutils.core
import docutils.nodes
import pytest

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


def lines(number, figure):
  """Makes as many lines, of which some are those that the README quotes.

  """
  result = [table.Line("What %d" % i, "-", "-", "-", "-", "-")
            for i in range(number)]
  return result + [table.Line("%s, and more" % what, "command", figure, "0.1",
                              "of it", "how") for what in table.QUOTED]


def test_readme_quotes_some_lines():
  before = (ROOT / "README.rst").read_text()
  first = table.quote(before, "First machine", lines(0, "1.5 s"))
  after = table.quote(first, "Second machine", lines(9, "2.5 s"))
  assert "First machine" not in after and "1.5 s" not in after
  assert "\nSecond machine.\n" in after
  quoted = after[after.index("\n== "):]
  assert rows(quoted[:quoted.index("\n\n")]) == [
    [str(number), "%s, and more" % what, "2.5 s", "0.1", "of it"]
    for number, what in enumerate(table.QUOTED, 10)]
  assert after.startswith(before[:before.index("tests/bench --plot.\n")])
  assert after.endswith(before[before.index("\n\nHow it works\n"):])


def test_readme_and_page_agree():
  """What is in the tree is of one run."""
  text = (ROOT / "tests/results/table.rst").read_text()
  where = next(line for line in text.splitlines() if " cores of " in line)
  measured = [table.Line(*row[1:]) for row in rows(text)]
  assert table.page(where, measured) == text
  readme = (ROOT / "README.rst").read_text()
  assert table.quote(readme, where, measured) == readme


def test_missed_limits():
  line = table.Line("What", "command", "2", "1.02", "1; limit 1.01", "how")
  assert table.missed([line, line._replace(ratio="1.01"), line]) == (
    "These lines miss theirs: 1, 3.")
  assert table.missed([line._replace(theirs="1 without")]) == "Each is kept."


def test_pictures(tmp_path):
  boots = {(kernel, value): [guests.Boot(random, 1, 2)]
           for kernel in ("Linux 1", "Linux 2")
           for value, random in (("off", 1.25), ("random", 0.01))}
  costs = {"Debian 12": [hook.Cost("a program", "a", 1000, 1021, 1.03, "")]}
  plots.draw(tmp_path, costs, boots)
  for name, texts in (("guests", ["Linux 1", "Linux 2", "1.25", "0.01",
                                  "virtio_rng=off", "virtio_rng=random"]),
                      ("hook", ["a program", "3.0 %", "2.1 %", "limit",
                                "Debian 12"])):
    picture = xml.etree.ElementTree.parse(str(tmp_path / ("%s.svg" % name)))
    shown = [element.text for element in picture.iter()]
    assert set(texts) <= set(shown)


@pytest.mark.parametrize("command, limit",
                         [program[1:] for program in hook.PROGRAMS[:2]])
def test_costs_other_programs_next_to_nothing(environment, command, limit):
  """Counted in instructions, which are the same in each run."""
  environment.run("-m", "compileall", "-q", str(environment.site))

  def run(line):
    return subprocess.run(["sh", "-ec", line], check=True, cwd="/",
                          stderr=subprocess.PIPE, universal_newlines=True)

  command = command.replace("python3", environment.python)
  with_it = hook.count_instructions(run, command)
  (environment.site / "ganeti_virtio_rng_startup.pth").unlink()
  assert 1 < with_it / hook.count_instructions(run, command) <= limit

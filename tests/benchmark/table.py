# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The table, which is a simple one of reStructuredText, and what quotes it."""

import collections
import datetime
import os
import re
import statistics
import textwrap

Line = collections.namedtuple("Line", ["what", "command", "ours", "ratio",
                                       "theirs", "how"])

_TITLES = Line("What", "Command", "Ours", "Ratio", "Theirs, and the limit",
               "How it was taken")

#: Of the columns; the first one has the line's number
_WIDTHS = (2,) + Line(21, 26, 16, 6, 22, 20)

#: Lines that the README shows, by how they begin
QUOTED = ["32 bytes of /dev/random, Debian 12", "No other .pth file, Debian 13",
          "gnt-instance --version, Debian 13", "Memory of ganeti-noded"]

#: Columns that it shows, and their widths, of 80 characters in all
_QUOTED_COLUMNS = (0, 1, 3, 4, 5)
_QUOTED_WIDTHS = (2, 22, 16, 6, 30)

#: What they follow; the two paragraphs after it are replaced.
_BEGIN = ".. The table is by tests/bench --plot.\n\n"

_PAGE = """\
.. Written by tests/bench --plot, as is what README.rst quotes.

===========================
What it buys, what it costs
===========================

.. image:: guests.svg
   :alt: How long a guest's first program waits for randomness, with each value

.. image:: hook.svg
   :alt: What the package adds to the start of programs, next to the limits

%s

A ratio is ours to theirs: below 1, ours is less. Instructions are the same on
each machine. Limits are this project's own. %s

%s"""


def spread(values, form="%.2f s"):
  """Median, and the smallest and the largest.

  @type values: list of float
  @type form: str
  @param form: format of one, its unit after a space

  """
  number = form.split(" ")[0]
  return "%s (%s to %s)" % (form % statistics.median(values),
                            number % min(values), number % max(values))


def render(lines):
  """Returns the table.

  @type lines: list of L{Line}
  @rtype: str

  """
  return _render([("No", ) + _TITLES] + _number(lines), _WIDTHS)


def _number(lines):
  return [(str(number), ) + line for number, line in enumerate(lines, 1)]


def _render(rows, widths, between="\n"):
  """Returns a table, the first of whose rows are the titles.

  @type between: str
  @param between: what separates the others

  """
  rule = " ".join("=" * width for width in widths) + "\n"
  titles, *texts = [_render_row(row, widths) for row in rows]
  return rule + titles + rule + between.join(texts) + rule


def _render_row(row, widths):
  cells = [textwrap.wrap(cell, width, break_on_hyphens=False)
           for cell, width in zip(row, widths)]
  height = max(map(len, cells))
  # Where the first column is empty, the row goes on: nothing else may be there.
  lines = [" ".join("%-*s" % (width, cell[i] if i < len(cell) else "")
                    for width, cell in zip(widths, cells)).rstrip()
           for i in range(height)]
  return "\n".join(lines) + "\n"


def machine():
  """Says where and when.

  """
  with open("/proc/cpuinfo") as cpuinfo:
    model = re.search(r"^model name\s*: (.*)", cpuinfo.read(), re.M)
  with open("/etc/debian_version") as version:
    debian = version.read().strip()
  return ("%s, on %d cores of %s, Debian %s, Linux %s, no KVM" %
          (datetime.date.today().strftime("%d %B %Y").lstrip("0"),
           os.cpu_count(), model.group(1) if model else os.uname().machine,
           debian, ".".join(os.uname().release.split(".")[:2])))


def missed(lines):
  """Says which lines miss their limits.

  @type lines: list of L{Line}
  @rtype: str

  """
  numbers = []
  for number, line in enumerate(lines, 1):
    limit = re.search(r"; limit ([0-9.]+)$", line.theirs)
    if limit and float(line.ratio) > float(limit.group(1)):
      numbers.append(str(number))
  return ("These lines miss theirs: %s." % ", ".join(numbers) if numbers else
          "Each is kept.")


def page(where, lines):
  """Returns the page that has all lines, for the folder with the pictures.

  @type where: str
  @param where: what L{machine} returns
  @type lines: list of L{Line}
  @rtype: str

  """
  return _PAGE % (where, missed(lines), render(lines))


def quote(readme, where, lines):
  """Puts some lines where a README has those of the last time.

  @type readme: str
  @param readme: its text
  @type where: str
  @param where: what L{machine} returns
  @type lines: list of L{Line}
  @rtype: str

  """
  rows = []
  for start in QUOTED:
    (row, ) = [row for row in _number(lines) if row[1].startswith(start)]
    rows.append(row)
  quoted = _render([[row[i] for i in _QUOTED_COLUMNS]
                    for row in [("No", ) + _TITLES] + rows],
                   _QUOTED_WIDTHS, between="")
  (before, rest) = readme.split(_BEGIN)
  after = rest.split("\n\n", 2)[2]
  return "%s%s%s\n%s\n\n%s" % (before, _BEGIN, quoted,
                              "\n".join(textwrap.wrap("%s." % where, 80)),
                              after)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The table, which is a simple one of reStructuredText, too."""

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

_BEGIN = ".. What follows is by tests/bench --plot.\n\n"
_END = "\n.. Thus far.\n"


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
  rule = " ".join("=" * width for width in _WIDTHS)
  rows = [rule] + _render("No", _TITLES) + [rule]
  for number, line in enumerate(lines, 1):
    rows += _render(str(number), line) + [""]
  rows[-1] = rule
  return "\n".join(rows) + "\n"


def _render(number, line):
  cells = [textwrap.wrap(cell, width, break_on_hyphens=False)
           for cell, width in zip((number,) + line, _WIDTHS)]
  height = max(map(len, cells))
  # Where the first column is empty, the row goes on: nothing else may be there.
  return [" ".join("%-*s" % (width, cell[i] if i < len(cell) else "")
                   for width, cell in zip(_WIDTHS, cells)).rstrip()
          for i in range(height)]


def machine():
  """Says where and when.

  """
  with open("/proc/cpuinfo") as cpuinfo:
    model = re.search(r"^model name\s*: (.*)", cpuinfo.read(), re.M)
  with open("/etc/debian_version") as version:
    debian = version.read().strip()
  return ("%s, on %d cores of %s, Debian %s, Linux %s, QEMU without KVM" %
          (datetime.date.today().strftime("%d %B %Y").lstrip("0"),
           os.cpu_count(), model.group(1) if model else os.uname().machine,
           debian, ".".join(os.uname().release.split(".")[:2])))


def quote(path, text):
  """Puts text where the README has that of the last time.

  @type path: Path
  @type text: str

  """
  readme = path.read_text()
  before, rest = readme.split(_BEGIN)
  after = rest.split(_END)[1]
  path.write_text(before + _BEGIN + text + _END + after)

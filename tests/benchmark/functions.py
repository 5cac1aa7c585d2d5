# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The functions, beside Python that does the same and what no call can beat.

"""

import re
import timeit

from ganeti_virtio_rng import VALUES
from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng import check

from .table import Line

_ROUNDS = 150


def nanoseconds(statements, rounds=_ROUNDS):
  """Returns the best time of each statement, run in turns.

  @type statements: list of str
  @type rounds: int
  @rtype: list of float

  """
  timers = []
  for statement in statements:
    timer = timeit.Timer(statement, globals=dict(_NAMES))
    timer.timeit(1) # warms up
    # Two milliseconds: that long, the processor is often left to it alone.
    timers.append((timer, int(0.002 / (timer.timeit(100) / 100)) + 1))
  return [min(times) for times in
          zip(*[[timer.timeit(number) / number * 1e9
                 for timer, number in timers] for _ in range(rounds)])]


def pure_build_argv(value, kvm_cmd=()):
  """What build_argv does, as one would write it in Python, without JSON.

  """
  if value not in ("off", "random", "urandom"):
    raise ValueError(value)
  if value == "off":
    return []
  taken = set()
  option = None
  for arg in kvm_cmd:
    if option in ("-device", "--device"):
      if re.match(r"(virtio|vhost-user)-rng(-|,|$)", arg):
        return []
    elif option in ("-object", "--object"):
      taken.update(part[3:] for part in arg.split(",")
                   if part.startswith("id="))
    option = arg
  number = 0
  while "virtio_rng%d" % number in taken:
    number += 1
  ident = "virtio_rng%d" % number
  return ["-object",
          "rng-random,filename=/dev/%s,id=%s" % (value, ident),
          "-device",
          "virtio-rng-pci,id=%s,rng=%s,max-bytes=%d,period=%d" %
          (ident, ident, 1024, 1000)]


def _command_line(length):
  """Returns one of that many arguments, like those of Ganeti.

  """
  return (["kvm", "-m", 256, "-device", "virtio-balloon"] +
          ["-name", "web1.example.com"] * (length // 2))[:length]


# as ganeti.hypervisor.hv_base.ParamInSet makes it
_SET = frozenset(VALUES)

#: What the statements use
_NAMES = {
  "check": check, "param_in_set": lambda x: x in _SET, "value": "random",
  "build_argv": build_argv, "pure_build_argv": pure_build_argv, "text": "x",
  }
_NAMES.update(("argv%d" % length, _command_line(length))
              for length in (10, 100, 120, 1000, 10000))


def lines(rounds=_ROUNDS):
  """Makes lines of the table.

  @type rounds: int
  @param rounds: how often each is measured

  """
  floor, ours, peer = nanoseconds(
    ["callable(value)", "check(value)", "param_in_set(value)"], rounds)
  yield Line("check", "check('random')", "%.0f ns" % ours,
             "%.2f" % (ours / peer),
             "%.0f ns, Ganeti's ParamInSet; limit 0.67" % peer,
             "best of %d turns; a call of a builtin: %.0f ns" %
             (rounds, floor))

  for call in ("build_argv('random')", "build_argv('random', argv120)"):
    floor, ours, peer = nanoseconds(["[text, text, text, text]", call,
                                     "pure_" + call], rounds)
    yield Line("build_argv after 120 arguments" if "120" in call else
               "build_argv", call, "%.0f ns" % ours, "%.2f" % (ours / peer),
               "%.0f ns, in pure Python; limit 0.33" % peer,
               "best of %d turns; a list of four: %.0f ns" % (rounds, floor))

  lengths = (10, 100, 1000, 10000)
  calls = ["build_argv('random', argv%d)" % length for length in lengths]
  ours, peers = [
    [time / length for time, length in zip(nanoseconds(some, rounds), lengths)]
    for some in (calls, ["pure_" + call for call in calls])]
  yield Line("build_argv after %d, %d, %d and %d arguments" % lengths,
             "build_argv('random', argv10) and so on",
             _list("%.1f ns", ours) + " an argument",
             _list("%.2f", [one / peer for one, peer in zip(ours, peers)]),
             _list("%.0f ns", peers) + ", in pure Python",
             "best of %d turns; grows as the command line does" % rounds)


def _list(form, values):
  return ", ".join(form % value for value in values)

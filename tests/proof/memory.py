# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The binding when memory is short, in long runs, in threads and beside forks.

All of this concerns the process as a whole, so test_memory.py runs it in one of
its own. That the core allocates nothing is shown in tests/core.

"""

import gc
import importlib.machinery
import os
import pathlib
import sys
import threading

import _imp
import _testcapi
import pytest

from ganeti_virtio_rng import _core

ROOT = pathlib.Path(__file__).parents[2]

#: A command line with a taken id, with what is no string, and with surrogates
CMDLINE = ["kvm", "-object", "iothread,id=virtio_rng0", "-device", 5, "-S",
           "-device", "e1000,id=\udcff", "-set", "device.\udcff.x=y"]

#: All that is read in another way
OPTIONS = ["-S", "-device", '{"a":{"b":[1,"\\u0030"]},"c":true}', "-M", "a,b"]


def load():
  """Makes and frees the module, as import does once it has found the file.

  importlib itself doesn't survive a lack of memory: the module's lock may stay
  taken, and the next import waits for it for ever (Python 3.11).

  """
  spec = importlib.machinery.ModuleSpec("ganeti_virtio_rng._core", None,
                                        origin=_core.__file__)
  module = _imp.create_dynamic(spec)
  _imp.exec_dynamic(module)
  return (module.VALUES, module.HV_VIRTIO_RNG, module.DEFAULT,
          module.MAX_BYTES, module.PERIOD)


#: Each function, and each way in which it ends
CALLS = pytest.mark.parametrize("function, args", [
  (load, ()),
  (_core.check, ("random", )),
  (_core.check, ("foo" * 1000, )),
  (_core.check, (None, )),
  (_core.check_source, ("random", )),
  (_core.check_source, ("foo", )),
  (_core.check_source, (None, )),
  (_core.build_argv, ("off", )),
  (_core.build_argv, ("random", )),
  (_core.build_argv, ("random", CMDLINE, 31)),
  (_core.build_argv, ("random", ("kvm", "-device", "virtio-rng-pci"))),
  (_core.build_argv, ("foo", )),
  (_core.build_argv, (None, )),
  (_core.build_argv, ("random", (), 32)),
  (_core.build_argv, ("random", (), "1")),
  (_core.build_argv, ("random", "kvm")),
  (_core.build_argv, ()),
  (_core.read_options, (CMDLINE, )),
  (_core.read_options, (OPTIONS, )),
  (_core.read_options, (tuple(OPTIONS), )),
  (_core.read_options, ([], )),
  (_core.read_options, ("kvm", )),
  ], ids=lambda value: getattr(value, "__name__", None) or repr(value)[:40])


def outcome(function, args, failing=None):
  """Calls a function.

  @param failing: the allocations that fail: first and end, counted from 0; an
      end of 0 means all from the first on
  @rtype: tuple
  @return: what the function returns and None, or what it raises: type and text

  """
  try:
    if failing:
      _testcapi.set_nomemory(*failing)
    try:
      result = function(*args)
    finally:
      _testcapi.remove_mem_hooks()
    return (result, None)
  except Exception as err:
    return (type(err), str(err))


@CALLS
def test_no_memory(function, args):
  """With each allocation failing in turn, alone or with all that follow."""
  right = outcome(function, args)
  # Until CPython's issue 107915 was solved, PyErr_Format that lacks memory for
  # the text raised what it was asked to, without a text.
  no_text = (right[0], right[1] and "")

  def sweep():
    for first in range(100):
      result = outcome(function, args, (first, 0))
      if result == right: # it needs no more than so many allocations
        return
      assert result == (MemoryError, "")
      assert (outcome(function, args, (first, first + 1)) in
              [(MemoryError, ""), right, no_text])
    assert False

  def blocks(sweeps):
    for _ in range(sweeps):
      sweep()
    gc.collect()
    return sys.getallocatedblocks()

  # The interpreter keeps some hundreds of freed blocks for itself; one that is
  # lost in each sweep would be a thousand.
  before = blocks(10)
  assert blocks(1000) - before < 500


def test_all_that_is_made_can_fail():
  """Else the test above tests nothing."""
  assert outcome(_core.build_argv, ("random", ), (0, 1)) == (MemoryError, "")


def resident():
  """Returns the process's resident memory in bytes.

  """
  pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
  return int(pages) * os.sysconf("SC_PAGESIZE")


@CALLS
def test_no_leak(function, args):
  def run(times):
    for _ in range(times):
      try:
        function(*args)
      except Exception:
        pass
    gc.collect()

  def counts():
    objects = list(args)
    for arg in args:
      objects += arg if isinstance(arg, (list, tuple)) else []
    return ([sys.getrefcount(item) for item in objects] +
            [sys.getallocatedblocks(), len(os.listdir("/proc/self/fd"))])

  calls = 100000
  run(1000)
  (before, memory) = (counts(), resident())
  run(calls)
  assert resident() - memory < calls * 8 # malloc hands out no less than 16
  for was, now in zip(before, counts()):
    assert abs(now - was) < calls // 1000 # all of Python shares None and ()


def test_threads_and_forks():
  """8 threads at once, and children that begin in the midst of them."""
  stop = threading.Event()
  failed = []

  def work(slot):
    assert _core.check("urandom") and not _core.check("foo")
    assert _core.check_source("random") is None
    argv = _core.build_argv("random", CMDLINE, slot)
    assert argv[1].endswith(",id=virtio_rng1") and argv[3].endswith(hex(slot))
    assert _core.read_options(CMDLINE)[2][1]["x"] == "y"
    with pytest.raises(ValueError):
      _core.build_argv("random", CMDLINE, slot + 32)

  def loop(slot):
    try:
      while not stop.is_set():
        work(slot)
    except BaseException as err:
      failed.append(err)

  threads = [threading.Thread(target=loop, args=(slot, ))
             for slot in range(8, 16)]
  interval = sys.getswitchinterval()
  sys.setswitchinterval(1e-6)
  try:
    for thread in threads:
      thread.start()
    for _ in range(20):
      pid = os.fork()
      if pid == 0:
        try:
          work(1)
          os._exit(0)
        finally:
          os._exit(1)
      assert os.waitpid(pid, 0) == (pid, 0)
  finally:
    stop.set()
    for thread in threads:
      thread.join()
    sys.setswitchinterval(interval)
  assert failed == []


SUBINTERPRETER = "import sys; sys.path.insert(0, %r)\n" % str(ROOT) + (
  ROOT / "tests/proof/subinterpreter.py").read_text()


def test_subinterpreters():
  """Imported and unloaded again and again, in one after the other."""
  for _ in range(20):
    assert _testcapi.run_in_subinterp(SUBINTERPRETER) == 0

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The public names and what they promise.

Needs nothing but the package, so that any Python from 3.6 on can run it:
python3 -m unittest test_contract.py

"""

import inspect
import os
import unittest

import ganeti_virtio_rng
from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng import check
from ganeti_virtio_rng import check_source

RANDOM = ["-object", "rng-random,filename=/dev/random,id=rng0",
          "-device", "virtio-rng-pci,rng=rng0,max-bytes=1024,period=1000"]
URANDOM = ["-object", "rng-random,filename=/dev/urandom,id=rng0",
           "-device", "virtio-rng-pci,rng=rng0,max-bytes=1024,period=1000"]

WRONG_STRINGS = ["", "foo", "URANDOM", "urandom ", " urandom", "off\0",
                 "random\n", "rando", "randoms", "\u0433andom", "random\ud800",
                 "urandom,filename=/etc/shadow", "/dev/random", "x" * 100000]


class Str(str):
  """A string all the same."""


class Hostile(object):
  """Raises whatever one does with it."""

  def _fail(self, *args):
    raise RuntimeError("nobody has to look at this")

  __eq__ = __hash__ = __str__ = __repr__ = __bool__ = __len__ = _fail


WRONG_TYPES = [None, True, 0, 1.5, b"random", bytearray(b"off"), ["off"],
               ("random", ), {"off": 1}, object(), str, Hostile()]


class TestNames(unittest.TestCase):
  def test_values(self):
    self.assertEqual(ganeti_virtio_rng.HV_VIRTIO_RNG, "virtio_rng")
    self.assertEqual(ganeti_virtio_rng.VALUES, ("off", "random", "urandom"))
    self.assertEqual(ganeti_virtio_rng.DEFAULT, "random")
    self.assertEqual(ganeti_virtio_rng.MAX_BYTES, 1024)
    self.assertEqual(ganeti_virtio_rng.PERIOD, 1000)

  def test_signatures(self):
    self.assertEqual(str(inspect.signature(check)), "(value, /)")
    self.assertEqual(str(inspect.signature(check_source)), "(value, /)")
    self.assertEqual(str(inspect.signature(build_argv)),
                     "(value, kvm_cmd=(), pci_slot=None)")

  def test_docstrings(self):
    for name in ganeti_virtio_rng.__all__:
      function = getattr(ganeti_virtio_rng, name)
      if callable(function):
        self.assertIn("@type value", function.__doc__)


class TestCheck(unittest.TestCase):
  def test_values(self):
    for value in ganeti_virtio_rng.VALUES:
      self.assertIs(check(value), True)
      self.assertIs(check(Str(value)), True)

  def test_anything_else(self):
    for value in WRONG_STRINGS + WRONG_TYPES:
      self.assertIs(check(value), False)


class TestCheckSource(unittest.TestCase):
  def test_devices_of_this_machine(self):
    for value in ganeti_virtio_rng.VALUES:
      self.assertIs(check_source(value), None)

  def test_wrong_value(self):
    for value in WRONG_STRINGS:
      self.assertRaises(ValueError, check_source, value)
    for value in WRONG_TYPES:
      self.assertRaises(TypeError, check_source, value)

  def test_leaks_no_descriptor(self):
    before = os.listdir("/proc/self/fd")
    for _ in range(100):
      check_source("random")
    self.assertEqual(os.listdir("/proc/self/fd"), before)


class TestBuildArgv(unittest.TestCase):
  def test_values(self):
    self.assertEqual(build_argv("off"), [])
    self.assertEqual(build_argv("random"), RANDOM)
    self.assertEqual(build_argv("urandom"), URANDOM)
    self.assertEqual(build_argv(value="random", kvm_cmd=["kvm"],
                                pci_slot=None), RANDOM)

  def test_fresh_list(self):
    build_argv("random").append("mine")
    self.assertEqual(build_argv("random"), RANDOM)

  def test_wrong_value(self):
    for value in WRONG_STRINGS:
      with self.assertRaises(ValueError) as context:
        build_argv(value)
      self.assertEqual(str(context.exception),
                       "Parameter 'virtio_rng' fails syntax check: The value"
                       " must be one of: off, random, urandom"
                       " (current value: '%s')" % value)

  def test_wrong_type(self):
    for value in WRONG_TYPES:
      with self.assertRaises(TypeError) as context:
        build_argv(value)
      self.assertEqual(str(context.exception),
                       "Parameter 'virtio_rng' must be a string, not %r" %
                       type(value))
    self.assertRaises(TypeError, build_argv)
    self.assertRaises(TypeError, build_argv, "off", (), None, None)
    self.assertRaises(TypeError, build_argv, "off", slot=1)

  def test_pci_slot(self):
    for slot in range(1, 32):
      self.assertEqual(build_argv("random", (), slot),
                       RANDOM[:3] + [RANDOM[3] + ",bus=pci.0,addr=%s" %
                                     hex(slot)])

  def test_wrong_pci_slot(self):
    for slot in [0, 32, -1, 2 ** 31, 2 ** 32 + 1, 10 ** 30, -10 ** 30]:
      with self.assertRaises(ValueError) as context:
        build_argv("random", (), slot)
      self.assertIn("'virtio_rng'", str(context.exception))
      self.assertIn("from 1 to 31 (current value: '%d')" % slot,
                    str(context.exception))
    for slot in ["1", 1.0, True, (), Hostile()]:
      self.assertRaises(TypeError, build_argv, "random", (), slot)

  def test_generator_in_command_line(self):
    for sequence in (list, tuple):
      for option in ("-device", "--device"):
        self.assertEqual(
          build_argv("random", sequence(["kvm", option, "virtio-rng-pci"])),
          [])
    self.assertEqual(
      build_argv("random", ["-device", '{"driver":"virtio-rng-pci"}']), [])

  def test_taken_id(self):
    argv = build_argv("random", ["-object", "rng-random,id=rng0"])
    self.assertEqual(argv[1], "rng-random,filename=/dev/random,id=rng1")
    self.assertIn(",rng=rng1,", argv[3])

  def test_command_line_is_left_alone(self):
    kvm_cmd = ["kvm", "-m", 256, None, Hostile(), b"-device", "\udcff\ud800",
               "a\0b", Str("-object"), Str("x,id=rng0")]
    copy = list(kvm_cmd)
    self.assertEqual(build_argv("random", kvm_cmd)[1],
                     "rng-random,filename=/dev/random,id=rng1")
    self.assertEqual(len(kvm_cmd), len(copy))
    for item, was in zip(kvm_cmd, copy):
      self.assertIs(item, was)

  def test_wrong_command_line(self):
    for kvm_cmd in ["kvm", b"kvm", None, 1, {"kvm"}, iter(["kvm"])]:
      self.assertRaises(TypeError, build_argv, "random", kvm_cmd)


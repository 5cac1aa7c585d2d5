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
from ganeti_virtio_rng import read_options

RANDOM = ["-object", "rng-random,filename=/dev/random,id=virtio_rng0",
          "-device", "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,"
          "max-bytes=1024,period=1000"]
URANDOM = ["-object", "rng-random,filename=/dev/urandom,id=virtio_rng0",
           RANDOM[2], RANDOM[3]]

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
    self.assertEqual(str(inspect.signature(read_options)), "(kvm_cmd, /)")

  def test_docstrings(self):
    for name in ganeti_virtio_rng.__all__:
      function = getattr(ganeti_virtio_rng, name)
      if callable(function):
        self.assertIn("@type ", function.__doc__)


class TestCheck(unittest.TestCase):
  def test_values(self):
    for value in ganeti_virtio_rng.VALUES:
      self.assertIs(check(value), True)
      self.assertIs(check(Str(value)), True)
      self.assertIs(check("".join(list(value))), True)

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
    for option in ("-object", "--object", "-device", "--device"):
      for value in ("iothread,id=virtio_rng0", "x,id=a,id=virtio_rng0",
                    '{"id":"virtio_rng\\u0030"}'):
        argv = build_argv("random", ["kvm", "-S", option, value])
        self.assertEqual(argv[1],
                         "rng-random,filename=/dev/random,id=virtio_rng1")
        self.assertTrue(argv[3].startswith(
          "virtio-rng-pci,id=virtio_rng1,rng=virtio_rng1,"))
    self.assertEqual(build_argv("random", [
      "-object", "iothread,id=rng0", "-netdev", "user,id=virtio_rng0",
      "-name", "-object", "x,id=virtio_rng0"]), RANDOM)

  def test_set(self):
    device = ["kvm", "-device", "e1000,id=a", "--name", "x", "-S"]
    for option in ("-set", "--set"):
      self.assertEqual(build_argv(
        "random", device + [option, "device.a.driver=virtio-rng"]), [])
      self.assertIn(",id=virtio_rng1,", build_argv(
        "random", device + [option, "device.a.id=virtio_rng0"])[3])
      self.assertEqual(build_argv(
        "random", device + ["-smp", option, "device.a.id=virtio_rng0"]), RANDOM)

  def test_command_line_is_left_alone(self):
    for function in (lambda kvm_cmd: build_argv("random", kvm_cmd)[1],
                     lambda kvm_cmd: read_options(kvm_cmd) and
                     "rng-random,filename=/dev/random,id=virtio_rng1"):
      kvm_cmd = ["kvm", "-m", 256, None, Hostile(), b"-device", "\udcff\ud800",
                 "a\0b", Str("-object"), Str("x,id=virtio_rng0")]
      copy = list(kvm_cmd)
      self.assertEqual(function(kvm_cmd),
                       "rng-random,filename=/dev/random,id=virtio_rng1")
      self.assertEqual(len(kvm_cmd), len(copy))
      for item, was in zip(kvm_cmd, copy):
        self.assertIs(item, was)

  def test_wrong_command_line(self):
    for kvm_cmd in ["kvm", b"kvm", None, 1, {"kvm"}, iter(["kvm"])]:
      self.assertRaises(TypeError, build_argv, "random", kvm_cmd)
      self.assertRaises(TypeError, read_options, kvm_cmd)
    self.assertRaises(TypeError, read_options)


class TestReadOptions(unittest.TestCase):
  def _read(self, option, value, *more):
    """Reads one option, which must be all that there is.

    """
    result = read_options(["kvm", option, value] + list(more))
    self.assertEqual(len(result), 1)
    return result[0]

  def test_no_json(self):
    """What QEMU refuses is read as far as it goes, by whole characters."""
    self.assertEqual(self._read("-object", '{"id":"\u00e9'),
                     ("object", {"id": "\u00e9"}))

  def test_nothing(self):
    for kvm_cmd in ([], (), ["kvm"], ["kvm", "-S"], [None], ["-device"],
                    ["-name", "-device"], ["a", "disk.img", "-append", "x"]):
      self.assertEqual(read_options(kvm_cmd), [])

  def test_options_in_order(self):
    kvm_cmd = ["-M", "pc", "--device", "e1000", "-S", "-object", "rng-builtin",
               "-name", "-drive", "-machine", "type=q35,usb=off", "-drive",
               "if=none", "-netdev", "user", "-nic", "none", "-net", "nic",
               "-virtfs", "local", "-fsdev", "local", "-watchdog", "i6300esb",
               "-soundhw", "ac97", "-readconfig", "a=b,c", "-device", "e1000"]
    self.assertEqual(read_options(tuple(kvm_cmd)), [
      ("machine", {"type": "pc"}), ("device", {"driver": "e1000"}),
      ("object", {"qom-type": "rng-builtin"}),
      ("machine", {"type": "q35", "usb": "off"}), ("drive", {"if": "none"}),
      ("netdev", {"type": "user"}), ("nic", {"type": "none"}),
      ("net", {"type": "nic"}), ("virtfs", {"fsdriver": "local"}),
      ("fsdev", {"fsdriver": "local"}), ("watchdog", {"model": "i6300esb"}),
      ("soundhw", {"model": "ac97"}), ("readconfig", {"file": "a=b,c"}),
      ("device", {"driver": "e1000"})])

  def test_pairs(self):
    self.assertEqual(
      self._read("-device", "virtio-serial,id=a,x=1,,2,addr=5,addr=0x1f,y,noz"),
      ("device", {"driver": "virtio-serial", "id": "a", "x": "1,2",
                  "addr": "0x1f", "y": "on", "z": "off"}))
    self.assertEqual(self._read("-device", "e1000,id=a,driver=b,id=c"),
                     ("device", {"driver": "b", "id": "a"}))
    self.assertEqual(self._read("-drive", "readonly,file=/dev/a:b=c"),
                     ("drive", {"readonly": "on", "file": "/dev/a:b=c"}))
    self.assertEqual(self._read("-device", 5, "x"), ("device", {}))

  def test_set(self):
    self.assertEqual(
      read_options(["-device", "e1000,id=s1", "-drive", "id=s1", "-set",
                    "device.s1.addr=0x1f", "--set", "drive.s1.a.b=c,,d=e",
                    "-set", "device.s2.x=y", "-set", "", "-set"]),
      [("device", {"driver": "e1000", "id": "s1", "addr": "0x1f"}),
       ("drive", {"id": "s1", "a.b": "c,,d=e"})])

  def test_json(self):
    self.assertEqual(
      self._read("-object", '{"qom-type" : "x","id":\'rng\\u0030\', "a":'
                 '{"b":[1,true,{"c":false}],"d":{}},"addr":240,"e":-1.5}'),
      ("object", {"qom-type": "x", "id": "rng0", "a.b.0": 1, "a.b.1": "on",
                  "a.b.2.c": "off", "addr": 240, "e": "-1.5"}))
    self.assertEqual(
      self._read("-device", '{"addr":"240","n":18446744073709551615,"m":%s1}' %
                 ("1" * 5000)),
      ("device", {"addr": "240", "n": 2 ** 64 - 1, "m": "1" * 5001}))
    deep = "[" * 15 + "1," + "[" * 100000
    self.assertEqual(self._read("-netdev", '{"a":%s' % deep),
                     ("netdev", {"a" + ".0" * 15: 1}))

  def test_what_qemu_refuses(self):
    for value in ("{", "{}}", "{]", "{'a", "{'a':", "{'a':,", "{:", "{,,",
                  "{1"):
      self.assertEqual(self._read("-device", value), ("device", {}))
    self.assertEqual(self._read("-drive", "{'a':1}"),
                     ("drive", {"{'a':1}": "on"}))

  def test_not_utf8(self):
    self.assertEqual(self._read("-drive", "file=/\udcff\ud800\U0001f600"),
                     ("drive", {"file": "/\udcff\ud800\U0001f600"}))
    self.assertEqual(self._read("-object",
                                '{"\udcff\\ud800\\u0000":"\\udc00"}'),
                     ("object", {"\udcff\ud800\0": "\udc00"}))

  def test_fresh_list(self):
    kvm_cmd = ["-device", "e1000"]
    read_options(kvm_cmd)[0][1]["mine"] = "x"
    self.assertEqual(read_options(kvm_cmd), [("device", {"driver": "e1000"})])

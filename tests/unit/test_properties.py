# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What holds for any value and any command line."""

import json
import os
import re

import pytest

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ganeti_virtio_rng import VALUES
from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng import check
from ganeti_virtio_rng import check_source
from ganeti_virtio_rng import read_options

# A quarter of what tests/check takes
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


class Mine(Exception):
  """What the methods of hostile objects raise."""


def hostile(base):
  """A subclass whose special methods raise.

  All but those that make it, and those by which isinstance looks at it.

  """
  def fail(*_, **__):
    raise Mine()

  others = ("__new__", "__init__", "__init_subclass__", "__subclasshook__",
            "__class__", "__getattribute__")
  return type("Hostile", (base, ),
              {name: fail for name in dir(base) if name not in others and
               name.startswith("__") and callable(getattr(base, name))})


class Liar(list):
  """A list that has some items, shows others, and changes as one looks."""

  def __init__(self, items, shown, length):
    super().__init__(items)
    self._shown = shown
    self._length = length

  def __len__(self):
    return self._length

  def __getitem__(self, index):
    raise Mine()

  def __iter__(self):
    for item in self._shown:
      self.clear()
      yield item
      self.extend([item] * 100)


ANY_TEXT = st.text(st.characters()) # surrogates and NULs among them
STRINGS = st.builds(lambda kind, text: kind(text),
                    st.sampled_from([str, hostile(str)]),
                    st.one_of(ANY_TEXT, st.sampled_from(VALUES)))
MEGABYTES = ANY_TEXT.map(lambda text: "%s," % text * 500000)
OTHERS = st.one_of(
  st.binary(), st.integers(), st.none(), st.floats(), st.booleans(),
  st.tuples(ANY_TEXT), st.lists(st.sampled_from(VALUES)),
  st.dictionaries(ANY_TEXT, st.none()), st.functions(), st.from_type(type),
  st.sampled_from([object, int, bytes, list, tuple, dict, Exception]).map(
    lambda base: hostile(base)()))
ANYTHING = st.one_of(STRINGS, OTHERS)


def content(value):
  """What a str holds, without asking its methods; None for what is no str.

  """
  return str.__getitem__(value, slice(None)) if isinstance(value, str) else None


DRIVERS = st.sampled_from(["virtio-rng-pci", "virtio-rng", "vhost-user-rng-pci",
                           "virtio-rng-pci-transitional", "virtio-balloon",
                           "virtio-rngs", "e1000", "rng", ""])
IDS = st.one_of(st.integers(0, 12).map("virtio_rng{}".format),
                st.sampled_from(["", "rng0", "virtio_rng", "virtio_rng00",
                                 "virtio_rng01", "xvirtio_rng0", "virtio_rng-1",
                                 "virtio_rng0x", "VIRTIO_RNG0"]))
#: (kind of the option, the properties that it gives)
OPTIONS = st.lists(st.tuples(
  st.sampled_from(["-device", "--device", "-object", "--object", "-name"]),
  st.sampled_from(["short", "long", "json"]), DRIVERS, IDS), max_size=20)


def write(option, form, kind, ident):
  """Writes an option in one of the forms that QEMU reads.

  """
  key = "driver" if option.endswith("device") else "qom-type"
  if form == "short":
    return [option, "%s,id=%s" % (kind, ident)]
  if form == "long":
    return [option, "id=%s,%s=%s" % (ident, key, kind)]
  return [option, json.dumps({"id": ident, key: kind, "x": {key: "e1000"}})]


@given(st.one_of(ANYTHING, MEGABYTES))
def test_check(value):
  assert check(value) is (content(value) in VALUES)


@given(st.one_of(STRINGS, MEGABYTES))
def test_only_three_strings_reach_qemu(value):
  text = content(value)
  if text in VALUES:
    assert check_source(value) is None
    argv = build_argv(value)
    assert argv == build_argv(text)
    assert len(argv) == (0 if text == "off" else 4)
    return
  for function in (check_source, build_argv):
    with pytest.raises(ValueError) as context:
      function(value)
    assert str(context.value) == (
      "Parameter 'virtio_rng' fails syntax check: The value must be one of:"
      " off, random, urandom (current value: '%s')" % text)


@given(OTHERS)
def test_nothing_but_strings(value):
  for function in (check_source, build_argv):
    with pytest.raises(TypeError, match="^Parameter 'virtio_rng' must be a"):
      function(value)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_any_arguments(value, kvm_cmd, pci_slot):
  try:
    argv = build_argv(value, kvm_cmd, pci_slot)
  except (TypeError, ValueError, Mine): # of a list or a slot that is hostile
    return
  assert content(value) in VALUES
  assert [type(arg) for arg in argv] in ([], [str] * 4)


@given(st.booleans().flatmap(
  lambda typed: st.sampled_from([None, -1, 0, 1, 31, 32, 2 ** 32 + 1]) if typed
  else ANYTHING))
def test_any_slot(slot):
  if slot is None or type(slot) is int and 1 <= slot <= 31:
    assert len(build_argv("random", [], slot)) == 4
  else:
    with pytest.raises((TypeError, ValueError, Mine)):
      build_argv("random", [], slot)


@given(ANYTHING)
def test_any_type_of_command_line(kvm_cmd):
  if type(kvm_cmd) in (list, tuple):
    assert len(build_argv("random", kvm_cmd)) == 4
  else:
    with pytest.raises((TypeError, Mine)):
      build_argv("random", kvm_cmd)


@given(st.sampled_from(VALUES), OPTIONS,
       st.one_of(st.none(), st.integers(1, 31)))
def test_any_command_line(value, options, pci_slot):
  kvm_cmd = ["kvm", "-m", 256]
  for option in options:
    kvm_cmd += write(*option)
  argv = build_argv(value, kvm_cmd, pci_slot)

  has_generator = any(
    option.endswith("device") and
    re.fullmatch(r"(virtio|vhost-user)-rng(-.*)?", kind)
    for option, _, kind, _ in options)
  if value == "off" or has_generator:
    assert argv == []
    return

  taken = set(ident for option, _, _, ident in options if option != "-name")
  number = next(n for n in range(len(taken) + 1)
                if "virtio_rng%d" % n not in taken)
  place = ",bus=pci.0,addr=%s" % hex(pci_slot) if pci_slot else ""
  assert argv == [
    "-object", "rng-random,filename=/dev/%s,id=virtio_rng%d" % (value, number),
    "-device", "virtio-rng-pci,id=virtio_rng%d,rng=virtio_rng%d,"
    "max-bytes=1024,period=1000%s" % (number, number, place)]
  assert build_argv(value, kvm_cmd + argv) == []


#: What options begin with, and what may surround it
ARGUMENTS = st.lists(st.one_of(
  st.sampled_from(["-device", "--device", "-object", "--object", "-set",
                   "--set", "-name", "-S", "--usb", "-no-shutdown", "-x", "-",
                   "--", "", 5, "kvm", "-audio", "-append"]),
  st.sampled_from(["virtio-rng-pci", "e1000,id=virtio_rng0", "x,id=a",
                   "{'driver':'virtio-rng-pci'}", "{'id':'virtio_rng1'}",
                   "device.a.driver=virtio-rng-pci",
                   "object.a.id=virtio_rng2", "device.a.driver=x"])),
  max_size=12)


@settings(max_examples=300)
@given(ARGUMENTS)
def test_build_argv_reads_as_read_options(kvm_cmd):
  """Though it converts only a part of the command line."""
  found = [properties for option, properties in read_options(kvm_cmd)
           if option in ("device", "object")]
  drivers = [properties.get("driver") for option, properties in
             read_options(kvm_cmd) if option == "device"]
  argv = build_argv("random", kvm_cmd)
  if "virtio-rng-pci" in drivers:
    assert argv == []
  else:
    ids = [properties.get("id") for properties in found]
    number = next(n for n in range(13) if "virtio_rng%d" % n not in ids)
    assert argv[1].endswith(",id=virtio_rng%d" % number)


TEXTS = st.text(st.characters(blacklist_characters="\0"))


@given(st.dictionaries(TEXTS.filter(lambda key: not set(key) & set("=,")),
                       TEXTS))
def test_read_pairs(properties):
  """What is written as QEMU's documentation says is read as it was."""
  text = ",".join("%s=%s" % (key, value.replace(",", ",,"))
                  for key, value in properties.items())
  for option in ("-device", "--drive"):
    if not (option == "-device" and text.startswith("{")):
      assert (read_options([option, text, "-S"]) ==
              [(option.lstrip("-"), properties)])


def flat(value, prefix=""):
  """Returns the items of nested JSON, their keys joined by dots.

  """
  result = {}
  items = value.items() if isinstance(value, dict) else enumerate(value)
  for key, item in items:
    key = prefix + str(key)
    if isinstance(item, (dict, list)):
      result.update(flat(item, key + "."))
    elif isinstance(item, bool):
      result[key] = "on" if item else "off"
    elif item is None:
      result[key] = "null"
    else:
      result[key] = item
  return result


@given(st.dictionaries(TEXTS, st.recursive(
  st.one_of(TEXTS, st.integers(-2 ** 63, 2 ** 64), st.booleans(), st.none()),
  lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
  max_leaves=8)),
  st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_read_json(value, ensure_ascii, indent):
  """Python's json module writes and reads what the reader reads."""
  text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
  assert read_options(["-object", text]) == [("object", flat(json.loads(text)))]


@given(ANYTHING, st.lists(st.one_of(ANYTHING, ARGUMENTS)))
def test_read_anything(kvm_cmd, items):
  """Strings and integers come of it, or a TypeError."""
  try:
    result = read_options(kvm_cmd)
  except (TypeError, Mine):
    result = []
  result += read_options(items)
  items = [item for some in items if type(some) is list for item in some]
  result += read_options(items)
  for option, properties in result:
    assert type(option) is str and type(properties) is dict
    for key, value in properties.items():
      assert type(key) is str and type(value) in (str, int)


@example("random", ["-device", "x,\ud800" * 1000000, "x" * 1000000])
@given(st.sampled_from(["random", "urandom"]), st.lists(ANYTHING))
def test_arbitrary_items(value, kvm_cmd):
  argv = build_argv(value, kvm_cmd)
  assert len(argv) == 4 and argv[1].endswith(",id=virtio_rng0")


@given(st.lists(STRINGS), OPTIONS, st.sampled_from([str, hostile(str)]),
       st.sampled_from([0, 1, 100, 10 ** 6]))
def test_lists_that_lie(items, options, kind, length):
  """What it shows to who walks through it is what counts, as for QEMU."""
  shown = [arg for option in options for arg in write(*option)]
  assert (build_argv("random", Liar(items, map(kind, shown), length)) ==
          build_argv("random", shown))
  assert (read_options(Liar(items, map(kind, shown), length)) ==
          read_options(shown))


def test_lists_that_raise():
  class List(list):
    def __iter__(self):
      yield "-device"
      raise Mine()

  with pytest.raises(Mine):
    build_argv("random", List())
  with pytest.raises(Mine):
    build_argv("random", hostile(list)())
  for length in (-1, 2 ** 100): # no list of Python's has
    with pytest.raises((ValueError, OverflowError)):
      build_argv("random", Liar([], [], length))
  with pytest.raises(MemoryError):
    build_argv("random", Liar([], [], 2 ** 62))

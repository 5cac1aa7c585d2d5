# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What holds for any value and any command line."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from ganeti_virtio_rng import VALUES
from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng import check

ANY_TEXT = st.text(st.characters())  # surrogates and NULs among them
ANYTHING = st.one_of(ANY_TEXT, st.binary(), st.integers(), st.none(),
                     st.floats(), st.sampled_from(VALUES),
                     st.tuples(ANY_TEXT), st.booleans())

DRIVERS = st.sampled_from(["virtio-rng-pci", "virtio-rng", "vhost-user-rng-pci",
                           "virtio-rng-pci-transitional", "virtio-balloon",
                           "virtio-rngs", "e1000", "rng", ""])
IDS = st.one_of(st.integers(0, 12).map("rng{}".format),
                st.sampled_from(["", "rng", "rng00", "rng01", "xrng0", "rng0x",
                                 "rng-1", "RNG0"]))
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


@given(ANYTHING)
def test_check(value):
  assert check(value) is (isinstance(value, str) and value in VALUES)


@given(ANY_TEXT)
def test_only_three_strings_reach_qemu(value):
  try:
    argv = build_argv(value)
  except ValueError as err:
    assert value not in VALUES
    assert str(err).endswith("urandom (current value: '%s')" % value)
  else:
    assert value in VALUES
    assert len(argv) == (0 if value == "off" else 4)


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

  taken = set(ident for option, _, _, ident in options
              if option.endswith("object"))
  number = next(n for n in range(len(taken) + 1) if "rng%d" % n not in taken)
  place = ",bus=pci.0,addr=%s" % hex(pci_slot) if pci_slot else ""
  assert argv == [
    "-object", "rng-random,filename=/dev/%s,id=rng%d" % (value, number),
    "-device", "virtio-rng-pci,rng=rng%d,max-bytes=1024,period=1000%s" %
    (number, place)]
  assert build_argv(value, kvm_cmd + argv) == []


@given(st.sampled_from(["random", "urandom"]), st.lists(ANYTHING))
def test_arbitrary_items(value, kvm_cmd):
  argv = build_argv(value, kvm_cmd)
  assert len(argv) == 4 and argv[1].endswith(",id=rng0")

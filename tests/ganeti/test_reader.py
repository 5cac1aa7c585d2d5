# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What read_options says of a command line is what QEMU makes of it.

QEMU is asked by QMP, before its guest runs.

"""

import collections
import json
import re
import subprocess

import hypothesis
import pytest

from hypothesis import strategies as st

from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng import read_options


class Machine:
  """What QEMU makes of a command line; its guest doesn't run.

  @ivar devices: a dict of their ids to their types; the key None has a sorted
      list of the types of those without
  @ivar objects: the same for objects
  @ivar answers: what QEMU says to further questions, in order

  """
  def __init__(self, kvm_cmd, questions=()):
    paths = ["/machine/peripheral", "/machine/peripheral-anon", "/objects"]
    commands = ([("qmp_capabilities", {})] +
                [("qom-list", {"path": path}) for path in paths] +
                list(questions) + [("quit", {})])
    result = subprocess.run(
      kvm_cmd + ["-S", "-display", "none", "-qmp", "stdio"],
      input="".join(json.dumps({"execute": name, "arguments": arguments})
                    for name, arguments in commands),
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
      universal_newlines=True)
    assert result.returncode == 0, "%r: %s" % (kvm_cmd, result.stderr)
    answers = [answer.get("return", answer.get("error")) for answer in
               map(json.loads, result.stdout.splitlines())
               if "return" in answer or "error" in answer]
    (named, anonymous, objects) = map(self._children, answers[1:4])
    self.devices = dict(named)
    self.devices[None] = sorted(kind for _, kind in anonymous)
    self.objects = dict(objects)
    self.answers = answers[4:-1]

  @staticmethod
  def _children(answer):
    """Of a path, if it is there; but not what QEMU makes without being asked:

    its memory, and since version 11 its monitors.

    """
    if "class" in answer:
      return []
    return [(child["name"], child["type"][len("child<"):-1])
            for child in answer if child["type"].startswith("child<") and
            child["type"] not in ("child<memory-backend-ram>",
                                  "child<monitor-qmp>", "child<monitor-hmp>")]


def functions_of(addr):
  """Number of an address, counted in functions, as QEMU documents it.

  """
  if isinstance(addr, int):
    return addr
  slot, _, function = addr.partition(".")
  return int(slot, 16) * 8 + int(function or "0", 16)


def expect_what_is_read(kvm_cmd):
  """Compares what read_options says with what QEMU has.

  """
  options = collections.defaultdict(list)
  for name, properties in read_options(kvm_cmd):
    options[name].append(properties)

  devices = dict((device["id"], device["driver"])
                 for device in options["device"] if "id" in device)
  devices[None] = sorted(device["driver"] for device in options["device"]
                         if "id" not in device)
  objects = dict((item["id"], item["qom-type"]) for item in options["object"])
  places = dict((device["id"], functions_of(device["addr"]))
                for device in options["device"]
                if "id" in device and "addr" in device)
  secrets = dict((item["id"], item["data"]) for item in options["object"]
                 if "data" in item)

  machine = Machine(
    kvm_cmd,
    [("qom-get", {"path": "/machine", "property": "type"}),
     ("query-block", {}),
     ("human-monitor-command", {"command-line": "info network"})] +
    [("qom-get", {"path": "/machine/peripheral/" + ident, "property": "addr"})
     for ident in places] +
    [("qom-get", {"path": "/objects/" + ident, "property": "data"})
     for ident in secrets])
  (kind, blocks, network), details = machine.answers[:3], machine.answers[3:]

  assert machine.devices == devices
  assert machine.objects == objects
  assert details[:len(places)] == list(places.values())
  assert details[len(places):] == list(secrets.values())
  last = [item["type"] for item in options["machine"] if "type" in item][-1]
  assert kind.startswith(last) and kind.endswith("-machine")
  assert (set(block["device"] for block in blocks if block["device"]) ==
          set(drive["id"] for drive in options["drive"]))
  hubs = dict((ident, hub)
              for hub, text in re.findall(r"^hub (\d+)((?:\s+\\ .*)*)",
                                          network, re.M)
              for ident in re.findall(r"\\ ([\w.-]+)", text))
  assert hubs == dict((netdev["id"], str(netdev["hubid"]))
                      for netdev in options["netdev"])


def escape(draw, text, quote):
  """Writes a string in JSON, in one of the ways there are.

  """
  def one(char):
    if char in (quote, "\\") and draw(st.booleans()):
      return "\\" + char
    if char in (quote, "\\") or draw(st.integers(0, 9)) == 0:
      units = char.encode("utf-16-be")
      return "".join("\\u%02x%02X" % (units[i], units[i + 1])
                     for i in range(0, len(units), 2))
    return char
  return quote + "".join(map(one, text)) + quote


def write_json(draw, pairs):
  """Writes the properties as JSON, where a key has one value.

  """
  def space():
    return draw(st.sampled_from(["", "", " ", "\t", "\n "]))

  result = []
  for key, value in dict(pairs).items():
    if isinstance(value, str):
      value = escape(draw, value, draw(st.sampled_from("\"'")))
    result.append(space() + escape(draw, key, draw(st.sampled_from("\"'"))) +
                  space() + ":" + space() + str(value) + space())
  return "{%s}" % ",".join(result)


def write_pairs(draw, pairs, implied):
  """Writes them as key=value, the first perhaps without a key.

  """
  result = ["%s=%s" % (key, str(value).replace(",", ",,"))
            for key, value in pairs]
  if (pairs[0][0] == implied and "=" not in str(pairs[0][1]) and
      draw(st.booleans())):
    result[0] = result[0].partition("=")[2]
  return ",".join(result)


IDS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_.-]{0,8}", fullmatch=True)
#: Also what is an option, or looks like an option's value
TEXTS = st.one_of(
  st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8),
  st.sampled_from(["", ",", ",,", "a,b", "a,id=b", "=", "{}", "-device", "\""]))
DRIVERS = ["virtio-serial-pci", "virtio-scsi-pci", "virtio-net-pci",
           "pci-testdev", "virtio-rng-pci"]
FLAGS = ["-no-reboot", "--no-shutdown", "-no-user-config", "-snapshot",
         "-nodefaults", "-usb"]
#: Arguments that are no option, for any that Ganeti or an admin gives
VALUES = [["-name", "-device"], ["-name", "--object"], ["--name", "-set"],
          ["-name", "-S"], ["-name", "{"], ["-m", "64"], ["-rtc", "base=utc"],
          ["-uuid", "a6821b89-9bd1-4be8-9822-5c013e827bfb"],
          ["-global", "nothing.x=-device"], ["-boot", "order=c"]]


class Command:
  """A command line in the making, that QEMU doesn't refuse.

  """
  def __init__(self, draw, machine, takes_json):
    self._draw = draw
    self._takes_json = takes_json
    self._ids = collections.defaultdict(set)
    self._slots = set()
    self.has_bus = machine == "pc"
    self.result = ["-nodefaults"]
    if draw(st.booleans()):
      self._machine("pc" if machine == "none" else "none")
    self._machine(machine)

  def _machine(self, kind):
    form = self._draw(st.sampled_from(["%s", "type=%s", "none,type=%s"]))
    self.result += [self._draw(st.sampled_from(
      ["-M", "--M", "-machine", "--machine"])), form % kind]

  def ident(self, group):
    """Draws an id that no other of the group has.

    """
    result = self._draw(st.one_of(
      IDS, st.integers(0, 3).map("virtio_rng{}".format)).filter(
        lambda ident: ident not in self._ids[group]))
    self._ids[group].add(result)
    return result

  def slot(self):
    """Draws a slot of the bus that no other has, and that stays free.

    """
    result = self._draw(st.integers(8, 30).filter(
      lambda slot: slot not in self._slots))
    self._slots.add(result)
    return result

  def add(self, group, implied, pairs, takes_json=False):
    """Adds an option, with what doesn't count before what does, or after.

    """
    draw = self._draw
    as_json = takes_json and self._takes_json and draw(st.booleans())
    option = draw(st.sampled_from(["-", "--"])) + group
    if as_json:
      self.result += [option, write_json(draw, draw(st.permutations(pairs)))]
      return
    pairs = [(key, value) if key != "addr" or isinstance(value, str) else
             (key, "%x.%x" % divmod(value, 8)) for key, value in pairs]
    ident = dict(pairs).get("id")
    fixed = ("id", "if", "file")
    later = []
    if ident and "." not in ident and group in ("device", "drive", "netdev"):
      later = [pair for pair in pairs
               if pair[0] not in fixed and draw(st.integers(0, 2)) == 0]
    wrong = [(key, draw(st.sampled_from(["1f", "e1000", "none", "a"])))
             for key, _ in pairs
             if key not in fixed and draw(st.integers(0, 2)) == 0]
    pairs = (draw(st.permutations(wrong)) +
             draw(st.permutations([pair for pair in pairs
                                   if pair not in later])))
    if ident and draw(st.booleans()):
      pairs.append(("id", "another"))
    text = write_pairs(draw, pairs, implied)
    if group == "device":
      text += draw(st.sampled_from(["", ",", ",multifunction",
                                    ",nomultifunction,"]))
    self.result += [option, text]
    for key, value in later:
      if draw(st.booleans()):
        self.result += draw(st.sampled_from(VALUES))
      self.result += [draw(st.sampled_from(["-set", "--set"])),
                      "%s.%s.%s=%s" % (group, ident, key, value)]

  def device(self):
    pairs = [("driver", self._draw(st.sampled_from(DRIVERS)))]
    if self._draw(st.integers(0, 3)):
      pairs.append(("id", self.ident("device")))
    if self._draw(st.booleans()):
      slot = self.slot()
      pairs.append(("addr", self._draw(st.sampled_from(
        ["%x", "0x%x", "%X", "0X%x", "%x.0", "0x%x.0"])) % slot
        if self._draw(st.booleans()) else slot * 8))
    self.add("device", "driver", pairs, takes_json=True)

  def object(self):
    pairs = [("qom-type", "rng-builtin"), ("id", self.ident("object"))]
    if self._draw(st.booleans()):
      pairs[0] = ("qom-type", "secret")
      pairs.append(("data", self._draw(TEXTS)))
    self.add("object", "qom-type", pairs, takes_json=True)

  def netdev(self):
    self.add("netdev", "type",
             [("type", "hubport"), ("hubid", self._draw(st.integers(0, 3))),
              ("id", self.ident("netdev"))], takes_json=True)

  def drive(self):
    self.add("drive", None, [("if", "none"), ("format", "raw"),
                             ("file", "null-co://"),
                             ("id", self.ident("drive"))])

  def noise(self):
    self.result += self._draw(st.sampled_from(
      VALUES + [[flag] for flag in FLAGS]))


@st.composite
def commands(draw, takes_json):
  """Command lines, without the program, and whether they have a bus.

  """
  command = Command(draw, draw(st.sampled_from(["none", "pc"])), takes_json)
  kinds = [command.object, command.netdev, command.drive, command.noise]
  if command.has_bus:
    kinds += [command.device] * 3
  for _ in range(draw(st.integers(1, 8))):
    draw(st.sampled_from(kinds))()
  return command.result, command.has_bus


@pytest.fixture(scope="module")
def qemu(ganeti):
  return ganeti.qemu


@pytest.fixture(scope="module")
def takes_json(qemu):
  """Whether this QEMU takes JSON for -device and -netdev, too.

  """
  output = subprocess.run([qemu, "-version"], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True)
  version = re.search(r"version (\d+)\.(\d+)", output.stdout)
  return tuple(map(int, version.groups())) >= (7, 2)


@pytest.mark.not_on("bullseye", reason="QEMU 5.2 looks at each value of a"
                    " duplicate")
@hypothesis.given(st.data())
@hypothesis.settings( # without shrinking, which takes minutes
  max_examples=100, deadline=None, phases=[hypothesis.Phase.generate],
  suppress_health_check=list(hypothesis.HealthCheck))
def test_any_command_line(qemu, takes_json, data):
  """And the device that is added has an id that is free."""
  arguments, has_bus = data.draw(commands(takes_json))
  kvm_cmd = [qemu] + arguments
  assert read_options(arguments) == read_options(kvm_cmd)
  if has_bus:
    added = build_argv("random", kvm_cmd, 31)
    assert bool(added) != any(
      properties["driver"] == "virtio-rng-pci"
      for option, properties in read_options(kvm_cmd) if option == "device")
    kvm_cmd += added
  expect_what_is_read(kvm_cmd)


def test_options_without_argument(qemu):
  """Those that this QEMU has, and only those, leave the next one alone.

  """
  text = subprocess.run([qemu, "-help"], check=True,
                        stdout=subprocess.PIPE, universal_newlines=True).stdout
  names = set(re.findall(r"^(?:-\w+ or )?-([a-zA-Z][\w-]*)", text, re.M))
  assert len(names) > 80
  for name in sorted(names - {"device", "set", "object"}):
    result = subprocess.run(
      [qemu, "-" + name, "-first", "-second"], check=False,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    refused = re.search(r"-(first|second): invalid option", result.stderr)
    read = read_options(["-" + name, "-device", "e1000", "-x"])
    devices = [properties for option, properties in read if option == "device"]
    assert bool(devices) == (refused.group(1) == "first"), name

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Hot-plugs into a QEMU that answers badly, or not at all.

A thread plays QEMU's monitor, which Ganeti's own client talks to. It knows what
has been added, and does something wrong at one step of the conversation.

"""

import importlib
import itertools
import json
import re
import socket
import threading

import pytest

NAME = "web1.example.com"

PAIR = ["-object", "rng-random,filename=/dev/random,id=virtio_rng0", "-device",
        "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0,max-bytes=1024,"
        "period=1000,bus=pci.0,addr=0xb"]

BACKEND = {"qom-type": "rng-random", "id": "virtio_rng0",
           "filename": "/dev/random"}

DEVICE = {"driver": "virtio-rng-pci", "id": "virtio_rng0", "rng": "virtio_rng0",
          "max-bytes": 1024, "period": 1000, "bus": "pci.0", "addr": "0xb"}

EVENT = {"event": "RTC_CHANGE", "data": {"offset": 0},
         "timestamp": {"seconds": 1, "microseconds": 0}}

DUPLICATE = {"error": {"class": "GenericError", "desc": "Duplicate ID"}}


class QEMU(threading.Thread):
  """A monitor, and what it knows.

  @ivar steps: the commands received since the last L{misbehave}
  @ivar objects: of QOM, a dict from path to dict from name to properties

  """
  def __init__(self, path, version=(10, 0, 2), events=False):
    super().__init__(daemon=True)
    self.version = dict(zip(("major", "minor", "micro"), version))
    self.objects = {"/objects": {}, "/machine/peripheral": {},
                    "/machine/peripheral-anon": {}}
    self._event = self._line(EVENT) if events else b""
    self.misbehave(None)
    self._path = path
    self._server = socket.socket(socket.AF_UNIX)
    self._server.bind(str(path))
    self._server.listen(1)
    self.start()

  def misbehave(self, step, how="", lasts=False):
    """Sets what happens, once or from then on, instead of the step's answer.

    @param step: number of the message of QEMU, greetings included

    """
    (self._wrong, self._how, self._lasts) = (step, how, lasts)
    self.steps = []

  @staticmethod
  def _line(message):
    return json.dumps(message).encode() + b"\r\n"

  def run(self):
    while True:
      (client, _) = self._server.accept()
      with client, client.makefile("rb") as lines:
        try:
          self._talk(client, lines)
        except OSError:
          pass # the client has gone

  def _talk(self, client, lines):
    greeting = {"QMP": {"version": {"qemu": self.version, "package": ""}}}
    messages = itertools.chain([{"execute": "greeting"}],
                               map(json.loads, filter(bytes.strip, lines)))
    for message in messages:
      number = len(self.steps)
      self.steps.append((message["execute"], message.get("arguments")))
      wrong = self._wrong is not None and (
        number == self._wrong or self._lasts and number > self._wrong)
      if wrong and self._how in ("silence", "hang-up"):
        if self._how == "silence":
          client.recv(1) # until it has had enough
        return
      if wrong and self._how == "error":
        answer = {"error": {"class": "DeviceNotFound", "desc": "No such thing"}}
      elif message["execute"] == "greeting":
        answer = greeting
      else:
        answer = self._answer(message["execute"], message.get("arguments", {}))
      line = self._line(answer)
      if wrong and self._how != "error":
        client.sendall(line[:len(line) // 2] + self._how[4:].encode())
        return
      # An event is sent in parts, one ends in the packet of the answer.
      client.sendall(self._event + self._event[:7])
      client.sendall(self._event[7:] + line)

  def _answer(self, command, arguments):
    path = arguments.get("path")
    if command == "object-add":
      if arguments["id"] in self.objects["/objects"]:
        return DUPLICATE
      properties = dict(arguments, **arguments.get("props", {}))
      self.objects["/objects"][arguments["id"]] = properties
    elif command == "object-del":
      del self.objects["/objects"][arguments["id"]]
    elif command == "device_add":
      if arguments["id"] in self.objects["/machine/peripheral"]:
        return DUPLICATE
      self.objects["/machine/peripheral"][arguments["id"]] = arguments
    elif path in self.objects: # qom-list
      return {"return": [
        {"name": name,
         "type": "child<%s>" % (item.get("qom-type") or item["driver"])}
        for (name, item) in self.objects[path].items()]}
    elif path and command == "qom-list":
      item = self._item(path)
      return {"return": [{"name": name, "type": ""}
                         for name in list(item) + ["type"]]}
    elif path:
      item = self._item(path)
      value = item.get(arguments["property"], item.get("driver"))
      if arguments["property"] == "rng":
        value = "/objects/%s" % value
      if arguments["property"] == "addr":
        value = int(value, 16) << 3
      return {"return": value}
    return {"return": {
      "query-commands": [{"name": name} for name in (
        "query-commands query-version query-status query-migrate query-pci"
        " qom-list qom-list-types qom-get object-add object-del device_add"
        ).split()],
      "query-version": {"qemu": self.version},
      "query-status": {"running": True, "status": "running"},
      "qom-list-types": [{"name": "virtio-rng-pci"}],
      "query-pci": [{"bus": 0, "devices": [{"slot": 1, "qdev_id": ""}] + [
        {"slot": int(device["addr"], 16), "qdev_id": name}
        for (name, device) in self.objects["/machine/peripheral"].items()
        if "addr" in device]}],
      }.get(command, {})}

  def _item(self, path):
    (folder, _, name) = path.rpartition("/")
    if name == "pci.0":
      return {"acpi-pcihp-bsel": 0}
    return self.objects[folder][name]


@pytest.fixture
def plug(ganeti, hvparams, tmp_path, monkeypatch):
  """Hot-plugs; returns what hotplug.plug does.

  """
  cls = ganeti.hv_kvm.KVMHypervisor
  monkeypatch.setattr(cls, "_CONF_DIR", str(tmp_path))
  monkeypatch.setattr(cls, "_CTRL_DIR", str(tmp_path))
  for name in ("_QMP_TIMEOUT", "_SOCKET_TIMEOUT"): # of either Ganeti
    monkeypatch.setattr(ganeti.hv_kvm.monitor.QmpConnection, name, 0.5,
                        raising=False)
  kvm = object.__new__(cls)
  kvm._WriteKVMRuntime(NAME, json.dumps([["qemu", "-machine", "pc"], [],
                                         hvparams, []]))
  instance = ganeti.objects.Instance(name=NAME, hvparams=hvparams)
  module = importlib.import_module("ganeti_virtio_rng.hotplug")
  return lambda: module.plug(kvm, instance)


@pytest.fixture
def saved(tmp_path, plug):
  return tmp_path / ("%s.runtime" % NAME)


@pytest.fixture
def path(tmp_path):
  return tmp_path / ("%s.qmp" % NAME)


def plugged(qemu, saved):
  """Whether QEMU and the runtime have it, once."""
  kvm_cmd = json.loads(saved.read_text())[0]
  return (qemu.objects["/objects"].keys() == {"virtio_rng0"} ==
          qemu.objects["/machine/peripheral"].keys() and
          kvm_cmd[-4:] == PAIR and str(kvm_cmd).count("virtio-rng-pci") == 1)


@pytest.mark.parametrize("version, backend", [
  ((5, 2, 0), {"qom-type": "rng-random", "id": "virtio_rng0",
               "props": {"filename": "/dev/random"}}),
  ((6, 0, 0), BACKEND),
  ((11, 0, 0), BACKEND)], ids=str)
@pytest.mark.parametrize("events", [False, True], ids=["", "events"])
def test_order(plug, path, saved, version, backend, events):
  """The runtime has it first; numbers are numbers, and addr is text."""
  qemu = QEMU(path, version, events)
  before = saved.read_text()
  seen = {}
  answer = qemu._answer
  qemu._answer = lambda *args: (seen.setdefault(args[0], saved.read_text()),
                                answer(*args))[1]
  assert plug() == ""
  assert plugged(qemu, saved)
  steps = dict(qemu.steps)
  assert steps["object-add"] == backend
  assert steps["device_add"] == DEVICE
  order = [name for (name, _) in qemu.steps]
  assert order[-3:] == ["object-add", "device_add", "query-pci"]
  assert seen["query-pci"] == before # asked once before, for the slots
  assert seen["object-add"] == saved.read_text()

  assert plug() == "The instance has this random number generator already"
  assert plugged(qemu, saved)


@pytest.mark.parametrize("how, lasts", [
  ("error", False), ("hang-up", False), ("hang-up", True), ("half", False),
  ("half\r\n", False), ("silence", False), ("silence", True)], ids=repr)
def test_failure(ganeti, plug, path, saved, how, lasts):
  """At whatever step: nothing is left of it, or the runtime has the pair if
  nobody can tell; and the next one completes it.

  """
  qemu = QEMU(path)
  before = saved.read_text()
  assert plug() == ""
  names = [name for (name, _) in qemu.steps]
  written = names.index("greeting", 1) # by then the runtime has it
  steps = range(len(names))
  if how == "silence": # which takes its time
    steps = [0, written - 1, written] + [
      names.index(name) for name in ("object-add", "device_add")]
  failed = 0
  for step in steps:
    for item in qemu.objects.values():
      item.clear()
    saved.write_text(before)
    qemu.misbehave(step, how, lasts)
    try:
      assert plug() == "", step
    except ganeti.errors.HypervisorError as err:
      assert re.search("No such thing|hung up|[Tt]ime|no bus|wrong server",
                       str(err)), step
      failed += 1
      there = qemu.objects["/machine/peripheral"]
      if lasts and step >= written or there:
        assert PAIR == json.loads(saved.read_text())[0][-4:], step
      else:
        assert saved.read_text() == before, step
        assert not qemu.objects["/objects"], step
    qemu.misbehave(None)
    assert plug() in ("", "The instance has this random number generator"
                      " already"), step
    assert plugged(qemu, saved), step
  assert failed == len(steps)


@pytest.mark.parametrize("others", [
  {"/machine/peripheral": {"virtio_rng0": {"driver": "usb-tablet"}}},
  {"/objects": {"virtio_rng0": {"qom-type": "iothread"}}}], ids=str)
def test_name_is_taken(ganeti, plug, path, saved, others):
  """By something that somebody plugged by hand: it stays, alone."""
  qemu = QEMU(path)
  qemu.objects.update(json.loads(json.dumps(others)))
  before = saved.read_text()
  with pytest.raises(ganeti.errors.HypervisorError, match="Duplicate ID"):
    plug()
  assert saved.read_text() == before
  assert {key: value for (key, value) in qemu.objects.items()
          if value} == others


def test_no_query_of_pci_shows_it(ganeti, plug, path, saved):
  """QEMU says that all is well, and has no device."""
  qemu = QEMU(path)
  answer = qemu._answer
  qemu._answer = lambda name, *args: ({"return": {}} if name == "device_add"
                                      else answer(name, *args))
  before = saved.read_text()
  with pytest.raises(ganeti.errors.HypervisorError, match="does not show"):
    plug()
  assert saved.read_text() == before
  assert not qemu.objects["/objects"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[[], [1], {}, []]",
                                     b"\xff"])
def test_damaged_runtime(ganeti, plug, path, saved, content):
  """It stays as it is, for somebody to look at."""
  qemu = QEMU(path)
  saved.write_bytes(content)
  with pytest.raises(ganeti.errors.HypervisorError,
                     match="^The saved runtime is damaged: "):
    plug()
  assert saved.read_bytes() == content
  assert not any(qemu.objects.values())


def test_runtime_of_an_older_ganeti(plug, path, saved):
  """It has not the parameters that came later."""
  qemu = QEMU(path)
  (kvm_cmd, nics, hvparams, disks) = json.loads(saved.read_text())
  for name in ("kvm_pci_reservations", "use_chroot"):
    del hvparams[name]
  saved.write_text(json.dumps([kvm_cmd, nics, hvparams, disks]))
  assert plug() == ""
  assert plugged(qemu, saved)


@pytest.mark.parametrize("device", [PAIR[3], json.dumps(DEVICE)],
                         ids=["text", "JSON"])
def test_pair_of_a_device_that_was_ejected(plug, path, saved, device):
  """The runtime still has it, as it was started."""
  qemu = QEMU(path)
  (kvm_cmd, *others) = json.loads(saved.read_text())
  saved.write_text(json.dumps([kvm_cmd + PAIR[:3] + [device]] + others))
  assert plug() == ""
  assert plugged(qemu, saved)


def test_value_that_somebody_edited(ganeti, hvparams, plug, path):
  QEMU(path)
  hvparams["virtio_rng"] = "foo"
  with pytest.raises(ganeti.errors.HypervisorError,
                     match="must be one of: off, random, urandom"):
    plug()


def test_nobody_listens(ganeti, plug, path):
  for make in (lambda: None, lambda: path.write_text(""), lambda: (
      path.unlink(), socket.socket(socket.AF_UNIX).bind(str(path)))):
    make()
    with pytest.raises(ganeti.errors.HypervisorError):
      plug()

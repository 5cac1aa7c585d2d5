# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Ganeti runs, whatever is damaged of the package: a table of files by damages.

The finder and what starts it are in tests/unit/test_finder.py: without them it
is as if the package were removed.

"""

import ast
import compileall
import json
import os
import pathlib
import py_compile
import random
import shutil
import struct
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / "ganeti_virtio_rng"

#: Ganeti's modules: those without which there is no parameter, and the others
REQUIRED = ["ganeti.constants", "ganeti.hypervisor.hv_kvm", "ganeti.objects"]
OTHERS = ["ganeti.luxi", "ganeti.rpc.node", "ganeti.cmdlib.common",
          "ganeti.cmdlib.cluster.verify", "ganeti.cmdlib.instance_set_params",
          "ganeti.server.noded"]

#: File: what Ganeti is without it. With "all", it has the parameter; with
#: "none", it only tolerates it; else what is missing is an extension.
FILES = {
  "ganeti_virtio_rng/__init__.py": "none",
  "ganeti_virtio_rng/_core.abi3.so": "none",
  "ganeti_virtio_rng/extensions/__init__.py": "none",
  "ganeti_virtio_rng/extensions/constants.py": "none",
  "ganeti_virtio_rng/extensions/objects.py": "none",
  "ganeti_virtio_rng/extensions/hv_kvm.py": "none",
  "ganeti_virtio_rng/extensions/wrapping.py": "none",
  "ganeti_virtio_rng/extensions/common.py": "ganeti.cmdlib.common",
  "ganeti_virtio_rng/extensions/instance_set_params.py":
    "ganeti.cmdlib.instance_set_params",
  "ganeti_virtio_rng/extensions/luxi.py": "ganeti.luxi",
  "ganeti_virtio_rng/extensions/node.py": "ganeti.rpc.node",
  "ganeti_virtio_rng/extensions/noded.py": "ganeti.server.noded",
  "ganeti_virtio_rng/extensions/verify.py": "ganeti.cmdlib.cluster.verify",
  "ganeti_virtio_rng/hotplug.py": "all",
  "ganeti_virtio_rng/placement.py": "all",
  "ganeti_virtio_rng/running.py": "all",
  "ganeti_virtio_rng_loader.py": "none",
  "ganeti_virtio_rng_fallback.py": "all",
  }

SOURCES = [name for name in FILES if name.endswith(".py")]

PROGRAM = pathlib.Path(__file__).with_name("look_at_each.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """The package as it is installed, with the bytecode that dpkg makes.

  """
  folder = tmp_path_factory.mktemp("whole")
  shutil.copytree(str(PACKAGE), str(folder / "ganeti_virtio_rng"),
                  ignore=shutil.ignore_patterns("__pycache__", "site", "cli"))
  for path in (PACKAGE / "site").glob("*.py"):
    shutil.copy(str(path), str(folder))
  for path in folder.rglob("*.*"):
    os.utime(str(path), (1e9, 1e9)) # bytecode is of this time
  assert compileall.compile_dir(str(folder), quiet=1)
  return folder


@pytest.fixture(scope="module")
def start(ganeti, tmp_path_factory):
  """Function that starts Ganeti's modules with the package in a folder.

  Root is bound to permissions in there.

  """
  share = tmp_path_factory.mktemp("ganeti") / "share"
  shutil.copytree(str(ganeti.path), str(share))
  # Each start would compile what the release has for another Python.
  assert compileall.compile_dir(str(share), quiet=1)
  process = subprocess.Popen(
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
     sys.executable, str(PROGRAM), str(share)] + REQUIRED + OTHERS,
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True,
    cwd="/")

  def start_ganeti(folder, others=()):
    print(folder, *REQUIRED, *others, file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())

  yield start_ganeti
  process.stdin.close()
  assert process.wait() == 0


@pytest.fixture
def damaged(whole, tmp_path):
  """A copy of the package, to be damaged.

  """
  folder = tmp_path / "damaged"
  shutil.copytree(str(whole), str(folder))
  return folder


def test_whole(start, whole):
  assert start(whole, OTHERS) == [True, [], []]


def directory(path):
  path.unlink()
  path.mkdir()


def noise(length):
  return bytes(random.Random(length).choices(range(256), k=length))


DAMAGES = {
  "missing": lambda path: path.unlink(),
  "empty": lambda path: path.write_bytes(b""),
  "garbage": lambda path: path.write_bytes(noise(path.stat().st_size)),
  "NULs": lambda path: path.write_bytes(bytes(path.stat().st_size)),
  "directory": directory,
  }

#: These leave what is whole: no extension needs a text there, and a
#: package is one without its __init__.py, too.
HARMLESS = [("ganeti_virtio_rng/extensions/__init__.py", "missing"),
            ("ganeti_virtio_rng/extensions/__init__.py", "empty"),
            ("ganeti_virtio_rng/extensions/__init__.py", "directory")]


@pytest.fixture
def expect(start, damaged):
  """Function that checks what becomes of Ganeti, given what L{FILES} says.

  """
  def check(without, whole_if_silent=False):
    others = [without] if without in OTHERS else []
    answer = start(damaged, others)
    assert isinstance(answer, list), answer
    (in_effect, errors, logged) = answer
    if whole_if_silent and not logged:
      without = "all"
    assert in_effect == (without != "none")
    if without == "all":
      assert errors == logged == []
    else:
      assert len(logged) == 1, logged
      assert logged[0].startswith("virtio_rng is not available: can't extend"
                                  " ganeti.")
    if without in others:
      assert errors == others
      assert without in logged[0]
    return logged

  return check


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_damage(expect, damaged, name, damage):
  DAMAGES[damage](damaged / name)
  expect("all" if (name, damage) in HARMLESS else FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_unreadable(expect, damaged, name):
  """Where there is bytecode, it would be read instead."""
  path = damaged / name
  for bytecode in path.parent.glob("__pycache__/%s.*" % path.stem):
    bytecode.unlink()
  path.chmod(0)
  expect(FILES[name])


#: Of all places where a source can be cut, each release tries so many.
CUTS = 5


def cuts(path):
  """Returns where to cut a source so that the rest is a program.

  That is at ends of lines, and anywhere in its last statement.

  """
  source = path.read_bytes()
  lines = source.splitlines(True)
  ends = set(len(b"".join(lines[:number])) for number in range(len(lines)))
  ends.update(range(len(source) - len(lines[-1]), len(source) - 1))
  result = []
  for end in sorted(ends):
    try:
      ast.parse(source[:end])
      result.append(end)
    except SyntaxError:
      pass
  return result


@pytest.mark.parametrize("name", SOURCES)
def test_cut_source(ganeti, expect, whole, damaged, name):
  """A full disk or a crash may leave any part of a file."""
  source = (whole / name).read_bytes()
  chosen = random.Random(name + ganeti.release)
  ends = cuts(whole / name)
  for end in chosen.sample(ends, min(len(ends), CUTS)):
    (damaged / name).write_bytes(source[:end])
    try:
      expect(FILES[name], whole_if_silent=True)
    except AssertionError as err:
      raise AssertionError("cut after %d bytes" % end) from err


@pytest.mark.parametrize("size", [1, 63, 64, 1000, 10000, 0.5, 0.9, -1])
def test_cut_library(expect, damaged, size):
  core = damaged / "ganeti_virtio_rng/_core.abi3.so"
  whole = core.read_bytes()
  core.write_bytes(whole[:int(size * len(whole)) if 0 < size < 1 else size])
  assert "has lost its end" in expect("none")[0]


@pytest.mark.parametrize("size", [4096, 0.5])
def test_zeros_in_the_library(expect, damaged, size):
  """A crash may leave them where data was not on the disk yet."""
  core = damaged / "ganeti_virtio_rng/_core.abi3.so"
  whole = core.read_bytes()
  left = whole[:int(size * len(whole)) if size < 1 else size]
  core.write_bytes(left.ljust(len(whole), b"\0"))
  assert "has lost its end" in expect("none")[0]


def test_library_without_section_headers(expect, damaged):
  """They are needed by no program that runs, and can be stripped."""
  core = damaged / "ganeti_virtio_rng/_core.abi3.so"
  whole = core.read_bytes()
  (offset, ) = struct.unpack_from("=Q", whole, 40)
  core.write_bytes(whole[:40] + bytes(8) + whole[48:60] + bytes(4) +
                   whole[64:offset])
  expect("all")


def bytecode(path):
  return pathlib.Path(py_compile.compile(str(path), doraise=True))


def of_another(path):
  """Leaves bytecode of another source, of which there is a newer one."""
  source = path.read_bytes()
  path.write_text("raise KeyError('stale')")
  os.utime(str(path), (1e8, 1e8))
  bytecode(path)
  path.write_bytes(source)


#: One of each kind
COMPILED = ["ganeti_virtio_rng_loader.py", "ganeti_virtio_rng/__init__.py",
            "ganeti_virtio_rng/extensions/luxi.py"]

BYTECODE_DAMAGES = {
  "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
  "cut in its header": lambda path: path.write_bytes(path.read_bytes()[:10]),
  "empty": lambda path: path.write_bytes(b""),
  "garbage": lambda path: path.write_bytes(noise(path.stat().st_size)),
  "NULs": lambda path: path.write_bytes(path.read_bytes()[:16] + bytes(500)),
  "directory": directory,
  }


@pytest.mark.parametrize("damage", BYTECODE_DAMAGES)
@pytest.mark.parametrize("name", COMPILED)
def test_bytecode(expect, damaged, name, damage):
  """Python itself sees most of these, and takes the source."""
  os.utime(str(damaged / name), (1e9, 1e9))
  BYTECODE_DAMAGES[damage](bytecode(damaged / name))
  expect(FILES[name], whole_if_silent=True)


@pytest.mark.parametrize("name", COMPILED)
def test_stale_bytecode(start, damaged, name):
  of_another(damaged / name)
  assert start(damaged) == [True, [], []]


@pytest.mark.parametrize("name", ["ganeti_virtio_rng",
                                  "ganeti_virtio_rng/extensions"])
@pytest.mark.parametrize("text", [None, ""])
def test_folder(expect, damaged, name, text):
  shutil.rmtree(str(damaged / name))
  if text is not None:
    (damaged / name).write_text(text)
  expect("none")


def test_nothing_but_the_finder(start, damaged):
  """Neither extended nor tolerated: as if the package were removed."""
  shutil.rmtree(str(damaged / "ganeti_virtio_rng"))
  (damaged / "ganeti_virtio_rng_loader.py").unlink()
  (damaged / "ganeti_virtio_rng_fallback.py").unlink()
  assert "'virtio_rng'" in start(damaged)


@pytest.fixture
def another_ganeti(ganeti, tmp_path):
  """Function that makes a Ganeti that lacks a name, returns its folder.

  """
  def make(file, name):
    shutil.copytree(str(ganeti.path), str(tmp_path / "share"), symlinks=True,
                    copy_function=os.symlink,
                    ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "share/ganeti" / file
    text = path.read_text()
    assert "def %s(" % name in text
    path.unlink()
    path.write_text(text.replace("def %s(" % name, "def another("))
    return tmp_path / "share"

  return make


LACKING = pathlib.Path(__file__).with_name("lack_one.py")


@pytest.mark.parametrize("file, function, module", [
  ("luxi.py", "Query", "ganeti.luxi"),
  ("luxi.py", "QueryClusterInfo", "ganeti.luxi"),
  ("_generated_rpc.py", "call_finalize_export", "ganeti.rpc.node"),
  ("objects.py", "GetHVDefaults", "ganeti.objects"),
  ("hypervisor/hv_kvm/__init__.py", "_ExecuteKVMRuntime",
   "ganeti.hypervisor.hv_kvm"),
  ])
def test_ganeti_is_not_as_expected(another_ganeti, whole, file, function,
                                   module):
  """What can't be extended is missing; without one of three, all is."""
  subprocess.run(
    [sys.executable, str(LACKING), str(whole),
     str(another_ganeti(file, function)), "ganeti.hypervisor.hv_kvm",
     "ganeti.objects", module], check=True, cwd="/")

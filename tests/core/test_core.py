# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Compiles the core without Python, strictly, and runs its tests."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CORE = [str(ROOT / "ext" / name) for name in
        ("argv.c", "cmdline.c", "source.c")]
BINDING = str(ROOT / "ext/module.c")
STRICT = ["-std=c11", "-D_GNU_SOURCE", "-I%s" % (ROOT / "ext"), "-g", "-Wall",
          "-Wextra", "-Wconversion", "-Wshadow"]


def run(*command):
  """Runs a command and shows what it said if it fails.

  """
  result = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False)
  assert result.returncode == 0, "%s\n%s" % (" ".join(command), result.stdout)
  return result.stdout


def compile_all(folder, *options):
  """Compiles core and binding with gcc, each to an object file.

  @return: paths of the object files, the binding's last

  """
  options = list(options) + run("/usr/bin/python3-config", "--includes").split()
  sources = CORE + [BINDING]
  objects = [str(folder / (pathlib.Path(source).stem + ".o"))
             for source in sources]
  for source, target in zip(sources, objects):
    assert run("gcc", *STRICT, *options, "-DPy_LIMITED_API=0x03060000",
               "-c", source, "-o", target) == ""
  return objects


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("optimization", ["-O0", "-O2"])
def test_core(compiler, optimization, tmp_path):
  binary = str(tmp_path / "test_core")
  warnings = run(compiler, *STRICT, optimization,
                 "-fsanitize=address,undefined",
                 "-fno-sanitize-recover=undefined", *CORE,
                 str(ROOT / "tests/core/test_core.c"), "-lcmocka",
                 "-o", binary)
  assert warnings == ""
  assert "PASSED" in run(binary)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_binding_compiles_without_warnings(compiler, tmp_path):
  includes = run("/usr/bin/python3-config", "--includes").split()
  warnings = run(compiler, *STRICT, *includes, "-DPy_LIMITED_API=0x03060000",
                 "-c", BINDING,
                 "-o", str(tmp_path / "module.o"))
  assert warnings == ""


def test_static_analysis():
  run("cppcheck", "--quiet", "--std=c11", "--library=posix",
      "--library=python", "--enable=warning,style,performance,portability",
      "--error-exitcode=1", *CORE, BINDING)
  includes = run("/usr/bin/python3-config", "--includes").split()
  # The analyzer's "insecureAPI" asks for the functions of C11's Annex K,
  # which glibc does not have.
  run("clang-tidy", "--quiet", "--warnings-as-errors=*",
      "--checks=-*,bugprone-*,-bugprone-easily-swappable-parameters,"
      "clang-analyzer-*,"
      "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling",
      *CORE, BINDING, "--", *STRICT, *includes,
      "-DPy_LIMITED_API=0x03060000")


def test_analyzer_of_gcc(tmp_path):
  compile_all(tmp_path, "-O2", "-fanalyzer")


def test_core_allocates_nothing(tmp_path):
  """All that it calls: none of these allocates, none has state but errno."""
  core = compile_all(tmp_path, "-O0")[:-1]
  needed = set(re.findall(r" U (\w+)", run("nm", "--undefined-only", *core)))
  needed = {name for name in needed if not name.startswith(("cmdline_",
                                                            "virtio_rng_"))}
  assert needed <= {"__errno_location", "close", "memchr", "memcmp", "memcpy",
                    "memmem", "memset", "open", "statx", "strchr", "strcmp",
                    "strlen"}


def test_no_writable_globals(tmp_path):
  """But those that CPython's API takes by pointers to what isn't const."""
  symbols = run("objdump", "--syms", *compile_all(tmp_path, "-O2", "-fPIC"))
  writable = re.findall(r" O (?!\.rodata|\.data\.rel\.ro)\S+\s+\S+ (\S+)",
                        symbols)
  assert "virtio_rng_sources" in symbols
  assert sorted(writable) == [
    "definition", # PyModuleDef_Init counts references to it and numbers it
    "methods", # PyModuleDef.m_methods
    "slots", # PyModuleDef.m_slots
    ]

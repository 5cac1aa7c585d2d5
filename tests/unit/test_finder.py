# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The finder and the loader, started by site as on a node.

A few lines stand for Ganeti here; tests/ganeti has the real one.

"""

import pathlib
import shutil
import subprocess
import textwrap

import pytest

import ganeti_virtio_rng
import ganeti_virtio_rng_fallback

FOLDER = pathlib.Path(__file__).parent
GANETI = FOLDER / "ganeti_stand_in"
CONSTANTS = (GANETI / "constants.py").read_text()
HV_KVM = (GANETI / "hypervisor/hv_kvm/__init__.py").read_text()
PRELUDE = (FOLDER / "prelude.py").read_text()


@pytest.fixture
def ganeti(environment):
  """Puts stand-ins for Ganeti's modules beside the plugin, returns a runner.

  """
  shutil.copytree(str(GANETI), str(environment.site / "ganeti"),
                  ignore=shutil.ignore_patterns("__pycache__"))

  def run(code):
    return environment.run("-c", PRELUDE + textwrap.dedent(code))

  run.site = environment.site
  return run


def test_loads_nothing_else(environment):
  modules = "import sys; print(*sys.modules)"
  with_hook = set(environment.run("-c", modules).split())
  (environment.site / "ganeti_virtio_rng_startup.pth").unlink()
  without = set(environment.run("-c", modules).split())
  assert with_hook - without == {"ganeti_virtio_rng_finder"}


def test_extends(ganeti):
  ganeti("""
    import ganeti.constants
    assert in_effect(ganeti.constants)
    assert "ganeti_virtio_rng.extensions.hv_kvm" not in sys.modules
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert "virtio_rng" in hv_kvm.KVMHypervisor.PARAMETERS
    assert logged == []
    """)


def test_starts_once(ganeti):
  ganeti("""
    import site, sysconfig
    before = list(sys.path_hooks)
    site.addsitedir(sysconfig.get_paths()["purelib"])
    import ganeti_virtio_rng_finder
    ganeti_virtio_rng_finder.start()
    assert sys.path_hooks == before
    """)


def test_folders_that_are_no_text(ganeti):
  """Any object may come, from pkgutil of Python before 3.9.6."""
  ganeti("""
    import pathlib
    from ganeti_virtio_rng_finder import path_hook
    for folder in (pathlib.Path("/x/ganeti"), b"/x/ganeti", None):
      try:
        path_hook(folder)
      except ImportError:
        continue
      assert False
    """)


def test_folder_of_another_program(ganeti):
  """What is below the name of one of Ganeti's modules has no loader."""
  folder = ganeti.site / "other/ganeti/objects"
  folder.mkdir(parents=True)
  (folder / "some.py").write_text("value = 1\n")
  (folder.parent / "__init__.py").touch()
  ganeti("""
    import os, sysconfig
    sys.path.insert(0, os.path.join(sysconfig.get_paths()["purelib"], "other"))
    import ganeti.objects.some
    assert ganeti.objects.some.value == 1
    """)


def test_starts_after_folders_that_are_no_text(ganeti):
  ganeti("""
    import pathlib
    sys.path_hooks.pop(0)
    import ganeti.hypervisor
    for folder in (pathlib.Path("/x/ganeti"), b"/x/ganeti", None):
      sys.path_importer_cache[folder] = None
    import ganeti_virtio_rng_finder
    ganeti_virtio_rng_finder.start()
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert "virtio_rng" in hv_kvm.KVMHypervisor.PARAMETERS
    """)


def test_starts_late(ganeti):
  """Ganeti's folders are known by then."""
  ganeti("""
    sys.path_hooks.pop(0)
    import ganeti.errors, ganeti.hypervisor
    import ganeti_virtio_rng_finder
    ganeti_virtio_rng_finder.start()
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert in_effect(hv_kvm.constants)
    assert "virtio_rng" in hv_kvm.KVMHypervisor.PARAMETERS
    """)


def test_starts_too_late(ganeti):
  """Another .pth file has loaded Ganeti's constants."""
  ganeti("""
    sys.path_hooks.pop(0)
    import ganeti.constants
    import ganeti_virtio_rng_finder
    ganeti_virtio_rng_finder.start()
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not in_effect(ganeti.constants)
    assert "virtio_rng" in ganeti.constants.HVS_PARAMETER_TYPES
    assert "virtio_rng" not in hv_kvm.KVMHypervisor.PARAMETERS
    hv_kvm.KVMHypervisor.CheckParameterSyntax({"virtio_rng": "off"})
    [line] = logged
    assert "can't extend ganeti.constants: ImportError: it was loaded" in line
    """)


def test_finder_of_0_1(ganeti):
  """It is there until dpkg has replaced all, and asks the loader."""
  ganeti("""
    import ganeti_virtio_rng_loader as loader
    sys.path_hooks.pop(0)
    class Finder(object):
      def find_spec(self, name, path=None, target=None):
        if name.startswith("ganeti."):
          return loader.find_spec(name, path, target)
    sys.meta_path.insert(0, Finder())
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert in_effect(hv_kvm.constants)
    assert "virtio_rng" in hv_kvm.KVMHypervisor.PARAMETERS
    """)


def test_leaves_no_trace_in_the_module(ganeti):
  ganeti("""
    import importlib.util, importlib.machinery, inspect
    import ganeti.constants as constants
    loader = importlib.machinery.SourceFileLoader
    assert type(constants.__loader__) is loader
    assert type(constants.__spec__.loader) is loader
    assert "_constants" in inspect.getsource(constants)
    """)


def test_found_but_not_loaded(ganeti):
  ganeti("""
    import importlib.util
    spec = importlib.util.find_spec("ganeti.constants")
    assert "_constants" in spec.loader.get_source("ganeti.constants")
    assert "ganeti.constants" not in sys.modules
    """)


def test_run_as_script(environment, ganeti):
  environment.run("-m", "ganeti.constants")


def test_reload(ganeti):
  ganeti("""
    import importlib
    import ganeti.constants as constants
    import ganeti.hypervisor.hv_kvm as hv_kvm
    for _ in range(2):
      importlib.reload(constants)
      importlib.reload(hv_kvm)
      assert in_effect(constants)
      assert "virtio_rng" in hv_kvm.KVMHypervisor.PARAMETERS
    assert logged == []
    """)


def test_threads(ganeti):
  ganeti("""
    import importlib, threading
    modules = []
    def load():
      modules.append(importlib.import_module("ganeti.hypervisor.hv_kvm"))
      assert "virtio_rng" in modules[-1].KVMHypervisor.PARAMETERS
    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(modules) == 8 and len(set(map(id, modules))) == 1
    assert in_effect(sys.modules["ganeti.constants"])
    """)


def test_two_finders_that_ask_all_others(ganeti):
  """As those of some profilers and tracers, one of which is nothing new."""
  ganeti("""
    class Finder(object):
      def find_spec(self, name, path=None, target=None):
        for finder in sys.meta_path:
          if type(finder) is not Finder:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
              return spec
    sys.meta_path[:0] = [Finder(), Finder()]
    import ganeti.constants
    assert in_effect(ganeti.constants)
    assert logged == []
    """)


def test_hook_that_asks_all_others(ganeti):
  ganeti("""
    def hook(path):
      for other in sys.path_hooks:
        if other is not hook:
          try:
            return other(path)
          except ImportError:
            pass
      raise ImportError
    sys.path_hooks.insert(0, hook)
    import ganeti.constants
    assert in_effect(ganeti.constants)
    assert logged == []
    """)


def test_loader_in_other_hands(ganeti):
  """Copied, or asked to fill a module that it didn't find itself."""
  ganeti("""
    import copy, importlib.util, types
    spec = copy.deepcopy(importlib.util.find_spec("ganeti.constants"))
    module = types.ModuleType("ganeti.constants")
    spec.loader.exec_module(module)
    assert in_effect(module)
    assert logged == []
    """)


def test_archive(ganeti):
  """Ganeti's modules are files; from an archive they are as they were."""
  ganeti("""
    import os, shutil, sysconfig
    site = sysconfig.get_paths()["purelib"]
    shutil.make_archive("%s/archive" % site, "zip", site, "ganeti")
    shutil.rmtree("%s/ganeti" % site)
    sys.path.insert(0, "%s/archive.zip" % site)
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert "archive.zip" in hv_kvm.__file__
    assert not in_effect(hv_kvm.constants)
    assert logged == []
    """)


def test_source_is_gone(ganeti):
  """Only compiled modules are left."""
  ganeti("""
    import compileall, pathlib, sysconfig
    folder = pathlib.Path(sysconfig.get_paths()["purelib"], "ganeti")
    compileall.compile_dir(str(folder), legacy=True, quiet=1)
    for path in folder.glob("**/*.py"):
      path.unlink()
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert hv_kvm.__file__.endswith(".pyc")
    assert in_effect(hv_kvm.constants)
    """)


def test_other_folders(ganeti):
  """A program's own folder may have the name of Ganeti's, or of a module."""
  ganeti("""
    import pathlib, sysconfig
    folder = pathlib.Path(sysconfig.get_paths()["purelib"], "other/ganeti")
    folder.mkdir(parents=True)
    (folder / "constants.py").write_text("HVS_PARAMETERS = frozenset()")
    sys.path.insert(0, str(folder))
    import constants
    assert "virtio_rng" not in constants.HVS_PARAMETERS
    assert "ganeti_virtio_rng_loader" not in sys.modules
    """)


def test_no_ganeti(environment):
  environment.run("-c", textwrap.dedent("""
    try:
      import ganeti.constants
    except ImportError as err:
      assert err.name == "ganeti", err
    """))


def test_error_in_ganeti_is_ganetis(ganeti):
  (ganeti.site / "ganeti/constants.py").write_text("1 / 0")
  ganeti("""
    try:
      import ganeti.constants
    except ZeroDivisionError:
      assert "ganeti.constants" not in sys.modules
    else:
      assert False
    assert logged == []
    """)


# What Ganeti does in all of these cases: all that it would do without the
# plugin, and it tolerates the parameter in its configuration.
STANDS_ASIDE = """
    import ganeti.constants as constants
    import ganeti.errors as errors
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not in_effect(constants)
    assert constants.HVS_PARAMETER_TYPES == {"acpi": "bool",
                                             "virtio_rng": "string"}
    kvm = hv_kvm.KVMHypervisor
    assert kvm.PARAMETERS == {"acpi": None}
    kvm.CheckParameterSyntax({"acpi": True})
    for value in ("off", "random", "urandom"):
      hvparams = {"acpi": True, "virtio_rng": value}
      kvm.CheckParameterSyntax(hvparams)
      assert hvparams["virtio_rng"] == value
    for wrong, text in [({"acpi": True, "virtio_rng": "foo"},
                         "Parameter 'virtio_rng' fails syntax check: The value"
                         " must be one of: off, random, urandom (current value:"
                         " 'foo')"),
                        ({"virtio_rgn": "off"},
                         "Parameter 'virtio_rgn' is not supported")]:
      try:
        kvm.CheckParameterSyntax(wrong)
      except errors.HypervisorError as err:
        assert str(err) == text
      else:
        assert False
    assert kvm()._GenerateKVMRuntime(None) == [["kvm"]]
    assert len(logged) == 1, logged
    print(logged[0])
    """


@pytest.mark.parametrize("size", [0, 10, 63, 64, 1000, 5000, 10000, 20000,
                                  0.5, 0.9, -1])
def test_truncated_extension(ganeti, size):
  core = next((ganeti.site / "ganeti_virtio_rng").glob("_core*.so"))
  whole = core.read_bytes()
  core.write_bytes(whole[:int(size * len(whole)) if 0 < size < 1 else size])
  assert "has lost its end" in ganeti(STANDS_ASIDE)


def test_foreign_extension(ganeti):
  core = next((ganeti.site / "ganeti_virtio_rng").glob("_core*.so"))
  core.write_bytes(bytes(len(core.read_bytes())))
  assert "ganeti.constants: ImportError: " in ganeti(STANDS_ASIDE)


@pytest.mark.parametrize("missing", ["_core.abi3.so", "__init__.py",
                                     "extensions/constants.py"])
def test_missing_file(ganeti, missing):
  (ganeti.site / "ganeti_virtio_rng" / missing).unlink()
  assert "can't extend ganeti.constants: " in ganeti(STANDS_ASIDE)


@pytest.mark.parametrize("text", [None, "", "syntax error", "extend = 1"])
def test_missing_loader(ganeti, text):
  """The fallback takes its place."""
  loader = ganeti.site / "ganeti_virtio_rng_loader.py"
  loader.unlink()
  if text is not None:
    loader.write_text(text)
  assert "can't extend ganeti.constants: " in ganeti(STANDS_ASIDE)


def test_missing_loader_and_another_ganeti(ganeti):
  """Which the fallback can't extend either."""
  (ganeti.site / "ganeti_virtio_rng_loader.py").unlink()
  path = ganeti.site / "ganeti/hypervisor/hv_kvm/__init__.py"
  path.write_text(HV_KVM.replace("KVMHypervisor", "Another"))
  ganeti("""
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert hv_kvm.Another.PARAMETERS == {"acpi": None}
    assert "virtio_rng" in hv_kvm.constants.HVS_PARAMETER_TYPES
    assert len(logged) == 1, logged
    """)


@pytest.mark.parametrize("text", [None, "", "syntax error"])
def test_missing_hook(environment, text):
  """Python says so, and goes on."""
  hook = environment.site / "ganeti_virtio_rng_finder.py"
  hook.unlink()
  if text is not None:
    hook.write_text(text)
  result = subprocess.run([environment.python, "-c", "print(1)"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=True, universal_newlines=True)
  assert result.stdout == "1\n"
  assert "ganeti_virtio_rng_startup.pth" in result.stderr


def test_silent_syslog(ganeti):
  (ganeti.site / "ganeti_virtio_rng/extensions/hv_kvm.py").write_text("")
  ganeti("""
    def fail(*_):
      raise OSError
    syslog.syslog = fail
    import ganeti.constants as constants
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not in_effect(constants)
    """)


@pytest.mark.parametrize("text", ["syntax error", "raise KeyError('x')", ""])
def test_broken_extension_takes_the_others_back(ganeti, text):
  """What replaced the first one's names goes when another one fails."""
  (ganeti.site / "ganeti_virtio_rng/extensions/hv_kvm.py").write_text(text)
  assert "can't extend ganeti.hypervisor.hv_kvm: " in ganeti(STANDS_ASIDE)


@pytest.mark.parametrize("name", ["VTYPE_STRING", "HVS_PARAMETERS",
                                  "HVS_PARAMETER_TYPES"])
def test_ganeti_that_lacks_a_constant(ganeti, name):
  (ganeti.site / "ganeti/constants.py").write_text(CONSTANTS +
                                                   "del %s" % name)
  ganeti("""
    import ganeti.constants as constants
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not hasattr(constants, "HV_VIRTIO_RNG")
    assert not hasattr(constants, "%s")
    assert hv_kvm.KVMHypervisor.PARAMETERS == {"acpi": None}
    assert len(logged) == 1 and "%s" in logged[0], logged
    """ % (name, name))


@pytest.mark.parametrize("name", ["ValidateParameters", "_GenerateKVMRuntime",
                                  "_ExecuteKVMRuntime"])
def test_ganeti_that_lacks_a_method(ganeti, name):
  path = ganeti.site / "ganeti/hypervisor/hv_kvm/__init__.py"
  path.write_text(HV_KVM.replace(name, "another"))
  assert name in ganeti(STANDS_ASIDE.replace(name, "another"))


@pytest.mark.parametrize("name", ["KVMHypervisor", "PARAMETERS",
                                  "CheckParameterSyntax"])
def test_ganeti_that_lacks_all_that_could_be_extended(ganeti, name):
  path = ganeti.site / "ganeti/hypervisor/hv_kvm/__init__.py"
  path.write_text(HV_KVM.replace(name, "another"))
  ganeti("""
    import ganeti.constants as constants
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not in_effect(constants)
    assert not hasattr(hv_kvm, "CheckParameterSyntax")
    assert len(logged) == 1 and "%s" in logged[0], logged
    """ % name)


def test_values_are_tolerated_as_the_core_has_them():
  assert ganeti_virtio_rng_fallback.VALUES == ganeti_virtio_rng.VALUES


def test_native_constants_alone(ganeti):
  """Who builds half of it into Ganeti has what was built, and no more."""
  (ganeti.site / "ganeti/constants.py").write_text(CONSTANTS + """
HVS_PARAMETER_TYPES["virtio_rng"] = "mine"
""")
  ganeti("""
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not hasattr(hv_kvm.constants, "HV_VIRTIO_RNG")
    assert hv_kvm.KVMHypervisor.PARAMETERS == {"acpi": None}
    hv_kvm.KVMHypervisor.ValidateParameters({})
    assert logged == []
    """)


def test_native_support_wins(ganeti):
  (ganeti.site / "ganeti/constants.py").write_text(CONSTANTS + """
HVS_PARAMETER_TYPES["virtio_rng"] = "mine"
""")
  (ganeti.site / "ganeti/hypervisor/hv_kvm/__init__.py").write_text(
    HV_KVM.replace('"acpi"', '"virtio_rng"'))
  ganeti("""
    import ganeti.constants as constants
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert not hasattr(constants, "HV_VIRTIO_RNG")
    assert "virtio_rng" not in constants.HVC_DEFAULTS["kvm"]
    assert constants.HVS_PARAMETER_TYPES["virtio_rng"] == "mine"
    assert hv_kvm.KVMHypervisor.PARAMETERS == {"virtio_rng": None}
    assert not hasattr(hv_kvm.KVMHypervisor._GenerateKVMRuntime, "__wrapped__")
    assert logged == []
    """)


def test_native_support_wins_over_a_broken_package(ganeti):
  (ganeti.site / "ganeti/constants.py").write_text(CONSTANTS + """
HVS_PARAMETER_TYPES["virtio_rng"] = "mine"
""")
  (ganeti.site / "ganeti/hypervisor/hv_kvm/__init__.py").write_text(
    HV_KVM.replace('"acpi"', '"virtio_rng"'))
  (ganeti.site / "ganeti_virtio_rng_loader.py").write_text("1 / 0")
  ganeti("""
    import ganeti.constants as constants
    import ganeti.hypervisor.hv_kvm as hv_kvm
    assert constants.HVS_PARAMETER_TYPES["virtio_rng"] == "mine"
    hv_kvm.KVMHypervisor.CheckParameterSyntax({"virtio_rng": "anything"})
    assert len(logged) == 1 and "ZeroDivisionError" in logged[0], logged
    """)


def test_wrapped_finders(ganeti):
  """By a tool that hides all finders, and so itself, from a search for one."""
  ganeti("""
    import functools
    class Wrap(object):
      def __init__(self, finder):
        self.finder = finder
      def find_spec(self, *args):
        return self.finder.find_spec(*args)
    def wrap(hook, path):
      return Wrap(hook(path))
    sys.meta_path[:] = [Wrap(finder) for finder in sys.meta_path]
    sys.path_hooks[:] = [functools.partial(wrap, hook)
                         for hook in sys.path_hooks]
    sys.path_importer_cache.clear()
    import ganeti.constants
    assert in_effect(ganeti.constants)
    assert logged == []
    """)


def test_ganeti_that_lacks_a_module(ganeti):
  (ganeti.site / "ganeti/constants.py").unlink()
  ganeti("""
    try:
      import ganeti.constants
    except ImportError as err:
      assert err.name == "ganeti.constants"
    else:
      assert False
    assert logged == []
    """)

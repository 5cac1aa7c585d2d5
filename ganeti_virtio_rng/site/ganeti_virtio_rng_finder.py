# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Finds the modules of Ganeti that are extended with virtio_rng.

Every Python on the node runs this at its start, so it imports nothing but sys,
never raises, and leaves all work to modules that only Ganeti's programs load.
It is a path hook (PEP 302, PEP 451): Python asks it once for each folder, where
a meta path finder would be asked for each module.

"""

import sys

#: Ganeti's modules; the last part is the name of ours in extensions/
EXTENDED = frozenset([
  "ganeti.cmdlib.cluster.verify",
  "ganeti.cmdlib.common",
  "ganeti.cmdlib.instance_set_params",
  "ganeti.constants",
  "ganeti.hypervisor.hv_kvm",
  "ganeti.luxi",
  "ganeti.objects",
  "ganeti.rpc.node",
  "ganeti.server.noded",
  ])

#: Ends of the paths where they are
_FOLDERS = ("/ganeti", "/ganeti/cmdlib", "/ganeti/cmdlib/cluster",
            "/ganeti/hypervisor", "/ganeti/rpc", "/ganeti/server")


def path_hook(path: str) -> object:
  """Makes the finder of a folder of Ganeti's modules.

  @raise ImportError: for any other folder, as Python expects it

  """
  # pkgutil of Python before 3.9.6 passes on any object.
  if not isinstance(path, str) or not path.endswith(_FOLDERS):
    raise ImportError

  # The built-in module that importlib.machinery has its names from. That one is
  # a file, which Python would look for in this very folder if sys.path has it.
  import _frozen_importlib_external as machinery # type: ignore
  finder = machinery.FileFinder.path_hook(
    (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
    (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
    (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES))(path)
  find = finder.find_spec

  def find_spec(fullname, target=None): # type: ignore
    spec = find(fullname, target)
    if spec is not None and spec.loader and fullname in EXTENDED:
      execute = spec.loader.exec_module

      def exec_module(module): # type: ignore
        execute(module)
        _extend(fullname, module)

      spec.loader.exec_module = exec_module
    return spec

  finder.find_spec = find_spec
  return finder


def _extend(fullname: str, module: object) -> None:
  """Extends a module of Ganeti, or has it tolerate the parameter.

  The fallback has its turn when the loader is damaged.

  """
  for name in ("ganeti_virtio_rng_loader", "ganeti_virtio_rng_fallback"):
    try:
      __import__(name).extend(fullname, module)
      return
    except Exception as err:
      log(fullname, err)


#: What has been said, once each
_logged = set() # type: set[str]


def log(fullname: str, err: BaseException) -> None:
  """Says in the syslog why a module could not be extended.

  Ganeti's own logs aren't open yet while its modules are being imported.

  """
  text = "%s: %s" % (type(err).__name__, err)
  if text in _logged:
    return
  _logged.add(text)
  try:
    import syslog
    syslog.syslog(syslog.LOG_WARNING | syslog.LOG_DAEMON,
                  "virtio_rng is not available: can't extend %s: %s" %
                  (fullname, text))
  except Exception:
    pass


def start() -> None:
  """Called by site, through the .pth or the .start file, maybe twice."""
  if path_hook not in sys.path_hooks:
    sys.path_hooks.insert(0, path_hook) # type: ignore
    # Another .pth file may have had Python look into them.
    for path in list(sys.path_importer_cache):
      if isinstance(path, str) and path.endswith(_FOLDERS):
        del sys.path_importer_cache[path]

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What pyproject.toml can't say: the limited API, and where the finder goes."""

import os
import sysconfig

from setuptools import Extension
from setuptools import setup
from setuptools.command.build_py import build_py

# The oldest Python that must work; the build for it serves all later ones,
# but for free-threaded interpreters, which have no limited API (PEP 703).
OLDEST = (3, 6)
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")

CORE = Extension(
  "ganeti_virtio_rng._core",
  sources=["ext/argv.c", "ext/cmdline.c", "ext/module.c", "ext/source.c"],
  depends=["ext/cmdline.h", "ext/virtio_rng.h"],
  include_dirs=["ext"],
  define_macros=[("_GNU_SOURCE", None)] + ABI3 * [
    ("Py_LIMITED_API", "0x%02x%02x0000" % OLDEST)],
  extra_compile_args=["-std=c11", "-fvisibility=hidden", "-fno-plt"],
  py_limited_api=ABI3)


class BuildPyWithSite(build_py):
  """Puts the finder next to the package, where site looks for what starts it.

  dpkg unpacks in the order of names and removes in the reverse one: so the line
  that starts the finder comes last and goes first.

  """

  SITE = "ganeti_virtio_rng/site"

  def _files(self):
    return [(os.path.join(self.SITE, name), os.path.join(self.build_lib, name))
            for name in sorted(os.listdir(self.SITE))
            if name.startswith("ganeti_virtio_rng")]

  def run(self):
    build_py.run(self)
    for source, target in self._files():
      self.copy_file(source, target, preserve_mode=False)

  def get_outputs(self, include_bytecode=1):
    return (build_py.get_outputs(self, include_bytecode) +
            [target for _, target in self._files()])


setup(ext_modules=[CORE], cmdclass={"build_py": BuildPyWithSite},
      python_requires=">=%d.%d" % OLDEST,
      options={"bdist_wheel":
               {"py_limited_api": "cp%d%d" % OLDEST}} if ABI3 else {})

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What is shipped: wheel, sdist, types."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import docutils.core
import pytest

import ganeti_virtio_rng

ROOT = pathlib.Path(__file__).parents[2]


def interpreters():
  """Finds every Python 3.6 or later of this machine.

  @rtype: dict
  @return: version -> path

  """
  folders = list(pathlib.Path.home().glob(".pyenv/versions/*/bin"))
  folders += [pathlib.Path(name) for name in
              os.environ["PATH"].split(os.pathsep)]
  found = {sys.version_info[:2]: sys.executable}
  for folder in folders:
    for path in folder.glob("python3.*"):
      match = re.fullmatch(r"python3\.(\d+)", path.name)
      if match and int(match.group(1)) >= 6 and os.access(str(path), os.X_OK):
        found.setdefault((3, int(match.group(1))), str(path))
  return {"%d.%d" % version: path for version, path in sorted(found.items())}


@pytest.mark.parametrize("version, python", interpreters().items())
def test_contract_on_every_python(version, python, install):
  environment = install(python)
  assert "finder" in environment.run(
    "-c", "import sys; print(sys.modules['ganeti_virtio_rng_finder'])")
  environment.run(str(ROOT / "tests/proof/installed_contract.py"), version,
                  str(ROOT / "tests/unit"))


def test_built_with_every_python(tmp_path):
  """Each build is loaded by every Python: their headers differ."""
  pythons = interpreters()
  builders = {}
  for version, python in pythons.items():
    config = pathlib.Path(os.path.realpath(python)).with_name(
      "python%s-config" % version)
    if config.exists():
      builders[version] = str(config)
  assert builders
  for version, config in builders.items():
    folder = tmp_path / version
    folder.mkdir()
    includes = subprocess.run([config, "--includes"], check=True,
                              stdout=subprocess.PIPE, universal_newlines=True)
    subprocess.run(
      ["gcc", "-std=c11", "-fvisibility=hidden", "-D_GNU_SOURCE",
       "-DPy_LIMITED_API=0x03060000", "-fPIC", "-shared", "-o",
       str(folder / "_core.so")] + includes.stdout.split() +
      sorted(map(str, (ROOT / "ext").glob("*.c"))), check=True)
    for python in pythons.values():
      result = subprocess.run(
        [python, "-c", "import _core\nfor _ in range(1000): _core.check('off')"
                       "\nprint(_core.check('off'))"],
        cwd=str(folder), check=False, universal_newlines=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
      assert result.stdout == "True\n", (version, python)


def test_wheel(wheel):
  version = ganeti_virtio_rng.__version__
  assert re.fullmatch(r"ganeti_virtio_rng-%s-cp36-abi3-linux_\w+\.whl" %
                      re.escape(version), wheel.name)
  names = zipfile.ZipFile(str(wheel)).namelist()
  info = "ganeti_virtio_rng-%s.dist-info/" % version
  assert sorted(name for name in names if not name.startswith(info)) == [
    "ganeti_virtio_rng/__init__.py",
    "ganeti_virtio_rng/_core.abi3.so",
    "ganeti_virtio_rng/_core.pyi",
    "ganeti_virtio_rng/cli/__init__.py",
    "ganeti_virtio_rng/cli/check.py",
    "ganeti_virtio_rng/cli/clear.py",
    "ganeti_virtio_rng/cli/node.py",
    "ganeti_virtio_rng/cli/status.py",
    "ganeti_virtio_rng/extensions/__init__.py",
    "ganeti_virtio_rng/extensions/common.py",
    "ganeti_virtio_rng/extensions/constants.py",
    "ganeti_virtio_rng/extensions/hv_kvm.py",
    "ganeti_virtio_rng/extensions/instance_set_params.py",
    "ganeti_virtio_rng/extensions/luxi.py",
    "ganeti_virtio_rng/extensions/node.py",
    "ganeti_virtio_rng/extensions/noded.py",
    "ganeti_virtio_rng/extensions/objects.py",
    "ganeti_virtio_rng/extensions/verify.py",
    "ganeti_virtio_rng/extensions/wrapping.py",
    "ganeti_virtio_rng/hotplug.py",
    "ganeti_virtio_rng/placement.py",
    "ganeti_virtio_rng/py.typed",
    "ganeti_virtio_rng/running.py",
    "ganeti_virtio_rng_fallback.py",
    "ganeti_virtio_rng_finder.py",
    "ganeti_virtio_rng_loader.py",
    "ganeti_virtio_rng_startup.pth",
    "ganeti_virtio_rng_startup.start",
    ]
  metadata = zipfile.ZipFile(str(wheel)).read(info + "METADATA").decode()
  assert "\nRequires-Python: >=3.6\n" in metadata


def test_sdist_is_complete(distributions):
  """All that git knows of is in it."""
  with tarfile.open(str(next(distributions.glob("*.tar.gz")))) as archive:
    names = set(name.partition("/")[2] for name in archive.getnames())
  tracked = subprocess.run(["git", "ls-files"], cwd=str(ROOT), check=True,
                           stdout=subprocess.PIPE, universal_newlines=True)
  assert set(tracked.stdout.split()) <= names | {".gitignore"}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
  """The shared library of the Debian package that tests/package built.

  """
  path = tmp_path_factory.mktemp("package")
  (package, ) = (ROOT / "build/package").glob("ganeti-virtio-rng_*.deb")
  subprocess.run(["dpkg-deb", "--extract", str(package), str(path)], check=True)
  (found, ) = path.rglob("*.so")
  return str(found)


def test_only_the_limited_api(library):
  """Each symbol of Python's is one that its headers declare for 3.6."""
  includes = subprocess.run(["python3-config", "--includes"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.split()
  declared = subprocess.run(
    ["gcc", "-E", "-DPy_LIMITED_API=0x03060000", "-DPY_SSIZE_T_CLEAN",
     "-include", "Python.h", "-xc", "/dev/null"] + includes,
    check=True, stdout=subprocess.PIPE, text=True).stdout
  needed = subprocess.run(["nm", "--dynamic", "--undefined-only", library],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
  needed = set(re.findall(r" U (_?Py\w+)", needed))
  assert "PyModuleDef_Init" in needed
  assert needed - set(re.findall(r"\w+", declared)) == set()


def test_library_is_hardened(library):
  """As Debian 12 does it, whose compilers don't protect branches."""
  result = subprocess.run(
    ["hardening-check", "--nocfprotection", library],
    check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
  assert result.returncode == 0, result.stdout


@pytest.fixture
def folder():
  """A folder that other users can reach, unlike pytest's own."""
  with tempfile.TemporaryDirectory() as name:
    yield pathlib.Path(name)


def test_same_bytes_each_time(folder):
  """What tests/package built, built again from the Debian source: in another
  folder, from files of another day, by another user with other habits.

  """
  def checksums(path):
    return {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest()
            for deb in path.glob("*.deb")}

  build = ROOT / "build/package"
  subprocess.run(["dpkg-source", "--extract", str(next(build.glob("*.dsc"))),
                  str(folder / "again")],
                 check=True, stdout=subprocess.DEVNULL)
  command = ["sh", "-ec", "umask 077; exec dpkg-buildpackage --build=binary"
                          " --no-sign"]
  for path in [folder] + list(folder.rglob("*")):
    os.utime(str(path), (10 ** 9, 10 ** 9))
    if os.geteuid() == 0:
      os.chown(str(path), 65534, 65534)
  if os.geteuid() == 0:
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"
               ] + command
  result = subprocess.run(
    command, cwd=str(folder / "again"), check=False, universal_newlines=True,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TZ": "Asia/Tokyo",
         "LC_ALL": "C.UTF-8"})
  assert result.returncode == 0, result.stdout
  assert len(checksums(build)) == 2 # one has the symbols for debuggers
  assert checksums(folder) == checksums(build)


def test_types_are_the_modules():
  """mypy's stubtest compares _core.pyi with the extension."""
  result = subprocess.run(
    [sys.executable, "-m", "mypy.stubtest", "ganeti_virtio_rng._core"],
    cwd=str(ROOT), check=False, universal_newlines=True,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  assert result.returncode == 0, result.stdout


def test_types_hold(tmp_path):
  """mypy finds nothing, as strict as it can be; see pyproject.toml."""
  result = subprocess.run(
    ["mypy", "--cache-dir=%s" % tmp_path], cwd=str(ROOT), check=False,
    universal_newlines=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  assert result.returncode == 0, result.stdout


def test_versions_agree():
  changelog = (ROOT / "debian/changelog").read_text().split("\n")[0]
  assert changelog.startswith("ganeti-virtio-rng (%s)" %
                              ganeti_virtio_rng.__version__)


def test_maintainers_agree():
  """See debian/README.source."""
  name = re.search("^Maintainer: (.*)$",
                   (ROOT / "debian/control").read_text(), re.M).group(1)
  signed = re.search("^ -- (.*)  ",
                     (ROOT / "debian/changelog").read_text(), re.M).group(1)
  assert signed == name


def test_documents_are_for_nodes():
  """They don't tell of what only the source has."""
  names = (ROOT / "debian/docs").read_text().split()
  for name in names + ["debian/ganeti-virtio-rng.8.rst"]:
    assert "tests/" not in (ROOT / name).read_text(), name


def test_version_of_the_man_page():
  page = (ROOT / "debian/ganeti-virtio-rng.8.rst").read_text()
  assert "\n:Version: %s\n" % ganeti_virtio_rng.__version__ in page


def test_man_page_has_two_names():
  """The parameter's, too."""
  (package, ) = (ROOT / "build/package").glob("ganeti-virtio-rng_*.deb")
  contents = subprocess.run(["dpkg-deb", "--contents", str(package)],
                            check=True, stdout=subprocess.PIPE, text=True)
  assert re.search(r" (\./usr/share/man/man8/)virtio_rng\.8\.gz"
                   r" -> ganeti-virtio-rng\.8\.gz\n", contents.stdout)


def test_oldest_python_is_the_same_everywhere():
  oldest = re.search(r"^OLDEST = \((\d+), (\d+)\)$",
                     (ROOT / "setup.py").read_text(), re.M).groups()
  assert (("\nX-Python3-Version: >= %s.%s\n" % oldest) in
          (ROOT / "debian/control").read_text())


@pytest.mark.parametrize("name", [
  "README.rst", "NEWS.rst", "debian/ganeti-virtio-rng.8.rst",
  "tests/README.rst", "tests/results/table.rst"])
def test_documents_are_what_docutils_understands(name):
  docutils.core.publish_string(
    (ROOT / name).read_text(), writer_name="null",
    settings_overrides={"halt_level": 2, "report_level": 5})


def test_readme_is_two_screens():
  lines = (ROOT / "README.rst").read_text().splitlines()
  assert len(lines) <= 200
  assert max(map(len, lines)) <= 80

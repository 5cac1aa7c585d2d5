# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The installed system that all nodes of a Debian release share.

It is built once and cached; what a node writes goes to an overlay of its own.
Such overlays, of the nodes of a cluster that does not run, are cached, too.

"""

import contextlib
import fcntl
import hashlib
import lzma
import os
import shutil
import struct
import subprocess

from pathlib import Path


#: Where they are kept from one run to the next
CACHE = Path("/var/cache/ganeti-virtio-rng")

#: What mmdebstrap runs in between; each file says what it does
_HOOKS = Path(__file__).with_name("base_hooks")

_SPICE = "--include=qemu-system-modules-spice" # of its own since Debian 13

#: Debian releases, with what mmdebstrap is told for each besides
RELEASES = {
  "bullseye": [],
  "bookworm": [],
  # Debian 12 and its QEMU, with Ganeti of its backports
  "bookworm-backports": ["--setup-hook=%s" % (_HOOKS / "backports")],
  "trixie": [_SPICE],
  "sid": [_SPICE, "--customize-hook=%s" % (_HOOKS / "old_openssl")],
  }

_PACKAGES = [
  "ganeti", "qemu-system-x86", "iproute2", "procps", "socat", "fping",
  "openssh-server", "mount", "busybox-static",
  "bsdutils", # script; no longer in each Debian since sid
  "strace", # kills a process at the system call that a test wants
  # for Ganeti's unit tests
  "python3-mock", "python3-pytest", "python3-yaml",
  ]

#: The guest's modules, in the order of loading: the virtio RNG and its bus, and
#: the power button. No kernel has them all: older ones have fewer, newer ones
#: have some built in.
_MODULES = [
  "rng-core", "virtio_ring", "virtio", "virtio_pci_modern_dev",
  "virtio_pci_legacy_dev", "virtio_pci", "virtio-rng", "evdev", "button",
  ]

#: Programs that decompress kernels, by the first bytes of what they take
_DECOMPRESSORS = {b"\x02!L\x18": "lz4", b"(\xb5/\xfd": "zstd"}

_GUEST_INIT = Path(__file__).with_name("guest_init")

#: Directories that this process uses: each holds a shared lock until it ends
_in_use = {}


def node_base(release, progress):
  """Returns the base of a release, building it first if need be.

  @type release: str
  @param release: one of L{RELEASES}
  @type progress: callable
  @param progress: called with a line of text before each slow step
  @rtype: Path
  @return: a directory with a whole Debian system, see L{cached}

  """
  if release not in RELEASES:
    raise ValueError("Unknown release %r, expected one of: %s" %
                     (release, ", ".join(RELEASES)))

  def build(path):
    progress("Building the %s node base (a minute or two)" % release)
    _build(release, path)

  recipe = [Path(__file__), _GUEST_INIT] + sorted(_HOOKS.iterdir())
  return cached(release, b"".join(path.read_bytes() for path in recipe), build)


def cached(name, recipe, build):
  """Returns a directory of the cache, building it first if need be.

  It can't change or go away before the calling process ends.

  @type name: str
  @type recipe: bytes
  @param recipe: all that decides what is in the directory
  @type build: callable
  @param build: makes the directory, whose path it is given
  @rtype: Path

  """
  path = CACHE / ("%s-%s" % (name, hashlib.sha256(recipe).hexdigest()[:8]))

  CACHE.mkdir(parents=True, exist_ok=True)
  with open(CACHE / ("%s.lock" % name), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    _remove_others(name, path)
    if not path.exists():
      unfinished = path.with_suffix(".new")
      build(unfinished)
      unfinished.rename(path)
    if path not in _in_use:
      _in_use[path] = os.open(path, os.O_RDONLY)
      fcntl.flock(_in_use[path], fcntl.LOCK_SH)

  return path


def _remove_others(name, path):
  """Removes what other recipes or killed builds left under a name.

  """
  for stale in CACHE.glob("%s-%s*" % (name, 8 * "[0-9a-f]")):
    if stale != path:
      directory = os.open(stale, os.O_RDONLY)
      with contextlib.suppress(BlockingIOError):
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Never shutil.rmtree: this stops at a mount point, should one be there
        subprocess.run(["rm", "-rf", "--one-file-system", stale], check=True)
      os.close(directory)


def _build(release, base):
  """Installs a base.

  """
  # In namespaces, so that a build that is killed leaves no process and no
  # mount. Mirrors may be snapshots, whose indices have long expired.
  command = [
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--propagation", "private", "--pid", "--fork",
    "--kill-child", "--mount-proc",
    "mmdebstrap", "--mode=root", "--variant=apt",
    "--aptopt=Acquire::Check-Valid-Until \"false\"",
    "--include=%s" % ",".join(_PACKAGES),
    "--customize-hook=%s" % (_HOOKS / "guest_kernel"),
    "--customize-hook=%s" % (_HOOKS / "ganeti_tests"),
    ]
  suite = release.partition("-")[0]
  result = subprocess.run(command + RELEASES[release] + [suite, str(base)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8",
                          errors="replace", check=False)
  if result.returncode != 0:
    raise RuntimeError("Can't build the %s node base:\n%s" %
                       (release, result.stdout))

  kernel = base / "boot/guest"
  _unpack_kernel(next(kernel.glob("**/vmlinuz*")), base / "boot/vmlinux")
  _write_initramfs(base, kernel)
  shutil.rmtree(kernel)
  _write_os_definition(base / "usr/share/ganeti/os/noop")


def _unpack_kernel(image, target):
  """Writes what is compressed in a kernel's image.

  The format is from Linux, Documentation/arch/x86/boot.rst.

  """
  # An emulated processor takes half a second to decompress it, or a whole one.
  data = image.read_bytes()
  (offset, size) = struct.unpack_from("<II", data, 0x248)
  offset += 512 * (data[0x1f1] + 1)
  payload = data[offset:offset + size - 4] # without the result's size
  with open(target, "wb") as output:
    subprocess.run([_DECOMPRESSORS[payload[:4]], "-dc"], input=payload,
                   stdout=output, check=True)


def _write_initramfs(base, kernel):
  """Writes the guest's initramfs, /boot/initrd.img of the base.

  """
  root = kernel / "initramfs"
  for name in ["bin", "dev", "etc/acpi/PWRF", "modules", "proc", "run", "sys",
               "var/log", "var/run"]:
    (root / name).mkdir(parents=True)

  busybox = base / "bin/busybox"
  shutil.copy(busybox, root / "bin")
  applets = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE,
                           encoding="ascii", check=True)
  for name in set(applets.stdout.split()) - {"busybox"}:
    (root / "bin" / name).symlink_to("busybox")

  for (index, name) in enumerate(_MODULES):
    for path in kernel.glob("**/%s.ko*" % name):
      data = path.read_bytes()
      if path.suffix == ".xz":
        data = lzma.decompress(data)
      (root / "modules" / ("%d-%s.ko" % (index, name))).write_bytes(data)

  shutil.copy(_GUEST_INIT, root / "init")
  power_button = root / "etc/acpi/PWRF/00000080"
  power_button.write_text("#!/bin/sh\npoweroff -f\n")
  for path in [root / "init", power_button]:
    path.chmod(0o755)

  # Not compressed: it is small, and decompressing is slow work for an emulated
  # processor
  with open(base / "boot/initrd.img", "wb") as image:
    subprocess.run("find . | cpio --quiet -o -H newc -R 0:0", shell=True,
                   cwd=root, stdout=image, check=True)


def _write_os_definition(path):
  """Writes a Ganeti OS that installs nothing.

  """
  path.mkdir(parents=True)
  for name in ["create", "import", "export", "rename", "verify"]:
    (path / name).write_text("#!/bin/sh\nexit 0\n")
    (path / name).chmod(0o755)
  (path / "ganeti_api_version").write_text("20\n")
  (path / "variants.list").write_text("default\nother\n")
  (path / "parameters.list").write_text("")

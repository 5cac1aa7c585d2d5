# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Runs Ganeti's modules, extended, with an environment that tells which code
looks at it: the innermost that is Ganeti's or the package's.

"""

import collections.abc
import os
import sys

seen = []

class Recorder(collections.abc.MutableMapping):
  def __init__(self, real):
    self.real = real
  def note(self):
    frame = sys._getframe(2)
    while frame:
      path = frame.f_code.co_filename
      if "ganeti_virtio_rng" in path or "/ganeti/" in path:
        seen.append(path)
        return
      frame = frame.f_back
  def copy(self):
    self.note()
    return dict(self.real)
  def __getitem__(self, name):
    self.note()
    return self.real[name]
  def __iter__(self):
    self.note()
    return iter(self.real)
  def __len__(self):
    return len(self.real)
  def __setitem__(self, name, value):
    self.note()
    self.real[name] = value
  def __delitem__(self, name):
    self.note()
    del self.real[name]

os.environ = Recorder(os.environ)
os.environb = Recorder(os.environb)

sys.path.insert(0, os.path.realpath("/etc/ganeti/share"))
from ganeti import constants
from ganeti import luxi
from ganeti import objects
from ganeti.hypervisor import hv_kvm

kvm = hv_kvm.KVMHypervisor
cluster = objects.Cluster(hvparams=constants.HVC_DEFAULTS, os_hvp={})
parameters = objects.FillDict(cluster.GetHVDefaults("kvm"),
                              {"kernel_path": "/boot/vmlinux",
                               "kvm_path": "/usr/bin/qemu-system-x86_64"})
assert parameters["virtio_rng"] == "random"
kvm.CheckParameterSyntax(parameters)
kvm.ValidateParameters(parameters)
if hasattr(kvm, "AssessParameters"):
  kvm.AssessParameters(parameters)
print(luxi.Client().Query("instance", ["name", "hv/virtio_rng"], None))

from ganeti_virtio_rng import build_argv
from ganeti_virtio_rng.extensions import hv_kvm as extension
assert build_argv("random")
# a command line as Ganeti makes it
class Instance:
  name = "web1"
parameters["kvm_extra"] = "-device x"
runtime = (["qemu", "-M", "pc"], [], parameters, [])
print(extension._arguments(Instance, runtime))

ours = [path for path in seen if "ganeti_virtio_rng" in path]
assert not ours, ours
assert seen # Ganeti itself does

exec(compile("os.environ.get('HOME')", "/x/ganeti_virtio_rng/y.py", "exec"))
assert seen[-1] == "/x/ganeti_virtio_rng/y.py" # it would have been found

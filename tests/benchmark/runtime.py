# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Times _GenerateKVMRuntime with and without the package. Runs on a node.

Prints two times in seconds: the best without and with.

"""

import sys
import timeit
import uuid

sys.path.insert(0, "/etc/ganeti/share")

from ganeti import constants
from ganeti import objects
from ganeti.hypervisor import hv_kvm


def main():
  kvm = hv_kvm.KVMHypervisor
  cluster = objects.Cluster()
  cluster.UpgradeConfig()
  hvparams = dict(cluster.GetHVDefaults(constants.HT_KVM), kernel_path="",
                  kvm_path="/usr/bin/qemu-system-x86_64")
  assert hvparams["virtio_rng"] == "random"
  instance = objects.Instance(
    name="web1.example.com", hvparams=hvparams, uuid=str(uuid.uuid4()),
    beparams={"maxmem": 256, "minmem": 256, "vcpus": 1}, network_port=11000,
    nics=[])
  arguments = (object.__new__(kvm), instance, [], False,
               kvm._GetKVMOutput(hvparams["kvm_path"], kvm._KVMOPT_HELP))

  functions = (kvm._GenerateKVMRuntime.__wrapped__, kvm._GenerateKVMRuntime)
  bare, extended = (function(*arguments)[0] for function in functions)
  assert len(extended) == len(bare) + 4
  turns = [[timeit.timeit(lambda: function(*arguments), number=1)
            for function in functions] for _ in range(int(sys.argv[1]))]
  print(*map(min, zip(*turns)))


main()

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Loads Ganeti's modules from the folder in its arguments, with the package in
each folder that it is told, and says what became of them. All else that they
load is loaded before, so that this is quick.

"""

import gc, importlib, json, os, sys, syslog, traceback
sys.path.insert(0, sys.argv[1])
gc.disable() # quicker

def load(names):
  return [importlib.import_module(name) for name in names]

def forget():
  for name in list(sys.modules):
    if name.partition(".")[0] == "ganeti":
      del sys.modules[name]

def look(folder, *names):
  logged = []
  syslog.syslog = lambda priority, text: logged.append(text)
  sys.path.insert(0, folder)
  import ganeti_virtio_rng_finder as finder
  finder.start()
  (constants, hv_kvm, objects) = load(names)[:3]
  from ganeti import errors, utils
  kvm = hv_kvm.KVMHypervisor

  cluster = objects.Cluster(hvparams={"kvm": {}})
  cluster.UpgradeConfig()
  in_effect = "virtio_rng" in kvm.PARAMETERS
  assert ("virtio_rng" in cluster.GetHVDefaults("kvm")) == in_effect
  assert hasattr(constants, "HV_VIRTIO_RNG") == in_effect
  assert ("virtio_rng" in constants.HVS_PARAMETERS) == in_effect

  # As Ganeti checks what is in the configuration
  kvm.CheckParameterSyntax(cluster.GetHVDefaults("kvm"))
  for value, known in (("off", True), ("urandom", True), ("foo", False)):
    cluster.hvparams["kvm"]["virtio_rng"] = value
    hvparams = cluster.GetHVDefaults("kvm")
    utils.ForceDictType(hvparams, constants.HVS_PARAMETER_TYPES)
    try:
      kvm.CheckParameterSyntax(hvparams)
      assert known, value
    except errors.HypervisorError:
      assert not known, value
    assert hvparams["virtio_rng"] == value
    if hasattr(kvm, "AssessParameters"): # by Ganeti 3.1's verify
      assert isinstance(kvm.AssessParameters(hvparams), list)
  loader = sys.modules.get("ganeti_virtio_rng_loader")
  return [in_effect, sorted(getattr(loader, "errors", ())), logged]

load(sys.argv[2:])
forget()
sys.dont_write_bytecode = True
for line in sys.stdin:
  (read, write) = os.pipe()
  pid = os.fork()
  if pid == 0:
    try:
      answer = look(*line.split())
    except BaseException:
      answer = traceback.format_exc()
    os.write(write, json.dumps(answer).encode())
    os._exit(0)
  os.close(write)
  with os.fdopen(read) as pipe:
    answer = pipe.read()
  status = os.waitpid(pid, 0)[1]
  print(answer if status == 0 else json.dumps("died: %d" % status), flush=True)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Uses the parameter through Ganeti's client of the remote API. The arguments are
the names of checks that Ganeti 3.0 is to leave out for new instances.

"""

import glob
import sys

sys.path[:0] = glob.glob("/usr/share/ganeti/3.*")

import pycurl
from ganeti import utils
from ganeti.rapi import client

def configure(curl, _):
  # The certificate names nobody: it is made by the cluster itself.
  curl.setopt(pycurl.SSL_VERIFYPEER, False)
  curl.setopt(pycurl.SSL_VERIFYHOST, 0)

rapi = client.GanetiRapiClient("127.0.0.1", username="me", password="secret",
                               curl_config_fn=configure)

def wait(job_id):
  rapi.WaitForJobCompletion(job_id, period=0.2)
  job = rapi.GetJobStatus(job_id)
  return (job["status"], str(job["opresult"][0]))

def value():
  [[[_, name], [_, value], [_, hvparams]]] = rapi.Query(
    "instance", ["name", "hv/virtio_rng", "hvparams"],
    ["=", "name", "web1.lab.test"])["data"]
  assert name == "web1.lab.test"
  assert value == hvparams["virtio_rng"]
  info = rapi.GetInstance(name)
  assert info["hvparams"] == hvparams
  for op, found in (("=", True), ("!=", False), ("=~", True)):
    names = rapi.Query("instance", ["name"], [op, "hv/virtio_rng", value])
    assert names["data"] == [[[0, name]]] * found, (op, names)
  return hvparams["virtio_rng"]

def refusal(qfilter):
  try:
    rapi.Query("instance", ["name"], qfilter)
  except client.GanetiApiError as err:
    return (err.code, str(err))

assert rapi.GetInfo()["hvparams"]["kvm"]["virtio_rng"] == "random"

def definition(*fields):
  [found] = [field for field in rapi.QueryFields("instance", *fields)["fields"]
             if field["name"].endswith(("disk_cache", "virtio_rng"))]
  return dict((key, str(item).replace("disk_cache", "virtio_rng"))
              for (key, item) in found.items())

assert definition(["hv/virtio_rng"]) == definition(["hv/disk_cache"])
names = [field["name"] for field in rapi.QueryFields("instance")["fields"]]
assert names.count("hv/virtio_rng") == 1
assert names == utils.NiceSort(names)

refused = ("Parameter 'virtio_rng' fails syntax check: The value must be one of:"
           " off, random, urandom (current value: 'foo')")

def create(virtio_rng):
  return wait(rapi.CreateInstance(
    "create", "web1.lab.test", "diskless", [], [], os_type="noop+default",
    pnode="node1.lab.test", hypervisor="kvm", no_install=True, start=False,
    beparams={"maxmem": 128, "minmem": 128},
    hvparams={"virtio_rng": virtio_rng},
    **{name: False for name in sys.argv[1:]}))

(status, result) = create("foo")
assert status == "error" and refused in result, result
(status, result) = create("urandom")
assert status == "success", result
assert value() == "urandom"

for wrong in (["?", "FIELD"], ["=", "FIELD", 5], ["=[]", "FIELD", "off"]):
  (ours, born) = [refusal([field if word == "FIELD" else word
                           for word in wrong])
                  for field in ("hv/virtio_rng", "hv/disk_cache")]
  assert ours and ours == born, (ours, born)

for change in ("off", "default", "urandom"):
  (status, result) = wait(rapi.ModifyInstance("web1.lab.test",
                                              hvparams={"virtio_rng": change}))
  assert status == "success", result
  assert value() == (change if change != "default" else "random")
  assert rapi.GetInstances(bulk=True)[0]["hvparams"]["virtio_rng"] == value()
(status, result) = wait(rapi.ModifyInstance("web1.lab.test",
                                            hvparams={"virtio_rng": "foo"}))
assert status == "error" and refused in result, result
assert value() == "urandom"
# as YAML reads off, and Ganeti takes for an empty string
(status, result) = wait(rapi.ModifyInstance("web1.lab.test",
                                            hvparams={"virtio_rng": False}))
assert status == "error" and ("one of: 'off', 'random', 'urandom' (current value:"
                              " '')") in result, result
assert value() == "urandom"
[bulk] = [instance for instance in rapi.GetInstances(bulk=True)
          if instance["name"] == "web1.lab.test"]
assert bulk["hvparams"]["virtio_rng"] == "urandom"
assert bulk["custom_hvparams"] == {"virtio_rng": "urandom"}
(status, result) = wait(rapi.ModifyInstance("web1.lab.test",
                                            hvparams={"virtio_rng": "off"}))
assert status == "success", result
(status, result) = wait(rapi.StartupInstance("web1.lab.test"))
assert status == "success", result
(status, result) = wait(rapi.ModifyInstance(
  "web1.lab.test", hvparams={"virtio_rng": "urandom"}, hotplug=True))
assert status == "success" and "hotplug:done" in result, result

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Runs Ganeti's QA suite, on a node: what to do is the JSON of argv[1].

Like qa/ganeti-qa.py, but it goes on after a test that fails, so that what stock
Ganeti can't do here hides nothing, and it knows virtio_rng among the hypervisor
parameters to iterate through.

"""

import functools
import importlib.util
import json
import sys
import traceback

import yaml

SUITE = "/usr/src/ganeti"

sys.path[:0] = [SUITE, SUITE + "/qa"]
spec = importlib.util.spec_from_file_location("ganeti_qa",
                                              SUITE + "/qa/ganeti-qa.py")
qa = importlib.util.module_from_spec(spec)
spec.loader.exec_module(qa)

with open(sys.argv[1]) as config:
  ITERATED = json.load(config)["iterated"]

# Ganeti 3.0 loads YAML as PyYAML did before version 6.
yaml.load = functools.partial(yaml.load, Loader=yaml.SafeLoader)

run_test = qa.RunTest
# That of Ganeti 3.0 does not iterate.
prepare_sets = getattr(qa.qa_cluster, "PrepareHvParameterSets", None)


def run_and_go_on(*args, **kwargs):
  try:
    return run_test(*args, **kwargs)
  except Exception:
    traceback.print_exc()


def prepare_chosen_sets():
  """Those of the suite that are wanted, and then ours."""
  sets = {name: values for name, values in prepare_sets().items()
          if name in ITERATED}
  values = ITERATED.get("virtio_rng")
  if values:
    sets["virtio_rng"] = {"values": values, "reset_value": "random"}
  return sets


qa.RunTest = run_and_go_on
qa.qa_cluster.PrepareHvParameterSets = prepare_chosen_sets
sys.argv[1:1] = ["--yes-do-it"]
qa.main()

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Runs Ganeti's commands, one for each line that it reads, and answers with a
line that has the exit status and the output.

Each has a process of its own, which has Ganeti's modules already: to load them
takes longer than what most commands do.

"""

import glob
import importlib
import json
import os
import shlex
import sys
import tempfile
import traceback

sys.path[:0] = glob.glob("/usr/share/ganeti/3.*")

MODULES = {"gnt-" + name: importlib.import_module("ganeti.client.gnt_" + name)
           for name in ("cluster", "instance", "os")}


def run(words, output):
  """Does what the script of that name does, in a child.

  """
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  for descriptor in 1, 2:
    os.dup2(output, descriptor)
  sys.argv = words
  try:
    status = MODULES[words[0]].Main()
  except SystemExit as err:
    status = err.code
  except Exception:
    traceback.print_exc()
    status = 1
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status or 0)


for line in sys.stdin:
  with tempfile.TemporaryFile("w+") as said:
    child = os.fork()
    if not child:
      run(shlex.split(line), said.fileno())
    (_, state) = os.waitpid(child, 0)
    said.seek(0)
    answer = [os.waitstatus_to_exitcode(state), said.read()]
    print(json.dumps(answer), flush=True)

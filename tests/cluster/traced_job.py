# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Takes the place of the program of a job, and runs it under strace, with the
arguments in /tmp/inject; where there are none, without.

"""

import os
import sys
with open("/tmp/inject") as file:
  arguments = file.read().split()
command = [sys.executable, __file__ + ".kept"] + sys.argv[1:]
if arguments:
  command[:0] = ["strace", "-D", "-o", "/tmp/steps", "-e", "signal=none"
                 ] + arguments
os.execvp(command[0], command)

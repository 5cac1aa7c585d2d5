# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Starts a node, which is there until this process is ended: the arguments are
the folder of the lab, and the release.

"""

import signal
import sys
import time
signal.signal(signal.SIGINT, signal.default_int_handler) # a job ignores it
sys.path.insert(0, sys.argv[1])
from lab.node import Node, Rack
rack = Rack()
node = Node(sys.argv[2], "node1.lab.test", "10.77.0.1", rack, {}, print)
node.popen("sleep 1000")
print("\nup", flush=True)
time.sleep(1000)

# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Answers what QEMU asks of a vhost-user backend when it starts.

"""

import socket
import struct

server = socket.socket(socket.AF_UNIX)
server.bind("/run/vhost-user.sock")
server.listen(1)
print(flush=True)
(qemu, _) = server.accept()
while True:
  header = qemu.recv(12, socket.MSG_WAITALL)
  if not header:
    break
  (request, _, size) = struct.unpack("=III", header)
  qemu.recv(size, socket.MSG_WAITALL)
  if request == 1: # the features; QEMU waits for nothing else
    qemu.sendall(struct.pack("=IIIQ", request, 5, 8, 1 << 32))

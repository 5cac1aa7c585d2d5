# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The Linux guest of an instance, spoken to through its serial console.

"""

import contextlib
import re
import shlex
import socket
import time
import uuid


class GuestError(Exception):
  """The guest doesn't answer, or a command in it failed.

  """


class Guest:
  """A running guest.

  """
  def __init__(self, path, timeout=60):
    """Waits until the guest has booted.

    @type path: str
    @param path: the socket of its serial port
    @type timeout: float
    @param timeout: seconds to wait
    @raise GuestError: if it does not answer by then

    """
    self._path = path

    deadline = time.monotonic() + timeout
    patience = 0.25 # what is sent before the guest listens is lost
    mark = received = ""
    # One connection, until the guest has read all that was sent: what was left
    # of a line would join the next one, and a bracket would stay open.
    with socket.socket(socket.AF_UNIX) as serial:
      serial.connect(path)
      while not mark or mark + "\n" not in received:
        if time.monotonic() > deadline:
          raise GuestError("No guest at %s, but: %s" % (path, received))
        mark = uuid.uuid4().hex
        serial.settimeout(patience)
        patience *= 1.2
        with contextlib.suppress(socket.timeout):
          serial.sendall(("echo %s\n" % mark).encode())
          while mark + "\n" not in received:
            data = serial.recv(65536)
            if not data:
              raise GuestError("%s was closed" % path)
            received += data.decode("utf-8", "replace")

  def run(self, command, timeout=60):
    """Runs a command in the guest.

    @type command: str
    @param command: for the shell; no line may be longer than 4000 bytes
    @type timeout: float
    @param timeout: seconds to wait
    @rtype: str
    @return: its output, errors included
    @raise GuestError: if the exit status is not zero

    """
    # What stands between the two marks is the answer, whatever earlier
    # commands left on the line. A terminal that still echoes its input can't
    # counterfeit the second one: there the status is a number.
    mark = uuid.uuid4().hex
    line = "echo %s; (eval %s) < /dev/null 2>&1; echo %s=$?=\n" % (
      mark, shlex.quote(command), mark)
    answer = re.compile("%s\n(.*)%s=([0-9]+)=\n" % (mark, mark), re.DOTALL)

    received = ""
    deadline = time.monotonic() + timeout
    # A connection for each command: the serial port has but one at a time, and
    # Ganeti's console command wants it, too
    with socket.socket(socket.AF_UNIX) as serial:
      serial.settimeout(timeout)
      serial.connect(self._path)
      serial.sendall(line.encode())
      match = None
      while not match:
        serial.settimeout(max(0.01, deadline - time.monotonic()))
        data = b""
        with contextlib.suppress(socket.timeout):
          data = serial.recv(65536)
        if not data:
          raise GuestError("No answer to %r, but: %s" % (command, received))
        received += data.decode("utf-8", "replace")
        match = answer.search(received)

    if match.group(2) != "0":
      raise GuestError("Exit status %s: %s\n%s" %
                       (match.group(2), command, match.group(1)))
    return match.group(1)

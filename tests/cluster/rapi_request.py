# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""Prints the answer of the remote API, by lines, and that of a job in the end.

The arguments are a method, a resource and what to send as JSON.

"""

import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.request


def send(method, resource, body=None):
  request = urllib.request.Request(
    "https://127.0.0.1:5080" + resource, method=method,
    data=body and body.encode(), headers={
      "Content-Type": "application/json",
      "Authorization": "Basic " + base64.b64encode(b"me:secret").decode()})
  # The certificate names nobody: it is made by the cluster itself.
  context = ssl._create_unverified_context()
  try:
    with urllib.request.urlopen(request, context=context) as response:
      return json.load(response)
  except urllib.error.HTTPError as err:
    return json.load(err)


answer = send(*sys.argv[1:])
while str(answer).isdigit():
  job = send("GET", "/2/jobs/%s" % answer)
  if job["status"] in ("success", "error"):
    answer = [job["status"], job["summary"], job["opresult"], job["ops"]]
  time.sleep(0.1)
print(json.dumps(answer, indent=1, sort_keys=True))

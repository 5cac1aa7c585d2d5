# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The field hv/virtio_rng beside hv/disk_cache, which Ganeti was born with."""

import contextlib
import json
import random
import re

import pytest

# Each Ganeti has its own way with queries.
pytestmark = pytest.mark.each_release

BORN = "hv/disk_cache"
OURS = "hv/virtio_rng"

#: What tests call the field and three of its values, in order
WORDS = {BORN: {"FIELD": BORN, "LOW": "default", "MID": "none",
                "HIGH": "writeback"},
         OURS: {"FIELD": OURS, "LOW": "off", "MID": "random",
                "HIGH": "urandom"}}

FILTERS = [
  "FIELD == 'LOW'", "FIELD = 'MID'", "FIELD != 'LOW'", "FIELD < 'MID'",
  "FIELD <= 'MID'", "FIELD > 'MID'", "FIELD >= 'MID'", "FIELD =~ m/^LOW$/",
  "FIELD !~ m/HIGH/", "FIELD =* 'LOW*'", "FIELD !* 'MID'", "FIELD == ''",
  "FIELD == 'nothing'", "FIELD != 'nothing'", "not FIELD == 'MID'",
  "not (FIELD == 'MID' or FIELD == 'HIGH')",
  "name =* 'web2*' and FIELD == 'LOW'", "name == 'web1' or FIELD == 'nothing'",
  "not (name == 'web1' and FIELD != 'MID') and (FIELD > 'a' or"
  " hypervisor == 'fake')", "oper_state or FIELD == 'HIGH'",
  "name == 'web7' or FIELD == 'nothing'", "hypervisor == 'fake' and FIELD == 5",
  # wrong ones
  "FIELD", "not FIELD", "FIELD == 5", "FIELD < 5 or FIELD == 'MID'",
  "'LOW' in FIELD", "5 in FIELD", "FIELD == 'LOW' and nonsense == 1",
  "hypervisor == 'kvm' and FIELD", "FIELD =~ m/(/", "FIELD ==",
  "FIELD nonsense"]

#: Prints the rows or the error for each query that it reads
CLIENT = """
import glob
import json
import sys

sys.path[:0] = glob.glob("/usr/share/ganeti/3.*")

from ganeti import luxi
from ganeti import pathutils

client = luxi.Client(address=pathutils.QUERY_SOCKET)
answers = []
for (fields, qfilter) in json.load(sys.stdin):
  try:
    answers.append(client.Query("instance", fields, qfilter).data)
  except Exception as err:
    answers.append(str(err))
json.dump(answers, sys.stdout)
"""


def say(field, text):
  """Puts a field and its values in the place of what tests call them."""
  for word, meaning in WORDS[field].items():
    text = text.replace(word, meaning)
  return text


def listing(cluster, field, options):
  """What gnt-instance list makes of options, in words of tests."""
  result = cluster.run("gnt-instance list " + say(field, options), check=False)
  words = dict((meaning, word) for word, meaning in WORDS[field].items())
  return (result.returncode, [
    [words.get(word, word.replace(field, "FIELD")) for word in line.split()]
    for line in (result.stdout + result.stderr).replace(":", " : "
                                                        ).splitlines()])


@contextlib.contextmanager
def another_hypervisor(cluster):
  """An instance of it, so that no parameter of KVM is there.

  """
  cluster.run("gnt-cluster modify --enabled-hypervisors=kvm,fake")
  fake = cluster.add_instance("web9.lab.test", "-H fake", start=False)
  try:
    yield
  finally:
    fake.remove()
    cluster.run("gnt-cluster modify --enabled-hypervisors=kvm")


@pytest.fixture
def instances(cluster, add):
  """One for each value, and one of another hypervisor."""
  add("web1.lab.test", "-H kvm:disk_cache=none", start=False)
  add("web2.lab.test", "-H kvm:virtio_rng=off,disk_cache=default", start=False)
  add("web3.lab.test", "-H kvm:virtio_rng=urandom,disk_cache=writeback",
      start=False)
  with another_hypervisor(cluster):
    yield


@pytest.mark.usefixtures("instances")
def test_list(cluster):
  """With all options of the command, both fields answer alike."""
  for options in (
      "-o name,FIELD", "-o +FIELD", "-o FIELD,name,FIELD", "-o FIELD,+FIELD",
      "-o name,FIELD --no-headers", "-o name,FIELD --separator=:",
      "-v -o name,FIELD,hypervisor", "-o FIELD web2.lab.test",
      "-o FIELD web7.lab.test", "-o name,FIELD,nonsense", "-o FIELDS",
      "-o name,FIELD -F 'name =* \"web2*\"'"):
    assert listing(cluster, OURS, options) == listing(cluster, BORN, options)
  output = cluster.run("gnt-instance list --no-headers --separator=:"
                       " -o name,%s" % OURS).stdout
  assert output == ("web1.lab.test:random\nweb2.lab.test:off\n"
                    "web3.lab.test:urandom\nweb9.lab.test:-\n")
  output = cluster.run("gnt-instance list --no-headers -o name,hvparams"
                       ).stdout
  assert re.findall(r"virtio_rng\W+(\w+)", output) == ["random", "off",
                                                      "urandom"]


def test_list_fields(cluster):
  def lines(options=""):
    output = cluster.run("gnt-instance list-fields %s" % options).stdout
    return [" ".join(line.split()) for line in output.splitlines()]

  assert lines(OURS)[-1] == lines(BORN)[-1].replace("disk_cache",
                                                    "virtio_rng")
  names = [line.split()[0] for line in lines()[2:]]
  assert names == sorted(names, key=lambda name: [
    int(part) if part.isdigit() else part
    for part in re.split(r"(\d+)", name)])
  assert names.count(OURS) == 1


@pytest.mark.usefixtures("instances")
def test_filter(cluster):
  """The same rows, exit status and error."""
  seen = set()
  for i, qfilter in enumerate(FILTERS):
    options = "-o name%s -F \"%s\"" % (",FIELD" if i % 2 else "", qfilter)
    answer = listing(cluster, OURS, options)
    assert answer == listing(cluster, BORN, options)
    seen.add((answer[0], len(answer[1])))
  assert len(seen) > 5, "these filters all say the same"


def draw(generator, depth):
  """Makes a filter by chance, in words of tests."""
  if depth and generator.random() < 0.7:
    op = generator.choice("&|!")
    return [op] + [draw(generator, depth - 1) for _ in range(
      1 if op == "!" else generator.randrange(4))]
  if generator.random() < 0.1:
    # Not those that luxid can't read at all: there, the client tries for long.
    return generator.choice([["?", "FIELD"], ["<", "FIELD", 5],
                             ["=[]", "FIELD", "LOW"]])
  if generator.random() < 0.2:
    return ["=", "name", "web%d" % generator.randrange(1, 5)]
  op = generator.choice(["=", "==", "!=", "<", "<=", ">", ">=", "=~"])
  word = generator.choice(["LOW", "MID", "HIGH", "z", ""])
  # Ganeti 3.1 has POSIX's expressions: with no empty one, and no flags.
  return [op, "FIELD", "^%s$" % word if op == "=~" else word]


@pytest.mark.usefixtures("instances")
def test_filters_by_chance(cluster):
  """As a client of luxid sends them, some of them wrong."""
  generator = random.Random(19)
  queries = json.dumps([(["name"] + ["FIELD"] * (i % 2),
                         draw(generator, 1 + i % 4)) for i in range(400)])
  answers = []
  for field in (BORN, OURS):
    answer = cluster.run("python3 -c '%s'" % CLIENT,
                         input=say(field, queries)).stdout
    for word, meaning in WORDS[field].items():
      answer = answer.replace("\"%s\"" % meaning, "\"%s\"" % word)
    # An error may name the one in the other's place.
    answers.append(json.loads(answer.replace(BORN, "FIELD")))
  (born, ours) = answers
  for query, one, other in zip(json.loads(queries), born, ours):
    assert one == other, query
  assert 40 < sum(isinstance(answer, str) for answer in ours) < 200


def test_other_queries_go_on(cluster):
  for command in ("gnt-node list", "gnt-group list", "gnt-job list",
                  "gnt-node list-fields", "gnt-instance list",
                  "gnt-instance list -o hvparams"):
    assert cluster.run(command).stderr == ""

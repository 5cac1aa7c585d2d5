# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What Ganeti says of virtio_rng and of disk_cache, which it was born with."""

import contextlib
import html
import json
import pathlib
import random
import re

import pytest

from lab.expectations import CONTROL
from lab.expectations import cluster_parameter

BORN = "disk_cache"
OURS = "virtio_rng"

#: What tests call a parameter and three of its values, in order; where nothing
#: is set, it is MID. FIELD is hv/PARAM.
WORDS = {BORN: {"PARAM": "disk_cache", "LOW": "none", "MID": "writeback",
                "HIGH": "writethrough"},
         OURS: {"PARAM": "virtio_rng", "LOW": "off", "MID": "random",
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

#: What the list of instances is asked
LISTS = [
  "-o name,hv/PARAM", "-o +hv/PARAM", "-o hv/PARAM,name,hv/PARAM",
  "-o hv/PARAM,+hv/PARAM", "-o name,hv/PARAM --no-headers",
  "-o name,hv/PARAM --separator=:", "-v -o name,hv/PARAM,hypervisor",
  "-o hv/PARAM web2.lab.test", "-o hv/PARAM web7.lab.test",
  "-o name,hv/PARAM,nonsense", "-o hv/PARAMS", "-o PARAM",
  "-o name,hv/PARAM -F 'name =* \"web2*\"'", "-o name,hvparams",
  "-o name,custom_hvparams"]

#: What luxid answers
QUERIES = [
  "gnt-instance list-fields", "gnt-instance list-fields hv/PARAM",
  "gnt-instance list-fields hv/PARAMS",
  *["gnt-instance list " + options for options in LISTS],
  *["gnt-instance list -o name%s -F \"%s\"" % (",hv/PARAM" * (i % 2), qfilter)
    for (i, qfilter) in enumerate(FILTERS)],
  "GET /2/query/instance/fields?fields=hv/PARAM",
  "GET /2/query/instance?fields=name,hv/PARAM,hvparams",
  "GET /2/query/instance?fields=hv/PARAMS",
  *["PUT /2/query/instance '%s'" % json.dumps(
    {"fields": ["name", "hv/PARAM"], "qfilter": qfilter}) for qfilter in (
      ["=", "hv/PARAM", "LOW"], ["!", ["=", "hv/PARAM", "LOW"]],
      ["=", "hv/PARAM", 5], ["nonsense", "hv/PARAM"])],
  ]

#: Run in this order, on each parameter
COMMANDS = [
  "gnt-cluster info", "gnt-instance info web1.lab.test",
  "gnt-instance info -s web2.lab.test", "gnt-instance info web9.lab.test",
  "cat /var/lib/ganeti/ssconf_hvparams_kvm",
  # the instance's level
  *["gnt-instance modify -H %s web1.lab.test" % value for value in (
    "PARAM=HIGH", "PARAM=foo", "PARAM=", "'PARAM=LOW '", "PARAM", "no_PARAM",
    "-PARAM", "PARAMS=LOW", "PARAM=LOW,PARAM=HIGH", "kvm:PARAM=LOW",
    "PARAM=default,acpi=default")],
  "gnt-instance modify -H PARAM=LOW web7.lab.test",
  "gnt-instance modify -H PARAM=LOW web9.lab.test",
  "gnt-instance add {new} -H kvm:PARAM=foo web4.lab.test",
  "gnt-instance add {new} -H fake:PARAM=LOW web4.lab.test",
  "gnt-instance add {new} -H kvm:PARAM=LOW web4.lab.test",
  "gnt-job info $(gnt-job list --no-headers -o id | tail -n 1)",
  "gnt-instance start -H PARAM=foo web4.lab.test",
  "gnt-instance start --paused -H PARAM=HIGH web4.lab.test",
  "gnt-instance info web4.lab.test",
  "gnt-instance console --show web4.lab.test",
  "gnt-instance list -o hv/PARAM,oper_state web4.lab.test",
  # pulls the plug: Ganeti 3.1 asks the guest first, which is paused
  "cd %s/pid; kill -9 $(cat web4.lab.test); rm web4.lab.test" % CONTROL,
  "gnt-instance remove -f web4.lab.test",
  # the cluster's and the operating systems'
  *["gnt-cluster modify -H kvm:%s" % value
    for value in ("PARAM=foo", "PARAM=", "no_PARAM", "PARAM=HIGH")],
  "gnt-cluster modify -H fake:PARAM=LOW", "gnt-cluster info",
  "cat /var/lib/ganeti/ssconf_hvparams_kvm",
  "gnt-os modify -H kvm:PARAM=foo noop", "gnt-os modify -H kvm:PARAM=LOW noop",
  "gnt-os info noop", "gnt-cluster info", "gnt-instance info web1.lab.test",
  "gnt-instance list -o name,hv/PARAM", "gnt-os modify -H kvm:PARAM=MID noop",
  "gnt-cluster modify -H kvm:PARAM=MID", "gnt-cluster verify",
  # the remote API
  "GET /2/info", "GET /2/instances?bulk=1", "GET /2/instances/web2.lab.test",
  *["PUT /2/instances/web1.lab.test/modify '%s'" % json.dumps(
    {"hvparams": {"PARAM": value}}) for value in (
      "HIGH", "default", "foo", "", None, False, 5)],
  "GET /2/instances/web1.lab.test",
  "POST /2/instances '{\"__version__\": 1, \"name\": \"web4.lab.test\"}'",
  "PUT /2/modify '{\"hvparams\": {\"kvm\": {\"PARAM\": \"foo\"}}}'",
  "PUT /2/modify '{\"hvparams\": {\"kvm\": {\"PARAM\": \"MID\"}}}'",
  ]

#: What is said of the one and not of the other: Ganeti's error doesn't name the
#: values where one is empty
NAMES_VALUES = (
  ["Parameter 'PARAM' is required but is currently not defined"],
  ["HIGH' (current value: '')", "MID",
   "Parameter 'PARAM' fails syntax check: The value must be one of: 'LOW"])

#: Where that differs, and why it may
ACCEPTED = {
  # The configuration has what somebody set, and no default.
  "cat /var/lib/ganeti/ssconf_hvparams_kvm": (["PARAM=MID"], []),
  # A hint for who writes YAML: its unquoted off is no string.
  **dict.fromkeys([command for command in COMMANDS if command.endswith((
    " PARAM= web1.lab.test", ":PARAM=", "no_PARAM web1.lab.test", ":no_PARAM",
    '"PARAM": ""}}\'', '"PARAM": false}}\''))], NAMES_VALUES),
  }

RAPI_CLIENT = pathlib.Path(__file__).with_name("rapi_request.py")
RUNNER = pathlib.Path(__file__).with_name("ganeti_commands.py")

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


def say(name, text):
  """Puts a parameter and its values in the place of what tests call them."""
  text = text.replace("FIELD", "hv/PARAM")
  for word, meaning in WORDS[name].items():
    text = text.replace(word, meaning)
  return text


def read(name, text):
  """Splits what Ganeti says into lines and the parts of lists, in words of
  tests. Times and numbers are left out, and what is said of the other one.

  """
  # Our functions are in those of a query, as of Ganeti 3.1 with pyparsing 3.3.
  text = re.sub(r"(Traceback).*\n(  .*\n)+", r"\1\n", text)
  text = re.sub(r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}", "TIME", text)
  text = re.sub(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", "UUID", text)
  for words in WORDS.values():
    for word, meaning in list(words.items())[1:]:
      # but for "random.trust_cpu=off" of the kernel's arguments
      text = re.sub(r"(?<![\w.])(?<!cpu=)(?<!loader=)%s(?![\w.])" % meaning,
                    word, text)
  text = re.sub(r"\b\d+(\.\d+s)?\b", "0", html.unescape(text))
  text = text.replace(name, "PARAM")
  [other] = WORDS.keys() - {name}
  text = re.sub("must be one of: [^'(]+ [(]", "must be one of: VALUES (", text)
  # What can't be read is quoted as luxid was sent it.
  text = re.sub("Cannot convert value .*error:", "error:", text)
  # The remote API says the same errors without it.
  text = text.replace("Unhandled Ganeti error: ", "Unhandled Ganeti error\n")
  parts = [" ".join(part.split()).strip("- \"'")
           for part in re.split(r"[\n,{}]", text)]
  return sorted(part for part in parts if part and other not in part)


@pytest.fixture
def run_command(cluster):
  """A function that runs a command of Ganeti's, quicker than a shell can.

  It returns the exit status and the output.

  """
  with cluster.master.popen("exec python3 %s" % cluster.master.copy(RUNNER)
                            ) as runner:

    def _run(command):
      runner.stdin.write(command + "\n")
      runner.stdin.flush()
      line = runner.stdout.readline()
      assert line, runner.stderr.read()
      return json.loads(line)

    yield _run
    runner.stdin.close()


def run(cluster, run_command, name, command):
  """Runs one of L{COMMANDS}.

  @return: the exit status, and what L{read} makes of the output

  """
  command = say(name, command.replace(
    "{new}", "-t diskless -o noop+default -B memory=128 --no-nics --no-start"
    " -n %s {unchecked}" % cluster.master.name
    ).replace("{unchecked}", cluster.unchecked))
  program = command.split()[0]
  if program in ("gnt-cluster", "gnt-instance", "gnt-os"):
    (status, said) = run_command(command)
    return [status] + read(name, said)
  client = ""
  if program in ("GET", "PUT", "POST"):
    command = "python3 - " + command
    client = RAPI_CLIENT.read_text()
  result = cluster.run(command, input=client, check=False)
  return [result.returncode] + read(name, result.stdout + result.stderr)


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
  add("web1.lab.test", start=False)
  for name, value in ("web2.lab.test", "LOW"), ("web3.lab.test", "HIGH"):
    add(name, "-H kvm:" + ",".join(say(one, "PARAM=" + value) for one in WORDS),
        start=False)
  cluster.run("gnt-os modify -H kvm:acpi=true noop")
  with another_hypervisor(cluster), cluster_parameter(
      cluster, **{BORN: WORDS[BORN]["MID"]}):
    yield


@pytest.fixture
def compare(cluster, run_command, instances, rapi_user):
  """A function that runs commands on each parameter.

  It returns what is said of the one only, and of the other.

  """
  def _compare(commands):
    said = {}
    for name in WORDS:
      said[name] = [run(cluster, run_command, name, command)
                    for command in commands]
    assert len(set(map(str, said[OURS]))) > len(commands) / 2
    differences = {}
    for command, born, ours in zip(commands, said[BORN], said[OURS]):
      if born != ours:
        differences[command] = ([part for part in born if part not in ours],
                                [part for part in ours if part not in born])
    return differences

  return _compare


@pytest.mark.long
def test_commands(cluster, compare):
  """All that is said of the one is said of the other."""
  differences = compare(COMMANDS)
  cluster.run("ganeti-virtio-rng clear --yes")
  assert differences == ACCEPTED


# Each Ganeti has its own way with queries.
@pytest.mark.each_release
def test_queries(compare):
  assert compare(QUERIES) == {}


@pytest.mark.each_release
def test_list_fields(cluster):
  """They are in Ganeti's order, ours once."""
  output = cluster.run("gnt-instance list-fields").stdout
  names = [line.split()[0] for line in output.splitlines()[2:]]
  assert names == sorted(names, key=lambda name: [
    int(part) if part.isdigit() else part
    for part in re.split(r"(\d+)", name)])
  assert names.count("hv/" + OURS) == 1


def draw(generator, depth):
  """Makes a filter by chance, in words of tests."""
  if depth and generator.random() < 0.7:
    op = generator.choice("&|!")
    return [op] + [draw(generator, depth - 1) for _ in range(
      1 if op == "!" else generator.randrange(4))]
  if generator.random() < 0.1:
    # Not those that luxid can't read at all: there, the client tries for long.
    return generator.choice([["?", "hv/PARAM"], ["<", "hv/PARAM", 5],
                             ["=[]", "hv/PARAM", "LOW"]])
  if generator.random() < 0.2:
    return ["=", "name", "web%d" % generator.randrange(1, 5)]
  op = generator.choice(["=", "==", "!=", "<", "<=", ">", ">=", "=~"])
  word = generator.choice(["LOW", "MID", "HIGH", "z", ""])
  # Ganeti 3.1 has POSIX's expressions: with no empty one, and no flags.
  return [op, "hv/PARAM", "^%s$" % word if op == "=~" else word]


@pytest.mark.usefixtures("instances")
def test_filters_by_chance(cluster):
  """As a client of luxid sends them, some of them wrong."""
  generator = random.Random(19)
  queries = json.dumps([(["name"] + ["hv/PARAM"] * (i % 2),
                         draw(generator, 1 + i % 4)) for i in range(240)])
  answers = []
  for name, words in WORDS.items():
    answer = cluster.run("python3 -c '%s'" % CLIENT,
                         input=say(name, queries)).stdout
    for word, meaning in words.items():
      answer = answer.replace("\"%s\"" % meaning, "\"%s\"" % word)
    # An error may name the one in the other's place.
    answers.append(json.loads(answer.replace(BORN, "PARAM").replace(
      OURS, "PARAM")))
  (born, ours) = answers
  for query, one, other in zip(json.loads(queries), born, ours):
    assert one == other, query
  assert 24 < sum(isinstance(answer, str) for answer in ours) < 120


@pytest.mark.each_release
def test_other_queries_go_on(cluster):
  for command in ("gnt-node list", "gnt-group list", "gnt-job list",
                  "gnt-node list-fields", "gnt-instance list",
                  "gnt-instance list -o hvparams"):
    assert cluster.run(command).stderr == ""

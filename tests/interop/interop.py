# SPDX-License-Identifier: MIT
"""nacre and aiocoap, each as client and as server, over [::1] with a relay in between that logs each datagram.

    interop.py BUILD_DIR

One line for each check, and at the end "N passed, M failed, K skipped"; exit 1 when something failed. run.sh starts this
with the Python that has aiocoap. Every step has a time limit, and only processes started here are ended."""
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS, STEP_SECONDS, STOP_SECONDS = 10, 30, 10

# Words that no datagram may contain: the paths, and the payloads in both directions.
HELLO, STORE, NOWHERE = "/hello", "/store", "/nowhere"
STORED, ECHOED = "a pearl, layer by layer", "mother-of-pearl"
SECRETS = [b"hello", b"store", b"echo", b"nowhere", STORED.encode(), ECHOED.encode(), b"Hello World"]

Answer = namedtuple("Answer", "ok code payload text")


class Suite:
    def __init__(self, build):
        self.nacre = os.path.join(build, "nacre")
        self.relay = os.path.join(build, "tests", "relay")
        self.work = tempfile.mkdtemp(prefix="nacre-interop-")
        self.passed = self.failed = 0
        self.processes, self.count = [], 0

    def check(self, name, good, why=""):
        if good:
            self.passed += 1
            print("ok - %s" % name, flush=True)
        else:
            self.failed += 1
            print("not ok - %s" % name, flush=True)
            for line in str(why).splitlines():
                print("    # %s" % line, flush=True)
        return good

    def path(self, name):
        self.count += 1
        return os.path.join(self.work, "%02d-%s" % (self.count, name))

    def start(self, command, ready):
        """Starts a process and waits for a line that begins with `ready`; gives the process and the rest of the line."""
        errors = self.path(os.path.basename(command[0]) + ".err")
        with open(errors, "wb") as stderr:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
        self.processes.append(process)
        deadline, text = time.monotonic() + START_SECONDS, b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not text.endswith(b"\n"):
                left = deadline - time.monotonic()
                chunk = os.read(process.stdout.fileno(), 1) if left > 0 and selector.select(left) else b""
                if not chunk:
                    break
                text += chunk
        if not text.startswith(ready.encode()) or not text.endswith(b"\n"):
            with open(errors, errors="replace") as said:
                raise RuntimeError("%s is not ready: %r %s" % (command[0], text, said.read()[-2000:]))
        return process, text[len(ready) :].decode().strip()

    def stop(self, process, number=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
            raise RuntimeError("%s did not end when asked" % process.args[0])
        finally:
            process.stdout.close()
            self.processes.remove(process)
        return process.returncode

    def end(self):
        for process in list(self.processes):
            try:
                self.stop(process, signal.SIGKILL)
            except RuntimeError as error:
                print("    # %s" % error)


class Pair:
    """A fresh pair of context directories, and all messages sent with it."""

    def __init__(self, suite, *options):
        self.client, self.server, self.messages = suite.path("client"), suite.path("server"), []
        subprocess.run(
            [suite.nacre, "keygen", *options, self.client, self.server],
            check=True, timeout=STEP_SECONDS, stdout=subprocess.DEVNULL,
        )


def free_port():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]


class Stand:
    """A server, nacre's or aiocoap's, with the relay in front of it; `base` is its address for clients."""

    def __init__(self, suite, kind, pair):
        self.suite, self.pair = suite, pair
        if kind == "nacre":
            command = [suite.nacre, "serve", "--bind", "[::1]:0", "--context", pair.server]
        else:
            command = [sys.executable, os.path.join(HERE, "aiocoap_server.py"), pair.server, str(free_port())]
        self.server, address = suite.start(command, "listening coap://")
        self.log = suite.path("relay.log")
        self.relay, relayed = suite.start(
            [suite.relay, "--listen", "[::1]:0", "--to", address, "--log", self.log], "relaying "
        )
        self.base = "coap://" + relayed

    def end(self, number=signal.SIGTERM):
        """Ends both, and gives the messages in the log, which are added to the pair's."""
        code = self.suite.stop(self.server, number)
        self.suite.stop(self.relay)
        if number == signal.SIGTERM and code != 0:
            raise RuntimeError("the server ended with exit code %d on SIGTERM" % code)
        messages = wire.read_log(self.log)
        self.pair.messages += messages
        return messages


def ask_aiocoap(suite, directory, base, steps):
    command = [sys.executable, os.path.join(HERE, "aiocoap_client.py"), directory, base]
    done = subprocess.run(
        command + [":".join(step) for step in steps], stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS
    )
    answers = []
    for line in done.stdout.splitlines():
        said = json.loads(line)
        payload, code = bytes.fromhex(said.get("payload", "")), said.get("code", said.get("error"))
        answers.append(Answer(code.startswith("2."), code, payload, done.stderr.decode(errors="replace")[-2000:]))
    while len(answers) < len(steps):
        answers.append(Answer(False, "no answer", b"", done.stderr.decode(errors="replace")[-2000:]))
    return answers


def ask_nacre(suite, directory, base, steps):
    answers = []
    for method, path, *payload in steps:
        command = [suite.nacre, method.lower(), "--context", directory, base + path]
        if payload:
            command += ["--payload", payload[0]]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS)
        text = done.stderr.decode(errors="replace")
        code = "2.xx" if done.returncode == 0 else "exit %d" % done.returncode
        found = re.search(r"\b[45]\.\d\d\b", text)
        if done.returncode == 1 and found:
            code = found.group()
        answers.append(Answer(done.returncode == 0, code, done.stdout, text[-2000:]))
    return answers


ASK = {"aiocoap": ask_aiocoap, "nacre": ask_nacre}

STEPS = [
    ("GET", HELLO), ("PUT", STORE, STORED), ("GET", STORE), ("POST", "/echo", ECHOED), ("GET", NOWHERE),
    ("GET", HELLO), ("GET", HELLO), ("GET", HELLO),
]  # fmt: skip


def requests_in(messages):
    """The number of different requests in the log: retransmissions count once."""
    return len({m.raw for m in messages if wire.is_request(m)})


def check_wire(suite, who, messages):
    found = wire.complaints(messages, SECRETS) + ([] if requests_in(messages) else ["no request crossed the relay"])
    suite.check("%s: option 9 in every message, neither path nor payload in clear" % who, not found, "\n".join(found))


def check_nonces(suite, who, pair):
    reused = wire.reused_nonces(pair.messages)
    suite.check("%s: no number was used twice, over all runs" % who, not reused, "\n".join(reused))


def check_steps(suite, who, answers):
    hello, put, get, echo, nowhere, *more = answers
    suite.check("%s: GET /hello" % who, hello.ok and b"ello" in hello.payload, hello)
    suite.check("%s: PUT /store" % who, put.ok, put)
    suite.check("%s: GET /store gives it back" % who, get.ok and get.payload == STORED.encode(), get)
    suite.check("%s: POST /echo" % who, echo.ok and echo.payload == ECHOED.encode(), echo)
    suite.check("%s: GET /nowhere is 4.04" % who, nowhere.code == "4.04", nowhere)
    suite.check("%s: several requests in a row" % who, all(a == hello for a in more), more)


def check_hello(suite, name, client, stand, requests):
    """One GET /hello, which must take this many requests on the wire: 2 if the server challenges with Echo first (B.1.2)."""
    before = requests_in(wire.read_log(stand.log))
    (answer,) = ASK[client](suite, stand.pair.client, stand.base, [("GET", HELLO)])
    sent = requests_in(wire.read_log(stand.log)) - before
    why = "%s\n%d requests on the wire, %d expected" % (answer, sent, requests)
    suite.check(name, answer.ok and b"ello" in answer.payload and sent == requests, why)


def exchange(suite, client, server):
    """All exchanges of a client of one kind with a server of the other, over restarts and a crash."""
    who = "%s client, %s server" % (client, server)
    pair = Pair(suite)
    stand = Stand(suite, server, pair)
    check_steps(suite, who, ASK[client](suite, pair.client, stand.base, STEPS))
    check_wire(suite, who, stand.end())

    stand = Stand(suite, server, pair)
    check_hello(suite, "%s: both restarted, the window is known" % who, client, stand, 1)
    check_hello(suite, "%s: the client once more, from its directory" % who, client, stand, 1)
    stand.end(signal.SIGKILL)

    stand = Stand(suite, server, pair)
    check_hello(suite, "%s: server killed and restarted, Echo asked and given (B.1.2)" % who, client, stand, 2)
    check_hello(suite, "%s: afterwards without Echo again" % who, client, stand, 1)
    check_wire(suite, "%s after the restarts" % who, stand.end())
    check_nonces(suite, who, pair)
    return pair


def swapped(suite, pair, client, server):
    """Each continues in the directory that the other one used before."""
    who = "sides swapped, %s client, %s server" % (client, server)
    stand = Stand(suite, server, pair)
    check_hello(suite, "%s: reads the other's directory and goes on" % who, client, stand, 1)
    check_wire(suite, who, stand.end())
    check_nonces(suite, who, pair)


def algorithms(suite):
    for options in (["--alg", "AES-CCM-64-128-256"], ["--alg", "A128GCM"], ["--alg", "ChaCha20/Poly1305"],
                    ["--id-context", "37cbf3210017a2d3"]):  # fmt: skip
        for client, server in (("aiocoap", "nacre"), ("nacre", "aiocoap")):
            who = "%s: %s client, %s server" % (" ".join(options), client, server)
            stand = Stand(suite, server, Pair(suite, *options))
            check_hello(suite, who, client, stand, 1)
            check_wire(suite, who, stand.end())


def control(suite):
    """Test of the test: the checks on the wire detect an unprotected request."""
    stand = Stand(suite, "nacre", Pair(suite))
    subprocess.run(
        [suite.nacre, "get", stand.base + HELLO], stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS
    )
    found = wire.complaints([m for m in stand.end() if wire.is_request(m)], [b"hello"])
    suite.check("control: the wire check notices a request in clear", len(found) == 3, found)


def attempt(suite, scenario, *args):
    try:
        return scenario(suite, *args)
    except Exception as error:
        suite.check("%s(%s) runs to its end" % (scenario.__name__, ", ".join(map(str, args[-2:]))), False, error)
    finally:
        suite.end()


def conduct(run):
    """A suite as a program: calls `run`, ends its processes, removes its files, and exits with the result."""
    name = os.path.basename(sys.argv[0]).rsplit(".", 1)[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("%s: out of time" % name))
    suite = Suite(os.path.abspath(sys.argv[1]))
    try:
        run(suite)
    except Exception as error:
        suite.check("%s runs to its end" % name, False, "%s: %s" % (type(error).__name__, error))
    finally:
        suite.end()
        shutil.rmtree(suite.work, ignore_errors=True)
    print("%d passed, %d failed, 0 skipped" % (suite.passed, suite.failed))
    sys.exit(1 if suite.failed else 0)


def run(suite):
    attempt(suite, control)
    first = attempt(suite, exchange, "aiocoap", "nacre")
    second = attempt(suite, exchange, "nacre", "aiocoap")
    if first:
        attempt(suite, swapped, first, "nacre", "aiocoap")
    if second:
        attempt(suite, swapped, second, "aiocoap", "nacre")
    attempt(suite, algorithms)


if __name__ == "__main__":
    conduct(run)

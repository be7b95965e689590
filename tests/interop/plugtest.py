# SPDX-License-Identifier: MIT
"""The public OSCORE interop tests 0 to 17 between nacre and aiocoap, both ways, with all state and after a lost window.

    plugtest.py BUILD_DIR

One line for each check, and at the end "N passed, M failed, K skipped"; exit 1 when something failed."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

from interop import HERE, STEP_SECONDS, conduct, free_port

CLIENT_SECONDS = 120
UNAWARE = 16
NUMBERS = [n for n in range(18) if n != UNAWARE]

# (client, server, test): tests that cannot pass, and why. A row whose test passes is an error.
DEVIATIONS = {
    ("nacre", "aiocoap", 17): "aiocoap's server hands plain requests to the same resources",
    ("nacre", "aiocoap", 16): "aiocoap without OSCORE finds no resource before it looks at critical options: 4.04",
}


def fresh_contexts(suite):
    """Directories a to d made by nacre, unused."""
    path = suite.path("fresh")
    server = [suite.nacre, "plugtest-server", "--bind", "[::1]:0", "--state", path]
    suite.stop(suite.start(server, "listening coap://")[0])
    client = [suite.nacre, "plugtest-client", "--state", path, "[::1]:%d" % free_port(), "0"]
    subprocess.run(client, stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS)
    return path


class Plugtest:
    """Each side of each kind has a separate state, so that no directory is shared."""

    def __init__(self, suite):
        self.suite = suite
        self.state = {"nacre": suite.path("state-nacre"), "aiocoap": suite.path("state-aiocoap")}
        fresh = fresh_contexts(suite)
        for path in self.state.values():
            shutil.copytree(fresh, path)

    def start(self, kind, unaware=False):
        suite = self.suite
        if kind == "nacre":
            command = [suite.nacre, "plugtest-server", "--bind", "[::1]:0"]
            command += ["--unaware"] if unaware else ["--state", self.state[kind]]
        else:
            command = [sys.executable, os.path.join(HERE, "plugtest_server.py"), self.state[kind], str(free_port())]
            command += ["unaware"] if unaware else []
        return suite.start(command, "listening coap://")

    def run(self, kind, address, numbers):
        """{number: None, or the reason of the failure}"""
        words = [str(n) for n in numbers]
        if kind == "nacre":
            command = [self.suite.nacre, "plugtest-client", "--state", self.state[kind], address, *words]
        else:
            command = [sys.executable, os.path.join(HERE, "plugtest_client.py"), self.state[kind], "coap://" + address]
            command += words
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CLIENT_SECONDS)
        results = {n: "no result: " + done.stderr.decode(errors="replace")[-500:] for n in numbers}
        for line in done.stdout.decode().splitlines():
            if kind == "aiocoap":
                said = json.loads(line)
                results[said["test"]] = None if said["ok"] else said["why"]
            elif found := re.match(r"test (\d+): (\w+)", line):
                results[int(found[1])] = None if found[2] == "passed" else line
        return results

    def judge(self, client, server, how, results):
        for number, why in results.items():
            name = "plugtest %d, %s client, %s server%s" % (number, client, server, how)
            reason = DEVIATIONS.get((client, server, number))
            if reason is None:
                self.suite.check(name, why is None, why)
            elif why is None:
                self.suite.check(name, False, "it passes: take its row out of DEVIATIONS")
            else:
                print("deviation - %s: %s" % (name, reason), flush=True)

    def both(self, client, server):
        process, address = self.start(server)
        self.judge(client, server, "", self.run(client, address, NUMBERS))
        self.suite.stop(process, signal.SIGKILL)
        with open(os.path.join(self.state[server], "b", "sequence.json")) as state:
            lost = json.load(state)["received"] == "unknown"
        self.suite.check("%s server was killed: its window is not known" % server, lost)
        process, address = self.start(server)
        self.judge(client, server, ", window lost", self.run(client, address, NUMBERS))
        self.suite.stop(process)
        process, address = self.start(server, unaware=True)
        self.judge(client, server, "", self.run(client, address, [UNAWARE]))
        self.suite.stop(process)


def run(suite):
    for client, server in (("nacre", "nacre"), ("aiocoap", "nacre"), ("nacre", "aiocoap")):
        try:
            Plugtest(suite).both(client, server)
        except Exception as error:
            suite.check("plugtests, %s client, %s server, run to their end" % (client, server), False, error)
        finally:
            suite.end()


if __name__ == "__main__":
    conduct(run)

# SPDX-License-Identifier: MIT
"""nacre observes aiocoap: with the tool; checks the datagrams too. (aiocoap observes nacre in plugtest.py.)

    observe.py BUILD_DIR

One line for each check, and at the end "N passed, M failed, K skipped"; exit 1 when something failed."""
import os
import shutil
import subprocess
import sys

import wire
from interop import HERE, STEP_SECONDS, conduct, free_port
from plugtest import fresh_contexts

OBSERVE, FETCH = 6, 5
SECRETS = [b"observe1", b"observe2", b"one", b"two", b"Terminate"]


def observe(suite, state, base, path, *options):
    command = [suite.nacre, "observe", "--context", os.path.join(state, "a"), *options, base + path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS)
    return done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")[-500:]


def run(suite):
    ours, theirs = fresh_contexts(suite), suite.path("state-aiocoap")
    shutil.copytree(ours, theirs)
    server, address = suite.start(
        [sys.executable, os.path.join(HERE, "plugtest_server.py"), theirs, str(free_port())], "listening coap://"
    )
    log = suite.path("relay.log")
    relay, relayed = suite.start(
        [suite.relay, "--listen", "[::1]:0", "--to", address, "--log", log], "relaying "
    )
    base = "coap://" + relayed
    ended = observe(suite, ours, base, "/oscore/observe1")
    suite.check("to the server's end: two states, then its error", ended[:2] == (1, "one\ntwo\n"), ended)
    counted = observe(suite, ours, base, "/oscore/observe2", "--count", "2")
    suite.check("--count 2", counted[:2] == (0, "one\ntwo\n"), counted)
    timed = observe(suite, ours, base, "/oscore/observe2", "--duration", "1")
    suite.check("--duration 1", timed[:2] == (0, "one\n"), timed)
    fixed = observe(suite, ours, base, "/oscore/hello/1")
    suite.check("what cannot be observed: one state", fixed[:2] == (0, "Hello World!\n"), fixed)
    suite.stop(relay)
    suite.stop(server)

    messages = wire.read_log(log)
    asked = [m for m in messages if wire.is_request(m)]
    registered = [m for m in asked if wire.values(m, OBSERVE) == [b""]]
    cancelled = [m for m in asked if wire.values(m, OBSERVE) == [b"\x01"]]
    suite.check("registrations go as FETCH with Observe 0", len(registered) >= 4 and all(m.code == FETCH for m in asked))
    suite.check("two were ended by Observe 1, with the same token",
                len(cancelled) == 2 and all(m.token in [r.token for r in registered] for m in cancelled), cancelled)
    found = wire.complaints(messages, SECRETS)
    suite.check("option 9 in every message, nothing in clear", not found, "\n".join(found))
    reused = wire.reused_nonces(messages)
    suite.check("no number was used twice", not reused, "\n".join(reused))


if __name__ == "__main__":
    conduct(run)

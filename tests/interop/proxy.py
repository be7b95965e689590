# SPDX-License-Identifier: MIT
"""Forward proxies between clients and servers: aiocoap's and the one in examples/, with nacre and aiocoap at both ends.

    proxy.py BUILD_DIR

One line for each check, and at the end "N passed, M failed, K skipped"; exit 1 when something failed."""
import os
import subprocess
import sys

import wire
from interop import HERE, STEP_SECONDS, Pair, check_wire, conduct, free_port

HELLO, STORE, STORED = "/hello", "/store", "a pearl, layer by layer"


BLOCK1, BLOCK2 = 27, 23


def start_proxy(suite, kind, *options):
    """A proxy, and the relay in front of it; gives both, the relay's address, and its log."""
    if kind == "nacre":
        command = [os.path.join(suite.build, "examples", "proxy"), *options, "[::1]:0"]
    else:
        command = [sys.executable, os.path.join(HERE, "aiocoap_proxy.py"), str(free_port())]
    proxy, address = suite.start(command, "listening coap://")
    log = suite.path("relay.log")
    relay, relayed = suite.start([suite.relay, "--listen", "[::1]:0", "--to", address, "--log", log], "relaying ")
    return proxy, relay, relayed, log


def start_server(suite, kind, pair):
    if kind == "nacre":
        command = [suite.nacre, "serve", "--bind", "[::1]:0", "--context", pair.server]
    else:
        command = [sys.executable, os.path.join(HERE, "aiocoap_server.py"), pair.server, str(free_port())]
    return suite.start(command, "listening coap://")


def ask(suite, client, proxy, directory, uri, method="get", payload=None, form=None):
    """(exit code, payload, error line)"""
    if client == "nacre":
        command = [suite.nacre, method, "--proxy", "coap://" + proxy, "--timeout", "15", uri]
        command += ["--context", directory] if directory else []
        command += ["--payload", payload] if payload is not None else []
        command += [form] if form else []
    else:
        command = [sys.executable, os.path.join(HERE, "aiocoap_proxy_client.py"), proxy, directory or "", method, uri]
        command += [payload] if payload is not None else []
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")[-1000:]


def through(suite, client, proxy_kind, server_kind):
    who = "%s client, %s proxy, %s server" % (client, proxy_kind, server_kind)
    pair = Pair(suite)
    server, address = start_server(suite, server_kind, pair)
    proxy, relay, at, log = start_proxy(suite, proxy_kind)
    base = "coap://" + address
    hello = ask(suite, client, at, pair.client, base + HELLO)
    suite.check("%s: GET" % who, hello[0] == 0 and b"ello" in hello[1], hello)
    put = ask(suite, client, at, pair.client, base + STORE, "put", STORED)
    suite.check("%s: PUT" % who, put[0] == 0, put)
    get = ask(suite, client, at, pair.client, base + STORE)
    suite.check("%s: GET gives it back" % who, get[:2] == (0, STORED.encode()), get)
    if client == "nacre" and proxy_kind == "nacre":
        form = ask(suite, client, at, pair.client, base + HELLO, form="--proxy-uri")
        suite.check("%s: GET with Proxy-Uri" % who, form[0] == 0 and b"ello" in form[1], form)
    suite.stop(relay)
    messages = wire.read_log(log)
    check_wire(suite, who, messages)
    reused = wire.reused_nonces(messages)
    suite.check("%s: no number was used twice" % who, not reused, "\n".join(reused))
    suite.stop(server)
    suite.stop(proxy)


def joined(suite, client, proxy_kind, *options):
    """Protected bodies cut by a proxy or by aiocoap's client: outer blocks of OSCORE (RFC 8613
    4.1.3.4.2), joined by nacre's server and client."""
    who = "%s client, %s" % (client, " ".join([proxy_kind, "proxy", *options]))
    pair = Pair(suite)
    server, address = start_server(suite, "nacre", pair)
    proxy, relay, at, log = start_proxy(suite, proxy_kind, *options)
    uri = "coap://" + address + STORE
    up = down = 0
    for size in (100, 900, 1500):
        text = ("%d bytes, " % size * size)[:size]
        put = ask(suite, client, at, pair.client, uri, "put", text)
        suite.check("%s: PUT of %d bytes in outer blocks" % (who, size), put[0] == 0, put)
        # a request protected by hand with aiocoap is not repeated with Echo, so the server limits its responses
        if client == "nacre" or size <= 100:
            get = ask(suite, client, at, pair.client, uri)
            suite.check("%s: GET of %d bytes in outer blocks" % (who, size), get[:2] == (0, text.encode()), get)
    suite.stop(relay)
    for message in wire.read_log(log):
        if not wire.values(message, wire.OSCORE):
            continue
        up += bool(wire.is_request(message) and wire.values(message, BLOCK1))
        down += bool(wire.is_answer(message) and wire.values(message, BLOCK2))
    cut = down if "--block-size" in options else up
    suite.check("%s: some were cut (%d up, %d down)" % (who, up, down), cut > 0)
    suite.stop(server)
    suite.stop(proxy)


def errors(suite):
    """An error response made by a proxy cannot be verified: exit code 4."""
    pair = Pair(suite)
    proxy, relay, at, _ = start_proxy(suite, "nacre")
    nobody = ask(suite, "nacre", at, pair.client, "coap://[::1]:%d%s" % (free_port(), HELLO))
    suite.check("nacre proxy: no server, 5.04", nobody[0] == 4 and "5.04" in nobody[2], nobody)
    other = ask(suite, "nacre", at, pair.client, "http://[::1]:1/")
    suite.check("nacre proxy: another scheme, 5.05", other[0] == 4 and "5.05" in other[2], other)
    suite.stop(relay)
    suite.stop(proxy)


def run(suite):
    suite.build = os.path.abspath(sys.argv[1])
    errors(suite)
    for ends in (("nacre", "aiocoap", "nacre"), ("nacre", "nacre", "nacre"), ("aiocoap", "nacre", "nacre"),
                 ("nacre", "aiocoap", "aiocoap"), ("nacre", "nacre", "aiocoap")):  # fmt: skip
        try:
            through(suite, *ends)
        except Exception as error:
            suite.check("%s client, %s proxy, %s server, run to their end" % ends, False, error)
        finally:
            suite.end()
    for ways in (("nacre", "nacre", "--block-size", "64"), ("aiocoap", "nacre", "--block-size", "64"),
                 ("aiocoap", "nacre"), ("aiocoap", "aiocoap")):  # fmt: skip
        try:
            joined(suite, *ways)
        except Exception as error:
            suite.check("%s: outer blocks, run to their end" % (ways,), False, error)
        finally:
            suite.end()


if __name__ == "__main__":
    conduct(run)

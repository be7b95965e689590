# SPDX-License-Identifier: MIT
"""nacre and aiocoap over TCP (RFC 8323), protected, each as client and as server; and how aiocoap's end of a connection
handles nacre's signaling messages: CSM, Ping, Abort.

    tcp.py BUILD_DIR

Lines and exit code as interop.py, whose parts it uses."""
import os
import socket
import sys

import aiocoap
from aiocoap.numbers.codes import ABORT, CSM, PING, PONG
from aiocoap.transports import rfc8323common, tcp

import interop

STEPS = interop.STEPS
SECONDS = 10
LARGE = "0123456789" * 1000


def free_tcp_port():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]


def start_nacre(suite, directory):
    """nacre serve --tcp prints two lines; the second one has the address for TCP."""
    process, _ = suite.start(
        [suite.nacre, "serve", "--tcp", "--bind", "[::1]:0", "--context", directory], "listening coap://"
    )
    line = process.stdout.readline().decode()
    if not line.startswith("listening coap+tcp://"):
        raise RuntimeError("no connections: %r" % line)
    return process, line.split()[1]


def start_aiocoap(suite, directory):
    script = os.path.join(interop.HERE, "aiocoap_server.py")
    command = [sys.executable, script, directory, str(free_tcp_port()), "tcp"]
    process, address = suite.start(command, "listening coap+tcp://")
    return process, "coap+tcp://" + address


START = {"nacre": start_nacre, "aiocoap": start_aiocoap}


def exchange(suite, client, server):
    who = "TCP: %s client, %s server" % (client, server)
    pair = interop.Pair(suite)
    process, base = START[server](suite, pair.server)
    interop.check_steps(suite, who, interop.ASK[client](suite, pair.client, base, STEPS))
    put, get = interop.ASK[client](suite, pair.client, base, [("PUT", interop.STORE, LARGE), ("GET", interop.STORE)])
    suite.check("%s: %d bytes in blocks, there and back" % (who, len(LARGE)), get.payload == LARGE.encode(), (put, get))
    code = suite.stop(process)
    suite.check("%s: the server ends in order" % who, code == 0, code)
    process, base = START[server](suite, pair.server)
    (answer,) = interop.ASK[client](suite, pair.client, base, [("GET", interop.HELLO)])
    suite.check("%s: both restarted" % who, answer.ok and b"ello" in answer.payload, answer)
    suite.stop(process)


class Connection:
    """Only aiocoap's framing, so that nacre's messages can be checked."""

    def __init__(self, base):
        host, port = base[len("coap+tcp://[") :].split("]:")
        self.socket = socket.create_connection((host, int(port)), SECONDS)
        self.spool = b""

    def send(self, message):
        self.socket.sendall(tcp._serialize(message))

    def next(self):
        """The next message; None at the end."""
        while True:
            size = tcp._extract_message_size(self.spool)
            if size is not None and len(self.spool) >= sum(size):
                whole, self.spool = self.spool[: sum(size)], self.spool[sum(size) :]
                return tcp._decode_message(whole)
            chunk = self.socket.recv(4096)
            if not chunk:
                return None
            self.spool += chunk


def option(number, value):
    return aiocoap.optiontypes.OpaqueOption(number, value)


def signals(suite):
    pair = interop.Pair(suite)
    process, base = start_nacre(suite, pair.server)
    peer = Connection(base)
    settings = peer.next()
    numbers = {o.number: o.value for o in settings.opt.option_list()}
    good = settings.code == CSM and 4 in numbers and 2 not in numbers  # 1152 need not be said
    suite.check("TCP: nacre's first message is a CSM, blocks but no BERT", good, settings.opt)
    remote = rfc8323common.RFC8323Remote()
    remote._process_signaling(settings)
    suite.check("TCP: aiocoap takes it, and sends no BERT blocks", remote.maximum_block_size_exp == 6, numbers)

    peer.send(aiocoap.Message(code=CSM))
    peer.send(aiocoap.Message(code=PING, _token=b"\x17\x18"))
    pong = peer.next()
    suite.check("TCP: Ping is answered with its token", pong.code == PONG and pong.token == b"\x17\x18", pong)
    request = aiocoap.Message(code=aiocoap.GET, _token=b"\x01", uri_path=["hello"])
    peer.send(request)
    answer = peer.next()
    suite.check("TCP: a plain request gets 4.01", answer.code == aiocoap.UNAUTHORIZED, answer)

    bad = aiocoap.Message(code=CSM)
    bad.opt.add_option(option(9, b""))
    peer.send(bad)
    abort = peer.next()
    named = [o.value for o in abort.opt.option_list() if o.number == 2]
    suite.check("TCP: a critical option of a CSM ends in an Abort that names it", abort.code == ABORT and named == [b"\x09"], abort)
    suite.check("TCP: with words, and the connection is closed", abort.payload and peer.next() is None, abort)

    silent = Connection(base)
    silent.next()
    silent.send(request)
    abort = silent.next()
    suite.check("TCP: a request before any CSM ends in an Abort", abort.code == ABORT and silent.next() is None, abort)
    suite.stop(process)


def run(suite):
    interop.attempt(suite, exchange, "aiocoap", "nacre")
    interop.attempt(suite, exchange, "nacre", "aiocoap")
    interop.attempt(suite, signals)


if __name__ == "__main__":
    interop.conduct(run)

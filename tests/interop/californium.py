# SPDX-License-Identifier: MIT
"""nacre and Eclipse Californium, each as client and as server, over 127.0.0.1.

    californium.py BUILD_DIR CLASS_PATH

One line for each check, and at the end "N passed, M failed, K skipped"; exit 1 when something failed. californium.sh starts
this with the class path of Californium and of the programs in californium/. Every step has a time limit, and only
processes started here are ended."""
import os
import shutil
import signal
import socket
import subprocess
import sys

import wire
from californium_peer import ALGORITHMS, Client, Pair, pattern, read, start_server
from interop import STEP_SECONDS, Suite, attempt, check_nonces

SECRETS = [b"hello", b"store", b"echo", b"count", b"later", b"Hello World", b"a pearl", b"body", b"asked"]
OBSERVE, OSCORE, FORMAT, ECHO = 6, 9, 12, 252
ERRORS = [*range(0x80, 0x87), 0x88, 0x89, 0x8C, 0x8D, 0x8F, 0x96, *range(0xA0, 0xA6)]  # that Californium has
SIZES = [0, 1, 300, 1023, 1024, 1025, 5000, 100000]
DIRECT = ["an ID Context of 128 bytes"]  # refused, so in clear
SOON_SECONDS = 2
ROWS = 3  # so many notifications of each kind

# Checks that cannot pass, and why. A row whose check passes is an error.
DEVIATIONS = {
    "nacre asks: an ID Context of 128 bytes": "it takes ID Contexts of up to 127 bytes",
    "nacre asks: number 2^32": "its numbers end at 2^31 - 1",
    "Californium observes /store: deleted, and told so": "an answer without an outer Observe is unknown to it",
}


def judge(suite, name, good, why=""):
    reason = DEVIATIONS.get(name)
    if reason is None:
        return suite.check(name, good, why)
    if good:
        return suite.check(name, False, "it passes: take its row out of DEVIATIONS")
    print("deviation - %s: %s" % (name, reason), flush=True)
    return True


class Relayed:
    """A relay in front of a server, and its log."""

    def __init__(self, suite, address):
        self.suite, self.log, self.messages = suite, suite.path("relay.log"), []
        command = [suite.relay, "--listen", "127.0.0.1:0", "--to", address, "--log", self.log, "--seconds", "200"]
        self.relay, relayed = suite.start(command, "relaying ")
        self.base = "coap://" + relayed

    def end(self, who, nonces=True, plain=0):
        """`plain`: the number of unprotected errors expected. With `nonces` no number may occur twice under one ID."""
        self.suite.stop(self.relay)
        self.messages = wire.read_log(self.log)
        found = wire.complaints(self.messages, SECRETS)
        name = "%s: option 9 in every message, neither path nor payload in clear" % who
        self.suite.check(name, len(found) == plain, "\n".join(found))
        if nonces:
            check_nonces(self.suite, who, self)


class Sender:
    """A separate socket to a server."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect((host, int(port)))

    def exchange(self, datagram):
        """The response to these bytes; None without one."""
        self.socket.send(datagram)
        try:
            return wire.decode(self.socket.recv(2048), False)
        except TimeoutError:
            return None


# ---- nacre as the client of Californium


def nacre(suite, pair, method, url, *options):
    command = [suite.nacre, method, "--timeout", "20", "--context", pair.ours, *options, url]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")[-1000:]


def nacre_body(suite, pair, method, url, payload, *options):
    """The response's body, by way of files; None if absent."""
    sent, got = suite.path("sent"), suite.path("got")
    if payload is not None:
        with open(sent, "wb") as file:
            file.write(payload)
        options += ("--payload-file", sent)
    done = nacre(suite, pair, method, url, "--output", got, *options)
    if done[0] != 0:
        return None, done
    with open(got, "rb") as file:
        return file.read(), done


def nacre_hello(suite, name, pair, base, *options):
    done = nacre(suite, pair, "get", base + "/hello", *options)
    judge(suite, "nacre asks: " + name, done[:2] == (0, b"Hello World!"), done)


def varied_pairs(suite, nacre_asks):
    """{name: Pair}: algorithms, hashes, ID Contexts, IDs of every length."""
    pairs = {alg: Pair(suite, nacre_asks, alg=alg) for alg in ALGORITHMS}
    pairs["HKDF with SHA-512"] = Pair(suite, nacre_asks, hkdf="sha512")
    for size in (1, 8, 127, *([128] if nacre_asks else [])):
        pairs["an ID Context of %d bytes" % size] = Pair(suite, nacre_asks, id_context="c7" * size)
    pairs["an empty ID Context"] = Pair(suite, nacre_asks, id_context="")
    for alg in ("AES-CCM-16-64-128", "A128GCM"):
        longest = ALGORITHMS[alg][1]
        first = 0xA0 if alg == "A128GCM" else 0xB0
        for size in range(longest + 1):
            asker, asked = "%02x" % (first + size) * size, "%02x" % (first + 0x20) * (longest - size)
            if size == 0 and alg == "A128GCM":
                continue  # the empty ID is taken already
            name = "%s, IDs of %d and %d bytes" % (alg, size, longest - size)
            pairs[name] = Pair(suite, nacre_asks, asker, asked, alg)
    return pairs


def methods(suite, pair, base):
    for method in ("post", "fetch"):
        done = nacre(suite, pair, method, base + "/echo", "--payload", "a pearl", "--content-format", "50")
        judge(suite, "nacre asks: %s and what was sent comes back" % method.upper(), done[:2] == (0, b"a pearl"), done)
    done = nacre(suite, pair, "post", base + "/echo")
    judge(suite, "nacre asks: POST without a payload", done[:2] == (0, b""), done)
    done = nacre(suite, pair, "get", base + "/store")
    judge(suite, "nacre asks: GET of nothing is 4.04", done[0] == 1 and "4.04" in done[2], done)
    done = nacre(suite, pair, "put", base + "/store", "--payload", "a pearl")
    judge(suite, "nacre asks: PUT", done[0] == 0, done)
    done = nacre(suite, pair, "get", base + "/store")
    judge(suite, "nacre asks: GET gives it back", done[:2] == (0, b"a pearl"), done)
    done = nacre(suite, pair, "delete", base + "/store")
    judge(suite, "nacre asks: DELETE", done[0] == 0, done)
    done = nacre(suite, pair, "get", base + "/store")
    judge(suite, "nacre asks: it is gone", done[0] == 1 and "4.04" in done[2], done)
    done = nacre(suite, pair, "put", base + "/hello", "--payload", "x")
    judge(suite, "nacre asks: what is not allowed is 4.05", done[0] == 1 and "4.05" in done[2], done)


def kinds(suite, pair, base):
    nacre_hello(suite, "NON", pair, base, "--non")
    done = nacre(suite, pair, "get", base + "/later")
    judge(suite, "nacre asks: a separate answer", done[:2] == (0, b"later"), done)
    done = nacre(suite, pair, "get", base + "/later", "--non")
    judge(suite, "nacre asks: a separate answer to a NON", done[:2] == (0, b"later"), done)
    for code in ERRORS:
        text = "%d.%02d" % (code >> 5, code & 31)
        done = nacre(suite, pair, "get", "%s/code?is=%d" % (base, code))
        judge(suite, "nacre asks: %s from within" % text, done[0] == 1 and text in done[2], done)
    done = nacre(suite, pair, "get", base + "/asked?a=1&b=%20", "--accept", "0")
    options = b"15:613d31,15:623d20,17:"
    judge(suite, "nacre asks: path, queries and Accept arrive", done[0] == 0 and options in done[1], done)
    done = nacre(suite, pair, "get", base + "/hello", "-v")
    judge(suite, "nacre asks: ETag and Max-Age come", done[0] == 0 and "ETag" in done[2] and "Max-Age" in done[2], done)
    answers = [nacre(suite, pair, "post", base + "/count")[1] for _ in range(40)]
    judge(suite, "nacre asks: forty requests in a row, each once", answers == [b"%d" % n for n in range(1, 41)], answers)


def bodies(suite, pair, base):
    for size in SIZES[1:]:
        got, why = nacre_body(suite, pair, "get", "%s/body?size=%d" % (base, size), None)
        judge(suite, "nacre asks: GET of %d bytes" % size, got == pattern(size), why)
    for size in SIZES:
        got, why = nacre_body(suite, pair, "post", base + "/echo", pattern(size))
        judge(suite, "nacre asks: POST of %d bytes and back" % size, got == pattern(size), why)
    for block in ("16", "64", "256"):
        got, why = nacre_body(suite, pair, "post", base + "/echo", pattern(3000), "-b", block)
        judge(suite, "nacre asks: 3000 bytes in blocks of %s" % block, got == pattern(3000), why)


def nacre_observes(suite, watcher, writer, base, resource):
    """Three states, the later ones made by another client; then the end."""
    url, name = base + resource, "nacre observes %s" % resource
    nacre(suite, writer, "put", url, "--payload", "state 0")
    for end in ("--count", "the server"):
        options = ["--count", str(ROWS)] if end == "--count" else ["--duration", "20"]
        command = [suite.nacre, "observe", "--context", watcher.ours, *options, url]
        process, line = suite.start(command, "state 0")
        lines = []
        for row in range(1, ROWS):
            nacre(suite, writer, "put", url, "--payload", "state %d" % row)
            lines.append(process.stdout.readline())
        if end == "the server":
            nacre(suite, writer, "delete", url)
        code = process.wait(STEP_SECONDS)
        suite.stop(process)
        wanted = [b"state %d\n" % row for row in range(1, ROWS)]
        seen, expected = (line, lines, code), ("", wanted, 0 if end == "--count" else 1)
        judge(suite, "%s, to the end by %s" % (name, end), seen == expected, seen)
        nacre(suite, writer, "put", url, "--payload", "state 0")


def protected(suite, pair, hex_bytes):
    command = [suite.nacre, "protect", "--context", pair.ours, hex_bytes]
    done = subprocess.run(command, capture_output=True, timeout=STEP_SECONDS, check=True)
    return bytes.fromhex(done.stdout.decode().strip())


POST_COUNT = "4402%s01020304b5636f756e74"  # CON, POST /count; its MID is to be filled in


def refused(message, code, text):
    return message is not None and message.code == code and not wire.values(message, OSCORE) and message.payload == text


def nacre_is_refused(suite, pairs, address):
    pair, base = pairs["refusals"], "coap://" + address
    count = nacre(suite, pair, "get", base + "/count")[1]
    datagram = protected(suite, pair, POST_COUNT % "7001")
    sender = Sender(address)
    first = sender.exchange(datagram)
    good = first is not None and first.code == 0x44 and len(wire.values(first, OSCORE)) == 1
    suite.check("Californium: a request made by nacre protect is answered", good, first)
    sender.exchange(datagram)  # whatever it says to a duplicate
    replay = sender.exchange(datagram[:2] + b"\x70\x02" + datagram[4:])
    good = refused(replay, 0x81, b"Replay detected")
    suite.check("Californium: replayed it is 4.01 Replay detected", good, replay)
    now = nacre(suite, pair, "get", base + "/count")[1]
    suite.check("Californium: it was acted on once", int(now) == int(count) + 1, (count, now))
    broken = bytearray(protected(suite, pair, POST_COUNT % "7003"))
    broken[-1] ^= 1
    answer = sender.exchange(bytes(broken))
    good = refused(answer, 0x80, b"Decryption failed")
    suite.check("Californium: a changed bit is 4.00 Decryption failed", good, answer)
    for name, text in (("wrong key", "4.00"), ("unknown kid", "4.01"), ("unknown ID Context", "4.01")):
        done = nacre(suite, pairs[name], "get", base + "/hello")
        judge(suite, "nacre asks: %s is an unauthenticated %s" % (name, text), done[0] == 4 and text in done[2], done)
    done = subprocess.run([suite.nacre, "get", base + "/hello"], capture_output=True, timeout=STEP_SECONDS)
    suite.check("nacre asks: in clear it is 4.01", done.returncode == 1 and b"4.01" in done.stderr, done)
    for name, number in (("2^24", 1 << 24), ("2^31 - 2", (1 << 31) - 2), ("2^32", 1 << 32)):
        command = [suite.nacre, "adopt", "--next-to-send", str(number), pair.ours]
        subprocess.run(command, check=True, capture_output=True, timeout=STEP_SECONDS)
        nacre_hello(suite, "number %s" % name, pair, base)


def nacre_asks(suite):
    names = ["main", "writer", "refusals", "wrong key"]
    pairs = varied_pairs(suite, True)
    pairs.update((name, Pair(suite, True)) for name in names)
    pairs["Partial IVs in answers"] = Pair(suite, True, more=",piv=yes")
    known = [pair.words for pair in pairs.values()]
    pairs["wrong key"].change_secret()
    pairs["unknown kid"] = Pair(suite, True)
    pairs["unknown ID Context"] = Pair(suite, True, asker=pairs["main"].asker, id_context="37cb")
    server, address = start_server(suite, known)
    relayed = Relayed(suite, address)
    for name, pair in pairs.items():
        if name not in names and not name.startswith("unknown"):
            nacre_hello(suite, name, pair, "coap://" + address if name in DIRECT else relayed.base)
    for part in (methods, kinds, bodies):
        part(suite, pairs["main"], relayed.base)
    for resource in ("/store", "/store-non"):
        nacre_observes(suite, pairs["main"], pairs["writer"], relayed.base, resource)
    relayed.end("nacre asks")
    nacre_is_refused(suite, pairs, address)
    suite.stop(server)


# ---- Californium as the client of nacre


def hello(suite, name, client, base, *words):
    code, options, payload = client.ask("GET", base + "/hello", *words)
    good = code == "2.05" and payload == b"Hello World!" and OSCORE in options
    judge(suite, "Californium asks: " + name, good, (code, options, payload))


def client_methods(suite, client, base):
    def told(name, method, path, *words, code, payload=None):
        """Sends a request, and expects this."""
        got = client.ask(method, base + path, *words)
        good = got[0] == code and OSCORE in got[1] and payload in (None, got[2])
        judge(suite, "Californium asks: " + name, good, got)
        return got

    pearl = b"a pearl".hex()
    for method, code in (("POST", "2.04"), ("FETCH", "2.05")):
        got = told("%s and what was sent comes back" % method, method, "/echo", "payload=" + pearl, "option=12:32", code=code,
                   payload=b"a pearl")  # fmt: skip
        judge(suite, "Californium asks: and its Content-Format", got[1].get(FORMAT) == [b"2"], got)
    told("POST without a payload", "POST", "/echo", code="2.04", payload=b"")
    told("GET of nothing is 4.04", "GET", "/store", code="4.04")
    told("PUT", "PUT", "/store", "payload=" + pearl, code="2.01")
    told("PUT if none is there", "PUT", "/store", "payload=" + pearl, "option=5:", code="4.12")
    told("GET gives it back", "GET", "/store", code="2.05", payload=b"a pearl")
    told("DELETE", "DELETE", "/store", code="2.02")
    told("it is gone", "GET", "/store", code="4.04")
    told("what is not allowed is 4.05", "PUT", "/hello", "payload=00", code="4.05")
    told("an Accept that cannot be met is 4.06", "GET", "/hello", "option=17:32", code="4.06")
    told("an unknown critical option is 4.02", "GET", "/hello", "option=65001:01", code="4.02")
    told("an unknown elective option is none", "GET", "/hello", "option=65000:01", code="2.05")
    told("the list of resources", "GET", "/.well-known/core", code="2.05")


def client_kinds(suite, client, base):
    hello(suite, "NON", client, base, "non")
    for size in range(9):
        hello(suite, "a token of %d bytes" % size, client, base, "token=" + "a5" * size)
    got = [client.ask("POST", base + "/echo", "payload=%04x" % n) for n in range(300)]
    wrong = [answer for n, answer in enumerate(got) if answer[0] != "2.04" or answer[2] != n.to_bytes(2, "big")]
    judge(suite, "Californium asks: three hundred requests in a row", not wrong, wrong[:3])
    answer = client.say("ping", base)
    judge(suite, "Californium asks: ping", answer == ["pong"], answer)


def client_bodies(suite, client, base, root):
    """Californium has no Echo, so its address is never validated (RFC 9175 2.4): long responses come in small blocks."""
    client.ask("PUT", base + "/long", "size=1000")
    code, options, body = client.ask("GET", base + "/long")
    good = (code, body) == ("2.05", pattern(1000)) and OSCORE in options
    judge(suite, "Californium asks: a long answer for an unknown address", good, (code, options))
    judge(suite, "Californium asks: an Echo value is offered with it", ECHO in options, options)
    for size in SIZES:
        body = pattern(size)
        got = client.ask("POST", base + "/echo", "size=%d" % size)
        judge(suite, "Californium asks: POST of %d bytes and back" % size, (got[0], got[2]) == ("2.04", body), got[:2])
        got = client.ask("PUT", "%s/file-%d" % (base, size), "size=%d" % size)
        with open(os.path.join(root, "file-%d" % size), "rb") as file:
            judge(suite, "Californium asks: PUT of %d bytes" % size, got[0] == "2.01" and file.read() == body, got)
        got = client.ask("GET", "%s/file-%d" % (base, size))
        judge(suite, "Californium asks: GET of %d bytes" % size, (got[0], got[2]) == ("2.05", body), got[:2])


def client_observes(suite, client, base, resource, write):
    """States made by another client; then the end, in order or by the server."""
    name, url = "Californium observes %s" % resource, base + resource
    for end in ("cancelled", "deleted"):
        write("put", "state 0")
        client.say("observe", url)
        states = [client.notified()]
        for row in range(1, ROWS):
            write("put", "state %d" % row)
            states.append(client.notified())
        wanted = [b"state %d" % row for row in range(ROWS)]
        judge(suite, "%s: each state" % name, [state[2] for state in states] == wanted, states)
        good = all(OBSERVE in state[1] and OSCORE in state[1] for state in states)
        judge(suite, "%s: with Observe, protected" % name, good, states)
        if end == "cancelled":
            last = read(client.say("cancel"))
            good = last[0] == "2.05" and last[2] == wanted[-1] and OBSERVE not in last[1]
            judge(suite, "%s: cancelled, and told the last state" % name, good, last)
        write("delete")
        if end == "deleted":
            last = client.notified(SOON_SECONDS)
            judge(suite, "%s: deleted, and told so" % name, last[0] == "4.04", last)
    judge(suite, "%s: and no more" % name, client.notifications.empty())


def client_is_refused(suite, client, pairs, base):
    def told(name, wanted, text, *words):
        code, options, payload = client.ask("GET", base + "/hello", *words)
        good = code == wanted and OSCORE not in options and payload == text
        judge(suite, "nacre: %s is %s, in clear" % (name, wanted), good, (code, options, payload))

    client.use("refused", pairs["refused"], base)
    hello(suite, "before the refusals", client, base)
    client.say("seq", "refused", "0")
    told("a number once more", "4.01", b"Replay detected")
    client.say("seq", "refused", "100")
    hello(suite, "after a leap of numbers", client, base)
    client.say("seq", "refused", "68")
    told("a number left of the window", "4.01", b"Replay detected")
    client.say("seq", "refused", "69")
    hello(suite, "the window's left edge", client, base)
    client.say("seq", "refused", str(1 << 24))
    hello(suite, "a Partial IV of four bytes", client, base)
    client.use("other", pairs["wrong key"], base)
    told("a wrong key", "4.00", b"Decryption failed")
    client.use("other", pairs["unknown kid"], base)
    told("an unknown kid", "4.01", b"Security context not found")
    client.use("other", pairs["unknown ID Context"], base)
    told("an unknown ID Context", "4.01", b"Security context not found")
    code, options, _ = client.ask("GET", base + "/hello", "plain")
    judge(suite, "nacre: a request in clear is 4.01", code == "4.01" and OSCORE not in options, (code, options))


def killed(suite, client, pairs, command, server):
    """RFC 8613 B.1.2: the window was lost. Californium does not follow an Echo challenge by itself, but its application can."""
    suite.stop(server, signal.SIGKILL)
    server, address = suite.start(command, "listening ")
    client.use("main", pairs["main"], address)
    client.say("seq", "main", "5000")
    code, options, _ = client.ask("GET", address + "/hello")
    good = code == "4.01" and OSCORE in options and len(options.get(ECHO, [])) == 1
    if judge(suite, "nacre, window lost: a protected 4.01 with Echo", good, (code, options)):
        word = "option=%d:%s" % (ECHO, options[ECHO][0].hex())
        hello(suite, "window lost, with the Echo value", client, address, word)
        hello(suite, "afterwards without", client, address)
        client.say("seq", "main", "5000")
        got = client.ask("GET", address + "/hello")
        good = (got[0], got[2]) == ("4.01", b"Replay detected")
        judge(suite, "nacre, window lost: what came before is a replay", good, got)
    return server


def californium_asks(suite):
    pairs = varied_pairs(suite, False)
    pairs["an ID Context that is not sent"] = Pair(suite, False, id_context="51", more=",silent=yes")
    varied = list(pairs)
    for name in ("main", "writer", "refused", "wrong key"):
        pairs[name] = Pair(suite, False)
    command = [suite.nacre, "serve", "--bind", "127.0.0.1:0", "--writable", "--demo", "--root", suite.path("root")]
    root = command[-1]
    os.mkdir(root)
    pairs["wrong key"].change_secret()
    for pair in pairs.values():
        command += ["--context", pair.ours]
    pairs["unknown kid"] = Pair(suite, False)
    pairs["unknown ID Context"] = Pair(suite, False, asker=pairs["main"].asker, id_context="37cb")
    server, direct = suite.start(command, "listening ")
    relayed = Relayed(suite, direct.removeprefix("coap://"))
    client = Client(suite)
    for name in varied:
        client.use("varied", pairs[name], relayed.base)
        hello(suite, name, client, relayed.base)
    client.use("main", pairs["main"], relayed.base, direct)
    client_methods(suite, client, relayed.base)
    client_kinds(suite, client, relayed.base)
    client_bodies(suite, client, relayed.base, root)
    writer = Client(suite)
    writer.use("writer", pairs["writer"], direct)

    def write(method, text=""):
        writer.ask(method.upper(), direct + "/store", *(["payload=" + text.encode().hex()] if text else []))

    client_observes(suite, client, relayed.base, "/store", write)
    writer.end()
    relayed.end("Californium asks")
    client_is_refused(suite, client, pairs, direct)
    server = killed(suite, client, pairs, command, server)
    client.end()
    suite.stop(server)


# ---- Fresh contexts (RFC 8613 B.2)


SECRET, ASKER, ASKED = "000102030405060708090a0b0c0d0e0f", "c1", "5e"


def nacre_renews(suite):
    """Three times: it forgets its context after each second request."""
    words = "secret=%s,sender=%s,recipient=%s,renew=yes" % (SECRET, ASKED, ASKER)
    server, address = start_server(suite, [words])
    relayed = Relayed(suite, address)
    command = [suite.rederiving, "ask", relayed.base.removeprefix("coap://"), "hello"]
    command += [SECRET, ASKER, ASKED, "5"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STEP_SECONDS)
    wanted = [b"renewed", b"Hello World!", b"Hello World!"] * 2 + [b"renewed", b"Hello World!"]
    judge(suite, "nacre asks: fresh contexts by B.2", done.stdout.splitlines() == wanted, done)
    relayed.end("nacre asks by B.2", nonces=False)
    suite.stop(server)


def californium_renews(suite):
    command = [suite.rederiving, "serve", "127.0.0.1:0", SECRET, ASKED, ASKER]
    server, base = suite.start(command, "listening ")
    relayed = Relayed(suite, base.removeprefix("coap://"))
    client = Client(suite)
    words = "secret=%s,sender=%s,recipient=%s,renew=yes" % (SECRET, ASKER, ASKED)
    client.say("context", "renewing", words)
    client.say("use", "renewing", relayed.base)
    for turn in ("first", "second"):
        client.say("lost", relayed.base)
        for word in ("one", "two"):
            got = client.ask("POST", relayed.base + "/echo", "payload=" + word.encode().hex())
            good = got[0] == "2.05" and got[2] == word.encode() and OSCORE in got[1]
            judge(suite, "Californium asks: B.2, the %s time, request %s" % (turn, word), good, got)
    client.ask("POST", relayed.base + "/echo", "payload=" + b"forget".hex())
    code, options, _ = client.ask("POST", relayed.base + "/echo", "payload=00")
    good = code == "4.01" and OSCORE not in options
    judge(suite, "nacre: a fresh context that it has forgotten is 4.01", good, code)
    client.say("lost", relayed.base)
    code, options, payload = client.ask("POST", relayed.base + "/echo", "payload=" + b"again".hex())
    good = (code, payload) == ("2.05", b"again") and OSCORE in options
    judge(suite, "Californium asks: B.2 again", good, code)
    client.end()
    relayed.end("Californium asks by B.2", nonces=False, plain=1)
    suite.stop(server)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("californium: out of time"))
    suite = Suite(os.path.abspath(sys.argv[1]))
    suite.rederiving = os.path.join(os.path.abspath(sys.argv[1]), "tests", "rederiving")
    try:
        attempt(suite, nacre_asks)
        attempt(suite, californium_asks)
        attempt(suite, nacre_renews)
        attempt(suite, californium_renews)
    finally:
        suite.end()
        shutil.rmtree(suite.work, ignore_errors=True)
    print("%d passed, %d failed, 0 skipped" % (suite.passed, suite.failed))
    sys.exit(1 if suite.failed else 0)


if __name__ == "__main__":
    main()

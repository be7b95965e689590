# SPDX-License-Identifier: MIT
"""Californium's two programs as processes, and contexts shared by both implementations."""
import json
import os
import queue
import subprocess
import sys
import threading

from interop import STEP_SECONDS, STOP_SECONDS

JAVA = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m", "-cp"]

ALGORITHMS = {  # name: (COSE's number, longest ID)
    "AES-CCM-16-64-128": (10, 7), "AES-CCM-16-64-256": (11, 7), "AES-CCM-64-64-128": (12, 1), "AES-CCM-64-64-256": (13, 1),
    "AES-CCM-16-128-128": (30, 7), "AES-CCM-16-128-256": (31, 7), "AES-CCM-64-128-128": (32, 1), "AES-CCM-64-128-256": (33, 1),
    "A128GCM": (1, 6), "A192GCM": (2, 6), "A256GCM": (3, 6), "ChaCha20/Poly1305": (24, 6),
}  # fmt: skip


def pattern(size):
    """The body of that size in Californium's programs."""
    return bytes((i + i // 251) % 251 for i in range(size))


class Pair:
    """A fresh context: the directory `ours` for nacre's side, `words` for Californium's."""

    made = 0

    def __init__(self, suite, nacre_asks, asker=None, asked=None, alg="AES-CCM-16-64-128", id_context=None, hkdf=None,
                 more=""):  # fmt: skip
        Pair.made += 1
        one_byte = ALGORITHMS[alg][1] == 1
        self.asker = ("%02x" if one_byte else "c0%02x") % Pair.made if asker is None else asker
        asked = ("%02x" if one_byte else "5e%02x") % (Pair.made + 128) if asked is None else asked
        client, server = suite.path("client"), suite.path("server")
        command = [suite.nacre, "keygen", "--alg", alg, "--client-id", self.asker, "--server-id", asked, client, server]
        command += [] if id_context is None else ["--id-context", id_context]
        subprocess.run(command, check=True, timeout=STEP_SECONDS, stdout=subprocess.DEVNULL)
        self.ours, other = (client, server) if nacre_asks else (server, client)
        with open(os.path.join(other, "secret.json")) as secret, open(os.path.join(other, "settings.json")) as settings:
            said = {**json.load(secret), **json.load(settings)}
        names = {"secret": "secret_hex", "salt": "salt_hex", "sender": "sender-id_hex", "recipient": "recipient-id_hex"}
        words = ["alg=%d" % ALGORITHMS[alg][0]] + ["%s=%s" % (word, said[name]) for word, name in names.items()]
        self.words = ",".join(words)
        self.words += "" if id_context is None else ",id-context=" + id_context
        if hkdf == "sha512":
            self.change("settings.json", "kdf-hashfun", hkdf)
            self.words += ",hkdf=-11"
        self.words += more

    def change(self, file, name, value):
        path = os.path.join(self.ours, file)
        with open(path) as old:
            members = json.load(old)
        members[name] = value
        with open(path, "w") as new:
            json.dump(members, new)

    def change_secret(self):
        self.change("secret.json", "secret_hex", "00" * 16)


def class_path():
    return sys.argv[2]


def start_server(suite, contexts):
    return suite.start([*JAVA, class_path(), "Server", *contexts], "listening ")


class Client:
    """Takes commands, one at a time; notifications arrive at any time."""

    def __init__(self, suite):
        self.suite, self.answers, self.notifications = suite, queue.Queue(), queue.Queue()
        with open(suite.path("client.err"), "wb") as errors:
            self.process = subprocess.Popen(
                [*JAVA, class_path(), "Client"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        suite.processes.append(self.process)
        threading.Thread(target=self.listen, daemon=True).start()
        self.answers.get(timeout=STEP_SECONDS)

    def listen(self):
        for line in self.process.stdout:
            words = line.split()
            (self.notifications if words[0] == "notified" else self.answers).put(words)

    def say(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.answers.get(timeout=STEP_SECONDS)

    def use(self, name, pair, *bases):
        self.say("context", name, pair.words)
        for base in bases:
            self.say("use", name, base)

    def ask(self, method, url, *words):
        """(code, {number: [value, …]}, payload); (why, {}, b"") without a response."""
        return read(self.say("ask", method, url, *words))

    def notified(self, seconds=STEP_SECONDS):
        """As ask; "nothing" if none arrives."""
        try:
            return read(self.notifications.get(timeout=seconds))
        except queue.Empty:
            return "nothing", {}, b""

    def end(self):
        self.process.stdin.close()
        self.process.wait(STOP_SECONDS)
        self.suite.processes.remove(self.process)
        self.process.stdout.close()


def read(words):
    if len(words) != 4:  # a failure
        return " ".join(words), {}, b""
    options = {}
    for option in words[2].split(",") if words[2] != "-" else []:
        number, value = option.split(":")
        options.setdefault(int(number), []).append(bytes.fromhex(value))
    return words[1], options, b"" if words[3] == "-" else bytes.fromhex(words[3])

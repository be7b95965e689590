# SPDX-License-Identifier: MIT
"""One context directory, used by nacre and aiocoap in turn: each opens it after the other ended cleanly or was killed.

    directories.py BUILD_DIR

No network: messages go from one side's protect to the other side's unprotect. Each step is a separate process, so that
a killed one is really dead: aiocoap's steps are this program again, with --step. What must hold over all of them: no
number is used twice, nothing is accepted twice, and a fresh request is accepted once the window is known. run.sh starts
this with the Python that has aiocoap. One line for each check, and "N passed, M failed, K skipped" at the end."""
import gc
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

STEP_SECONDS = 30
PLAIN = "420100016162b161"  # GET /a, CON, MID 1, token 6162


# ---- aiocoap's steps, each in a separate process


def partial_iv(datagram):
    """The number in the OSCORE option of one of our short datagrams; None without one."""
    at, number = 4 + (datagram[0] & 15), 0
    while at < len(datagram) and datagram[at] != 0xFF:
        delta, length = datagram[at] >> 4, datagram[at] & 15
        number, at = number + delta, at + 1
        value = datagram[at : at + length]
        if number == 9:
            size = value[0] & 7 if value else 0
            return int.from_bytes(value[1 : 1 + size], "big") if size else None
        at += length
    return None


def aiocoap_step(action, directory, times, end):
    """Opens the directory and protects `times` requests, or unprotects the lines of standard input, or holds it until
    standard input ends; prints a line for each result. `end` is clean or kill."""
    import aiocoap
    from aiocoap import oscore

    context = oscore.FilesystemSecurityContext(directory)
    if action == "protect":
        for _ in range(times):
            message = aiocoap.Message(code=aiocoap.GET, uri_path=("a",))
            message.mtype, message.mid, message.token = aiocoap.CON, 1, b"ab"
            protected, _ = context.protect(message)
            protected.mtype, protected.mid, protected.token = aiocoap.CON, 1, b"ab"
            print(protected.encode().hex(), flush=True)
    elif action == "unprotect":
        for line in sys.stdin:
            message = aiocoap.Message.decode(bytes.fromhex(line.strip()))
            try:
                plain, _ = context.unprotect(message)
                print("accepted %s" % "/".join(plain.opt.uri_path), flush=True)
            except oscore.ReplayErrorWithEcho:
                print("echo", flush=True)
            except oscore.ReplayError:
                print("replay", flush=True)
    elif action == "hold":
        print("open", flush=True)
        sys.stdin.read()
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    del context
    gc.collect()


# ---- Both, as commands


class Suite:
    def __init__(self, build):
        self.nacre = os.path.join(build, "nacre")
        self.work = tempfile.mkdtemp(prefix="nacre-directories-")
        self.passed = self.failed = self.count = 0

    def check(self, name, good, why=""):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print("%s - %s" % ("ok" if good else "not ok", name), flush=True)
        if not good:
            for line in str(why).splitlines():
                print("    # %s" % line, flush=True)

    def path(self, name):
        self.count += 1
        return os.path.join(self.work, "%02d-%s" % (self.count, name))

    def run(self, *arguments, stdin="", check=True):
        done = subprocess.run(
            [self.nacre, *arguments], input=stdin, capture_output=True, text=True, timeout=STEP_SECONDS
        )
        if check and done.returncode != 0:
            raise RuntimeError("nacre %s: %s" % (" ".join(arguments), done.stderr))
        return done

    def aiocoap(self, action, directory, times=0, end="clean", stdin=""):
        command = [sys.executable, "-B", os.path.abspath(__file__), "--step", action, directory, str(times), end]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=STEP_SECONDS)
        expected = -signal.SIGKILL if end == "kill" else 0
        if done.returncode != expected:
            raise RuntimeError("aiocoap %s ended with %d: %s" % (action, done.returncode, done.stderr[-2000:]))
        return done.stdout.split("\n")[:-1]

    def serve(self, directory):
        """nacre with the directory open, until it is stopped; and its address."""
        process = subprocess.Popen(
            [self.nacre, "serve", "--bind", "[::1]:0", "--context", directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return process, process.stdout.readline().split("coap://", 1)[1].strip()


def ended(process, number):
    process.send_signal(number)
    process.wait(STEP_SECONDS)
    process.stdout.close()


def state(directory):
    with open(os.path.join(directory, "sequence.json")) as file:
        return json.load(file)


def pair(suite):
    client, server = suite.path("client"), suite.path("server")
    suite.run("keygen", client, server)
    return client, server


def protect(suite, who, directory, times, end="clean"):
    """The numbers, and the datagrams; nacre's commands always end cleanly, see killed_nacre."""
    if who == "aiocoap":
        made = suite.aiocoap("protect", directory, times, end)
    else:
        made = [suite.run("protect", "--context", directory, PLAIN).stdout.strip() for _ in range(times)]
    return [partial_iv(bytes.fromhex(line)) for line in made], made


def senders(suite):
    """The sending side: one after the other in one directory; no number is used twice, and none is skipped after a clean end."""
    for first, second in (("nacre", "aiocoap"), ("aiocoap", "nacre")):
        for end in ("clean", "kill"):
            client, _ = pair(suite)
            numbers = []
            for who in (first, second, first, second):
                numbers += protect(suite, who, client, 7, end)[0]
            if end == "clean":
                suite.check("%s, then %s: numbers go on without a gap" % (first, second), numbers == list(range(28)), numbers)
            else:
                rises = all(a < b for a, b in itertools.pairwise(numbers))
                suite.check("%s, then %s, aiocoap killed: no number twice" % (first, second), rises, numbers)


def receivers(suite):
    """The receiving side: each refuses what the other has accepted, and accepts the rest."""
    for first, second in (("nacre", "aiocoap"), ("aiocoap", "nacre")):
        client, server = pair(suite)
        requests = protect(suite, "nacre", client, 12)[1]
        accepted = unprotect(suite, first, server, requests[:8:2], "clean")
        suite.check("%s accepts" % first, accepted == ["accepted a"] * 4, accepted)
        again = unprotect(suite, second, server, requests[:8], "clean")
        wanted = ["replay", "accepted a"] * 4
        suite.check("%s after %s, clean: refuses what was accepted, takes the rest" % (second, first), again == wanted, again)
        last = unprotect(suite, first, server, requests[:9], "clean")
        suite.check("%s after that: refuses all of them" % first, last == ["replay"] * 8 + ["accepted a"], last)


def unprotect(suite, who, directory, requests, end):
    if who == "aiocoap":
        return suite.aiocoap("unprotect", directory, 0, end, "\n".join(requests) + "\n")
    found = []
    for request in requests:
        done = suite.run("unprotect", "--context", directory, request, check=False)
        text = done.stdout + done.stderr
        if done.returncode == 0 and done.stdout.strip() == PLAIN:
            found.append("accepted a")
        elif "Replay detected" in text:
            found.append("replay")
        elif "replay window is unknown" in text:
            found.append("echo")
        else:
            found.append(text)
    return found


def killed_aiocoap(suite):
    """aiocoap dies with the directory open: nacre continues with higher numbers and an unknown window."""
    client, server = pair(suite)
    requests = protect(suite, "nacre", client, 4)[1]
    accepted = unprotect(suite, "aiocoap", server, requests[:2], "kill")
    suite.check("aiocoap accepts, and is killed", accepted == ["accepted a"] * 2, accepted)
    suite.check("aiocoap killed: the window on disk is unknown", state(server)["received"] == "unknown", state(server))
    after = unprotect(suite, "nacre", server, requests, "clean")
    suite.check("nacre after it accepts nothing without Echo", after == ["echo"] * 4, after)


def killed_nacre(suite):
    """nacre dies with the directory open: aiocoap continues with higher numbers and an unknown window."""
    client, server = pair(suite)
    process, address = suite.serve(server)
    try:
        for _ in range(3):
            suite.run("get", "--context", client, "coap://%s/hello" % address)
    finally:
        ended(process, signal.SIGKILL)
    used = state(server)
    suite.check("nacre killed: the window on disk is unknown", used["received"] == "unknown", used)
    after = unprotect(suite, "aiocoap", server, protect(suite, "nacre", client, 2)[1], "clean")
    suite.check("aiocoap after it accepts nothing without Echo", after == ["echo"] * 2, after)
    numbers = protect(suite, "aiocoap", server, 1)[0]
    suite.check("aiocoap continues above the reserved numbers", numbers[0] >= used["next-to-send"], (numbers, used))
    numbers += protect(suite, "nacre", server, 1)[0]
    suite.check("and nacre above that", numbers[1] == numbers[0] + 1, numbers)


def layouts(suite):
    """Present aiocoap refuses the legacy layout, and reads the directory after a conversion."""
    client, _ = pair(suite)
    numbers = protect(suite, "nacre", client, 3)[0]
    suite.run("convert", "--to", "legacy", "--role", "client", client)
    try:
        suite.aiocoap("open", client)
        refused = "it was opened"
    except RuntimeError as error:
        refused = str(error)
    suite.check("aiocoap refuses the legacy layout", "Configuration key missing: sender-id" in refused, refused)
    done = suite.run("protect", "--role", "client", "--context", client, PLAIN)
    numbers.append(partial_iv(bytes.fromhex(done.stdout.strip())))
    suite.run("convert", "--to", "newest", "--role", "client", client)
    numbers += protect(suite, "aiocoap", client, 2)[0] + protect(suite, "nacre", client, 2)[0]
    suite.check("there and back, aiocoap and nacre go on in it", numbers == list(range(8)), numbers)


def members(suite):
    """aiocoap ignores nacre's additional members, and leaves the settings unchanged."""
    client, _ = pair(suite)
    with open(os.path.join(client, "settings.json")) as file:
        settings = file.read()
    protect(suite, "nacre", client, 1)
    born = "nacre" in state(client)
    protect(suite, "aiocoap", client, 1)
    with open(os.path.join(client, "settings.json")) as file:
        same = file.read() == settings and "sequence-required" in settings
    suite.check("aiocoap passes over sequence-required%s" % (" and born" if born else ""), same, settings)
    suite.check("aiocoap's own state names no file", "nacre" not in state(client), state(client))
    os.remove(os.path.join(client, "sequence.json"))
    done = suite.run("protect", "--context", client, PLAIN, check=False)
    suite.check("the state that aiocoap wrote is lost: refused", done.returncode == 5 and "is missing" in done.stderr, done)


def both_at_once(suite):
    """One owner: aiocoap's lock keeps nacre out, and nacre's aiocoap."""
    _, server = pair(suite)
    process, _ = suite.serve(server)
    try:
        suite.aiocoap("open", server)
        refused = "it was opened"
    except RuntimeError as error:
        refused = str(error)
    finally:
        ended(process, signal.SIGTERM)
    suite.check("aiocoap does not open what nacre has open", "Timeout" in refused, refused)
    holder = subprocess.Popen(
        [sys.executable, "-B", os.path.abspath(__file__), "--step", "hold", server, "0", "clean"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        is_open = holder.stdout.readline() == "open\n"
        done = suite.run("protect", "--context", server, PLAIN, check=False)
    finally:
        holder.stdin.close()
        holder.wait(STEP_SECONDS)
        holder.stdout.close()
    refused = is_open and done.returncode == 5 and "/lock: " in done.stderr
    suite.check("nacre does not open what aiocoap has open", refused, done)
    numbers = protect(suite, "nacre", server, 1)[0]
    suite.check("and opens it afterwards", numbers == [0], numbers)


def main():
    suite = Suite(os.path.abspath(sys.argv[1]))
    try:
        for scenario in (senders, receivers, killed_aiocoap, killed_nacre, layouts, members, both_at_once):
            try:
                scenario(suite)
            except Exception as error:
                suite.check("%s runs to its end" % scenario.__name__, False, error)
    finally:
        shutil.rmtree(suite.work, ignore_errors=True)
    print("%d passed, %d failed, 0 skipped" % (suite.passed, suite.failed))
    sys.exit(1 if suite.failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "--step":
        aiocoap_step(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        main()

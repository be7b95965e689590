# SPDX-License-Identifier: MIT
"""Large bodies between nacre and aiocoap over [::1]: 1 MiB up, down, and both at once, each as client and as server.

    block_wise.py BUILD_DIR

Lines and exit code as interop.py's. Both do inner block-wise transfer (RFC 8613 4.1.3.4.1) with their own choices of
Request-Tag, ETag, Size1 and block size."""
import asyncio
import gc
import os
import random
import subprocess
import sys

import aiocoap
from aiocoap import defaults

from interop import HERE, STEP_SECONDS, Pair, conduct, free_port

MIB = 1024 * 1024
SIZES = [1023, 1024, 1025, 2048, 5000, MIB]
LONG_SECONDS = 60


def body(size):
    return random.Random(size).randbytes(size)


def nacre_request(suite, pair, url, method, payload, *options):
    """The response to the command line client, by way of files."""
    sent, got = suite.path("sent"), suite.path("got")
    command = [suite.nacre, method, url, "--context", pair.client, "--output", got, *options]
    if payload is not None:
        with open(sent, "wb") as file:
            file.write(payload)
        command += ["--payload-file", sent]
    done = subprocess.run(command, capture_output=True, timeout=LONG_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        return None, done.stderr.decode(errors="replace")
    with open(got, "rb") as file:
        return file.read(), ""


def nacre_asks_aiocoap(suite):
    pair, port = Pair(suite), free_port()
    server = os.path.join(HERE, "aiocoap_server.py")
    process, base = suite.start([sys.executable, "-B", server, pair.server, str(port)], "listening ")
    for size in SIZES:
        payload = body(size)
        answer, why = nacre_request(suite, pair, base + "/store", "put", payload)
        suite.check("nacre puts %d bytes into aiocoap" % size, answer == b"", why)
        answer, why = nacre_request(suite, pair, base + "/store", "get", None)
        suite.check("nacre gets %d bytes from aiocoap" % size, answer == payload, why)
        answer, why = nacre_request(suite, pair, base + "/echo", "post", payload)
        suite.check("nacre posts %d bytes and gets them back" % size, answer == payload, why)
    payload = body(5000)
    for block_size in (16, 64, 256, 512):
        answer, why = nacre_request(suite, pair, base + "/echo", "post", payload, "--block-size", str(block_size))
        suite.check("nacre posts 5000 bytes in blocks of %d" % block_size, answer == payload, why)
    suite.stop(process)


async def ask(context, code, url, payload=b""):
    message = aiocoap.Message(code=code, uri=url, payload=payload)
    return await asyncio.wait_for(context.request(message).response, LONG_SECONDS)


async def aiocoap_requests(suite, pair, base, root):
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    context.client_credentials.load_from_dict({base + "/*": {"oscore": {"basedir": pair.client}}})
    try:
        for size in SIZES:
            payload = body(size)
            answer = await ask(context, aiocoap.PUT, base + "/store", payload)
            suite.check("aiocoap puts %d bytes into nacre" % size, answer.code.is_successful(), answer)
            answer = await ask(context, aiocoap.GET, base + "/store")
            suite.check("aiocoap gets %d bytes from nacre" % size, answer.payload == payload, answer.code)
            answer = await ask(context, aiocoap.POST, base + "/echo", payload)
            suite.check("aiocoap posts %d bytes and gets them back" % size, answer.payload == payload, answer.code)
        payload = body(MIB)
        with open(os.path.join(root, "file"), "wb") as file:
            file.write(payload)
        answer = await ask(context, aiocoap.GET, base + "/file")
        suite.check("aiocoap gets a file of 1 MiB", answer.payload == payload, answer.code)
        answer = await ask(context, aiocoap.PUT, base + "/new", payload)
        suite.check("aiocoap puts a file of 1 MiB", answer.code == aiocoap.CREATED, answer.code)
        with open(os.path.join(root, "new"), "rb") as file:
            suite.check("the file is what was put", file.read() == payload)
        answer = await ask(context, aiocoap.GET, base + "/.well-known/core")
        suite.check("aiocoap lists the resources", b"</hello>" in answer.payload, answer.payload)
    finally:
        await context.shutdown()


def aiocoap_asks_nacre(suite):
    pair, root = Pair(suite), suite.path("root")
    os.mkdir(root)
    command = [suite.nacre, "serve", "--bind", "[::1]:0", "--context", pair.server, "--root", root, "--writable", "--demo"]
    process, base = suite.start(command, "listening ")
    asyncio.run(aiocoap_requests(suite, pair, base, root))
    gc.collect()
    suite.stop(process)


def run(suite):
    for part in (nacre_asks_aiocoap, aiocoap_asks_nacre):
        try:
            part(suite)
        except Exception as error:
            suite.check(part.__name__, False, "%s: %s" % (type(error).__name__, error))


if __name__ == "__main__":
    if defaults.oscore_missing_modules():
        sys.exit("block_wise: OSCORE needs modules that are not there")
    conduct(run)

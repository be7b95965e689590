# SPDX-License-Identifier: MIT
"""The client of the public OSCORE interop tests, made with aiocoap.

    plugtest_client.py STATE_DIR coap://[::1]:PORT N ...

STATE_DIR holds context directories a and c. Prints a line of JSON for each test: {"test": N, "ok": true} or with "why"."""
import asyncio
import gc
import json
import sys

import aiocoap
from aiocoap import defaults, oscore
from aiocoap.numbers.codes import Code

STEP_SECONDS, CHANGE_SECONDS = 15, 8
GET, POST, PUT, DELETE = aiocoap.GET, aiocoap.POST, aiocoap.PUT, aiocoap.DELETE


class Failed(Exception):
    pass


def options_of(message):
    return sorted((int(o.number), o.encode()) for o in message.opt.option_list())


def compare(answer, code, options, payload):
    if answer.code != code:
        raise Failed("the code is %s" % answer.code)
    if options_of(answer) != sorted(options):
        raise Failed("the options are %s" % options_of(answer))
    if answer.payload != payload:
        raise Failed("the payload is %r" % answer.payload)


TEXT, HELLO = (12, b""), b"Hello World!"


class Client:
    def __init__(self, context, state, base):
        self.context, self.base = context, base
        self.contexts = {x: oscore.FilesystemSecurityContext("%s/%s" % (state, x)) for x in "ac"}

    def start(self, which, code, path, payload=b"", **options):
        """The request with that context, or plain when `which` is None."""
        credentials = self.context.client_credentials
        credentials.clear()
        if which is not None:
            credentials[self.base + "/*"] = self.contexts[which]
        message = aiocoap.Message(code=code, uri=self.base + path, payload=payload, **options)
        return self.context.request(message)

    async def ask(self, *args, **options):
        return await asyncio.wait_for(self.start(*args, **options).response, STEP_SECONDS)

    async def refused(self, which, code, path, expected, text):
        try:
            answer = await self.ask(which, code, path)
        except oscore.NotAProtectedMessage as error:
            answer = error.plain_message
            if answer.code != expected or answer.payload not in (b"", text):
                raise Failed("refused with %s %r" % (answer.code, answer.payload))
            return
        raise Failed("answered %s, protected" % answer.code)

    async def simple(self, which, method, path, expected, **options):
        compare(await self.ask(which, method, path, **options), *expected)

    async def observe(self, path, terminates):
        request = self.start("a", GET, path, observe=0)
        answer = await asyncio.wait_for(request.response, STEP_SECONDS)
        if answer.opt.observe is None or answer.payload != b"one":
            raise Failed("the first answer is %s %r" % (answer.code, answer.payload))
        notifications = request.observation.__aiter__()
        following = await asyncio.wait_for(notifications.__anext__(), CHANGE_SECONDS)
        if following.payload != b"two" or following.opt.observe is None:
            raise Failed("the second answer is %s %r" % (following.code, following.payload))
        if not terminates:
            request.observation.cancel()
            return
        last = await asyncio.wait_for(notifications.__anext__(), CHANGE_SECONDS)
        if last.code != Code.INTERNAL_SERVER_ERROR or last.opt.observe is not None:
            raise Failed("the third answer is %s %r" % (last.code, last.payload))

    async def with_wrong(self, attribute, value, run):
        context = self.contexts["a"]
        right = getattr(context, attribute)
        setattr(context, attribute, value(right))
        try:
            return await run
        finally:
            setattr(context, attribute, right)

    async def wrong_recipient_key(self):
        try:
            answer = await self.ask("a", GET, "/oscore/hello/1")
        except oscore.ProtectionInvalid:
            return
        raise Failed("answered %s, and it was taken" % answer.code)

    async def replay(self):
        for _ in range(2):
            await self.simple("a", GET, "/oscore/hello/1", (Code.CONTENT, [TEXT], HELLO))
        self.contexts["a"].sender_sequence_number -= 1
        await self.refused("a", GET, "/oscore/hello/1", Code.UNAUTHORIZED, b"Replay detected")

    async def unaware(self):
        try:
            answer = await self.ask("a", GET, "/oscore/hello/coap")
        except oscore.NotAProtectedMessage as error:
            if error.plain_message.code == Code.BAD_OPTION:
                return
            answer = error.plain_message
        raise Failed("answered %s" % answer.code)

    def test(self, number):
        def turned(key):
            return bytes(255 - x for x in key)

        one = "/oscore/hello/1"
        hello = (Code.CONTENT, [TEXT], HELLO)
        seven = {"content_format": 0}
        return {
            0: lambda: self.simple(None, GET, "/oscore/hello/coap", hello),
            1: lambda: self.simple("a", GET, one, hello),
            2: lambda: self.simple("c", GET, one, hello),
            3: lambda: self.simple("a", GET, "/oscore/hello/2?first=1", (Code.CONTENT, [TEXT, (4, b"\x2b")], HELLO)),
            4: lambda: self.simple("a", GET, "/oscore/hello/3", (Code.CONTENT, [TEXT, (14, b"\x05")], HELLO), accept=0),
            5: lambda: self.simple("a", GET, one, hello, observe=0),
            6: lambda: self.observe("/oscore/observe1", True),
            7: lambda: self.observe("/oscore/observe2", False),
            8: lambda: self.simple(
                "a", POST, "/oscore/hello/6", (Code.CHANGED, [TEXT], b"\x4a"), payload=b"\x4a", content_format=0
            ),
            9: lambda: self.simple(
                "a", PUT, "/oscore/hello/7", (Code.CHANGED, [], b""), payload=b"\x7a", if_match=[b"\x7b"], **seven
            ),
            10: lambda: self.simple(
                "a", PUT, "/oscore/hello/7", (Code.PRECONDITION_FAILED, [], b""), payload=b"\x8a",
                if_none_match=True, **seven,
            ),
            11: lambda: self.simple("a", DELETE, "/oscore/test", (Code.DELETED, [], b"")),
            12: lambda: self.with_wrong(
                "sender_id", lambda _: b"spam",
                self.refused("a", GET, one, Code.UNAUTHORIZED, b"Security context not found"),
            ),
            13: lambda: self.with_wrong(
                "sender_key", turned, self.refused("a", GET, one, Code.BAD_REQUEST, b"Decryption failed")
            ),
            14: lambda: self.with_wrong("recipient_key", turned, self.wrong_recipient_key()),
            15: self.replay,
            16: self.unaware,
            17: lambda: self.simple(None, GET, one, (Code.UNAUTHORIZED, [], b"")),
        }[number]()  # fmt: skip


async def run(state, base, numbers):
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    client = Client(context, state, base)
    try:
        for number in numbers:
            said = {"test": number, "ok": True}
            try:
                await client.test(number)
            except Exception as error:
                said = {"test": number, "ok": False, "why": "%s: %s" % (type(error).__name__, error)}
            print(json.dumps(said), flush=True)
    finally:
        await context.shutdown()


if __name__ == "__main__":
    if defaults.oscore_missing_modules():
        sys.exit("plugtest_client: OSCORE needs modules that are not there")
    asyncio.run(run(sys.argv[1], sys.argv[2], [int(n) for n in sys.argv[3:]]))
    gc.collect()  # a context directory is written back when its object goes

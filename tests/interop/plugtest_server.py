# SPDX-License-Identifier: MIT
"""The server of the public OSCORE interop tests, made with aiocoap.

    plugtest_server.py STATE_DIR PORT [unaware]

STATE_DIR holds context directories b and d. Prints "listening coap://[::1]:PORT" when it is ready; SIGTERM ends it
cleanly."""
import asyncio
import gc
import signal
import sys

import aiocoap
from aiocoap import defaults, resource
from aiocoap.credentials import CredentialsMap
from aiocoap.numbers.codes import Code
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

CHANGE_SECONDS = 2


class Hello(resource.Resource):
    def __init__(self, etag=None, max_age=None):
        super().__init__()
        self.etag, self.max_age = etag, max_age

    async def render_get(self, request):
        answer = aiocoap.Message(payload=b"Hello World!", content_format=0)
        if self.etag is not None:
            answer.opt.etag = self.etag
        if self.max_age is not None:
            answer.opt.max_age = self.max_age
        return answer


class Hello6(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(
            code=aiocoap.CHANGED, payload=request.payload, content_format=request.opt.content_format
        )


class Hello7(resource.Resource):
    async def render_put(self, request):
        matches = not request.opt.if_match or b"\x7b" in request.opt.if_match
        refused = request.opt.if_none_match or not matches
        return aiocoap.Message(code=Code.PRECONDITION_FAILED if refused else aiocoap.CHANGED)


class Test(resource.Resource):
    async def render_delete(self, request):
        return aiocoap.Message(code=aiocoap.DELETED)


class Observed(resource.Resource, aiocoap.interfaces.ObservableResource):
    """ "one", then "two", and, if it terminates, a final error."""

    def __init__(self, terminates):
        super().__init__()
        self.terminates, self.state = terminates, b"one"

    async def render_get(self, request):
        return aiocoap.Message(payload=self.state, content_format=0)

    async def add_observation(self, request, observation):
        loop = asyncio.get_running_loop()
        self.state = b"one"

        def change():
            self.state = b"two"
            observation.trigger()

        def terminate():
            error = aiocoap.Message(code=Code.INTERNAL_SERVER_ERROR, payload=b"Terminate Observe")
            observation.trigger(error, is_last=True)

        timers = [loop.call_later(CHANGE_SECONDS, change)]
        if self.terminates:
            timers.append(loop.call_later(2 * CHANGE_SECONDS, terminate))
        observation.accept(lambda: [timer.cancel() for timer in timers])


def make_site():
    site = resource.Site()
    for path, what in {
        "hello/coap": Hello(), "hello/1": Hello(), "hello/2": Hello(etag=b"\x2b"), "hello/3": Hello(max_age=5),
        "hello/6": Hello6(), "hello/7": Hello7(), "test": Test(),
        "observe1": Observed(True), "observe2": Observed(False),
    }.items():  # fmt: skip
        site.add_resource(["oscore", *path.split("/")], what)
    return site


async def serve(state, port, unaware):
    site, credentials = make_site(), CredentialsMap()
    if not unaware:
        credentials.load_from_dict({":" + x: {"oscore": {"basedir": "%s/%s" % (state, x)}} for x in "bd"})
        site = OscoreSiteWrapper(site, credentials)
    context = await aiocoap.Context.create_server_context(
        site, bind=("::1", port), server_credentials=credentials, transports=["udp6"]
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("listening coap://[::1]:%d" % port, flush=True)
    await stop.wait()
    await context.shutdown()


if __name__ == "__main__":
    if defaults.oscore_missing_modules():
        sys.exit("plugtest_server: OSCORE needs modules that are not there")
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["unaware"]))
    gc.collect()  # a context directory is written back when its object goes

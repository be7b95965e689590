# SPDX-License-Identifier: MIT
"""An OSCORE server made with aiocoap, with the resources that `nacre serve` has too: /hello, /store, /echo.

    aiocoap_server.py CONTEXT_DIR PORT [tcp]

Prints "listening coap://[::1]:PORT", or coap+tcp, when it is ready. SIGTERM ends it cleanly: the final state is written
to the directory."""
import asyncio
import gc
import signal
import sys

import aiocoap
from aiocoap import defaults, resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper


class Hello(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"Hello World!", content_format=0)


class Store(resource.Resource):
    def __init__(self):
        super().__init__()
        self.value = b""

    async def render_get(self, request):
        return aiocoap.Message(payload=self.value)

    async def render_put(self, request):
        self.value = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


class Echo(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)


async def serve(directory, port, tcp):
    site = resource.Site()
    site.add_resource(["hello"], Hello())
    site.add_resource(["store"], Store())
    site.add_resource(["echo"], Echo())
    credentials = CredentialsMap()
    credentials.load_from_dict({":client": {"oscore": {"basedir": directory}}})
    context = await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, credentials),
        bind=("::1", port),
        server_credentials=credentials,
        transports=["tcpserver"] if tcp else ["udp6"],
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("listening coap%s://[::1]:%d" % ("+tcp" if tcp else "", port), flush=True)
    await stop.wait()
    await context.shutdown()


if __name__ == "__main__":
    if defaults.oscore_missing_modules():
        sys.exit("aiocoap_server: OSCORE needs modules that are not there")
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["tcp"]))
    gc.collect()  # a context directory is written back when its object goes

# SPDX-License-Identifier: MIT
"""aiocoap's forward proxy, over UDP only.

    aiocoap_proxy.py PORT

Prints "listening coap://[::1]:PORT" when it is ready."""
import asyncio
import signal
import sys

import aiocoap
from aiocoap.proxy.server import ForwardProxyWithPooledObservations


async def serve(port):
    outgoing = await aiocoap.Context.create_client_context(transports=["udp6"])
    context = await aiocoap.Context.create_server_context(
        ForwardProxyWithPooledObservations(outgoing), bind=("::1", port), transports=["udp6"]
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("listening coap://[::1]:%d" % port, flush=True)
    await stop.wait()
    await context.shutdown()
    await outgoing.shutdown()


asyncio.run(serve(int(sys.argv[1])))

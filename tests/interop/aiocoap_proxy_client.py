# SPDX-License-Identifier: MIT
"""One request by aiocoap through a forward proxy, protected end to end.

    aiocoap_proxy_client.py PROXY CONTEXT_DIR METHOD URI [PAYLOAD]

Prints the payload of the response; exit 1 unless it is a success."""
import asyncio
import gc
import sys

import aiocoap
from aiocoap import defaults, oscore
from aiocoap.util import hostportsplit

STEP_SECONDS = 15


async def run(proxy, directory, method, uri, payload):
    """aiocoap's transport for OSCORE goes to the host of the URI, so that the message is protected by hand here."""
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    security = oscore.FilesystemSecurityContext(directory)
    message = aiocoap.Message(code=getattr(aiocoap, method.upper()), uri=uri, payload=payload)
    host, port = hostportsplit(message.remote.hostinfo)
    try:
        outer, identity = security.protect(message)
        outer.opt.uri_host, outer.opt.uri_port, outer.opt.proxy_scheme = host, port, "coap"
        outer.unresolved_remote = proxy
        answer = await asyncio.wait_for(context.request(outer).response, STEP_SECONDS)
        plain, _ = security.unprotect(answer, identity)
        sys.stdout.buffer.write(plain.payload)
        return 0 if plain.code.is_successful() else 1
    finally:
        await context.shutdown()


if __name__ == "__main__":
    if defaults.oscore_missing_modules():
        sys.exit("aiocoap_proxy_client: OSCORE needs modules that are not there")
    proxy, directory, method, uri, *rest = sys.argv[1:]
    code = asyncio.run(run(proxy, directory, method, uri, "".join(rest).encode()))
    gc.collect()  # a context directory is written back when its object goes
    sys.exit(code)

# SPDX-License-Identifier: MIT
"""An OSCORE client made with aiocoap: sends requests one after the other and prints each response as a line of JSON.

    aiocoap_client.py CONTEXT_DIR coap://[::1]:PORT GET:/hello PUT:/store:payload ...

A base of coap+tcp:// goes over TCP.

A step is METHOD:PATH[:PAYLOAD]. A line is {"code": "2.05", "payload": HEX} or {"error": "..."}; exit 1 after an error.
The process ends cleanly, so that aiocoap writes the final state back into the directory."""
import asyncio
import gc
import json
import sys

import aiocoap
from aiocoap import defaults

STEP_SECONDS = 15


async def run(directory, base, steps):
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6", "tcpclient"])
    context.client_credentials.load_from_dict({base + "/*": {"oscore": {"basedir": directory}}})
    try:
        for step in steps:
            method, path, payload = (step.split(":", 2) + [""])[:3]
            message = aiocoap.Message(
                code=getattr(aiocoap, method), uri=base + path, payload=payload.encode()
            )
            answer = await asyncio.wait_for(context.request(message).response, STEP_SECONDS)
            print(json.dumps({"code": answer.code.dotted, "payload": answer.payload.hex()}), flush=True)
    finally:
        await context.shutdown()


def main():
    missing = defaults.oscore_missing_modules()
    if missing:
        # Without them aiocoap sends unprotected, without a warning.
        sys.exit("aiocoap_client: OSCORE needs modules that are not there: %s" % ", ".join(missing))
    directory, base, *steps = sys.argv[1:]
    try:
        asyncio.run(run(directory, base, steps))
    except Exception as error:
        print(json.dumps({"error": "%s: %s" % (type(error).__name__, error)}), flush=True)
        sys.exit(1)
    finally:
        gc.collect()  # a context directory is written back when its object goes


if __name__ == "__main__":
    main()

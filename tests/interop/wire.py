# SPDX-License-Identifier: MIT
"""The relay's log, decoded far enough to check it (RFC 7252 3, RFC 8613 6.1).

Independent of both implementations, so that neither checks itself."""
from collections import namedtuple

OSCORE, URI_PATH, URI_QUERY = 9, 11, 15

Message = namedtuple("Message", "outgoing type code mid token options payload raw")


def _extended(data, at, nibble):
    if nibble < 13:
        return nibble, at
    if nibble == 13:
        return data[at] + 13, at + 1
    if nibble == 14:
        return int.from_bytes(data[at : at + 2], "big") + 269, at + 2
    raise ValueError("reserved nibble in an option header")


def decode(data, outgoing=True):
    """A datagram as a Message; `options` is a list of (number, value). ValueError if it is not CoAP."""
    if len(data) < 4 or data[0] >> 6 != 1 or data[0] & 15 > 8:
        raise ValueError("not a CoAP header: %s" % data.hex())
    token_end = 4 + (data[0] & 15)
    options, number, at, payload = [], 0, token_end, b""
    while at < len(data):
        if data[at] == 0xFF:
            payload = data[at + 1 :]
            break
        delta, length = data[at] >> 4, data[at] & 15
        delta, at = _extended(data, at + 1, delta)
        length, at = _extended(data, at, length)
        number += delta
        if at + length > len(data):
            raise ValueError("an option runs past the end: %s" % data.hex())
        options.append((number, data[at : at + length]))
        at += length
    mid = int.from_bytes(data[2:4], "big")
    return Message(outgoing, data[0] >> 4 & 3, data[1], mid, data[4:token_end], options, payload, data)


def read_log(path):
    """All messages of a relay's log, in order. The last line is skipped if it is incomplete."""
    with open(path) as log:
        lines = [line for line in log.read().splitlines(True) if line.endswith("\n")]
    return [decode(bytes.fromhex(line[2:]), line[0] == ">") for line in lines]


def is_request(message):
    return 0 < message.code < 32


def is_answer(message):
    return message.code >= 64


def values(message, number):
    return [value for n, value in message.options if n == number]


def partial_iv_and_kid(message):
    """(Partial IV as a number or None, kid or None) of a message's OSCORE option."""
    (value,) = values(message, OSCORE)
    if not value:
        return None, None
    flags, at = value[0], 1
    partial_iv = value[at : at + (flags & 7)]
    at += flags & 7
    if flags & 0x10:
        at += 1 + value[at]
    return (
        int.from_bytes(partial_iv, "big") if partial_iv else None,
        value[at:] if flags & 8 else None,
    )


def complaints(messages, secrets):
    """The errors in these messages of protected exchanges; an empty list without any.
    `secrets` are byte strings that must not be readable anywhere."""
    found = []
    for message in messages:
        arrow = ">" if message.outgoing else "<"
        where = "%s %s" % (arrow, message.raw.hex())
        if (is_request(message) or is_answer(message)) and len(values(message, OSCORE)) != 1:
            found.append("without option 9: " + where)
        if values(message, URI_PATH) or values(message, URI_QUERY):
            found.append("path or query in clear: " + where)
        for secret in secrets:
            if secret in message.raw:
                found.append("%r in clear: %s" % (secret, where))
    return found


def reused_nonces(messages):
    """Pairs of (kid, Partial IV) that protect more than one request. Retransmissions are the same datagram."""
    seen, found = {}, []
    for message in messages:
        if is_request(message) and values(message, OSCORE):
            partial_iv, kid = partial_iv_and_kid(message)
            first = seen.setdefault((kid, partial_iv), message.raw)
            if first != message.raw:
                found.append("kid %s, Partial IV %s" % (kid and kid.hex(), partial_iv))
    return found

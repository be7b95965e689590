/* SPDX-License-Identifier: MIT */
/* message: the parts of the message codec that protect and unprotect use too. */
#ifndef NACRE_COAP_MESSAGE_H
#define NACRE_COAP_MESSAGE_H

#include <nacre/coap.h>

/* Where the options that start at `at` end: at a payload marker or at `end`; NULL when they are not well-formed. */
const uint8_t *nacre__options_end(const uint8_t *at, const uint8_t *end);

/* Splits options and payload; false when not well-formed. `body.ptr` is never NULL. */
bool nacre__body_parse(nacre_bytes body, nacre_bytes *options, nacre_bytes *payload);

/* The header of `m` in UDP framing, token included, with another code. */
bool nacre__header_ok(const nacre_message *m);
size_t nacre__header_size(const nacre_message *m);
uint8_t *nacre__header_write(uint8_t *out, const nacre_message *m, uint8_t code);

/* Whether bytes lie, in part or whole, in a room. */
static inline bool nacre__overlaps(nacre_bytes b, nacre_room room)
{
    uintptr_t start = (uintptr_t)b.ptr, room_start = (uintptr_t)room.ptr;
    return b.len > 0 && start < room_start + room.cap && room_start < start + b.len;
}

#endif

/* SPDX-License-Identifier: MIT */
/* parts: what the files of EDHOC share: one step of a session, and the small encodings of its messages. */
#ifndef NACRE_EDHOC_PARTS_H
#define NACRE_EDHOC_PARTS_H

#include <nacre/edhoc.h>
#include "base/cbor_read.h"

/* States; all zero is a session that has ended. */
enum {
    NACRE__EDHOC_ENDED = 0,
    NACRE__EDHOC_WAIT_1,
    NACRE__EDHOC_WAIT_2,
    NACRE__EDHOC_WAIT_3,
    NACRE__EDHOC_WAIT_4,
    NACRE__EDHOC_COMPLETED
};

/* Room for one hash or shared secret. */
enum { NACRE__EDHOC_MAX_HASH = NACRE_MAX_COORDINATE, NACRE__EDHOC_MAX_HEAD = 3 };

/* A message of the peer is refused: the session's business, not the caller's. */
static inline nacre_err nacre__edhoc_refuse(nacre_edhoc_fault *fault, nacre_edhoc_fault reason)
{
    *fault = reason;
    return NACRE_ERR_PROTECTION_INVALID;
}

static inline size_t nacre__edhoc_hash_len(const nacre_edhoc *s)
{
    return nacre_hash_len((nacre_hash)s->suite->hash);
}

static inline size_t nacre__edhoc_head_len(size_t len)
{
    return len < 24 ? 1 : len < 256 ? 2 : 3;
}

/* The head of a byte string of `len` bytes, below 65536, in `buf`. */
static inline nacre_bytes nacre__edhoc_head(uint8_t buf[NACRE__EDHOC_MAX_HEAD], size_t len)
{
    return nacre_bytes_of(buf, (size_t)(nacre__cbor_head(buf, NACRE__CBOR_BYTES, (unsigned)len) - buf));
}

static inline uint8_t *nacre__edhoc_put(uint8_t *to, nacre_bytes bytes)
{
    if (bytes.len > 0) memcpy(to, bytes.ptr, bytes.len);
    return to + bytes.len;
}

/* RFC 9528 3.3, 3.3.2: byte strings that are the encoding of a one-byte integer are sent as that integer. */
static inline bool nacre__edhoc_is_short(nacre_bytes id)
{
    return id.len == 1 && (id.ptr[0] & 0xdfu) < 24;
}

static inline size_t nacre__edhoc_id_len(nacre_bytes id)
{
    return nacre__edhoc_is_short(id) ? 1 : nacre__edhoc_head_len(id.len) + id.len;
}

static inline uint8_t *nacre__edhoc_put_id(uint8_t *to, nacre_bytes id)
{
    if (!nacre__edhoc_is_short(id)) to = nacre__cbor_head(to, NACRE__CBOR_BYTES, (unsigned)id.len);
    return nacre__edhoc_put(to, id);
}

/* Reads such an identifier; `long_form` is the fault if it is not in its short form. */
nacre_edhoc_fault nacre__edhoc_read_id(nacre__reader *r, nacre_bytes *id, nacre_edhoc_fault long_form);

/* A message that is one byte string (RFC 9528 5.3.1, 5.4.1, 5.5.1). */
nacre_edhoc_fault nacre__edhoc_read_only_string(nacre_bytes in, nacre_bytes *content);

/* Whether a string of bytes is a sequence of EAD items, also of none. */
bool nacre__edhoc_is_ead(nacre_bytes ead);
/* Gives the items of a message to the application; false if a critical one is not understood. */
bool nacre__edhoc_read_ead(const nacre_edhoc_config *config, unsigned message, nacre_bytes ead);

/* The identity for a method and suite; NULL if there is none. */
const nacre_edhoc_identity *nacre__edhoc_identity(const nacre_edhoc_config *config, nacre_edhoc_role role,
                                                  unsigned method, const nacre_edhoc_suite *suite);

/* Whether an endpoint in that role authenticates with a static Diffie-Hellman key (RFC 9528 3.2). */
static inline bool nacre__edhoc_is_static(nacre_edhoc_role role, unsigned method)
{
    return role == NACRE_EDHOC_INITIATOR ? method >= 2 : (method & 1) != 0;
}

#endif

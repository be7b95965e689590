/* SPDX-License-Identifier: MIT */
/* parts: what the files of EDHOC share: the states of a session, and the small encodings of its messages. */
#ifndef NACRE_EDHOC_PARTS_H
#define NACRE_EDHOC_PARTS_H

/* NACRE_EDHOC_SMALL, for devices: method 3 only, credentials by kid only, and errors without text. */

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

size_t nacre__edhoc_head_len(size_t len);

/* The head of a byte string of `len` bytes, below 65536, in `buf`. */
nacre_bytes nacre__edhoc_head(uint8_t buf[NACRE__EDHOC_MAX_HEAD], size_t len);

/* Writers give the end of what they wrote. */
uint8_t *nacre__edhoc_put(uint8_t *to, nacre_bytes bytes);
uint8_t *nacre__edhoc_put_head(uint8_t *to, unsigned major, size_t value); /* below 65536 */
uint8_t *nacre__edhoc_put_int(uint8_t *to, int value);                     /* above -65536 */

/* RFC 9528 3.3, 3.3.2: byte strings that are the encoding of a one-byte integer are sent as that integer. */
bool nacre__edhoc_is_short(nacre_bytes id);

size_t nacre__edhoc_id_len(nacre_bytes id);

uint8_t *nacre__edhoc_put_id(uint8_t *to, nacre_bytes id);

/* Reads such an identifier; `long_form` is the fault if it is not in its short form. */
nacre_edhoc_fault nacre__edhoc_read_id(nacre__reader *r, nacre_bytes *id, nacre_edhoc_fault long_form);

/* A message that is one byte string (RFC 9528 5.3.1, 5.4.1, 5.5.1). */
nacre_edhoc_fault nacre__edhoc_read_only_string(nacre_bytes in, nacre_bytes *content);

/* Whether a string of bytes is a sequence of EAD items, also of none. */
bool nacre__edhoc_is_ead(nacre_bytes ead);
/* Gives the items of a message to the application; false if a critical one is not understood. */
bool nacre__edhoc_read_ead(const nacre_edhoc_config *config, unsigned message, nacre_bytes ead);

#endif

/* SPDX-License-Identifier: MIT */
/* roles: what an Initiator and a Responder do with each message. Returns as nacre_edhoc_receive, and
 * NACRE_ERR_PROTECTION_INVALID for a message that is refused, with the reason in `fault`; `s` is unchanged then too. */
#ifndef NACRE_EDHOC_ROLES_H
#define NACRE_EDHOC_ROLES_H

#include "edhoc/parts.h"

/* A call of nacre_edhoc_receive. `next` is what is sent, with its number; `is_likely_forged`: a message that was refused before
 * anything of it was authenticated, in a state where that costs a session (RFC 9528 9.7). */
typedef struct nacre__edhoc_call {
    nacre_buf buf;
    nacre_bytes in;
    nacre_bytes next;
    uint8_t next_number;
    bool is_likely_forged;
    nacre_edhoc_fault fault;
} nacre__edhoc_call;

nacre_err nacre__edhoc_receive_1(nacre_edhoc *s, nacre__edhoc_call *call);
nacre_err nacre__edhoc_receive_2(nacre_edhoc *s, nacre__edhoc_call *call);
nacre_err nacre__edhoc_receive_3(nacre_edhoc *s, nacre__edhoc_call *call);
nacre_err nacre__edhoc_receive_4(nacre_edhoc *s, nacre__edhoc_call *call);

/* The longest identifier that OSCORE takes with the suite (RFC 8613 3.3). */
static inline size_t nacre__edhoc_max_id(const nacre_edhoc_suite *suite)
{
    return (size_t)nacre_aead_by_number(suite->app_aead)->nonce_len - 6;
}

/* Whether an identifier of this endpoint fits every suite of its configuration. */
static inline bool nacre__edhoc_id_fits(const nacre_edhoc_config *config, nacre_bytes id)
{
    for (size_t i = 0; i < config->num_suites; i++)
        if (id.len > nacre__edhoc_max_id(nacre_edhoc_suite_by_number(config->suites[i]))) return false;
    return !nacre_is_absent(id);
}

/* What refuses a public key of the peer. */
static inline nacre_err nacre__edhoc_refuse_key(nacre_edhoc_fault *fault, nacre_err err, const nacre_edhoc_suite *suite)
{
    if (err != NACRE_ERR_BAD_PUBLIC_KEY) return err;
    return nacre__edhoc_refuse(fault,
                               suite->curve == NACRE_X25519 ? NACRE_EDHOC_FAULT_LOW_ORDER : NACRE_EDHOC_FAULT_KEY);
}

/* The session has what it needs of its ephemeral key. */
static inline void nacre__edhoc_end_ephemeral(nacre_edhoc *s)
{
    const nacre_pk *pk = s->config->pk;
    if (pk->ops->discard != NULL && s->ephemeral.len == 0 && s->ephemeral.handle != 0)
        pk->ops->discard(pk, &s->ephemeral);
    nacre_wipe(&s->ephemeral, sizeof s->ephemeral);
}

#endif

/* SPDX-License-Identifier: MIT */
/* rederiving_steps: single steps of RFC 8613 B.2 between two parties, and ordinary exchanges around it. */
#ifndef NACRE_TESTS_REDERIVING_STEPS_H
#define NACRE_TESTS_REDERIVING_STEPS_H

#include "rederiving.h"
#include "oscore/unprotect.h"

/* Kid contexts encoded with their length: R2, and R2 | R3. */
enum { RESPONSE_1_FIELD = 1 + NACRE_REDERIVE_R2, REQUEST_2_FIELD = 2 + NACRE_REDERIVE_R2 + NACRE_REDERIVE_NONCE };

/* The decoded OSCORE option of a protected datagram. */
static inline nacre_oscore_option option_of(const datagram *d)
{
    nacre_oscore_option option;
    const nacre_message m = datagram_message(d);
    assert_int_equal(nacre_verify_start(&option, &m), NACRE_OK);
    return option;
}

/* The same message under another MID: a copy that deduplication does not recognise. */
static inline datagram under_another_mid(const datagram *d)
{
    datagram copy = *d;
    copy.bytes[2] ^= 0x55;
    return copy;
}

static inline void serve(rederiving_pair *p, const char *text)
{
    const nacre_event request = expect_event(&p->server, NACRE_EVENT_REQUEST);
    assert_ptr_equal(request.context, nacre_rederivation_context(&p->theirs.rederivation));
    respond_text(&p->server, request.exchange, text);
}

static inline void expect_response(rederiving_pair *p, const char *text)
{
    const nacre_event response = expect_event(&p->client, NACRE_EVENT_RESPONSE);
    assert_ptr_equal(response.context, nacre_rederivation_context(&p->ours.rederivation));
    assert_payload(response.message, text);
}

/* A request under the context in use carries its ID Context unchanged. */
static inline void expect_named(const datagram *d, const rederiving *r)
{
    assert_true(nacre_bytes_equal(option_of(d).kid_context,
                                  nacre_context_id_context(nacre_rederivation_context(&r->rederivation))));
}

/* An exchange under the context in use. */
static inline void ordinary_exchange(rederiving_pair *p, const char *text, uint64_t now)
{
    (void)request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
    datagram d = next_of(&p->client, now);
    expect_named(&d, &p->ours);
    party_give(&p->server, &p->client, &d, now);
    serve(p, text);
    d = next_of(&p->server, now);
    party_give(&p->client, &p->server, &d, now);
    expect_response(p, text);
    expect_quiet(&p->client, now);
    expect_quiet(&p->server, now);
}

#endif

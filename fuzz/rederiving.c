/* SPDX-License-Identifier: MIT */
/* rederiving: see rederiving.h. */
#include "rederiving.h"

static void make_rederivation(nacre_rederivation *r, const nacre_crypto *crypto, bool is_other)
{
    static const uint8_t secret[16] = { 9, 8, 7 }, ids[2][1] = { { 'q' }, { 'r' } };
    size_t size, align;
    memset(r, 0, sizeof *r);
    r->material.master_secret.bytes = NACRE_ARRAY(secret);
    r->material.sender_id = NACRE_ARRAY(ids[is_other]);
    r->material.recipient_id = NACRE_ARRAY(ids[!is_other]);
    CHECK(nacre_context_key_layout(crypto, 0, &size, &align) == NACRE_OK);
    r->derived.key_buf = (nacre_buf){ fuzz_alloc(size), size };
    r->spare.key_buf = (nacre_buf){ fuzz_alloc(size), size };
    r->is_client = r->is_server = true;
    r->user = r;
}

void rederiving_begin(rederiving *r, nacre_endpoint *ours, const nacre_crypto *crypto, nacre_random random,
                      size_t max_message)
{
    make_rederivation(&r->ours, crypto, false);
    make_rederivation(&r->theirs, crypto, true);
    const nacre_endpoint_config config = { .max_message = max_message,
                                           .num_client_exchanges = 2,
                                           .num_server_exchanges = 4,
                                           .burst = 2,
                                           .num_transmissions = 2,
                                           .congestion.nstart = UINT16_MAX,
                                           .crypto = *crypto,
                                           .random = random };
    const size_t size = nacre_endpoint_size(&config);
    CHECK(nacre_endpoint_init(&r->other, fuzz_alloc(size), size, &config) == NACRE_OK);
    CHECK(nacre_endpoint_add_rederivation(ours, &r->ours) == NACRE_OK);
    CHECK(nacre_endpoint_add_rederivation(r->other, &r->theirs) == NACRE_OK);
}

void rederiving_end(rederiving *r)
{
    CHECK(r->ours.endpoint == NULL && nacre_rederivation_context(&r->ours) == NULL);
    nacre_endpoint_wipe(r->other);
    CHECK(r->theirs.endpoint == NULL);
}

/* bits of `how`: 1 no response; 2 deferred for ever; 4 an error */
static void respond(rederiving *r, nacre_exchange exchange, uint8_t how)
{
    const nacre_message m = { .code = how & 4 ? NACRE_NOT_FOUND : NACRE_CONTENT, .payload = NACRE_STR("hello") };
    if (how & 1) nacre_endpoint_ignore(r->other, exchange);
    else if ((how & 2) && nacre_endpoint_defer_response(r->other, exchange) == NACRE_OK) return;
    else CHECK(nacre_endpoint_respond(r->other, exchange, &m) == NACRE_OK);
}

static void pull(rederiving *r, uint8_t how)
{
    for (nacre_event e; nacre_endpoint_next_event(r->other, &e);) {
        if (e.kind == NACRE_EVENT_REQUEST) respond(r, e.exchange, how);
        if (e.kind == NACRE_EVENT_REDERIVED) CHECK(e.context == nacre_rederivation_context(&r->theirs));
        CHECK(e.kind != NACRE_EVENT_PERSIST); /* these contexts are never persistent */
    }
}

void rederiving_hears(rederiving *r, const nacre_address *us, nacre_bytes datagram, fuzz_input *in, uint64_t now)
{
    const nacre_datagram d = { .peer = *us, .bytes = fuzz_copy(datagram) };
    nacre_endpoint_expire(r->other, now);
    pull(r, 0);
    CHECK(nacre_endpoint_receive_many(r->other, &d, 1, now) == 1);
    pull(r, fuzz_u8(in));
}

void rederiving_requests(rederiving *r, const nacre_address *us, fuzz_input *in)
{
    const uint8_t kind = fuzz_u8(in);
    nacre_message m = { .type = kind & 1 ? NACRE_NON : NACRE_CON, .code = kind & 2 ? NACRE_PUT : NACRE_GET };
    nacre_options o;
    nacre_exchange exchange;
    nacre_options_init(&o, fuzz_buf(20));
    if (kind & 4) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("a"));
    CHECK(nacre_options_finish(&o, &m.options) == NACRE_OK);
    const nacre_request_options how = { .rederivation = &r->theirs };
    const nacre_err err = nacre_endpoint_request_with(r->other, &exchange, us, NULL, &m, &how, NULL);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BUSY);
}

bool rederiving_says(rederiving *r, nacre_address *us, nacre_bytes *datagram, uint64_t now)
{
    nacre_outgoing out = { .buf = fuzz_buf(nacre_endpoint_get_config(r->other)->max_message) };
    nacre_endpoint_expire(r->other, now);
    const size_t num = nacre_endpoint_transmit_many(r->other, &out, 1, now);
    pull(r, 0);
    if (num == 0) return false;
    *us = out.peer;
    *datagram = out.bytes;
    return true;
}

void rederiving_loses(rederiving *r, uint8_t how)
{
    if (how & 1) {
        nacre_endpoint_rederive(r->other, &r->theirs);
    } else {
        nacre_endpoint_remove_rederivation(r->other, &r->theirs);
        CHECK(nacre_endpoint_add_rederivation(r->other, &r->theirs) == NACRE_OK);
    }
    pull(r, 0);
}

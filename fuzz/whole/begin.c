/* SPDX-License-Identifier: MIT */
/* begin: the world at the start of an input. */
#include "world.h"

whole_world w;
uint8_t whole_big[BIG];

static void make_context(nacre_context *ctx, const nacre_crypto *crypto, bool is_peer, bool persistent)
{
    static const uint8_t secret[16] = { 1, 2, 3 }, ids[2][1] = { { 'e' }, { 'p' } };
    const nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                          .sender_id = NACRE_ARRAY(ids[is_peer]),
                                          .recipient_id = NACRE_ARRAY(ids[!is_peer]),
                                          .persistent = persistent,
                                          .never_used = true,
                                          .first_chunk = persistent ? 2 : 0,
                                          .max_chunk = persistent ? 4 : 0,
                                          .echo = NACRE_ARRAY(fuzz_echo) };
    size_t size, align;
    CHECK(nacre_context_key_layout(crypto, 0, &size, &align) == NACRE_OK);
    CHECK(align <= _Alignof(max_align_t));
    CHECK(nacre_context_init(ctx, crypto, &params, (nacre_buf){ fuzz_alloc(size), size }) == NACRE_OK);
}

/* Bits of `flags`: 1 a transfer; 2 a site on it; 4 a store; 8 an unknown window; 16 NSTART of 1, and two observers
 * each; 32 no limit for unvalidated addresses; 64 observations are not registered again; 128 a peer for B.2, or with 8
 * OSCORE is passed through unopened */
void whole_begin(uint8_t flags)
{
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < BIG; i++) whole_big[i] = (uint8_t)(i * 7);
    w.crypto = nonces_begin();
    make_context(&w.ctx, &w.crypto, false, flags & 4);
    make_context(&w.peer, fuzz_crypto(), true, false);
    if (flags & 8) CHECK(nacre_context_set_replay(&w.ctx, false, 0, NULL, 0) == NACRE_OK);
    CHECK(nacre_table_init(&w.table, w.slots, 4) == NACRE_OK);
    CHECK(nacre_table_add(&w.table, &w.ctx) == NACRE_OK);
    nacre_endpoint_config config = nacre_endpoint_config_default();
    config.max_message = MAX_MESSAGE;
    config.num_client_exchanges = NUM_REQUESTS;
    config.num_server_exchanges = NUM_RESPONSES;
    config.num_transmissions = NUM_TRANSMISSIONS;
    config.burst = 2;
    config.observe.num_observers = NUM_OBSERVERS;
    if (flags & 16) config.observe.observers_per_peer = 2;
    config.observe.observer_bytes = 80;
    config.observe.reregister = !(flags & 64);
    config.admission.num_peers = 2;
    config.admission.amplification_limit = !(flags & 32);
    config.congestion.nstart = flags & 16 ? 1 : UINT16_MAX;
    config.opaque_oscore = (flags & 128) && (flags & 8);
    config.contexts = &w.table;
    config.crypto = w.crypto;
    config.random = (nacre_random){ whole_random, NULL };
    size_t size = nacre_endpoint_size(&config);
    CHECK(size > 0);
    CHECK(nacre_endpoint_init(&w.ep, fuzz_alloc(size), size, &config) == NACRE_OK);
    w.rederives = (flags & 128) && !(flags & 8);
    if (w.rederives) rederiving_begin(&w.rederiving, w.ep, &w.crypto, config.random, MAX_MESSAGE);
    if (!(flags & 3)) return;
    const nacre_transfer_config transfer = {
        .endpoint = w.ep, .bodies.num_bodies = NUM_BODIES, .bodies.bodies_per_peer = 2, .bodies.max_body = 600
    };
    size = nacre_transfer_size(&transfer);
    CHECK(nacre_transfer_init(&w.transfer, fuzz_alloc(size), size, &transfer) == NACRE_OK);
    nacre_transfer_on_upload(w.transfer, whole_on_upload, NULL);
    if (flags & 2) whole_make_site();
}

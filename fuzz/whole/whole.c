/* SPDX-License-Identifier: MIT */
/* whole: an endpoint, bare, with a transfer, or with a transfer and a site. The input is a program of steps for its
 * application, network, store and clock. The honest peer has the other end of the context, so that its messages, chosen
 * by the input too, are authenticated; other peers send anything. What must hold:
 *
 *   - each exchange of the endpoint ends in one event, and nothing comes after it; so does each observer, and each
 *     upload;
 *   - no key and nonce are used twice (the provider is wrapped and records them), those of B.2 included;
 *   - after expire, no deadline is in the past;
 *   - at the end, every pool entry is free. */
#include "whole.h"
#include "world.h"

static void step(whole_role role)
{
    static const uint8_t sides[2][16] = {
        { 0, 1, 1, 1, 1, 2, 3, 5, 5, 5, 6, 10, 11, 12, 13, 14 },
        { 0, 7, 7, 7, 8, 2, 3, 4, 4, 4, 4, 10, 11, 9, 13, 14 },
    };
    const uint8_t which = fuzz_u8(w.in);
    if (w.rederives && which & 16) {
        whole_rederivation_step();
        return;
    }
    switch (sides[role][which & 15]) {
    case 0: whole_anything_arrives(); break;
    case 1: whole_peer_requests(); break;
    case 2: whole_peer_repeats(); break;
    case 3: whole_peer_settles(); break;
    case 4: whole_peer_responds(); break;
    case 5: whole_we_respond(); break;
    case 6: whole_resource_changes(); break;
    case 7: whole_we_request(); break;
    case 8: whole_we_leave(); break;
    case 9: whole_ping_or_lose(); break;
    case 10: whole_transmit(1U + (fuzz_u8(w.in) & 3)); break;
    case 11: whole_pass_time(); break;
    case 12: w.policy = fuzz_u8(w.in); break;
    case 13: whole_serve_store(fuzz_u8(w.in)); break;
    default: nonces_break(fuzz_u8(w.in) & 3); whole_context_goes();
    }
}

void whole_run(const uint8_t *data, size_t size, whole_role role)
{
    fuzz_input in = { data, data + size };
    whole_begin(fuzz_u8(&in));
    w.in = &in;
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++) step(role);
    in.at = in.end;
    whole_end();
    nacre_transfer_wipe(w.transfer);
    nacre_endpoint_wipe(w.ep);
    if (w.rederives) rederiving_end(&w.rederiving);
    if (!w.removed) nacre_context_wipe(&w.ctx);
    nacre_context_wipe(&w.peer);
    nonces_end();
    fuzz_release();
}

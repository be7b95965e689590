/* SPDX-License-Identifier: MIT */
/* rederivation_steps: steps of both sides of RFC 8613 B.2. */
#include "world.h"

static void other_hears(void)
{
    const uint8_t which = fuzz_u8(w.in);
    if (w.num_sent == 0) return;
    const size_t at = which & 128 ? w.num_sent - 1 : which % w.num_sent;
    nacre_address us = whole_address(w.sent_to[at]);
    us.bytes[0] = 'u';
    rederiving_hears(&w.rederiving, &us, w.sent[at], w.in, w.now);
}

/* Bit 1 of `how`: its datagrams are held back and may arrive later. */
static void other_says(uint8_t how)
{
    nacre_address us;
    nacre_bytes datagram;
    for (int i = 0; i < 3 && rederiving_says(&w.rederiving, &us, &datagram, w.now); i++)
        whole_peer_sends(us.bytes[1], datagram, !(how & 1));
}

static void renew_or_forget(uint8_t how)
{
    if (how & 1) {
        nacre_endpoint_rederive(w.ep, &w.rederiving.ours);
    } else {
        if (w.transfer != NULL) nacre_transfer_remove_rederivation(w.transfer, &w.rederiving.ours);
        else nacre_endpoint_remove_rederivation(w.ep, &w.rederiving.ours);
        CHECK(nacre_endpoint_add_rederivation(w.ep, &w.rederiving.ours) == NACRE_OK);
    }
    whole_pull();
}

void whole_rederivation_step(void)
{
    const uint8_t what = fuzz_u8(w.in);
    nacre_address us = whole_address(what >> 4);
    us.bytes[0] = 'u';
    switch (what & 15) {
    case 0: renew_or_forget(what >> 4); break;
    case 1: rederiving_loses(&w.rederiving, what >> 4); break;
    case 2:
    case 3: rederiving_requests(&w.rederiving, &us, w.in); break;
    case 4:
    case 5:
    case 6:
    case 7: other_hears(); break;
    case 8:
    case 9: other_says(what >> 4); break;
    default: /* one round trip */
        whole_transmit(SIZE_MAX);
        other_hears();
        other_says(what >> 4);
    }
}

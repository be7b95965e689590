/* SPDX-License-Identifier: MIT */
/* time: the store, the end of the context, and the clock. */
#include "world.h"

void whole_serve_store(uint8_t how)
{
    if (w.removed) return;
    const nacre_needs needs = nacre_context_needs(&w.ctx);
    const bool fails = how & 1;
    if (!fails && needs.reserve != 0) nacre_context_confirm_reserved(&w.ctx, needs.reserve);
    if (!fails && needs.window_lost) nacre_context_confirm_window_lost(&w.ctx);
    nacre_endpoint_confirmed(w.ep, &w.ctx, fails ? NACRE_ERR_FILE : NACRE_OK);
    whole_pull();
}

void whole_context_goes(void)
{
    if (w.removed || fuzz_u8(w.in) != 'g') return;
    nacre_table_remove(&w.table, &w.ctx);
    if (w.transfer != NULL) nacre_transfer_remove_context(w.transfer, &w.ctx);
    else nacre_endpoint_remove_context(w.ep, &w.ctx);
    nacre_context_wipe(&w.ctx);
    w.removed = true;
    whole_pull();
}

uint64_t whole_deadline(void)
{
    return w.transfer != NULL ? nacre_transfer_deadline(w.transfer) : nacre_endpoint_deadline(w.ep);
}

void whole_expire(uint64_t now)
{
    w.now = now;
    if (w.transfer != NULL) nacre_transfer_expire(w.transfer, w.now);
    else nacre_endpoint_expire(w.ep, w.now);
    whole_pull();
}

void whole_pass_time(void)
{
    const uint8_t how = fuzz_u8(w.in);
    const uint64_t due = whole_deadline();
    if (how == 0 && due != UINT64_MAX && due > w.now) whole_expire(due);
    else whole_expire(w.now + (uint64_t)how * how * 8);
    for (int i = 0; i < 8 && whole_deadline() <= w.now; i++)
        whole_transmit(SIZE_MAX); /* events may cause transmissions */
    whole_transmit(SIZE_MAX);
    CHECK(whole_deadline() > w.now);
}

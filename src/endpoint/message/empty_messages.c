/* SPDX-License-Identifier: MIT */
#include "endpoint/message/empty_messages.h"

void nacre__empty_messages_lay_out(nacre__empty_messages *e, nacre__pool_layout *layout, uint32_t max)
{
    e->max = max;
    e->all = nacre__lay_out(layout, max, sizeof *e->all);
}

void nacre__send_empty(nacre__empty_messages *e, const nacre_address *peer, uint8_t type, uint16_t mid)
{
    if (e->num == e->max) {
        nacre__count_dropped(e->core, NACRE_DROPPED_EMPTY);
        return;
    }
    e->all[(e->first + e->num++) % e->max] = (nacre__empty_message){ .peer = *peer, .mid = mid, .type = type };
}

bool nacre__empty_messages_next(nacre__empty_messages *e, nacre_outgoing *out)
{
    if (e->num == 0) return false;
    const nacre__empty_message *next = &e->all[e->first];
    const nacre_message message = { .type = next->type, .code = NACRE_EMPTY, .mid = next->mid };
    if (nacre_message_write(&message, &out->bytes, out->buf) != NACRE_OK) return false;
    out->peer = next->peer;
    e->first = (e->first + 1) % e->max;
    e->num--;
    return true;
}

/* SPDX-License-Identifier: MIT */
/* counters: what an endpoint counts by reason, error or code. */
#include "endpoint/core/core.h"

void nacre__count_dropped(nacre__core *core, nacre_dropped why)
{
    NACRE__COUNT(core, dropped);
    NACRE__COUNT_AT(core, dropped_for, why);
}

static nacre_refused refused(nacre_err err)
{
    switch (err) {
#define CASE(name, text)                                                                                               \
    case NACRE_ERR_##name: return NACRE_REFUSED_##name;
        NACRE_REFUSED_MAP(CASE)
#undef CASE
    default: return NACRE_REFUSED_OTHER;
    }
}

void nacre__count_refused(nacre__core *core, nacre_err err)
{
    NACRE__COUNT_AT(core, refused, refused(err));
}

void nacre__count_responded(nacre__core *core, uint8_t code)
{
    if (code < NACRE_STATS_CODES) NACRE__COUNT_AT(core, responded, code);
}

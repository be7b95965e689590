/* SPDX-License-Identifier: MIT */
/* client_away: an observation survives its server's absence.
 *
 *     registered --- a registration fails or gets no response; the connection is lost ---> waiting
 *     waiting --- the pause has passed ---> registering again --- the same failures ---> waiting, with twice the pause
 *     registering again --- a notification ---> registered
 *
 * In a protected observation, messages that do not verify count as no response: an unprotected error, as from a server that
 * has not reopened its contexts, or a RST. All that an attacker can trigger by forging these, an ICMP error or the end of a
 * connection is another registration. */
#include "io/client/client_internal.h"
#include "io/loop_internal.h"

enum { LAST_PAUSE_MS = 60000 };

static void tell_away(nacre__call *call)
{
    nacre_detail why = { { 0 } };
    if (call->observing->on_away == NULL) return;
    (void)nacre__call_explain(call, call->result, &why);
    call->observing->on_away(call->observing->user, why.text);
}

/* Half of the pause is random, so that the observers of a server do not register at the same time. */
static uint64_t pause_ms(uint32_t first_ms, uint32_t attempts)
{
    const nacre_random random = nacre_entropy();
    const uint64_t doubled = (uint64_t)first_ms << (attempts < 6 ? attempts : 6);
    const uint64_t pause = doubled < LAST_PAUSE_MS ? doubled : LAST_PAUSE_MS;
    uint16_t part;
    random.fill(random.self, (uint8_t *)&part, sizeof part);
    return pause / 2 + part % (pause / 2 + 1);
}

/* Whether the result means that the server is away, as far as can be known. */
static bool is_absence(const nacre__call *call)
{
    switch (call->result) {
    case NACRE_ERR_UNREACHABLE:
    case NACRE_ERR_TIMEOUT: return true;
    case NACRE_ERR_UNAUTHENTICATED:
    case NACRE_ERR_NOT_PROTECTED:
    case NACRE_ERR_PROTECTION_INVALID:
    case NACRE_ERR_RESET:
    case NACRE_ERR_OVERSIZED: return call->to.ctx != NULL;
    default: return false;
    }
}

bool nacre__call_away(nacre__call *call)
{
    if (call->stage != NACRE__OBSERVING || !is_absence(call)) return false;
    if (call->attempts == 0) tell_away(call);
    if (call->stage != NACRE__OBSERVING) return false; /* on_away has deregistered it */
    call->again_ms = nacre_clock_ms() + pause_ms(call->client->first_pause_ms, call->attempts);
    call->attempts++;
    call->exchange.number = 0;
    call->done = false;
    nacre__call_forget_body(call);
    return true;
}

void nacre__call_try_again(nacre__call *call)
{
    if (call->again_ms == 0 || nacre_clock_ms() < call->again_ms) return;
    call->again_ms = 0;
    nacre__tcp_watch_peer(call->client->tcp, &call->watch, &call->to.peer); /* forgets the end of the last connection */
    const nacre_err err = nacre_transfer_request(nacre_loop_transfer(call->client->loop), &call->exchange,
                                                 &call->to.peer, call->to.ctx, &call->plain, &call->how, call);
    if (err == NACRE_OK) return;
    call->done = true;
    call->result = err;
}

void nacre__call_back(nacre__call *call)
{
    if (call->attempts == 0) return;
    call->attempts = 0;
    if (call->observing->on_away != NULL) call->observing->on_away(call->observing->user, NULL);
}

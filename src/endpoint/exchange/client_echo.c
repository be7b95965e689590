/* SPDX-License-Identifier: MIT */
/* client_echo: Echo values kept from responses and added to requests (RFC 9175 2.3). */
#include "endpoint/exchange/client_exchange.h"

static bool is_kept_for(const nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                        const nacre_context *context)
{
    return !exchange->is_ping && (context != NULL || !(exchange->via_proxy || x->core->config.opaque_oscore));
}

/* Keeps the Echo of a response accepted at the exchange's level of protection. */
void nacre__client_exchange_keep_echo(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                      const nacre_message *response)
{
    if (is_kept_for(x, exchange, exchange->context))
        nacre__echo_keep(x->kept_echos, &exchange->peer, exchange->context, response->options);
}

/* Keeps the outer Echo of a verified response to a protected request, or that of an unprotected response to it. */
void nacre__client_exchange_keep_outer_echo(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                            const nacre_message *outer)
{
    if (is_kept_for(x, exchange, NULL)) nacre__echo_keep(x->kept_echos, &exchange->peer, NULL, outer->options);
}

/* Before the request is written: adds the Echo value kept for it, unless it has one or there is no space. */
void nacre__client_exchange_bring_echo(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    nacre_message plain;
    if (!is_kept_for(x, exchange, exchange->context) || exchange->repeated) return;
    nacre__kept_echo *kept = nacre__kept_echo_find(x->kept_echos, &exchange->peer, exchange->context);
    if (kept == NULL) return;
    if (nacre_message_parse(&plain, nacre_bytes_of(exchange->plain, exchange->plain_len)) == NACRE_OK &&
        !nacre__has_option(plain.options, NACRE_OPT_ECHO) &&
        nacre__client_exchange_set_option(x, exchange, NACRE_OPT_ECHO, nacre_bytes_of(kept->value, kept->len)) !=
            NACRE_OK)
        return; /* a shorter request may have space */
    kept->len = 0;
}

/* Adds the value to the outer options of `datagram`, at the start of `buf` (class U: the AAD has none of them). */
static nacre_err add_outside(nacre__client_exchanges *x, nacre_bytes *datagram, nacre_buf buf, nacre_bytes echo)
{
    nacre_message m;
    memcpy(x->core->scratch, datagram->ptr, datagram->len);
    nacre_err err = nacre_message_parse(&m, nacre_bytes_of(x->core->scratch, datagram->len));
    if (err == NACRE_OK) err = nacre__echo_add(x->core, &m, echo);
    if (err == NACRE_OK && nacre_message_size(&m) > buf.cap) err = NACRE_ERR_BUFFER_TOO_SMALL;
    return err == NACRE_OK ? nacre_message_write(&m, datagram, buf) : err;
}

/* After the protected request is written: adds the unprotected Echo value kept for its address outside, if there is space. */
void nacre__client_exchange_bring_outer_echo(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                             nacre_bytes *datagram, nacre_buf buf)
{
    if (!is_kept_for(x, exchange, NULL)) return;
    nacre__kept_echo *kept = nacre__kept_echo_find(x->kept_echos, &exchange->peer, NULL);
    if (kept != NULL && add_outside(x, datagram, buf, nacre_bytes_of(kept->value, kept->len)) == NACRE_OK)
        kept->len = 0;
}

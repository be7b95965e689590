/* SPDX-License-Identifier: MIT */
/* observe_client: requests sent with Observe 0, and their notifications (RFC 7641 3, RFC 8613 4.1.3.5). */
#ifndef NACRE_ENDPOINT_OBSERVE_OBSERVE_CLIENT_H
#define NACRE_ENDPOINT_OBSERVE_OBSERVE_CLIENT_H

#include "endpoint/exchange/client_exchange.h"

enum { NACRE__CHALLENGE_MS = 30000 }; /* minimum between registrations of one observation caused by Echo challenges */

void nacre__observation_init(nacre__client_exchange *exchange, const nacre_message *plain);
size_t nacre__observation_extra(const nacre_message *plain);
const nacre_request_id *nacre__observation_id(const nacre__client_exchange *exchange, const nacre__received *received);
void nacre__observation_sent(nacre__client_exchange *exchange);
void nacre__observation_plain(nacre__client_exchange *exchange);
void nacre__observations_challenged(nacre__client_exchanges *x, const nacre__client_exchange *challenged,
                                    uint64_t now_ms);
bool nacre__observation_ignores(const nacre__client_exchange *exchange, const nacre__received *received);
bool nacre__observation_survives(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                 const nacre__received *received, uint64_t now_ms);
bool nacre__observation_takes(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                              const nacre__received *received, const nacre_message *response, uint64_t now_ms);
void nacre__observation_renew(nacre__client_exchanges *x, nacre__client_exchange *exchange);
nacre_err nacre__observation_leave(nacre__client_exchanges *x, nacre__client_exchange *exchange);
bool nacre__observation_next_note(nacre__client_exchanges *x, nacre_event *event);

#endif

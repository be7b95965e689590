/* SPDX-License-Identifier: MIT */
/* offer: the R2 of a server of RFC 8613 B.2, recognised without being stored. */
#ifndef NACRE_OSCORE_OFFER_H
#define NACRE_OSCORE_OFFER_H

#include <nacre/rederive.h>

/* NACRE_OK: `r2` is set. NACRE_ERR_BAD_ARGUMENT: the server is not initialised. Others: as the provider's hmac. */
nacre_err nacre__offer_make(const nacre_rederive_server *server, const nacre_crypto *crypto,
                            uint8_t r2[NACRE_REDERIVE_R2], const uint8_t s2[NACRE_REDERIVE_S2], uint64_t now_ms);

/* NACRE_OK: made by this server in this generation, and not expired. NACRE_ERR_NO_CONTEXT: otherwise. Others: as the
 * provider's hmac. */
nacre_err nacre__offer_check(const nacre_rederive_server *server, const nacre_crypto *crypto,
                             const uint8_t r2[NACRE_REDERIVE_R2], uint64_t now_ms);

/* Whether request #2 with that option names a valid offer. */
bool nacre__offer_is_named(const nacre_rederive_server *server, const nacre_crypto *crypto,
                           const nacre_oscore_option *option, uint64_t now_ms);

/* ---- The two responses, with any R2 (rederive.c) ---- */

/* Verifies request #1 and makes response #1, which names `r2`. As nacre_rederive_offer_r2. */
nacre_err nacre__rederive_response_1(nacre_rederived *spare, nacre_bytes *out, nacre_buf buf,
                                     const nacre_rederive_request_1 *request, nacre_bytes r2);

/* Verifies request #2, whose kid context is `r2_r3`, and puts context 3 into `derived`. As nacre_rederive_accept. */
nacre_err nacre__rederive_take_2(nacre_rederived *derived, nacre_rederived *spare, nacre_request_id *id,
                                 nacre_message *plain, nacre_buf buf, const nacre_rederive_request_2 *request,
                                 nacre_bytes r2_r3);

#endif

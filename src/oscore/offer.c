/* SPDX-License-Identifier: MIT */
/* offer: see offer.h. The R2 of RFC 8613 B.2 that needs no memory:
 *
 *     R2 = step (1 byte) | S2 (7 bytes, random) | MAC (8 bytes)
 *     MAC = HMAC-SHA-256(key, generation | step in full | S2), its first 8 bytes
 *
 * A step is 1/256 of the lifetime, so the low byte of its number gives the age of an offer. R1 is not in the MAC:
 * request #2 does not carry it, and context 2, whose ID Context is R2 | R1, already binds both. */
#include "oscore/offer.h"
#include <string.h>

enum { STEPS = 256, AT_S2 = 1, AT_MAC = AT_S2 + NACRE_REDERIVE_S2, MAC_LEN = NACRE_REDERIVE_R2 - AT_MAC };

static uint64_t step_ms(const nacre_rederive_server *server)
{
    return server->lifetime_ms / STEPS + 1;
}

static void put_uint64(uint8_t *at, uint64_t value)
{
    for (size_t i = 0; i < 8; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static nacre_err mac_of(const nacre_rederive_server *server, const nacre_crypto *crypto, const uint8_t *s2,
                        uint64_t step, uint8_t mac[NACRE_MAX_HASH])
{
    uint8_t head[16];
    put_uint64(head, server->generation);
    put_uint64(head + 8, step);
    const nacre_bytes parts[] = { NACRE_ARRAY(head), { s2, NACRE_REDERIVE_S2 } };
    return crypto->ops->hmac(crypto, NACRE_SHA256, NACRE_ARRAY(server->key), parts, 2, mac);
}

nacre_err nacre__offer_make(const nacre_rederive_server *server, const nacre_crypto *crypto,
                            uint8_t r2[NACRE_REDERIVE_R2], const uint8_t s2[NACRE_REDERIVE_S2], uint64_t now_ms)
{
    uint8_t mac[NACRE_MAX_HASH];
    if (server->lifetime_ms == 0) return NACRE_ERR_BAD_ARGUMENT;
    const uint64_t step = now_ms / step_ms(server);
    const nacre_err err = mac_of(server, crypto, s2, step, mac);
    if (err != NACRE_OK) return err;
    r2[0] = (uint8_t)step;
    memcpy(r2 + AT_S2, s2, NACRE_REDERIVE_S2);
    memcpy(r2 + AT_MAC, mac, MAC_LEN);
    nacre_wipe(mac, sizeof mac);
    return NACRE_OK;
}

nacre_err nacre__offer_check(const nacre_rederive_server *server, const nacre_crypto *crypto,
                             const uint8_t r2[NACRE_REDERIVE_R2], uint64_t now_ms)
{
    uint8_t mac[NACRE_MAX_HASH];
    const uint64_t now = now_ms / step_ms(server), age = (uint8_t)(now - r2[0]);
    /* The age is rounded up, so an offer is valid for up to two steps less than the lifetime, never longer. */
    if (age > now || (age + 1) * step_ms(server) > server->lifetime_ms) return NACRE_ERR_NO_CONTEXT;
    const nacre_err err = mac_of(server, crypto, r2 + AT_S2, now - age, mac);
    if (err != NACRE_OK) return err;
    const bool is_ours = nacre_equal_ct(r2 + AT_MAC, mac, MAC_LEN);
    nacre_wipe(mac, sizeof mac);
    return is_ours ? NACRE_OK : NACRE_ERR_NO_CONTEXT;
}

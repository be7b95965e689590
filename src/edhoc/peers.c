/* SPDX-License-Identifier: MIT */
/* peers: a table of known peers as the trust of a session (RFC 9528 D). */
#include "edhoc/parts.h"
#include "edhoc/x5t.h"
#include <nacre/edhoc_credentials.h>

static bool same_key(const nacre_public_key *a, const nacre_public_key *b)
{
    if (a->curve != b->curve || !nacre_bytes_equal(a->x, b->x)) return false;
    if (a->y_form == NACRE_Y_ABSENT || b->y_form == NACRE_Y_ABSENT) return true;
    bool odd_a = a->y_form == NACRE_Y_WHOLE ? a->y.ptr[a->y.len - 1] & 1 : a->y_form == NACRE_Y_ODD;
    bool odd_b = b->y_form == NACRE_Y_WHOLE ? b->y.ptr[b->y.len - 1] & 1 : b->y_form == NACRE_Y_ODD;
    return odd_a == odd_b;
}

static bool matches(const nacre_edhoc_known *known, const nacre_edhoc_query *query)
{
    const nacre_edhoc_id *id = query->id;
    const nacre_edhoc_credential *c = &known->credential;
    if (c->key.curve != query->curve || (nacre_is_absent(c->bytes) && id->kind != NACRE_EDHOC_ID_KCCS)) return false;
    switch (id->kind) {
    case NACRE_EDHOC_ID_KID: return !nacre_is_absent(known->kid) && nacre_bytes_equal(known->kid, id->value);
    case NACRE_EDHOC_ID_X5T: return c->is_certificate && nacre__edhoc_x5t_is_of(query, c->bytes);
    case NACRE_EDHOC_ID_X5CHAIN: return c->is_certificate && nacre_bytes_equal(c->bytes, id->value);
    case NACRE_EDHOC_ID_X5U: return !nacre_is_absent(known->uri) && nacre_bytes_equal(known->uri, id->value);
    default: return !c->is_certificate && nacre_bytes_equal(c->bytes, id->value);
    }
}

static nacre_edhoc_found first_use(nacre_edhoc_peers *peers, const nacre_edhoc_credential *sent,
                                   nacre_edhoc_credential *found, void **peer)
{
    nacre_edhoc_first_use *kept = peers->trust_on_first_use;
    if (kept == NULL || sent->bytes.len > sizeof kept->ccs) return NACRE_EDHOC_NOT_TRUSTED;
    (void)nacre__edhoc_put(kept->ccs, sent->bytes);
    kept->len = (uint16_t)sent->bytes.len;
    *found = *sent;
    *peer = kept;
    return NACRE_EDHOC_FOUND;
}

/* A CCS by value: one of the table, or a key of the table; else trust on first use. */
static nacre_edhoc_found find_by_value(nacre_edhoc_peers *peers, const nacre_edhoc_query *query,
                                       nacre_edhoc_credential *found, void **peer)
{
    nacre_edhoc_credential sent;
    if (nacre_edhoc_read_ccs(&sent, NULL, query->id->value) != NACRE_OK) return NACRE_EDHOC_NOT_TRUSTED;
    for (size_t i = 0; i < peers->num; i++) {
        const nacre_edhoc_known *known = &peers->known[i];
        bool by_key = nacre_is_absent(known->credential.bytes) && same_key(&known->credential.key, &sent.key);
        if (!by_key && !matches(known, query)) continue;
        *found = by_key ? sent : known->credential;
        *peer = known->peer;
        return NACRE_EDHOC_FOUND;
    }
    return first_use(peers, &sent, found, peer);
}

static nacre_edhoc_found find(void *self, const nacre_edhoc_query *query, nacre_edhoc_credential *found, void **peer)
{
    nacre_edhoc_peers *peers = self;
    const nacre_edhoc_id *id = query->id;
    unsigned before = query->attempt;
    if (id->kind == NACRE_EDHOC_ID_OTHER) return NACRE_EDHOC_NO_SUCH_KIND;
    if (id->kind == NACRE_EDHOC_ID_X5T && !nacre__edhoc_x5t_is_known(id)) return NACRE_EDHOC_NO_SUCH_KIND;
    if (id->kind == NACRE_EDHOC_ID_KCCS) return find_by_value(peers, query, found, peer);
    for (size_t i = 0; i < peers->num; i++) {
        if (!matches(&peers->known[i], query) || before-- > 0) continue;
        *found = peers->known[i].credential;
        *peer = peers->known[i].peer;
        return NACRE_EDHOC_FOUND;
    }
    /* RFC 9528 6.4: error 3 is about references, and a chain is no reference */
    return id->kind == NACRE_EDHOC_ID_X5CHAIN ? NACRE_EDHOC_NOT_TRUSTED : NACRE_EDHOC_UNKNOWN;
}

nacre_edhoc_trust nacre_edhoc_trust_peers(nacre_edhoc_peers *peers)
{
    nacre_edhoc_trust trust = { peers, find };
    return trust;
}

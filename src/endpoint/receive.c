/* SPDX-License-Identifier: MIT */
/* receive: processes a burst of datagrams in three passes: sort (parse, find duplicates and exchanges), unprotect, deliver.
 *
 * They are separate so that a burst is decrypted in one call. Only the dedup memory and the PROBING_RATE state of the peer
 * change before the last pass, which takes the datagrams in order of arrival. */
#include "endpoint/endpoint_struct.h"
#include "endpoint/core/hash.h"
#include "coap/message.h"
#include "oscore/unprotect.h"

/* ---- Sorting ------------------------------------------------------------------------------------------------------- */

/* RFC 7252 4.2, 4.3: a CON that cannot be processed is rejected with RST; others are dropped. */
static void reject(nacre_endpoint *ep, const nacre_address *peer, uint8_t type, uint16_t mid)
{
    if (type == NACRE_CON) nacre__send_empty(&ep->empty, peer, NACRE_RST, mid);
}

static void reject_malformed(nacre_endpoint *ep, const nacre_datagram *datagram)
{
    const nacre_bytes b = datagram->bytes;
    NACRE__COUNT(&ep->core, malformed);
    if (b.len < NACRE__HEADER_LEN || b.ptr[0] >> 6 != 1) return; /* RFC 7252 3: unknown version, ignored */
    reject(ep, &datagram->peer, b.ptr[0] >> 4 & 3, (uint16_t)(b.ptr[2] << 8 | b.ptr[3]));
}

static void lock_table(nacre_endpoint *ep)
{
    if (ep->table_lock.lock != NULL && !ep->holds_table) ep->table_lock.lock(ep->table_lock.self, NULL, 0);
}

static void unlock_table(nacre_endpoint *ep)
{
    if (ep->table_lock.lock != NULL && !ep->holds_table) ep->table_lock.unlock(ep->table_lock.self, NULL, 0);
}

/* Whether any context has that kid. */
static bool is_for_us(void *self, nacre_bytes kid)
{
    nacre_endpoint *ep = self;
    size_t cursor = 0;
    const nacre_table *contexts = ep->core.config.contexts;
    lock_table(ep);
    const bool found = contexts != NULL && nacre_table_find(contexts, kid, NACRE_ABSENT, &cursor) != NULL;
    unlock_table(ep);
    return found || nacre__rederivation_next(&ep->rederive, NULL, kid) != NULL;
}

static void sort_request(nacre_endpoint *ep, nacre__received *received, uint64_t now_ms)
{
    if (received->outer.type > NACRE_NON) return; /* RFC 7252 4.2: ACK and RST carry no requests */
    const uint64_t hash = nacre__peer_hash(&ep->core, &received->datagram->peer, received->datagram->bytes);
    const bool may_repeat = !nacre_address_is_reliable(&received->datagram->peer);
    nacre__server_exchange *known = may_repeat ? nacre__server_exchange_find(&ep->server_exchanges, received->datagram,
                                                                             received->outer.mid, hash, now_ms)
                                               : NULL;
    if (known != NULL) {
        nacre__response_again(&ep->server_exchanges, known);
        return;
    }
    nacre__server_exchange *exchange =
        nacre__server_exchange_add(&ep->server_exchanges, received->datagram, &received->outer, hash, now_ms);
    if (exchange == NULL) {
        nacre__count_dropped(&ep->core, NACRE_DROPPED_SERVER_EXCHANGES);
        return;
    }
    received->index = nacre__server_exchange_index(&ep->server_exchanges, exchange);
    if (received->oversized != 0) nacre__oversized_request(&ep->server_exchanges, exchange, received);
    else if (nacre__outer_request(&ep->outer, exchange, received, is_for_us, ep))
        received->kind = NACRE__RECEIVED_REQUEST;
}

/* A separate response as CON gets its ACK whether or not it verifies (RFC 8613 8.4, RFC 7252 4.2). The ACK is kept, because
 * duplicates may arrive after the exchange has ended. */
static void acknowledge_response(nacre_endpoint *ep, nacre__received *received, uint64_t hash, uint64_t now_ms)
{
    nacre__server_exchange *exchange =
        nacre__server_exchange_add(&ep->server_exchanges, received->datagram, &received->outer, hash, now_ms);
    if (exchange == NULL) {
        nacre__send_empty(&ep->empty, &received->datagram->peer, NACRE_ACK, received->outer.mid);
        return;
    }
    nacre__response_empty(&ep->server_exchanges, exchange);
    received->ack = nacre__server_exchange_index(&ep->server_exchanges, exchange) + 1;
}

/* A response that matches no exchange. RFC 7252 4.2: a CON is rejected. RFC 7641 3.6: so is any notification, to end the
 * observation. */
static void stray_response(nacre_endpoint *ep, const nacre__received *received)
{
    const nacre_message *m = &received->outer;
    nacre__count_dropped(&ep->core, NACRE_DROPPED_STRAY);
    if (nacre_address_is_reliable(&received->datagram->peer)) return; /* RFC 8323 3: there is no RST */
    if (m->type == NACRE_CON || (m->type == NACRE_NON && nacre__has_option(m->options, NACRE_OPT_OBSERVE)))
        nacre__send_empty(&ep->empty, &received->datagram->peer, NACRE_RST, m->mid);
}

static void sort_response(nacre_endpoint *ep, nacre__received *received, uint64_t now_ms)
{
    const nacre_address *peer = &received->datagram->peer;
    const bool is_con = received->outer.type == NACRE_CON;
    uint64_t hash = 0;
    if (received->outer.type == NACRE_RST) return; /* RFC 7252 4.2: a RST is empty */
    if (is_con) {
        hash = nacre__peer_hash(&ep->core, &received->datagram->peer, received->datagram->bytes);
        nacre__server_exchange *known =
            nacre__server_exchange_find(&ep->server_exchanges, received->datagram, received->outer.mid, hash, now_ms);
        if (known != NULL) {
            nacre__response_again(&ep->server_exchanges, known);
            return;
        }
    }
    nacre__client_exchange *exchange =
        nacre__client_exchange_by_token(&ep->client_exchanges, peer, received->outer.token);
    if (exchange == NULL) {
        stray_response(ep, received);
        return;
    }
    /* RFC 7252 5.3.2: a piggybacked response matches by token and MID */
    if (received->outer.type == NACRE_ACK && received->outer.mid != exchange->t->mid) {
        nacre__count_dropped(&ep->core, NACRE_DROPPED_STRAY);
        return;
    }
    if (is_con) acknowledge_response(ep, received, hash, now_ms);
    received->index = nacre__client_exchange_index(&ep->client_exchanges, exchange);
    received->number = exchange->number;
    received->kind =
        received->oversized != 0 ? NACRE__RECEIVED_OVERSIZED : nacre__outer_sort(&ep->outer, exchange, received);
}

/* The length of a datagram that is truncated or longer than max_message; else 0. */
static size_t oversized(const nacre_endpoint *ep, const nacre_datagram *d)
{
    const size_t len = d->bytes.len;
    if (d->full_len > len) return d->full_len;
    return len > ep->core.config.max_message ? len : 0;
}

/* Options of unverified requests are limited in number, because each is read several times. */
static nacre_err parse(nacre__received *received, const nacre_datagram *datagram)
{
    const size_t most = nacre_address_is_reliable(&datagram->peer) ? SIZE_MAX : NACRE_MAX_REQUEST_OPTIONS;
    if (received->oversized == 0) return nacre__message_parse(&received->outer, &received->seen, datagram->bytes, most);
    received->seen = UINT32_MAX; /* unknown: any may be present */
    return nacre__message_parse_start(&received->outer, datagram->bytes, most);
}

/* Sets what may be read before it is known; field by field, because clearing all of it takes longer than a request's hash. */
static void begin(nacre_endpoint *ep, nacre__received *received, const nacre_datagram *datagram)
{
    received->kind = NACRE__RECEIVED_DONE;
    received->datagram = datagram;
    received->oversized = oversized(ep, datagram);
    received->buf = (nacre_buf){ ep->plaintexts + (size_t)(received - ep->burst) * ep->core.config.max_message,
                                 ep->core.config.max_message };
    received->context = NULL;
    received->err = NACRE_OK;
    received->ack = 0;
    received->joined = NULL;
    received->rederivation = NULL;
    received->read.oscore.kid = received->read.oscore.kid_context = received->read.oscore.partial_iv = NACRE_ABSENT;
    received->cursor = 0;
    received->tried = 0;
    received->is_old = received->rederivations_end = received->open = received->recovers = false;
}

static void sort_one(nacre_endpoint *ep, nacre__received *received, const nacre_datagram *datagram, uint64_t now_ms)
{
    begin(ep, received, datagram);
    NACRE__COUNT(&ep->core, received);
    if (parse(received, datagram) != NACRE_OK) {
        reject_malformed(ep, datagram);
        return;
    }
    if (ep->tx.probing.num > 0) nacre__nstart_heard(&ep->tx, &datagram->peer);
    if (received->outer.code == NACRE_EMPTY) received->kind = NACRE__RECEIVED_EMPTY;
    else if (nacre_code_is_request(received->outer.code)) sort_request(ep, received, now_ms);
    else if (nacre__is_response_class(received->outer.code)) sort_response(ep, received, now_ms);
    else /* RFC 7252 4.2: a reserved class; 7.xx is signaling, unused over UDP */ reject_malformed(ep, datagram);
}

/* ---- Unprotecting --------------------------------------------------------------------------------------------------
 * In rounds: each tries the next context that matches the kid, for all messages at once. Nearly always there is one context,
 * and one round. */

static void open_request(const nacre_endpoint *ep, nacre__received *received)
{
    const bool may_be_protected = (received->seen & NACRE__SEEN(NACRE_OPT_OSCORE)) != 0;
    if (ep->core.config.opaque_oscore || !may_be_protected) {
        received->plain = received->outer;
        return;
    }
    received->err = nacre__outer_read(&received->read, &received->outer);
    if (received->err == NACRE_ERR_NOT_PROTECTED) {
        received->plain = received->outer;
        received->err = NACRE_OK;
    } else if (received->err == NACRE_OK) {
        const bool complete =
            !nacre_is_absent(received->read.oscore.kid) && !nacre_is_absent(received->read.oscore.partial_iv);
        received->open = complete;
        received->err = complete ? NACRE_ERR_NO_CONTEXT : NACRE_ERR_DECODE; /* RFC 8613 5: a request has both */
    }
}

static void open_response(const nacre_endpoint *ep, nacre__received *received)
{
    const nacre__client_exchange *exchange = &ep->client_exchanges.all[received->index];
    if (exchange->context == NULL || (received->seen & NACRE__SEEN(NACRE_OPT_OSCORE)) == 0) return;
    received->err = nacre__outer_read(&received->read, &received->outer);
    received->open = received->err == NACRE_OK;
    if (received->err == NACRE_ERR_NOT_PROTECTED) received->err = NACRE_OK; /* another option shares its bit */
}

/* Looks up the next context of many requests at once, because with many contexts a lookup mostly waits for memory. */
static void search(const nacre_endpoint *ep, nacre__received *const *searched, nacre_table_query *queries, size_t num)
{
    if (ep->core.config.contexts != NULL) nacre_table_find_many(ep->core.config.contexts, queries, num);
    for (size_t i = 0; i < num; i++) {
        searched[i]->next = queries[i].context;
        searched[i]->cursor = queries[i].cursor;
    }
}

static void search_all(nacre_endpoint *ep, size_t num)
{
    nacre__received *searched[NACRE_BURST];
    nacre_table_query queries[NACRE_BURST];
    size_t n = 0;
    for (size_t i = 0; i < num; i++) {
        nacre__received *received = &ep->burst[i];
        if (!received->open || received->kind != NACRE__RECEIVED_REQUEST || received->tried == NACRE_MAX_CANDIDATES)
            continue;
        searched[n] = received;
        queries[n++] =
            (nacre_table_query){ received->read.oscore.kid, received->read.oscore.kid_context, received->cursor, NULL };
        if (n < NACRE_BURST) continue;
        search(ep, searched, queries, n);
        n = 0;
    }
    search(ep, searched, queries, n);
}

/* The next context to try, NULL for none. RFC 8613 8.2 step 2: each context that matches the kid, in turn. A response has one
 * context, but an observation may have two identities. */
static nacre_context *next_context(nacre_endpoint *ep, nacre__received *received)
{
    if (received->kind == NACRE__RECEIVED_RESPONSE) {
        const nacre__client_exchange *exchange = &ep->client_exchanges.all[received->index];
        const nacre_request_id *id = nacre__observation_id(exchange, received);
        if (id == NULL) return NULL;
        received->id = *id; /* a duplicate in this burst has its own copy */
        received->is_old = id == &exchange->observation.old;
        return exchange->context;
    }
    if (received->tried == NACRE_MAX_CANDIDATES) return NULL;
    return received->next != NULL ? received->next : nacre__rederivation_next_context(&ep->rederive, received);
}

/* The searches of the first round have the table locked. Later rounds, which are rare, continue these searches and keep it locked
 * until the burst is unprotected; if it has changed in between, they start again. */
static void search_next(nacre_endpoint *ep, size_t num, bool is_first)
{
    const nacre_table *contexts = ep->core.config.contexts;
    const bool is_shared = ep->table_lock.lock != NULL && contexts != NULL;
    lock_table(ep);
    if (is_shared && !is_first && !ep->holds_table) {
        ep->holds_table = true;
        for (size_t i = 0; contexts->num_changes != ep->table_changes && i < num; i++)
            ep->burst[i].cursor = ep->burst[i].tried = 0;
    }
    search_all(ep, num);
    if (is_shared) ep->table_changes = contexts->num_changes;
    unlock_table(ep);
}

static void let_table(nacre_endpoint *ep)
{
    const bool held = ep->holds_table;
    ep->holds_table = false;
    if (held) unlock_table(ep);
}

/* Prepares the jobs of one round; returns their number. */
static size_t prepare_round(nacre_endpoint *ep, size_t num, bool is_first)
{
    size_t num_jobs = 0;
    search_next(ep, num, is_first);
    for (size_t i = 0; i < num; i++) {
        nacre__received *received = &ep->burst[i];
        if (!received->open) continue;
        nacre_context *context = next_context(ep, received);
        received->open = context != NULL;
        if (!received->open) continue;
        received->tried++;
        received->context = context;
        received->job = (uint32_t)num_jobs;
        nacre_unprotect_item *job = &ep->jobs[num_jobs++]; /* its outputs are set before they are read */
        job->context = context;
        job->id = &received->id;
        job->buf = received->buf;
        job->outer = &received->outer;
        ep->outers[received->job] = &received->read;
        job->is_response = received->kind == NACRE__RECEIVED_RESPONSE;
    }
    return num_jobs;
}

/* Whether to try the next context with the same kid. REPLAY and a stopped context are reported before the tag is verified,
 * and so perhaps by a context that is not the sender's. */
bool nacre__try_next_context(nacre_err err)
{
    return err == NACRE_ERR_NO_CONTEXT || err == NACRE_ERR_PROTECTION_INVALID || err == NACRE_ERR_REPLAY ||
           err == NACRE_ERR_CONTEXT_UNAVAILABLE;
}

/* The error when no context verified the request: the most specific one. */
nacre_err nacre__nearest_error(nacre_err a, nacre_err b)
{
    static const nacre_err order[] = { NACRE_ERR_CONTEXT_UNAVAILABLE, NACRE_ERR_REPLAY, NACRE_ERR_PROTECTION_INVALID };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i]) return order[i];
    return NACRE_ERR_NO_CONTEXT;
}

static void take_verdict(nacre__received *received, const nacre_unprotect_item *job)
{
    if (received->kind == NACRE__RECEIVED_REQUEST && nacre__try_next_context(job->err)) {
        received->err = nacre__nearest_error(received->err, job->err);
        return;
    }
    if (received->kind == NACRE__RECEIVED_RESPONSE && job->err == NACRE_ERR_PROTECTION_INVALID) {
        received->err = job->err;
        return;
    }
    received->open = false;
    received->err = job->err;
    if (job->err != NACRE_OK) return;
    received->plain = job->plain;
    if (job->is_response) received->info = job->info;
}

/* Of the requests received while a replay window was unknown, the first one accepted had a valid Echo value; that of the
 * others was not checked. */
static void only_one_recovers(nacre_endpoint *ep, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        const nacre__received *received = &ep->burst[i];
        if (!received->open || ep->jobs[received->job].err != NACRE_OK || !received->recovers) continue;
        for (size_t k = i + 1; k < num; k++)
            if (ep->burst[k].context == received->context) ep->burst[k].recovers = false;
    }
}

static void unprotect_jobs(nacre_endpoint *ep, size_t num_jobs, size_t num)
{
    const nacre_lock *lock = &ep->core.config.lock;
    for (size_t i = 0; lock->lock != NULL && i < num_jobs; i++) ep->locked[i] = ep->jobs[i].context;
    if (lock->lock != NULL) lock->lock(lock->self, ep->locked, num_jobs);
    for (size_t i = 0; i < num; i++)
        if (ep->burst[i].open) ep->burst[i].recovers = !nacre_context_replay(ep->burst[i].context)->known;
    nacre__unprotect_many(&ep->core.config.crypto, ep->jobs, ep->outers, num_jobs);
    only_one_recovers(ep, num);
    if (lock->lock != NULL) lock->unlock(lock->self, ep->locked, num_jobs);
}

static void unprotect_all(nacre_endpoint *ep, size_t num)
{
    bool any = false;
    for (size_t i = 0; i < num; i++) {
        if (ep->burst[i].kind == NACRE__RECEIVED_REQUEST) open_request(ep, &ep->burst[i]);
        if (ep->burst[i].kind == NACRE__RECEIVED_RESPONSE) open_response(ep, &ep->burst[i]);
        any = any || ep->burst[i].open;
    }
    bool is_first = true;
    for (size_t num_jobs; any && (num_jobs = prepare_round(ep, num, is_first)) > 0;) {
        unprotect_jobs(ep, num_jobs, num);
        any = is_first = false;
        for (size_t i = 0; i < num; i++) {
            if (ep->burst[i].open) take_verdict(&ep->burst[i], &ep->jobs[ep->burst[i].job]);
            any = any || ep->burst[i].open;
        }
    }
    let_table(ep);
}

/* ---- Delivering ---------------------------------------------------------------------------------------------------- */

/* Applies an ACK or a RST to a transmission, or a RST to the last notification. False: matches neither. */
static bool settle(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid, bool is_reset, uint64_t now_ms)
{
    nacre__transmission *t = nacre__transmission_find(&ep->tx, peer, mid);
    if (t == NULL) return is_reset && nacre__observer_reset(&ep->observe, peer, mid);
    const uint32_t index = nacre__transmission_index(&ep->tx, t);
    if (index >= ep->tx.num_requests)
        return nacre__separate_settle(&ep->server_exchanges, nacre__separate_of(&ep->server_exchanges, t), is_reset);
    nacre__client_exchange *exchange = &ep->client_exchanges.all[index];
    if (!nacre__client_exchange_knows_its_mid(exchange)) return false;
    if (is_reset) nacre__client_exchange_reset(&ep->client_exchanges, exchange);
    else nacre__client_exchange_acknowledged(&ep->client_exchanges, exchange, now_ms);
    return true;
}

static void deliver_empty(nacre_endpoint *ep, const nacre__received *received, uint64_t now_ms)
{
    const nacre_address *peer = &received->datagram->peer;
    if (received->outer.type <= NACRE_NON) {
        reject(ep, peer, received->outer.type, received->outer.mid); /* RFC 7252 4.3: a ping */
        return;
    }
    const bool is_reset = received->outer.type == NACRE_RST;
    if (!settle(ep, peer, received->outer.mid, is_reset, now_ms) && is_reset)
        nacre__reset_unmatched(&ep->reset_belief, peer);
}

/* An earlier datagram of the burst may have ended the exchange, or repeated the request under a new token. */
static void deliver_response(nacre_endpoint *ep, nacre__received *received, uint64_t now_ms)
{
    const bool is_verified = received->context != NULL && received->err == NACRE_OK;
    nacre__client_exchange *exchange =
        nacre__client_exchange_by_token(&ep->client_exchanges, &received->datagram->peer, received->outer.token);
    if (exchange != NULL && exchange->number == received->number) {
        nacre__validate(&ep->validation, &received->datagram->peer); /* its token has 64 random bits */
        (void)nacre__received_drop_options(&ep->core, received, is_verified ? &received->plain : &received->outer);
        if (received->kind == NACRE__RECEIVED_BLOCK) nacre__outer_block(&ep->outer, exchange, received, now_ms);
        else if (received->kind == NACRE__RECEIVED_OVERSIZED)
            nacre__client_exchange_oversized(ep, exchange, received, now_ms);
        else nacre__client_exchange_responded(ep, exchange, received, now_ms);
    } else {
        nacre__count_dropped(&ep->core, NACRE_DROPPED_STALE);
    }
}

static void settle_request(nacre_endpoint *ep, nacre__server_exchange *exchange, nacre__received *received)
{
    if (nacre__rederivation_is_past(received)) received->err = NACRE_ERR_NO_CONTEXT;
    nacre__rederivation_proved(&ep->rederive, received);
    if (nacre__rederivation_takes(&ep->rederive, exchange, received)) return;
    if (received->err != NACRE_OK && nacre__endpoint_keep_for_lookup(ep, exchange, received)) return;
    if (received->err == NACRE_ERR_NOT_YET && received->joined != NULL)
        nacre__outer_put_off(&ep->outer, exchange, received);
    else nacre__request_settle(&ep->server_exchanges, exchange, received);
}

static void deliver_request(nacre_endpoint *ep, nacre__received *received)
{
    nacre__server_exchange *exchange = &ep->server_exchanges.all[received->index];
    settle_request(ep, exchange, received);
    if (received->joined != NULL && exchange->state == NACRE__SERVER_FREE)
        nacre__outer_put_back(&ep->outer, received->joined);
}

static void deliver_one(nacre_endpoint *ep, nacre__received *received, uint64_t now_ms)
{
    switch (received->kind) {
    case NACRE__RECEIVED_EMPTY: deliver_empty(ep, received, now_ms); break;
    case NACRE__RECEIVED_REQUEST: deliver_request(ep, received); break;
    case NACRE__RECEIVED_RESPONSE:
    case NACRE__RECEIVED_BLOCK:
    case NACRE__RECEIVED_OVERSIZED: deliver_response(ep, received, now_ms); break;
    case NACRE__RECEIVED_DONE: break;
    }
}

size_t nacre_endpoint_receive_many(nacre_endpoint *ep, const nacre_datagram *datagrams, size_t num, uint64_t now_ms)
{
    if (nacre__events_view_messages(ep)) return 0;
    ep->core.now_ms = now_ms;
    nacre__protect_batch_flush(&ep->protect_batch); /* entries of responses may be reused below */
    nacre__requests_close_delivered(&ep->server_exchanges);
    nacre__observers_close_delivered(&ep->observe);
    nacre__outer_begin(&ep->outer);
    ep->client_exchanges.num_notes = ep->client_exchanges.first_note = 0;
    if (num > ep->core.config.burst) num = ep->core.config.burst;
    for (size_t i = 0; i < num; i++) sort_one(ep, &ep->burst[i], &datagrams[i], now_ms);
    unprotect_all(ep, num);
    for (size_t i = 0; i < num; i++) deliver_one(ep, &ep->burst[i], now_ms);
    return num;
}

/* SPDX-License-Identifier: MIT */
/* malformed: noise, every truncation and bit flip of valid messages, and recombinations of them, in heap blocks of
 * exact size, to an endpoint that is client and server at once. None crashes it, reaches a handler as verified, ends an
 * exchange as a response, or prevents the next valid request from being served. */
#include "world.h"

typedef struct stage {
    pair p;
    unsigned requests, responses, failures;
} stage;

/* Pulls all events, answers requests, serves stores, and discards what is sent. */
static void settle(stage *s, party *p, uint64_t now)
{
    datagram d;
    for (bool busy = true; busy;) {
        busy = false;
        while (party_take(p, &d, now)) busy = true;
        for (nacre_event event; nacre_endpoint_next_event(p->ep, &event); busy = true) {
            const nacre_message response = { .code = NACRE_CONTENT, .payload = event.message.payload };
            switch (event.kind) {
            case NACRE_EVENT_REQUEST:
                if (event.context != NULL) s->requests++;
                (void)!nacre_endpoint_respond(p->ep, event.exchange, &response);
                break;
            case NACRE_EVENT_RESPONSE:
                if (event.context != NULL) s->responses++;
                break;
            case NACRE_EVENT_FAILED: s->failures++; break;
            case NACRE_EVENT_NOTIFICATION:
            case NACRE_EVENT_PONG: fail_msg("an event that nobody asked for"); break;
            case NACRE_EVENT_PERSIST:
                serve_store(event.context);
                nacre_endpoint_confirmed(p->ep, event.context, NACRE_OK);
                break;
            default: break;
            }
        }
    }
}

/* A valid exchange over the same endpoints still works. */
static void still_serves(stage *s, uint64_t now)
{
    datagram d, back;
    const unsigned requests = s->requests, responses = s->responses;
    (void)start(&s->p.client, &s->p.server, s->p.ours, NACRE_CON);
    (void)sent_request(&s->p, &d, now);
    served(&s->p, &d, &back, "well", now);
    party_give(&s->p.client, &s->p.server, &back, now);
    settle(s, &s->p.client, now);
    assert_int_equal(s->responses, responses + 1);
    s->requests = requests;
    s->responses = responses;
}

static void random_bytes_change_nothing(void **state)
{
    (void)state;
    stage s = { 0 };
    chance c = { 5 };
    pair_open(&s.p, &(nacre_endpoint_config){ .max_message = 256, .num_server_exchanges = 8, .burst = 2 },
              &(pairing){ 0 });
    for (int i = 0; i < 30000; i++) {
        datagram d = { .len = (size_t)(draw(&c) % 260) };
        chance_fill(&c, d.bytes, d.len);
        if (i % 2 && d.len > 0) d.bytes[0] = (uint8_t)(0x40 | (d.bytes[0] & 0x38)); /* makes more inputs parse */
        if (i % 4 == 3 && d.len > 1) d.bytes[1] = (uint8_t)(draw(&c) % 8);
        party_give(&s.p.server, &s.p.client, &d, (uint64_t)i);
        settle(&s, &s.p.server, (uint64_t)i);
        if (i % 1000 == 0) still_serves(&s, (uint64_t)i);
    }
    assert_int_equal(s.requests, 0);
    assert_true(nacre_endpoint_get_stats(s.p.server.ep).malformed > 1000);
    pair_close(&s.p);
}

/* Every truncation and every bit flip of a protected request and of its response. A flip in a part that OSCORE does not
 * protect (type, MID, token, outer code) may leave a valid message: so each goes to fresh endpoints. */
static void truncated_and_flipped_messages_change_nothing(void **state)
{
    (void)state;
    static const uint8_t path[] = { 0xb4, 't', 'e', 'm', 'p' };
    for (int role = 0; role < 2; role++) {
        for (size_t change = 0;; change++) {
            stage s = { 0 };
            datagram d, back;
            nacre_exchange exchange;
            pair_open(&s.p,
                      &(nacre_endpoint_config){
                          .max_message = 128, .num_server_exchanges = 4, .num_client_exchanges = 2, .burst = 1 },
                      &(pairing){ 0 });
            const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(path) };
            assert_int_equal(
                nacre_endpoint_request(s.p.client.ep, &exchange, &s.p.server.address, s.p.ours, &get, NULL), NACRE_OK);
            const nacre_message sent = sent_request(&s.p, &d, 0);
            if (role == 1) served(&s.p, &d, &back, "hello", 0);
            datagram *spoilt = role == 0 ? &d : &back;
            const size_t len = spoilt->len;
            const nacre_message whole = datagram_message(spoilt);
            const size_t cipher_at = (size_t)(whole.payload.ptr - spoilt->bytes);
            const bool is_cut = change < len;
            const size_t bit = is_cut ? 0 : change - len;
            const bool last = !is_cut && bit == 8 * len - 1;
            if (is_cut) spoilt->len = change;
            else spoilt->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            party *to = role == 0 ? &s.p.server : &s.p.client;
            party_give(to, role == 0 ? &s.p.client : &s.p.server, spoilt, 0);
            settle(&s, to, 0);
            if (is_cut || bit / 8 >= cipher_at) { /* a bit flip in tag or ciphertext never verifies */
                assert_int_equal(s.requests, 0);
                assert_int_equal(s.responses, 0);
            }
            assert_true(s.requests + s.responses <= 1);
            if (role == 1 && s.responses == 0 &&
                s.failures == 0) { /* the exchange is still open: the valid response ends it */
                if (!is_cut) spoilt->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                spoilt->len = len;
                party_give(to, &s.p.server, spoilt, 1);
                settle(&s, to, 1);
                assert_int_equal(s.responses, 1);
            }
            assert_int_equal(sent.token.len, 8);
            still_serves(&s, 2);
            pair_close(&s.p);
            if (last) break;
        }
    }
}

/* The header of one valid message with the options of another and the payload of a third. */
static void recombined_messages_change_nothing(void **state)
{
    (void)state;
    enum { POOL = 8 };
    stage s = { 0 };
    chance c = { 9 };
    datagram pool[POOL], d;
    pair_open(&s.p, &(nacre_endpoint_config){ .num_client_exchanges = 64 }, &(pairing){ 0 });
    for (int i = 0; i < POOL; i += 2) {
        (void)start(&s.p.client, &s.p.server, s.p.ours, i % 4 ? NACRE_NON : NACRE_CON);
        (void)sent_request(&s.p, &pool[i], 0);
        served(&s.p, &pool[i], &pool[i + 1], "x", 0);
    }
    for (int i = 0; i < 20000; i++) {
        nacre_message m = datagram_message(&pool[draw(&c) % POOL]);
        m.type = draw(&c) % 4;
        m.mid = datagram_message(&pool[draw(&c) % POOL]).mid;
        m.token = datagram_message(&pool[draw(&c) % POOL]).token;
        m.options = datagram_message(&pool[draw(&c) % POOL]).options;
        m.payload = datagram_message(&pool[draw(&c) % POOL]).payload;
        datagram_write(&d, &m);
        party *to = percent(&c, 50) ? &s.p.server : &s.p.client;
        party_give(to, to == &s.p.server ? &s.p.client : &s.p.server, &d, 0);
        settle(&s, to, 0);
    }
    assert_int_equal(s.requests, 0); /* the server has already accepted all four requests */
    assert_true(s.responses <= POOL / 2);
    still_serves(&s, 1);
    pair_close(&s.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_change_nothing),
        cmocka_unit_test(truncated_and_flipped_messages_change_nothing),
        cmocka_unit_test(recombined_messages_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

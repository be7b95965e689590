/* SPDX-License-Identifier: MIT */
/* B28: clients observe and cancel while both sides derive fresh contexts (RFC 8613 B.2); either the registration itself
 * carries the procedure, or the procedure ends the observation. The observer leaves after each number of messages, in
 * each way; then all earlier datagrams, notifications included, arrive once more, also under other message IDs. The
 * exchange has one end and no later event, the server removes each observer that cancelled, and every pool entry is
 * freed. */
#include "free_entries.h"
#include "rederiving.h"

enum { MAX_SEEN = 64, MESSAGES = 8 };
typedef enum leaving { UNOBSERVE, CANCEL, RENEW, WAYS } leaving;

typedef struct stage {
    rederiving_pair p;
    uint64_t now;
    datagram seen[MAX_SEEN];
    bool to_server[MAX_SEEN];
    size_t num_seen;
    nacre_exchange exchange;
    nacre_observer observer;
    unsigned ends, heard_after_end;
    bool left;
} stage;

static unsigned heard_in_all;

static void pull(stage *s)
{
    for (nacre_event event; nacre_endpoint_next_event(s->p.server.ep, &event);) {
        if (event.kind == NACRE_EVENT_OBSERVER_REMOVED) {
            assert_int_equal(event.observer.number, s->observer.number);
            s->observer = NACRE_OBSERVER_NONE;
        }
        if (event.kind != NACRE_EVENT_REQUEST && event.kind != NACRE_EVENT_NOTIFY) continue;
        if (event.kind == NACRE_EVENT_REQUEST && nacre_observer_is_none(s->observer) &&
            nacre_endpoint_observe(s->p.server.ep, &s->observer, event.exchange, NULL) != NACRE_OK)
            s->observer = NACRE_OBSERVER_NONE; /* with Observe 1; otherwise without Observe */
        respond_text(&s->p.server, event.exchange, "state");
    }
    for (nacre_event event; nacre_endpoint_next_event(s->p.client.ep, &event);) {
        if (event.kind == NACRE_EVENT_REDERIVED || !nacre_exchange_equal(event.exchange, s->exchange)) continue;
        if (event.kind == NACRE_EVENT_NOTIFICATION) {
            heard_in_all++;
            s->heard_after_end += s->ends > 0 || s->left;
        } else {
            s->ends++;
        }
    }
}

static void give(stage *s, const datagram *d, bool to_server)
{
    party *to = to_server ? &s->p.server : &s->p.client, *from = to_server ? &s->p.client : &s->p.server;
    pull(s);
    party_give(to, from, d, s->now);
    pull(s);
}

/* Delivers up to `most` datagrams; false if there was none. */
static bool carry_some(stage *s, size_t most)
{
    bool any = false;
    for (bool busy = true; busy && most > 0;) {
        busy = false;
        for (int to_server = 0; to_server < 2; to_server++) {
            datagram d;
            pull(s);
            if (most == 0 || !party_take(to_server ? &s->p.client : &s->p.server, &d, s->now)) continue;
            if (s->num_seen < MAX_SEEN) {
                s->to_server[s->num_seen] = to_server;
                s->seen[s->num_seen++] = d;
            }
            give(s, &d, to_server);
            busy = any = true;
            most--;
        }
    }
    return any;
}

static void changed(stage *s)
{
    if (!nacre_observer_is_none(s->observer)) nacre_endpoint_changed(s->p.server.ep, s->observer);
    pull(s);
}

static void leave(stage *s, leaving how)
{
    pull(s);
    if (s->ends > 0) return;
    if (how == UNOBSERVE) {
        assert_int_equal(nacre_endpoint_unobserve(s->p.client.ep, s->exchange), NACRE_OK);
        s->left = true;
    } else if (how == CANCEL) {
        nacre_endpoint_cancel(s->p.client.ep, s->exchange);
        s->left = true;
        s->ends++;
    } else {
        nacre_endpoint_rederive(s->p.client.ep,
                                &s->p.ours.rederivation); /* nothing is sent while the procedure is under way */
    }
}

static void everything_once_more(stage *s)
{
    const size_t num = s->num_seen;
    for (int other_mid = 0; other_mid < 2; other_mid++) {
        for (size_t i = 0; i < num; i++) {
            datagram d = s->seen[i];
            if (other_mid) d.bytes[2] ^= 0x55;
            give(s, &d, s->to_server[i]);
        }
        (void)carry_some(s, 100);
    }
}

static void one_run(leaving how, size_t messages, bool has_keys)
{
    static const uint8_t observe[] = { 0x60 };
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    static stage s;
    memset(&s, 0, sizeof s);
    open_rederiving(&s.p, &(nacre_endpoint_config){ .observe.num_observers = 2 });
    if (has_keys) {
        datagram m[4];
        (void)request_rederiving(&s.p.client, &s.p.server, &s.p.ours, NACRE_CON);
        renew_over(&s.p, m, 0);
    }
    assert_int_equal(nacre_endpoint_request_with(s.p.client.ep, &s.exchange, &s.p.server.address, NULL, &get,
                                                 &(nacre_request_options){ .rederivation = &s.p.ours.rederivation },
                                                 NULL),
                     NACRE_OK);
    for (size_t i = 0; i < messages; i++)
        if (!carry_some(&s, 1)) changed(&s);
    leave(&s, how);
    (void)carry_some(&s, 100);
    changed(&s);
    (void)carry_some(&s, 100);
    if (how == RENEW && s.ends == 0) { /* the procedure was under way and went on */
        assert_int_equal(nacre_endpoint_unobserve(s.p.client.ep, s.exchange), NACRE_OK);
        (void)carry_some(&s, 100);
    }
    if (s.ends != 1) fail_msg("way %d after %zu messages: %u ends", how, messages, s.ends);
    everything_once_more(&s);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.heard_after_end, 0);

    /* A normal request succeeds; then both sides become idle. */
    (void)request_rederiving(&s.p.client, &s.p.server, &s.p.ours, NACRE_CON);
    for (int i = 0; i < 40; i++) {
        (void)carry_some(&s, 100);
        changed(&s); /* an observer cancelled without notice gets RST for the next notification */
        s.now += 30000;
        nacre_endpoint_expire(s.p.client.ep, s.now);
        nacre_endpoint_expire(s.p.server.ep, s.now);
    }
    (void)carry_some(&s, 100);
    assert_int_equal(s.observer.number, 0);
    assert_int_equal(s.heard_after_end, 0);
    assert_all_entries_are_free(&s.p.client);
    assert_all_entries_are_free(&s.p.server);
    close_rederiving(&s.p);
}

static void a_cancelled_observation_gets_no_further_event(void **state)
{
    (void)state;
    for (leaving how = UNOBSERVE; how < WAYS; how++)
        for (size_t messages = 0; messages <= MESSAGES; messages++)
            for (int has_keys = 0; has_keys < 2; has_keys++) one_run(how, messages, has_keys);
    assert_true(heard_in_all > 20); /* there was an observation to cancel */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_cancelled_observation_gets_no_further_event) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

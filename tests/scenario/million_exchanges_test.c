/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* B23: after a million exchanges of every kind between one pair of endpoints, both hold no more memory than before, and
 * the last exchanges take as long as the first.
 *
 * NACRE_EXCHANGES sets another number; under sanitizers, which are ten times slower, it is 100,000. */
#include "free_entries.h"

#include <malloc.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { SLICES = 200, TENTH = SLICES / 10, MOST_RATIO_PERCENT = 200, BIG = 2000 };

typedef enum sort { CON, NON, SEPARATE, OBSERVED, LOST, BLOCKS, CANCELLED, SORTS } sort;

static struct {
    pair pair;
    uint64_t now;
    nacre_transfer_exchange exchange;
    nacre_exchange waiting;
    nacre_observer observer;
    unsigned ends, notifications;
    sort sort;
} w;
static uint8_t big[BIG], back[BIG];

static void on_server(const nacre_event *event)
{
    nacre_message response = { .code = NACRE_CONTENT, .payload = NACRE_STR("answer") };
    if (event->kind == NACRE_EVENT_OBSERVER_REMOVED) return;
    if (event->kind == NACRE_EVENT_REQUEST && w.sort == SEPARATE) {
        assert_int_equal(nacre_transfer_defer_response(w.pair.server.transfer, event->exchange), NACRE_OK);
        w.waiting = event->exchange;
        return;
    }
    if (event->kind == NACRE_EVENT_REQUEST && w.sort == OBSERVED) { /* Observe 1 registers nothing */
        const nacre_err err = nacre_endpoint_observe(w.pair.server.ep, &w.observer, event->exchange, NULL);
        assert_true(err == NACRE_OK || err == NACRE_ERR_BAD_ARGUMENT);
    }
    if (w.sort == BLOCKS) response.payload = NACRE_ARRAY(big);
    assert_int_equal(nacre_transfer_respond(w.pair.server.transfer, event->exchange, &response, NULL), NACRE_OK);
}

static bool pull(party *p)
{
    bool any = false;
    for (nacre_event event; party_next_event(p, &event); any = true) {
        if (p == &w.pair.server) {
            on_server(&event);
        } else if (event.kind == NACRE_EVENT_NOTIFICATION) {
            w.notifications++;
        } else {
            assert_int_equal(event.transfer_exchange.number, w.exchange.number);
            assert_int_equal(event.kind == NACRE_EVENT_FAILED, w.sort == LOST);
            w.ends++;
        }
    }
    return any;
}

static void carry_all(void)
{
    party *const parties[2] = { &w.pair.client, &w.pair.server };
    for (bool busy = true; busy;) {
        busy = false;
        for (int i = 0; i < 2; i++) {
            datagram d;
            while (party_take(parties[i], &d, w.now)) {
                busy = true;
                if (w.sort == LOST) continue;
                party_give(parties[!i], parties[i], &d, w.now);
                (void)pull(parties[!i]);
            }
            busy = pull(parties[i]) || busy;
        }
    }
}

static void pass(uint64_t ms)
{
    w.now += ms;
    party_expire(&w.pair.client, w.now);
    party_expire(&w.pair.server, w.now);
    carry_all();
}

static void send_request(unsigned i)
{
    static const uint8_t observe[] = { 0x60 };
    nacre_message m = { .type = w.sort == NON ? NACRE_NON : NACRE_CON, .code = NACRE_FETCH };
    if (w.sort == OBSERVED) m.options = NACRE_ARRAY(observe);
    m.payload = w.sort == BLOCKS ? NACRE_ARRAY(big) : NACRE_STR("request");
    const nacre_transfer_options how = { .buf = NACRE_BUF(back) };
    assert_int_equal(nacre_transfer_request(w.pair.client.transfer, &w.exchange, &w.pair.server.address,
                                            i % 4 == 0 ? w.pair.ours : NULL, &m, &how, NULL),
                     NACRE_OK);
}

static void one_exchange(unsigned i)
{
    /* one in a few hundred takes a slow path that waits for a time-out */
    w.sort = i % 16 == 7     ? SEPARATE
             : i % 16 == 9   ? OBSERVED
             : i % 64 == 11  ? BLOCKS
             : i % 256 == 13 ? LOST
                             : (sort)(i % 2);
    if (i % 64 == 5) w.sort = CANCELLED;
    const unsigned before = w.ends;
    send_request(i);
    if (w.sort == CANCELLED) {
        datagram d;
        if (i % 128 == 5) (void)party_take(&w.pair.client, &d, w.now);
        nacre_transfer_cancel(w.pair.client.transfer, w.exchange);
        carry_all();
        return;
    }
    carry_all();
    if (w.sort == SEPARATE) {
        const nacre_message response = { .code = NACRE_CONTENT, .payload = NACRE_STR("late") };
        pass(i % 32 == 7 ? 10 : 500);
        assert_int_equal(nacre_transfer_respond(w.pair.server.transfer, w.waiting, &response, NULL), NACRE_OK);
        carry_all();
    }
    if (w.sort == OBSERVED) {
        nacre_endpoint_changed(w.pair.server.ep, w.observer);
        carry_all();
        assert_int_equal(nacre_transfer_unobserve(w.pair.client.transfer, w.exchange), NACRE_OK);
        carry_all();
    }
    for (int k = 0; w.sort == LOST && w.ends == before && k < 20; k++) pass(party_deadline(&w.pair.client) - w.now);
    assert_int_equal(w.ends, before + 1);
    pass(20);
}

static double cpu_seconds(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, size_t num)
{
    qsort(times, num, sizeof *times, by_size);
    return times[num / 2];
}

static size_t heap_in_use(void)
{
#if defined(__GLIBC__) && !SANITIZED
    return mallinfo2().uordblks;
#else
    return 0; /* unknown to the server */
#endif
}

static void time_and_heap_stay_constant_over_a_million_exchanges(void **state)
{
    (void)state;
    double times[SLICES];
    size_t heap = 0;
    const char *text = getenv("NACRE_EXCHANGES");
    const unsigned long num = text != NULL ? strtoul(text, NULL, 10) : SANITIZED ? 100000 : 1000000;
    pair_open(&w.pair,
              &(nacre_endpoint_config){ .observe.num_observers = 2, .num_transmissions = 2, .num_client_exchanges = 4 },
              &(pairing){ .secret = 9 });
    party_add_transfer(&w.pair.client, NULL);
    party_add_transfer(&w.pair.server, NULL);
    unsigned done = 0;
    for (size_t slice = 0; slice < SLICES; slice++) {
        const double start = cpu_seconds();
        while (done < num * (slice + 1) / SLICES) one_exchange(done++);
        times[slice] = cpu_seconds() - start;
        if (slice == TENTH) heap = heap_in_use();
    }
    const size_t heap_at_end = heap_in_use();
    const double first = median(times, TENTH), last = median(times + SLICES - TENTH, TENTH);
    print_message("%u exchanges, %u ends, %u notifications; the last tenth took %.2f times the first\n", done, w.ends,
                  w.notifications, last / first);
    assert_true(last * 100 < first * MOST_RATIO_PERCENT);
    assert_true(heap_at_end <= heap + 4096);
    w.sort = CON;
    for (int i = 0; i < 50; i++) pass(100000);
    expect_quiet(&w.pair.client, w.now);
    expect_quiet(&w.pair.server, w.now);
    assert_all_entries_are_free(&w.pair.client);
    assert_all_entries_are_free(&w.pair.server);
    assert_int_equal(w.pair.server.ep->observe.num_observing, 0);
    pair_close(&w.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(time_and_heap_stay_constant_over_a_million_exchanges) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

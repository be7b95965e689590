/* SPDX-License-Identifier: MIT */
/* site_observe_test: which requests may observe a resource, and which observers remain when all entries are in use. */
#include "../scenario/blocks.h"
#include "../scenario/raw.h"
#include <nacre/site.h>

static void say(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    nacre_response_text(response, NACRE_CONTENT, "state");
}

static const nacre_resource resources[] = {
    { .path = "/x", .handler = say, .flags = NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_PLAIN },
};

typedef struct fixture {
    pair p;
    nacre_site *site;
    void *memory;
    raw r;
} fixture;

static void open(fixture *f, bool is_protected)
{
    pair_open(&f->p, &(nacre_endpoint_config){ .observe.num_observers = 1 }, &(pairing){ 0 });
    party_add_transfer(&f->p.server, NULL);
    const nacre_site_config config = { .transfer = f->p.server.transfer };
    const size_t size = nacre_site_size(&config);
    f->memory = malloc(size);
    assert_int_equal(nacre_site_init(&f->site, f->memory, size, &config), NACRE_OK);
    nacre_site_set_resources(f->site, resources, 1);
    f->r = raw_open(&f->p, is_protected ? f->p.ours : NULL);
}

static void close(fixture *f)
{
    pair_close(&f->p);
    free(f->memory);
}

/* Sends a request; true when the response has Observe. */
static bool watches(fixture *f, nacre_bytes options)
{
    datagram d;
    nacre_event event;
    raw_request(&f->r, &d, NACRE_CON, NACRE_GET, options, 0);
    while (party_next_event(&f->p.server, &event)) assert_int_equal(nacre_site_respond(f->site, &event), NACRE_OK);
    (void)raw_take(&f->r, &d, 0);
    return !nacre_is_absent(nacre_option_find(raw_read(&f->r, &d).options, NACRE_OPT_OBSERVE));
}

/* RFC 7641 4.1: a repeated registration replaces the one before, also when all entries are in use. Another client's is
 * refused, and the present observer is still notified. */
static void a_repeated_registration_replaces_the_one_before_when_full(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        static const uint8_t token[] = { 0x99 };
        fixture f;
        datagram d;
        nacre_event event;
        open(&f, is_protected);
        for (int i = 0; i < 4; i++) assert_true(watches(&f, raw_options(0, "x", -1)));
        nacre_site_changed(f.site, "/x");
        event = expect_event(&f.p.server, NACRE_EVENT_NOTIFY);
        assert_int_equal(nacre_site_respond(f.site, &event), NACRE_OK);
        const nacre_message m = raw_take(&f.r, &d, 0);
        assert_payload(raw_read(&f.r, &d), "state");
        raw_empty(&f.r, NACRE_ACK, m.mid, 0); /* its address is validated */
        f.r.token = NACRE_ARRAY(token);
        assert_false(watches(&f, raw_options(0, "x", -1)));
        close(&f);
    }
}

/* Registrations may come from forged addresses: one that was never confirmed must not exclude others. */
static void unconfirmed_observers_are_evicted(void **state)
{
    (void)state;
    fixture f;
    open(&f, false);
    static const char *const names[] = { "forged", "another", "victim" };
    for (int i = 0; i < 3; i++) {
        f.r.address = address_named(names[i]);
        assert_true(watches(&f, raw_options(0, "x", -1)));
    }
    close(&f);
}

/* RFC 7959 2.6 */
static void requests_for_further_blocks_do_not_observe(void **state)
{
    (void)state;
    const struct {
        int64_t block1, block2;
        bool watches;
    } rows[] = { { NO_BLOCK, NO_BLOCK, true },
                 { NO_BLOCK, BLOCK(0, 0, 2), true },
                 { BLOCK(0, 0, 2), NO_BLOCK, true },
                 { NO_BLOCK, BLOCK(1, 0, 0), false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f;
        open(&f, true);
        const said s = { .path = "x", .observe = true, .block1 = rows[i].block1, .block2 = rows[i].block2 };
        assert_int_equal(watches(&f, said_message(&s).options), rows[i].watches);
        close(&f);
    }
}

/* A FETCH in two blocks: the endpoint has the last one, and could not repeat the request to the resource. */
static void requests_in_blocks_do_not_observe(void **state)
{
    (void)state;
    fixture f;
    datagram d;
    nacre_event event;
    open(&f, true);
    for (int i = 0; i < 2; i++) {
        const said s = { .path = "x", .observe = true, .block1 = BLOCK(i, i == 0, 0) };
        nacre_message m = said_message(&s);
        m.type = NACRE_CON, m.code = NACRE_FETCH, m.mid = ++f.r.mid, m.token = f.r.token;
        m.payload = pattern(0, 16);
        nacre_bytes out;
        assert_int_equal(nacre_protect_request(f.r.ctx, &f.r.crypto, &f.r.id, &out, NACRE_BUF(d.bytes), &m, NULL),
                         NACRE_OK);
        d.len = out.len;
        raw_give(&f.r, &d, 0);
        while (party_next_event(&f.p.server, &event)) assert_int_equal(nacre_site_respond(f.site, &event), NACRE_OK);
        (void)raw_take(&f.r, &d, 0);
    }
    const nacre_message last = raw_read(&f.r, &d);
    assert_int_equal(last.code, NACRE_CONTENT);
    assert_true(nacre_is_absent(nacre_option_find(last.options, NACRE_OPT_OBSERVE)));
    close(&f);
}

/* The site leaves the program's own observers alone. */
static void observers_of_the_program_are_left_alone(void **state)
{
    (void)state;
    fixture f;
    int user;
    open(&f, true);
    const nacre_event removed = { .kind = NACRE_EVENT_OBSERVER_REMOVED, .user = &user, .observer = { 0x1234 } };
    user = 0x1234;
    assert_int_equal(nacre_site_respond(f.site, &removed), NACRE_OK);
    assert_int_equal(user, 0x1234);
    close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_registration_replaces_the_one_before_when_full),
        cmocka_unit_test(unconfirmed_observers_are_evicted),
        cmocka_unit_test(requests_for_further_blocks_do_not_observe),
        cmocka_unit_test(requests_in_blocks_do_not_observe),
        cmocka_unit_test(observers_of_the_program_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* well_known_test: the list of resources, its filters, and its blocks (RFC 6690, RFC 8613 9). */
#include "../scenario/world.h"
#include "site/site_internal.h"

#include <time.h>

static void nothing(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->code = NACRE_CONTENT;
}

static void text(void *user, const nacre_request *request, nacre_response *response)
{
    (void)request;
    nacre_response_text(response, NACRE_CONTENT, user);
}

static const nacre_link temperature = { .rt = "temperature-c outdoor", .iface = "sensor", .ct = "0", .sz = 20 };
static const nacre_link humidity = { .rt = "humidity", .iface = "sensor core.s", .ct = "0 60", .title = "How wet" };
static const nacre_link spoilt = { .title = "a \"quoted\" one", .rt = "back\\slash" };
static const nacre_resource few[] = {
    { .path = "/t", .handler = nothing, .link = &temperature, .flags = NACRE_RESOURCE_OBSERVABLE },
    { .path = "/h", .handler = nothing, .link = &humidity, .flags = NACRE_RESOURCE_PLAIN },
    { .path = "/hidden", .handler = nothing, .flags = NACRE_RESOURCE_HIDDEN },
    { .path = "/s", .handler = nothing, .link = &spoilt, .flags = NACRE_RESOURCE_SUBTREE },
};
#define T "</t>;rt=\"temperature-c outdoor\";if=\"sensor\";ct=0;sz=20;obs;osc"
#define H "</h>;rt=\"humidity\";if=\"sensor core.s\";title=\"How wet\";ct=\"0 60\""
#define S "</s>;osc"

typedef struct lister {
    pair p;
    nacre_site *site;
    void *site_memory;
    nacre_event end;
    bool ended;
    unsigned requests;
    size_t longest; /* payload of a datagram from the server */
    uint8_t body[20000];
    uint8_t etag[8]; /* of the response */
    size_t etag_len;
} lister;

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    lister *a = user;
    (void)now;
    if (p == &a->p.server) {
        a->requests++;
        assert_int_equal(nacre_site_respond(a->site, event), NACRE_OK);
        return;
    }
    a->end = *event;
    a->ended = true;
    const nacre_bytes etag = nacre_option_find(event->message.options, NACRE_OPT_ETAG);
    a->etag_len = etag.len;
    if (etag.len > 0) memcpy(a->etag, etag.ptr, etag.len < 8 ? etag.len : 8);
}

static void open_site(lister *a, const nacre_resource *resources, size_t num)
{
    const nacre_endpoint_config config = { .observe.num_observers = 4 };
    memset(a, 0, sizeof *a);
    pair_open(&a->p, &config, &(pairing){ 0 });
    party_add_transfer(&a->p.client, NULL);
    party_add_transfer(&a->p.server, NULL);
    const nacre_site_config site = { .transfer = a->p.server.transfer };
    a->site_memory = malloc(nacre_site_size(&site));
    assert_int_equal(nacre_site_init(&a->site, a->site_memory, nacre_site_size(&site), &site), NACRE_OK);
    nacre_site_set_resources(a->site, resources, num);
}

static void close_site(lister *a)
{
    pair_close(&a->p);
    free(a->site_memory);
}

static uint16_t block_size; /* requested; 0: none */

/* The whole response; NULL query: none. */
static nacre_message request_list(lister *a, bool is_protected, const char *path, const char *const *queries,
                                  int accept)
{
    static wire w;
    uint8_t buf[128];
    nacre_options o;
    nacre_transfer_exchange exchange;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    nacre_options_init(&o, NACRE_BUF(buf));
    for (size_t at = 0, len; path[at] == '/'; at += 1 + len) {
        len = strcspn(path + at + 1, "/");
        nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path + at + 1, len));
    }
    for (; queries != NULL && *queries != NULL; queries++)
        nacre_options_add(&o, NACRE_OPT_URI_QUERY, nacre_bytes_of((const uint8_t *)*queries, strlen(*queries)));
    if (accept >= 0) nacre_options_add_uint(&o, NACRE_OPT_ACCEPT, (uint64_t)accept);
    assert_int_equal(nacre_options_finish(&o, &get.options), NACRE_OK);
    const nacre_transfer_options options = { .buf = NACRE_BUF(a->body), .block_size = block_size };
    a->ended = false;
    assert_int_equal(nacre_transfer_request(a->p.client.transfer, &exchange, &a->p.server.address,
                                            is_protected ? a->p.ours : NULL, &get, &options, NULL),
                     NACRE_OK);
    w = (wire){ .parties = { &a->p.client, &a->p.server }, .num_parties = 2, .on_event = on_event, .user = a };
    while (!a->ended) assert_true(wire_step(&w));
    wire_close(&w);
    assert_int_equal(a->end.kind, NACRE_EVENT_RESPONSE);
    return a->end.message;
}

static nacre_message list(lister *a, bool is_protected, const char *query)
{
    const char *const queries[] = { query, NULL };
    return request_list(a, is_protected, "/.well-known/core", queries, -1);
}

static void list_has_the_attributes_of_each_resource(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        lister a;
        open_site(&a, few, 4);
        const nacre_message response = list(&a, is_protected, NULL);
        assert_int_equal(response.code, NACRE_CONTENT);
        assert_payload(response, T "," H "," S);
        close_site(&a);
    }
}

/* RFC 6690 4.1 */
static void queries_filter_the_list(void **state)
{
    (void)state;
    const struct {
        const char *query, *links;
    } rows[] = {
        { "rt=humidity", H },
        { "rt=humidit", "" },
        { "rt=humidity*", H },
        { "rt=hum*", H },
        { "rt=outdoor", T },
        { "rt=temperature-c outdoor", "" }, /* one of them, not the list */
        { "rt=*", T "," H "," S },
        { "if=sensor", T "," H },
        { "if=core.s", H },
        { "if=core.*", H },
        { "ct=0", T "," H },
        { "ct=60", H },
        { "ct=6*", H },
        { "title=How wet", H },
        { "title=How", "" },
        { "title=How*", H },
        { "sz=20", T },
        { "sz=2*", T },
        { "sz=2", "" },
        { "href=/t", T },
        { "href=/h*", H },
        { "href=/hidden", "" },
        { "href=/*", T "," H "," S },
        { "href=", "" },
        { "href=*", T "," H "," S },
        { "obs", T },
        { "osc", T "," S },
        { "os", "" },
        { "unknown=1", "" },
        { "RT=humidity", "" },
        { "=", "" },
        { "", T "," H "," S }, /* "?" and nothing after it */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lister a;
        open_site(&a, few, 4);
        const nacre_message response = list(&a, true, rows[i].query);
        const char *links = rows[i].links;
        if (response.code != NACRE_CONTENT || response.payload.len != strlen(links) ||
            (response.payload.len > 0 && memcmp(response.payload.ptr, links, response.payload.len) != 0))
            fail_msg("%s: %.*s", rows[i].query, (int)response.payload.len, (const char *)response.payload.ptr);
        close_site(&a);
    }
    lister a;
    open_site(&a, few, 4);
    const char *const with_empty[] = { "", "if=core.s", "", NULL };
    assert_payload(request_list(&a, true, "/.well-known/core", with_empty, -1), H);
    close_site(&a);
}

/* RFC 6690 4.1 has one: the work for a request does not grow with their number. */
static void several_filters_are_a_bad_request(void **state)
{
    (void)state;
    const char *const two[] = { "if=sensor", "ct=60", NULL }, *const same[] = { "rt=*", "", "rt=*", NULL };
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        lister a;
        open_site(&a, few, 4);
        assert_int_equal(request_list(&a, is_protected, "/.well-known/core", two, -1).code, NACRE_BAD_REQUEST);
        assert_int_equal(request_list(&a, is_protected, "/.well-known/core", same, -1).code, NACRE_BAD_REQUEST);
        close_site(&a);
    }
}

/* What the transfer reads was kept when the list was made: the resources may be gone by then. */
static void a_list_is_made_once_for_each_request(void **state)
{
    (void)state;
    static const uint8_t block_2_of_16[] = { 0xd1, 10, 0x20 };
    static const char *const list = T "," H "," S;
    for (int at_end = 0; at_end < 2; at_end++) {
        lister a;
        nacre__listing listing;
        uint8_t buf[1024], options[64], got[1024];
        size_t len = 0;
        nacre_event event = { .message.code = NACRE_GET };
        if (at_end) event.message.options = NACRE_ARRAY(block_2_of_16);
        open_site(&a, few, 4);
        event.context = a.p.ours; /* a plain request gets 64 bytes at most */
        nacre_response response = { .buf = NACRE_BUF(buf) };
        nacre_options_init(&response.options, NACRE_BUF(options));
        nacre__well_known(a.site, &listing, &event, &response);
        nacre_site_set_resources(a.site, NULL, 0);
        const size_t offset = at_end ? 32 : 0;
        assert_int_equal(response.source.size, strlen(list));
        assert_int_equal(response.source.read(response.source.user, offset, (nacre_buf){ got, 16 }, &len), NACRE_OK);
        assert_int_equal(len, 16);
        assert_memory_equal(got, list + offset, 16);
        assert_int_equal(response.source.read(response.source.user, offset, NACRE_BUF(got), &len), NACRE_OK);
        assert_int_equal(len, strlen(list) - offset);
        assert_memory_equal(got, list + offset, len);
        close_site(&a);
    }
}

/* The resources are read again when they are set, and only then. */
static void new_resources_make_another_list(void **state)
{
    (void)state;
    lister a;
    uint8_t etag[8];
    open_site(&a, few, 4);
    for (size_t num = 4; num > 0; num--) {
        nacre_site_set_resources(a.site, few, num);
        assert_payload(list(&a, true, NULL), num == 4 ? T "," H "," S : num > 1 ? T "," H : T);
        if (num != 4 && num != 2) assert_memory_not_equal(a.etag, etag, sizeof etag);
        memcpy(etag, a.etag, sizeof etag);
        assert_payload(list(&a, true, "obs"), T);
    }
    close_site(&a);
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The time of 2,000 plain requests for the list of `num` resources, for its blocks in turn. */
static double lists_of(size_t num)
{
    enum { MOST = 4000 };
    static char names[MOST][16];
    static nacre_resource many[MOST];
    for (size_t i = 0; i < num; i++) {
        (void)snprintf(names[i], sizeof names[i], "/r%04zu", i);
        many[i] = (nacre_resource){ .path = names[i], .handler = nothing };
    }
    lister a;
    open_site(&a, many, num);
    const double start = seconds();
    for (size_t n = 0; n < 2000; n++) {
        uint8_t buf[1024], options[64], request[8];
        nacre_options o;
        nacre__listing listing;
        nacre_event event = { .message.code = NACRE_GET };
        nacre_options_init(&o, NACRE_BUF(request));
        nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, n % (num * 12 / 64) << 4 | 2);
        assert_int_equal(nacre_options_finish(&o, &event.message.options), NACRE_OK);
        nacre_response response = { .buf = NACRE_BUF(buf) };
        nacre_options_init(&response.options, NACRE_BUF(options));
        nacre__well_known(a.site, &listing, &event, &response);
        assert_in_range(listing.window.len, 64, sizeof buf);
    }
    const double took = seconds() - start;
    close_site(&a);
    return took;
}

/* Any sender may request the list. If each request made all of it, the second run would take some hundred times as long. */
static void time_of_a_block_does_not_grow_with_resources(void **state)
{
    (void)state;
    const double few_links = lists_of(20), many_links = lists_of(4000);
    print_message("2000 blocks of a list of 20: %.1f ms, of 4000: %.1f ms\n", few_links * 1e3, many_links * 1e3);
    assert_true(many_links < 20 * few_links);
}

static void accept_admits_link_format_only(void **state)
{
    (void)state;
    const struct {
        int format;
        uint8_t code;
    } rows[] = { { 40, NACRE_CONTENT }, { 0, NACRE_NOT_ACCEPTABLE }, { 60, NACRE_NOT_ACCEPTABLE } };
    for (size_t i = 0; i < 3; i++) {
        lister a;
        open_site(&a, few, 4);
        assert_int_equal(request_list(&a, true, "/.well-known/core", NULL, rows[i].format).code, rows[i].code);
        close_site(&a);
    }
}

/* The site's own resource of that name takes precedence, a subtree above it does not; no resources, no links. */
static void a_list_of_the_site_takes_precedence(void **state)
{
    (void)state;
    static char root[] = "root", exact[] = "exact";
    const nacre_resource extra[] = {
        { .path = "/", .handler = text, .user = root, .flags = NACRE_RESOURCE_SUBTREE | NACRE_RESOURCE_HIDDEN },
        { .path = "/.well-known/core", .handler = text, .user = exact },
    };
    for (size_t num = 0; num <= 2; num++) {
        lister a;
        open_site(&a, extra, num);
        assert_payload(list(&a, true, NULL), num == 2 ? "exact" : "");
        close_site(&a);
    }
}

/* A list of any length comes in blocks, in small ones to unvalidated addresses (RFC 9175 2.6). */
static void long_lists_come_in_blocks(void **state)
{
    (void)state;
    enum { NUM = 1000 };
    static char names[NUM][16], whole[NUM * 16];
    static nacre_resource many[NUM];
    size_t len = 0;
    for (int i = 0; i < NUM; i++) {
        snprintf(names[i], sizeof names[i], "/r%03d", i);
        many[i] = (nacre_resource){ .path = names[i], .handler = nothing };
        len += (size_t)snprintf(whole + len, sizeof whole - len, "%s</r%03d>;osc", i > 0 ? "," : "", i);
    }
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        static lister a;
        open_site(&a, many, NUM);
        assert_payload(list(&a, is_protected, NULL), whole);
        const size_t block = is_protected ? 1024 : 64;
        const size_t most = (len + block - 1) / block;
        assert_in_range(a.requests, most, most + 4); /* the first ones are small, and grow (RFC 7252 11.3) */
        close_site(&a);
    }
}

/* A list shorter than one of our blocks, in blocks that the client chose, arrives complete, and with the ETag that it
 * has in one block. */
static void short_lists_in_small_blocks(void **state)
{
    (void)state;
    static const uint16_t sizes[] = { 0, 16, 32, 64, 128, 1024 };
    static const struct {
        const char *query, *links;
    } rows[] = { { NULL, T "," H "," S }, { "osc", T "," S }, { "href=/s", S }, { "href=/x", "" } };
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            lister a;
            uint8_t etag[8] = { 0 };
            open_site(&a, few, 4);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                block_size = sizes[i];
                const nacre_message response = list(&a, is_protected, rows[r].query);
                assert_int_equal(response.code, NACRE_CONTENT);
                assert_payload(response, rows[r].links);
                assert_int_equal(a.etag_len, sizeof etag);
                if (i == 0) memcpy(etag, a.etag, sizeof etag);
                assert_memory_equal(a.etag, etag, sizeof etag);
            }
            block_size = 0;
            close_site(&a);
        }
}

/* ---- Observing --------------------------------------------------------------------------------------------------- */

typedef struct watched {
    pair p;
    nacre_site *site;
    char value[1500];
    unsigned notifications, ends, num_requests, told;
    size_t last_len;
    char last;
    uint8_t code;
} watched;

static void show(void *user, const nacre_request *request, nacre_response *response)
{
    const watched *v = user;
    ((watched *)user)->num_requests++;
    ((watched *)user)->told += request->is_notification;
    response->code = v->value[0] == 'x' ? NACRE_NOT_FOUND : NACRE_CONTENT;
    response->payload = nacre_bytes_of((const uint8_t *)v->value, strlen(v->value));
}

static void on_watched(void *user, party *p, const nacre_event *event, uint64_t now)
{
    watched *v = user;
    (void)now;
    if (p == &v->p.server) {
        assert_int_equal(nacre_site_respond(v->site, event), NACRE_OK);
        return;
    }
    v->notifications += event->kind == NACRE_EVENT_NOTIFICATION;
    v->ends += event->kind == NACRE_EVENT_RESPONSE;
    v->last_len = event->message.payload.len;
    v->last = v->last_len > 0 ? (char)event->message.payload.ptr[0] : '\0';
    v->code = event->message.code;
    for (size_t i = 0; i < v->last_len; i++) assert_int_equal(event->message.payload.ptr[i], v->last);
}

static void run(wire *w)
{
    const uint64_t until = w->now + 3000;
    while (w->now < until && wire_step(w)) {}
}

static void set_value(watched *v, char c, size_t len)
{
    memset(v->value, c, len);
    v->value[len] = '\0';
}

/* RFC 7641: a change notifies each observer of its path and no other; bodies of several blocks too. */
static void a_change_notifies_the_observers_of_its_path(void **state)
{
    static wire w;
    static watched v;
    (void)state;
    const nacre_endpoint_config config =
        config_once((nacre_endpoint_config){ .observe.num_observers = 2, .congestion.nstart = UINT16_MAX });
    memset(&v, 0, sizeof v);
    set_value(&v, 'a', 5);
    const nacre_resource resources[] = {
        { .path = "/v", .handler = show, .user = &v, .flags = NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_SUBTREE },
        { .path = "/not", .handler = show, .user = &v },
    };
    pair_open(&v.p, &config, &(pairing){ 0 });
    party_add_transfer(&v.p.client, NULL);
    party_add_transfer(&v.p.server, NULL);
    const nacre_site_config site = { .transfer = v.p.server.transfer };
    void *memory = malloc(nacre_site_size(&site));
    assert_int_equal(nacre_site_init(&v.site, memory, nacre_site_size(&site), &site), NACRE_OK);
    nacre_site_set_resources(v.site, resources, 2);
    w = (wire){ .parties = { &v.p.client, &v.p.server }, .num_parties = 2, .on_event = on_watched, .user = &v };

    uint8_t buf[32], body[2000], body2[2000];
    nacre_transfer_exchange exchange[3];
    const char *const paths[] = { "v", "not", "v" };
    for (int i = 0; i < 3; i++) {
        nacre_options o;
        nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
        nacre_options_init(&o, NACRE_BUF(buf));
        nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
        nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)paths[i], strlen(paths[i])));
        if (i == 2) nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("deep"));
        assert_int_equal(nacre_options_finish(&o, &get.options), NACRE_OK);
        const nacre_transfer_options options = { .buf = i == 0 ? NACRE_BUF(body) : NACRE_BUF(body2) };
        assert_int_equal(nacre_transfer_request(v.p.client.transfer, &exchange[i], &v.p.server.address, v.p.ours, &get,
                                                &options, NULL),
                         NACRE_OK);
        run(&w);
    }
    assert_int_equal(v.notifications, 2);
    assert_int_equal(v.ends, 1); /* an unobservable resource responds once */

    set_value(&v, 'b', 1400);
    nacre_site_changed(v.site, "/v");
    run(&w);
    assert_int_equal(v.notifications, 3); /* not the one below it */
    assert_int_equal(v.told, 1);
    assert_int_equal(v.last, 'b');
    assert_int_equal(v.last_len, 1400);
    nacre_site_changed(v.site, "/v/deep");
    run(&w);
    assert_int_equal(v.notifications, 4);
    nacre_site_changed(v.site, "/not");
    nacre_site_changed(v.site, "/nothing");
    run(&w);
    assert_int_equal(v.notifications, 4);

    assert_int_equal(nacre_transfer_unobserve(v.p.client.transfer, exchange[0]), NACRE_OK);
    run(&w);
    assert_int_equal(v.ends, 2);
    nacre_site_changed(v.site, "/v");
    run(&w);
    assert_int_equal(v.notifications, 4);
    set_value(&v, 'x', 3); /* an error ends it */
    nacre_site_changed(v.site, "/v/deep");
    run(&w);
    assert_int_equal(v.ends, 3);
    assert_int_equal(v.code, NACRE_NOT_FOUND);
    const unsigned requests_so_far = v.num_requests;
    nacre_site_changed(v.site, "/v/deep");
    run(&w);
    assert_int_equal(v.num_requests, requests_so_far);
    wire_close(&w);
    pair_close(&v.p);
    free(memory);
}

/* ---- Deferred responses ------------------------------------------------------------------------------------------ */

static nacre_exchange held;

static void hold(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    held = request->exchange;
    response->deferred = true;
}

static void a_deferred_response_is_separate(void **state)
{
    static wire w;
    static lister a;
    (void)state;
    const nacre_resource resources[] = { { .path = "/l", .handler = hold } };
    open_site(&a, resources, 1);
    uint8_t buf[8], big[1100] = { 7 };
    nacre_options o;
    nacre_transfer_exchange exchange;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("l"));
    assert_int_equal(nacre_options_finish(&o, &get.options), NACRE_OK);
    const nacre_transfer_options options = { .buf = NACRE_BUF(a.body) };
    assert_int_equal(
        nacre_transfer_request(a.p.client.transfer, &exchange, &a.p.server.address, a.p.ours, &get, &options, NULL),
        NACRE_OK);
    w = (wire){ .parties = { &a.p.client, &a.p.server }, .num_parties = 2, .on_event = on_event, .user = &a };
    while (w.now < 100 && wire_step(&w)) {} /* up to the empty ACK: the response is a separate one */
    assert_false(a.ended);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = NACRE_ARRAY(big) };
    assert_int_equal(nacre_transfer_respond(nacre_site_transfer(a.site), held, &response, NULL), NACRE_OK);
    while (!a.ended) assert_true(wire_step(&w));
    assert_int_equal(a.end.kind, NACRE_EVENT_RESPONSE);
    assert_int_equal(a.end.message.payload.len, 1100);
    wire_close(&w);
    close_site(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_has_the_attributes_of_each_resource),
        cmocka_unit_test(queries_filter_the_list),
        cmocka_unit_test(several_filters_are_a_bad_request),
        cmocka_unit_test(a_list_is_made_once_for_each_request),
        cmocka_unit_test(new_resources_make_another_list),
        cmocka_unit_test(time_of_a_block_does_not_grow_with_resources),
        cmocka_unit_test(accept_admits_link_format_only),
        cmocka_unit_test(a_list_of_the_site_takes_precedence),
        cmocka_unit_test(long_lists_come_in_blocks),
        cmocka_unit_test(a_change_notifies_the_observers_of_its_path),
        cmocka_unit_test(a_deferred_response_is_separate),
        cmocka_unit_test(short_lists_in_small_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

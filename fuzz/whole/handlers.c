/* SPDX-License-Identifier: MIT */
/* handlers: the sources, sinks, uploads and resources of the application. */
#include "world.h"

nacre_err whole_read_source(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    (void)user;
    if (w.policy % 16 == 15 && offset > 0) return NACRE_ERR_FILE;
    *len = 0;
    if (offset >= BIG) return NACRE_OK; /* a block past the end was requested */
    *len = BIG - offset < buf.cap ? (size_t)(BIG - offset) : buf.cap;
    memcpy(buf.ptr, whole_big + offset, *len);
    return NACRE_OK;
}

nacre_err whole_write_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    uint64_t *at = user;
    (void)total;
    CHECK(offset == 0 || at == NULL || offset == *at); /* in order and without gaps */
    if (at != NULL) *at = offset + piece.len;
    return w.policy % 16 == 14 && offset > 0 ? NACRE_ERR_FILE : NACRE_OK;
}

static void upload_is_over(void *user)
{
    free(user);
    CHECK(w.num_block1-- > 0);
}

static void on_upload(nacre_upload *upload)
{
    if (w.policy & 16) upload->code = NACRE_FORBIDDEN;
    if (w.policy & 32) upload->max_body = 100;
    if (upload->code != 0 || !(w.policy & 64)) return;
    uint64_t *at = calloc(1, sizeof *at);
    CHECK(at != NULL);
    w.num_block1++;
    static const nacre_upload_error full = { NACRE_TOO_LARGE, "full" };
    *upload = (nacre_upload){ .sink = { whole_write_sink, at },
                              .done = upload_is_over,
                              .error = w.policy & 128 ? &full : NULL };
}

void whole_on_upload(void *user, const nacre_event *event, nacre_upload *upload)
{
    (void)user;
    CHECK(event->kind == NACRE_EVENT_REQUEST);
    on_upload(upload);
}

static void on_site_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    (void)user;
    (void)request;
    on_upload(upload);
}

void whole_ignore(nacre_exchange exchange)
{
    if (w.transfer != NULL) nacre_transfer_ignore(w.transfer, exchange);
    else nacre_endpoint_ignore(w.ep, exchange);
}

/* A deferred exchange may have ended (all transmissions in use) without notice to its handler. */
static bool is_over(nacre_exchange exchange)
{
    if (nacre__number_kind(exchange.number) == NACRE__OF_SERVER_EXCHANGE)
        return nacre__server_exchange_of(&w.ep->server_exchanges, exchange.number) == NULL;
    return nacre__observer_of(&w.ep->observe, exchange.number) == NULL;
}

void whole_keep_open(nacre_exchange exchange, bool deferred)
{
    for (size_t i = 0; i < NUM_OPEN; i++) {
        if (!w.open[i].deferred || !is_over(w.open[i].exchange)) continue;
        whole_ignore(w.open[i].exchange); /* it ended without notice */
        w.open[i] = (open_request){ 0 };
    }
    for (size_t i = 0; i < NUM_OPEN; i++) {
        if (!nacre_exchange_is_none(w.open[i].exchange)) continue;
        w.open[i] = (open_request){ exchange, deferred };
        return;
    }
    for (size_t i = 0; i < NUM_OPEN; i++) {
        if (w.open[i].deferred) continue;
        w.open[i] = (open_request){ exchange, deferred };
        return;
    }
    fuzz_failed("more is answered later than there are pushes", __FILE__, __LINE__);
}

static void handle(void *user, const nacre_request *request, nacre_response *response)
{
    const bool is_deferred = user != NULL;
    response->code = w.policy & 1 ? NACRE_NOT_FOUND : NACRE_CONTENT;
    if (is_deferred && w.policy & 2) {
        response->deferred = true;
        whole_keep_open(request->exchange, true);
        return;
    }
    if (w.policy & 4) {
        nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_STR("e"));
        response->source = (nacre_source){ whole_read_source, NULL, w.policy & 8 ? BIG : NACRE_SIZE_UNKNOWN };
    } else {
        response->payload = nacre_bytes_of(whole_big, w.policy & 8 ? BIG : 20);
    }
}

void whole_make_site(void)
{
    static const nacre_resource resources[] = {
        { .path = "/a", .handler = handle, .flags = NACRE_RESOURCE_OBSERVABLE },
        { .path = "/later", .handler = handle, .user = &w, .flags = NACRE_RESOURCE_OBSERVABLE },
        { .path = "/up", .handler = handle, .on_upload = on_site_upload, .flags = NACRE_RESOURCE_SUBTREE },
        { .path = "/plain",
          .handler = handle,
          .flags = NACRE_RESOURCE_PLAIN | NACRE_RESOURCE_OBSERVABLE,
          .on_upload = on_site_upload },
    };
    const nacre_site_config config = { .transfer = w.transfer };
    const size_t size = nacre_site_size(&config);
    CHECK(nacre_site_init(&w.site, fuzz_alloc(size), size, &config) == NACRE_OK);
    nacre_site_set_resources(w.site, resources, sizeof resources / sizeof resources[0]);
}

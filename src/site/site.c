/* SPDX-License-Identifier: MIT */
/* site: dispatches requests to resources by path and writes the error responses that are common to all.
 *
 * Checks in order: critical options and proxying, path, access, resource, protection, conditions; then the handler. An error response is
 * protected if the request was. The first block of a large body passes the same checks, so that the client learns of a
 * refusal before it sends the rest. */
#include "site_internal.h"
#include "coap/option_check.h"

#include <string.h>

enum { MAX_OPTIONS = 512, MAX_BUF = 1024 };
enum { FORMAT_TEXT = 0 };

/* ---- Life ---------------------------------------------------------------------------------------------------------- */

/* One entry more than the endpoint has observers: if all are in use, a new registration replaces one, and the replaced one
 * keeps its entry until its OBSERVER_REMOVED event is pulled. */
static uint32_t num_observed(const nacre_site_config *config)
{
    const uint32_t num = nacre_endpoint_get_config(nacre_transfer_endpoint(config->transfer))->observe.num_observers;
    return num > 0 ? num + 1 : 0;
}

/* The longest path text of any request: every Uri-Path byte percent-encoded. RFC 7252 5.10.1 bounds the length of a segment,
 * but only the message size bounds their number. */
static size_t path_size(const nacre_site_config *config)
{
    const nacre_endpoint_config *ep = nacre_endpoint_get_config(nacre_transfer_endpoint(config->transfer));
    return 3 * (ep->max_message + ep->outer_block.max_unfragmented) + 2;
}

size_t nacre_site_size(const nacre_site_config *config)
{
    if (config->transfer == NULL) return 0;
    return sizeof(nacre_site) + num_observed(config) * sizeof(nacre__observed_path) + path_size(config);
}

static void on_upload(void *user, const nacre_event *event, nacre_upload *upload);

nacre_err nacre_site_init(nacre_site **out, void *memory, size_t size, const nacre_site_config *config)
{
    if (config->transfer == NULL || memory == NULL || (uintptr_t)memory % _Alignof(max_align_t) != 0)
        return NACRE_ERR_BAD_ARGUMENT;
    if (size < nacre_site_size(config)) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre_site *site = memory;
    memset(site, 0, nacre_site_size(config));
    site->transfer = config->transfer;
    site->observed = (nacre__observed_path *)(site + 1);
    site->num_observed = num_observed(config);
    site->path = (char *)(site->observed + site->num_observed);
    site->path_size = path_size(config);
    const nacre_random *random = &nacre_endpoint_get_config(nacre_transfer_endpoint(config->transfer))->random;
    random->fill(random->self, site->hash_key, sizeof site->hash_key);
    nacre_transfer_on_upload(config->transfer, on_upload, site);
    *out = site;
    return NACRE_OK;
}

nacre_transfer *nacre_site_transfer(const nacre_site *site)
{
    return site->transfer;
}

void nacre_site_set_resources(nacre_site *site, const nacre_resource *resources, size_t num_resources)
{
    site->resources = resources;
    site->num_resources = num_resources;
    site->list.is_current = false;
}

void nacre_site_on_access(nacre_site *site, nacre_on_access on_access, void *user)
{
    site->on_access = on_access;
    site->access_user = user;
}

void nacre_response_text(nacre_response *response, uint8_t code, const char *text)
{
    size_t len = strlen(text);
    if (len > response->buf.cap) len = response->buf.cap;
    memcpy(response->buf.ptr, text, len);
    response->code = code;
    response->payload = nacre_bytes_of(response->buf.ptr, len);
    nacre_options_init(&response->options, response->options.buf); /* a second call replaces the first */
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_TEXT);
}

/* ---- Options ------------------------------------------------------------------------------------------------------- */

static bool is_proxying(uint16_t number)
{
    return number == NACRE_OPT_PROXY_URI || number == NACRE_OPT_PROXY_SCHEME || number == NACRE_OPT_PROXY_CRI ||
           number == NACRE_OPT_PROXY_SCHEME_NUMBER;
}

/* Known critical options that neither nacre nor a handler supports: Q-Block (RFC 9177: 4.02 signals the lack), Uri-Path-Abbrev
 * (4.02, never 4.04), EDHOC, and OSCORE inside OSCORE. */
static bool is_known_but_not_served(uint16_t number)
{
    return number == NACRE_OPT_Q_BLOCK1 || number == NACRE_OPT_Q_BLOCK2 || number == NACRE_OPT_URI_PATH_ABBREV ||
           number == NACRE_OPT_EDHOC || number == NACRE_OPT_OSCORE;
}

/* RFC 7252 5.4.1, 5.4.3, 5.4.5: an unknown, wrongly sized or wrongly repeated option counts as "not understood". */
static bool is_understood(const nacre_option *option, bool repeated)
{
    return !nacre__option_must_reject(option, repeated) && !is_known_but_not_served(option->number);
}

typedef struct refusal {
    uint8_t code; /* 0: none */
    const char *text;
} refusal;

static const refusal unfulfilled = { NACRE_PRECONDITION_FAILED, "the condition is not fulfilled" };

static refusal check_critical(nacre_bytes options, bool *has_conditions)
{
    uint16_t last = 0;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option); last = option.number) {
        if (!nacre_option_is_critical(option.number)) continue;
        *has_conditions =
            *has_conditions || option.number == NACRE_OPT_IF_MATCH || option.number == NACRE_OPT_IF_NONE_MATCH;
        if (is_proxying(option.number)) return (refusal){ NACRE_PROXYING_NOT_SUPPORTED, "this is no proxy" };
        if (!is_understood(&option, option.number == last))
            return (refusal){ NACRE_BAD_OPTION, "critical option not understood" };
    }
    return (refusal){ 0, NULL };
}

/* ---- Paths --------------------------------------------------------------------------------------------------------- */

/* How well a resource matches a path: 0: not at all; otherwise the longer match wins; SIZE_MAX: exact. */
static size_t fit(const nacre_resource *resource, const char *path)
{
    const char *pattern = resource->path;
    size_t len = 0;
    while (pattern[len] != '\0' && pattern[len] == path[len]) len++;
    if (pattern[len] != '\0') return 0;
    if (path[len] == '\0') return SIZE_MAX;
    if (!(resource->flags & NACRE_RESOURCE_SUBTREE)) return 0;
    if (len > 0 && pattern[len - 1] == '/') return len; /* "/" and "/files/" match everything below */
    return path[len] == '/' ? len + 1 : 0;
}

static const nacre_resource *find(const nacre_resource *resources, size_t num_resources, const char *path)
{
    const nacre_resource *best = NULL;
    size_t best_fit = 0;
    for (size_t i = 0; i < num_resources; i++) {
        const size_t f = fit(&resources[i], path);
        if (f <= best_fit) continue;
        best = &resources[i];
        best_fit = f;
    }
    return best;
}

/* ---- Dispatch ------------------------------------------------------------------------------------------------------- */

/* The target of a request: a resource, /.well-known/core, or an error response. */
typedef struct target {
    const char *path;               /* site->path; valid until the next request */
    const nacre_resource *resource; /* NULL: /.well-known/core, or an error */
    refusal why;
    bool has_conditions; /* If-Match or If-None-Match */
} target;

uint8_t nacre__site_refusal(nacre_site *site, const nacre_event *event, const nacre_message *message, const char *path)
{
    if (site->on_access == NULL) return 0;
    const nacre_request request = { .message = message,
                                    .context = event->context,
                                    .peer = &event->peer,
                                    .path = path,
                                    .site = site,
                                    .exchange = event->exchange,
                                    .is_notification = event->kind == NACRE_EVENT_NOTIFY };
    const uint8_t code = site->on_access(site->access_user, &request);
    return code == 0 || code >> 5 == 4 || code >> 5 == 5 ? code : (uint8_t)NACRE_FORBIDDEN;
}

static refusal refused_with(uint8_t code)
{
    return (refusal){ code, code == NACRE_UNAUTHORIZED ? "this is served over OSCORE only" : "not allowed" };
}

static void look_up(nacre_site *site, const nacre_event *event, target *to)
{
    to->resource = NULL;
    to->has_conditions = false;
    to->why = check_critical(event->message.options, &to->has_conditions);
    if (to->why.code != 0) return;
    to->path = site->path;
    if (nacre_path_text(event->message.options, site->path, site->path_size) != NACRE_OK) {
        to->why = (refusal){ NACRE_NOT_FOUND, "no such resource" };
        return;
    }
    const nacre_resource *resource = find(site->resources, site->num_resources, to->path);
    const bool is_list = to->path[1] == '.' && strcmp(to->path, "/.well-known/core") == 0 &&
                         (resource == NULL || strcmp(resource->path, to->path) != 0);
    const uint8_t refused = is_list ? 0 : nacre__site_refusal(site, event, &event->message, to->path);
    if (refused != 0) {
        to->why = refused_with(refused);
    } else if (is_list) {
        if (event->message.code != NACRE_GET) to->why = (refusal){ NACRE_METHOD_NOT_ALLOWED, "only GET here" };
    } else if (resource == NULL) {
        to->why = (refusal){ NACRE_NOT_FOUND, "no such resource" };
    } else if (event->context == NULL && !(resource->flags & NACRE_RESOURCE_PLAIN)) {
        to->why = (refusal){ NACRE_UNAUTHORIZED, "this resource is served over OSCORE only" };
    } else if (to->has_conditions && !nacre_code_is_safe(event->message.code) &&
               !(resource->flags & NACRE_RESOURCE_CONDITIONAL)) {
        to->why = unfulfilled; /* the resource cannot check it before it acts */
    } else {
        to->resource = resource;
    }
}

static nacre_request request_of(nacre_site *site, const nacre_event *event, const target *to)
{
    return (nacre_request){ .message = &event->message,
                            .context = event->context,
                            .peer = &event->peer,
                            .path = to->path,
                            .site = site,
                            .exchange = event->exchange };
}

/* Called by the transfer for the first block of a large body. */
static void on_upload(void *user, const nacre_event *event, nacre_upload *upload)
{
    nacre_site *site = user;
    target to;
    look_up(site, event, &to);
    if (to.why.code == 0 && to.resource == NULL) to.why = (refusal){ NACRE_BAD_REQUEST, "no body is taken here" };
    if (to.why.code != 0) {
        upload->code = to.why.code;
        upload->text = to.why.text;
    } else if (to.resource->on_upload != NULL) {
        const nacre_request request = request_of(site, event, &to);
        to.resource->on_upload(to.resource->user, &request, upload);
    }
}

/* ---- The response -------------------------------------------------------------------------------------------------- */

/* The block number in Block option `number`; 0 if absent. */
static uint64_t block_of(const nacre_message *message, uint16_t number)
{
    uint64_t value = 0;
    const nacre_bytes option = nacre_option_find(message->options, number);
    return nacre_is_absent(option) || !nacre_option_uint(option, &value) ? 0 : value >> 4;
}

/* RFC 7641 4.1: a GET or FETCH with Observe 0. RFC 7959 2.6: not for a later Block2 block. Nor for a request in several Block1
 * blocks: the endpoint keeps only the last one and cannot repeat the request. */
static bool wants_to_watch(const nacre_event *event, const target *to)
{
    uint64_t value;
    if (event->kind != NACRE_EVENT_REQUEST || to->resource == NULL) return false;
    if (!(to->resource->flags & NACRE_RESOURCE_OBSERVABLE)) return false;
    if (event->message.code != NACRE_GET && event->message.code != NACRE_FETCH) return false;
    if (block_of(&event->message, NACRE_OPT_BLOCK1) > 0 || block_of(&event->message, NACRE_OPT_BLOCK2) > 0)
        return false;
    const nacre_bytes observe = nacre_option_find(event->message.options, NACRE_OPT_OBSERVE);
    return !nacre_is_absent(observe) && nacre_option_uint(observe, &value) && value == 0;
}

/* RFC 7252 5.10.8, safe methods: compares the conditions with the ETag of the finished response and replaces it by 4.12 if
 * they do not hold. */
static void check_conditions(const nacre_event *event, const target *to, nacre_response *response)
{
    nacre_bytes options;
    if (!to->has_conditions || to->why.code != 0 || !nacre_code_is_safe(event->message.code)) return;
    if (!response->deferred) {
        if (response->code >> 5 != 2 || nacre_options_finish(&response->options, &options) != NACRE_OK) return;
        const nacre_bytes etag = nacre_option_find(options, NACRE_OPT_ETAG);
        if (nacre_conditions_hold(event->message.options, true, etag)) return;
    }
    response->deferred = false;
    response->source.read = NULL;
    nacre_response_text(response, unfulfilled.code, unfulfilled.text);
}

static nacre_err hand_over(const nacre_site *site, const nacre_event *event, const nacre_response *response)
{
    nacre_message plain = { .code = response->code };
    plain.payload.ptr = response->payload.ptr; /* by field: a whole-struct copy stalls on store forwarding */
    plain.payload.len = response->payload.len;
    const nacre_response_options how = { .source = response->source, .block_size = response->block_size };
    const nacre_err err = nacre_options_finish(&response->options, &plain.options);
    if (err != NACRE_OK) return err;
    return nacre_transfer_respond(site->transfer, event->exchange, &plain, &how);
}

static void refuse(nacre_site *site, const nacre_event *event, uint8_t code)
{
    const nacre_message sorry = { .code = code };
    if (nacre_transfer_respond(site->transfer, event->exchange, &sorry, NULL) != NACRE_OK)
        nacre_transfer_ignore(site->transfer, event->exchange);
}

static nacre_err send(nacre_site *site, const nacre_event *event, const target *to, const nacre_response *response)
{
    const bool is_watched = wants_to_watch(event, to) && response->observable &&
                            (response->deferred || response->code >> 5 == 2) &&
                            nacre__observed_path_add(site, event, to->path, response);
    if (!is_watched && response->unobserved != NULL) response->unobserved(response->observation);
    const nacre_err err = response->deferred ? nacre_transfer_defer_response(site->transfer, event->exchange)
                                             : hand_over(site, event, response);
    if (response->done != NULL) response->done(response->source.user);
    /* the handler's response cannot be sent: send an error, or at least end the exchange */
    if (err != NACRE_OK && err != NACRE_ERR_STALE)
        refuse(site, event, err == NACRE_ERR_BUSY ? NACRE_UNAVAILABLE : NACRE_SERVER_ERROR);
    return err;
}

/* The initial state that site.h documents. Every field is set singly, which is faster than clearing the struct first. */
static void begin_response(nacre_response *response, nacre_buf buf, nacre_buf options)
{
    response->deferred = false;
    response->code = NACRE_SERVER_ERROR;
    nacre_options_init(&response->options, options);
    response->payload = NACRE_ABSENT;
    response->buf = buf;
    response->source = (nacre_source){ 0 };
    response->done = NULL;
    response->block_size = 0;
    response->observable = true;
    response->unobserved = NULL;
}

nacre_err nacre_site_respond(nacre_site *site, const nacre_event *event)
{
    uint8_t buf[MAX_BUF], options[MAX_OPTIONS];
    target to;
    nacre__listing listing;
    if (event->kind == NACRE_EVENT_OBSERVER_REMOVED) {
        nacre__observed_path_end(site, event);
        return NACRE_OK;
    }
    if (event->kind != NACRE_EVENT_REQUEST && event->kind != NACRE_EVENT_NOTIFY) return NACRE_ERR_BAD_ARGUMENT;
    nacre_response response;
    begin_response(&response, NACRE_BUF(buf), NACRE_BUF(options));
    look_up(site, event, &to);
    if (to.why.code == NACRE_BAD_OPTION && event->message.type == NACRE_NON &&
        !nacre_address_is_reliable(&event->peer)) {
        nacre_transfer_ignore(site->transfer, event->exchange); /* RFC 7252 5.4.1 */
        return NACRE_OK;
    }
    nacre_request request = request_of(site, event, &to);
    request.is_notification = event->kind == NACRE_EVENT_NOTIFY;
    request.upload = request.is_notification ? NULL : event->user;
    if (to.why.code != 0) nacre_response_text(&response, to.why.code, to.why.text);
    else if (to.resource == NULL) nacre__well_known(site, &listing, event, &response);
    else to.resource->handler(to.resource->user, &request, &response);
    check_conditions(event, &to, &response);
    return send(site, event, &to, &response);
}

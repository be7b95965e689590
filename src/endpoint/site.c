/* SPDX-License-Identifier: MIT */
/* site: resources by path, and the refusals that no handler should have to write.
 *
 * The order: what the message itself asks for that cannot be had (critical options, proxying, blocks), then the path,
 * then protection, then the handler. Every refusal goes back the way the request came: protected when that was. */
#include "endpoint_internal.h"

#include <string.h>

enum { MAX_PATH = 1024, MAX_OPTIONS = 512, MAX_RESPONSE = NACRE__MAX_BODY };
enum { FORMAT_TEXT = 0, FORMAT_LINKS = 40 };

void nacre_response_text(nacre_response *response, uint8_t code, const char *text)
{
    size_t len = strlen(text);
    if (len > response->room.cap) len = response->room.cap;
    memcpy(response->room.ptr, text, len);
    response->code = code;
    response->payload = nacre_bytes_of(response->room.ptr, len);
    nacre_options_init(&response->options, response->options.room); /* a second call replaces the first */
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_TEXT);
}

/* ---- Options ------------------------------------------------------------------------------------------------------- */

static bool is_proxying(uint16_t number)
{
    return number == NACRE_OPT_PROXY_URI || number == NACRE_OPT_PROXY_SCHEME || number == NACRE_OPT_PROXY_CRI ||
           number == NACRE_OPT_PROXY_SCHEME_NUMBER;
}

/* Critical options that have a name but that neither nacre nor a handler can honour: blocks of RFC 9177 (a server shows
 * its lack of them by 4.02), an abbreviated path (4.02, never 4.04), EDHOC, and OSCORE inside OSCORE. */
static bool is_known_but_not_served(uint16_t number)
{
    return number == NACRE_OPT_Q_BLOCK1 || number == NACRE_OPT_Q_BLOCK2 || number == NACRE_OPT_URI_PATH_ABBREV ||
           number == NACRE_OPT_EDHOC || number == NACRE_OPT_OSCORE;
}

/* RFC 7252 5.4.1, 5.4.3, 5.4.5: unknown, of a wrong length, or repeated against the rule are all "not understood". */
static bool is_understood(const nacre_option *option, bool repeated)
{
    const nacre_option_info *info = nacre_option_lookup(option->number);
    if (info->name == NULL || is_known_but_not_served(option->number)) return false;
    if (option->value.len < info->min_len || option->value.len > info->max_len) return false;
    return !repeated || (info->flags & NACRE_REPEATABLE) != 0;
}

typedef struct refusal {
    uint8_t code; /* 0: none */
    const char *text;
} refusal;

static refusal check_critical(nacre_bytes options)
{
    uint16_t last = 0;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option); last = option.number) {
        if (!nacre_option_is_critical(option.number)) continue;
        if (is_proxying(option.number)) return (refusal){ NACRE_PROXYING_NOT_SUPPORTED, "this is no proxy" };
        if (!is_understood(&option, option.number == last))
            return (refusal){ NACRE_BAD_OPTION, "critical option not understood" };
    }
    return (refusal){ 0, NULL };
}

/* A Block option's value: NUM, more, SZX (RFC 7959 2.2). Absent reads as the whole body. */
typedef struct block {
    uint64_t num;
    bool more, bad;
} block;

static block read_block(nacre_bytes options, uint16_t number)
{
    uint64_t value = 0;
    const nacre_bytes bytes = nacre_option_find(options, number);
    if (nacre_is_absent(bytes)) return (block){ 0 };
    const bool ok = nacre_option_uint(bytes, &value) && (value & 7) != 7;
    return (block){ .num = value >> 4, .more = value >> 3 & 1, .bad = !ok };
}

/* Bodies travel whole. No part of one is kept, so that what is refused leaves nothing behind. */
static refusal check_blocks(const nacre_message *request)
{
    const block up = read_block(request->options, NACRE_OPT_BLOCK1);
    const block down = read_block(request->options, NACRE_OPT_BLOCK2);
    if (up.bad || down.bad) return (refusal){ NACRE_BAD_REQUEST, "malformed Block option" };
    if (up.more || up.num > 0 || request->payload.len > NACRE__MAX_BODY)
        return (refusal){ NACRE_TOO_LARGE, "bodies above 1024 bytes are not served" };
    if (down.num > 0) return (refusal){ NACRE_BAD_REQUEST, "block-wise transfer is not served" };
    return (refusal){ 0, NULL };
}

/* ---- Paths --------------------------------------------------------------------------------------------------------- */

/* How well a resource fits a path: 0 not at all, more for a longer match, most for the path itself. */
static size_t fit(const nacre_resource *resource, const char *path)
{
    size_t len = strlen(resource->path);
    if (strcmp(resource->path, path) == 0) return SIZE_MAX;
    if (!(resource->flags & NACRE_RESOURCE_SUBTREE)) return 0;
    if (len > 0 && resource->path[len - 1] == '/') len--; /* "/" and "/files/" stand for what is below them */
    return strncmp(resource->path, path, len) == 0 && path[len] == '/' ? len + 1 : 0;
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

/* ---- The answer ---------------------------------------------------------------------------------------------------- */

static void refuse(nacre_response *response, refusal why)
{
    nacre_response_text(response, why.code, why.text);
}

static void answer_well_known(const nacre_resource *resources, size_t num_resources, const nacre_message *request,
                              nacre_response *response)
{
    if (request->code != NACRE_GET) {
        refuse(response, (refusal){ NACRE_METHOD_NOT_ALLOWED, "only GET here" });
        return;
    }
    response->code = NACRE_CONTENT;
    nacre_options_add_uint(&response->options, NACRE_OPT_CONTENT_FORMAT, FORMAT_LINKS);
    response->payload = nacre__well_known(resources, num_resources, response->room);
}

static void answer(const nacre_resource *resources, size_t num_resources, const nacre_event *event,
                   nacre_response *response)
{
    char path[MAX_PATH];
    refusal why = check_critical(event->message.options);
    if (why.code == 0) why = check_blocks(&event->message);
    if (why.code != 0) {
        refuse(response, why);
        if (why.code == NACRE_TOO_LARGE) nacre_options_add_uint(&response->options, NACRE_OPT_SIZE1, NACRE__MAX_BODY);
        return;
    }
    if (nacre_path_text(event->message.options, path, sizeof path) != NACRE_OK) {
        refuse(response, (refusal){ NACRE_NOT_FOUND, "no such resource" });
        return;
    }
    const nacre_resource *resource = find(resources, num_resources, path);
    if (strcmp(path, "/.well-known/core") == 0 && (resource == NULL || strcmp(resource->path, path) != 0)) {
        answer_well_known(resources, num_resources, &event->message, response);
    } else if (resource == NULL) {
        refuse(response, (refusal){ NACRE_NOT_FOUND, "no such resource" });
    } else if (event->context == NULL && !(resource->flags & NACRE_RESOURCE_PLAIN)) {
        refuse(response, (refusal){ NACRE_UNAUTHORIZED, "this resource is served over OSCORE only" });
    } else {
        const nacre_request request = { &event->message, event->context, &event->peer, path };
        resource->handler(resource->user, &request, response);
    }
}

static nacre_err hand_over(nacre_endpoint *ep, const nacre_event *event, const nacre_response *response)
{
    nacre_message plain = { .code = response->code, .payload = response->payload };
    const nacre_err err = nacre_options_finish(&response->options, &plain.options);
    if (err != NACRE_OK) return err;
    if (response->payload.len > NACRE__MAX_BODY) return NACRE_ERR_TOO_LONG;
    return nacre_endpoint_respond(ep, event->exchange, &plain);
}

nacre_err nacre_site_answer(const nacre_resource *resources, size_t num_resources, nacre_endpoint *ep,
                            const nacre_event *event)
{
    uint8_t body[MAX_RESPONSE], options[MAX_OPTIONS];
    if (event->kind != NACRE_EVENT_REQUEST) return NACRE_ERR_BAD_ARGUMENT;
    nacre_response response = { .code = NACRE_SERVER_ERROR, .room = NACRE_ROOM(body) };
    nacre_options_init(&response.options, NACRE_ROOM(options));
    answer(resources, num_resources, event, &response);
    const nacre_err err = hand_over(ep, event, &response);
    if (err == NACRE_OK || err == NACRE_ERR_STALE) return err;
    /* what the handler made cannot be sent: say so, or at least end the exchange */
    const nacre_message sorry = { .code = NACRE_SERVER_ERROR };
    if (nacre_endpoint_respond(ep, event->exchange, &sorry) != NACRE_OK) nacre_endpoint_ignore(ep, event->exchange);
    return err;
}

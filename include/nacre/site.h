/* SPDX-License-Identifier: MIT */
/* site: resources by path, and who may ask for them. A site stands on a transfer and answers its requests.
 *
 * A resource is OSCORE-only unless it says otherwise: a plain request for it gets 4.01. A handler answers now (it fills the
 * response), later, or gives a source that is read piece by piece; large bodies in either direction are the transfer's
 * business. The site borrows the array of resources and may be given another one at any time; its own memory is one block
 * from the caller. */
#ifndef NACRE_SITE_H
#define NACRE_SITE_H

#include <nacre/transfer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_site nacre_site;

typedef struct nacre_request {
    const nacre_message *message; /* plain, with all its options, and the whole body unless it went in pieces */
    nacre_context *context;       /* who asked: the context that verified the request; NULL for a plain one */
    const nacre_address *peer;
    const char *path; /* "/a/b" (nacre_path_text), of any length that a message has */
    nacre_site *site;
    nacre_exchange exchange; /* for answers that come later */
    void *upload;         /* the body went in pieces, to the sink with this user. NULL: it is the message's payload */
    bool is_notification; /* nobody asked: an observer is to hear the present state */
} nacre_request;

/* A handler fills this; it starts as 5.00 without options and payload. With `later` set nothing is sent now: the request's
 * `exchange` is answered by nacre_transfer_respond at any time (nacre_transfer_defer_response). */
typedef struct nacre_response {
    bool deferred;
    uint8_t code;
    nacre_options options;
    nacre_bytes payload; /* must live until the handler's caller has sent it: static, or in `room`. Any size */
    nacre_buf buf;       /* for payloads made on the fly: 1024 bytes */
    /* in place of `payload`: read before the handler's caller returns. Wants an ETag option when it is longer than 1024 bytes;
     * the handler is called again for each block (nacre_response_options) */
    nacre_source source;
    void (*done)(void *user); /* called with the source's user when the source is not read any more; may be NULL */
    uint16_t block_size;      /* at most so many bytes in a block; 0: the transfer's */
    bool not_observable;      /* true: the answer carries no Observe, because changes could not be told */
    /* called once with `observation` when the observation that this answer begins has ended, or when it begins none, in the
     * middle of things: it must not call functions of the site. May be NULL. Not called for what a site still has at its end */
    void (*unobserved)(void *observation);
    void *observation;
} nacre_response;

/* nacre_response_text: code, Content-Format 0 as the only option, and a payload copied into the response's room (cut off at
 * its end). */
void nacre_response_text(nacre_response *response, uint8_t code, const char *text);

typedef void (*nacre_handler)(void *user, const nacre_request *request, nacre_response *response);

/* Asked at the first block of a large body, when the path and the protection are in order: see nacre_upload. */
typedef void (*nacre_upload_handler)(void *user, const nacre_request *request, nacre_upload *upload);

enum {
    NACRE_RESOURCE_PLAIN = 1,      /* plain requests are served too */
    NACRE_RESOURCE_SUBTREE = 2,    /* also every path below this one */
    NACRE_RESOURCE_HIDDEN = 4,     /* not in /.well-known/core */
    NACRE_RESOURCE_OBSERVABLE = 8, /* GET and FETCH with Observe register; nacre_site_changed notifies (RFC 7641) */
    NACRE_RESOURCE_CONDITIONAL =
        16, /* the handler, and on_upload, look at If-Match and If-None-Match before anything changes */
};

/* What /.well-known/core says of a resource (RFC 6690 3, RFC 7252 7.2.1); NULL, and 0, leave an attribute out. Texts stand
 * between quotation marks on the wire, so they hold none, and no backslash. */
typedef struct nacre_link {
    const char *rt;    /* resource types, separated by spaces */
    const char *iface; /* if: interface descriptions, separated by spaces */
    const char *ct;    /* Content-Formats, separated by spaces */
    const char *title;
    uint64_t sz; /* the largest size to expect */
} nacre_link;

typedef struct nacre_resource {
    const char *path; /* "/hello" */
    nacre_handler handler;
    void *user;
    unsigned flags;
    const nacre_link *link;         /* may be NULL */
    nacre_upload_handler on_upload; /* may be NULL: large bodies are put together */
} nacre_resource;

typedef struct nacre_site_config {
    nacre_transfer *transfer; /* borrowed; its on_upload is the site's */
} nacre_site_config;

/* nacre_site_size tells how many bytes of memory a site takes. The memory must be aligned as malloc aligns. */
size_t nacre_site_size(const nacre_site_config *config);
/* nacre_site_init: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_BAD_ARGUMENT (no transfer, no or misaligned memory). */
NACRE_MUST_USE nacre_err nacre_site_init(nacre_site **site, void *memory, size_t size, const nacre_site_config *config);
/* nacre_site_set_resources: these are served from now on; the array is borrowed until another one is given. */
void nacre_site_set_resources(nacre_site *site, const nacre_resource *resources, size_t num_resources);
nacre_transfer *nacre_site_transfer(const nacre_site *site);

/* nacre_site_changed: what is served under `path` ("/a/b", as in a request) is not what it was: each of its observers is
 * told, by its handler being asked again with `is_notification`. A handler that answers with an error ends its observation.
 * As many observers as the endpoint has (num_observers, observers_per_peer) are kept; beyond them clients get an answer and no
 * more. So does who asks for a later block (Block2), or asks in several (Block1). */
void nacre_site_changed(nacre_site *site, const char *path);

/* nacre_site_respond takes an event of the transfer, REQUEST, NOTIFY or OBSERVER_GONE, and answers it: the resource with that
 * path, or the longest subtree above it; 4.04 when there is none, 4.02 for a critical option that nacre does not know, or of a
 * length or number of times that it cannot have (a NON is ignored then: RFC 7252 5.4.1), 4.01
 * for a plain request to an OSCORE-only resource, 5.05 for proxying. The handler decides on methods, and sees Accept and
 * the like. For /.well-known/core see below, unless there is a resource of that path.
 *
 * If-Match and If-None-Match are honoured or refused, for every method (RFC 7252 5.10.8):
 *   GET, FETCH                           the handler is called; what it answers, 2.xx, becomes 4.12 unless its ETag option
 *                                        fulfils the condition. An answer that comes later cannot be compared: 4.12
 *   others, NACRE_RESOURCE_CONDITIONAL   the handler decides, by nacre_conditions_hold, before it does anything
 *   others                               4.12, and the handler is not called
 *
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (another event, or a handler's code that is no response);
 * NACRE_ERR_BUFFER_TOO_SMALL (a handler's options); else as nacre_transfer_respond. Whatever a handler does wrong is answered with
 * 5.00: the exchange is answered or ignored in any case.
 *
 * /.well-known/core lists what is not hidden in link format (RFC 6690), with `osc` on OSCORE-only links (RFC 8613 9), `obs`
 * on observable ones (RFC 7641 6), and the attributes of nacre_link; queries filter it (RFC 6690 4.1): href, rt, if, ct,
 * title and sz, with `*` at the end for any continuation, several of them all at once; an empty query filters nothing.
 * It comes in blocks when it is long. A plain request gets the same list, for `osc` is there to tell who cannot ask yet,
 * but in blocks of 64 bytes: what an unknown address can have sent to another one stays below RFC 9175 2.6's bound. */
NACRE_MUST_USE nacre_err nacre_site_respond(nacre_site *site, const nacre_event *event);

#ifdef __cplusplus
}
#endif

#endif

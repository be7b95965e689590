/* SPDX-License-Identifier: MIT */
/* site: serves resources by path, over a transfer.
 *
 * A resource is OSCORE-only by default: a plain request for it gets 4.01. A handler fills in the response, defers it, or gives
 * a source that is read piece by piece; the transfer handles large bodies in both directions. The site borrows the array of
 * resources, which may be replaced at any time; its own memory is one block from the caller. */
#ifndef NACRE_SITE_H
#define NACRE_SITE_H

#include <nacre/transfer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_site nacre_site;

typedef struct nacre_request {
    const nacre_message *message; /* plain, with all its options, and the whole body unless it went in pieces */
    nacre_context *context;       /* the context that verified the request; NULL for a plain one */
    const nacre_address *peer;
    const char *path; /* "/a/b" (nacre_path_text), of any length that a message has */
    nacre_site *site;
    nacre_exchange exchange; /* for deferred responses */
    void *upload;            /* the `user` of the sink that got the body. NULL: the body is the message's payload */
    bool is_notification;    /* no request: the response is the notification for an observer */
} nacre_request;

/* The handler's response; initially 5.00 without options and payload. With `deferred` set nothing is sent now: call
 * nacre_transfer_respond with the request's `exchange` later (nacre_transfer_defer_response). */
typedef struct nacre_response {
    bool deferred;
    uint8_t code;
    nacre_options options;
    nacre_bytes payload; /* valid until the handler's caller has sent it: static, or in `buf`. Any size */
    nacre_buf buf;       /* 1024 bytes for generated payloads */
    /* instead of `payload`: read before the handler's caller returns. Needs an ETag option when it is longer than 1024 bytes;
     * the handler is called again for each block (nacre_response_options) */
    nacre_source source;
    void (*done)(void *user); /* called with the source's user after the last read; may be NULL */
    uint16_t block_size;      /* the largest block; 0: the transfer's */
    bool observable; /* initially true; false: the response has no Observe, because changes cannot be detected */
    /* called once with `observation` when the observation that this response begins has ended, or when it begins none. It must
     * not call functions of the site. May be NULL. Not called for observations that exist when the site ends */
    void (*unobserved)(void *observation);
    void *observation;
} nacre_response;

/* nacre_response_text sets code, Content-Format 0 as the only option, and a payload copied into the response's buffer
 * (truncated to its size). */
void nacre_response_text(nacre_response *response, uint8_t code, const char *text);

typedef void (*nacre_handler)(void *user, const nacre_request *request, nacre_response *response);

/* Called at the first block of a large body, when path and protection have been checked: see nacre_upload. */
typedef void (*nacre_upload_handler)(void *user, const nacre_request *request, nacre_upload *upload);

enum {
    NACRE_RESOURCE_PLAIN = 1,      /* plain requests are served too */
    NACRE_RESOURCE_SUBTREE = 2,    /* and every path below this one */
    NACRE_RESOURCE_HIDDEN = 4,     /* not in /.well-known/core */
    NACRE_RESOURCE_OBSERVABLE = 8, /* GET and FETCH with Observe register; nacre_site_changed notifies (RFC 7641) */
    NACRE_RESOURCE_CONDITIONAL =
        16, /* the handler, and on_upload, check If-Match and If-None-Match before they change anything */
};

/* Attributes of a resource in /.well-known/core (RFC 6690 3, RFC 7252 7.2.1); NULL, or 0, omits an attribute. Texts are quoted
 * on the wire: no quotation mark or backslash in them. */
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
    nacre_upload_handler on_upload; /* may be NULL: large bodies are assembled */
} nacre_resource;

typedef struct nacre_site_config {
    nacre_transfer *transfer; /* borrowed; its on_upload is the site's */
} nacre_site_config;

/* nacre_site_size: bytes of memory for a site, aligned as by malloc. */
size_t nacre_site_size(const nacre_site_config *config);
/* nacre_site_init: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_BAD_ARGUMENT (no transfer, no or misaligned memory). */
NACRE_MUST_USE nacre_err nacre_site_init(nacre_site **site, void *memory, size_t size, const nacre_site_config *config);
/* nacre_site_set_resources replaces the served resources; the array is borrowed until the next call. Length and ETag of
 * /.well-known/core are computed once: after a change of a path, flags or a nacre_link call this again. */
void nacre_site_set_resources(nacre_site *site, const nacre_resource *resources, size_t num_resources);
nacre_transfer *nacre_site_transfer(const nacre_site *site);

/* Access control. nacre_site_on_access sets a function that decides on each request before the site looks for its resource:
 * requests, the first block of a large body, registrations of observers, and each notification (a refusal ends the
 * observation). NULL: every request may use every resource.
 *   0      allowed
 *   code   the error response, such as NACRE_FORBIDDEN; to an unprotected request NACRE_UNAUTHORIZED
 * Any other value that is no error code counts as NACRE_FORBIDDEN. It is called with a request as handlers get it. A path in
 * request->path is written in one way (nacre_path_text), but names what its resource takes it for: compare decoded segments,
 * and mind that some take "/a/" as "/a".
 *
 * /.well-known/core is always allowed, and lists for each peer what it may read: the function is called for each link, with
 * the link's path and GET. */
typedef uint8_t (*nacre_on_access)(void *user, const nacre_request *request);
void nacre_site_on_access(nacre_site *site, nacre_on_access on_access, void *user);

/* nacre_site_changed notifies the observers of `path` ("/a/b", as in a request): the handler is called for each with
 * `is_notification`. A handler's error response ends the observation. There are as many observers as the endpoint has
 * (num_observers, observers_per_peer of its `observe`); further clients get a response without Observe, and so do requests
 * for a later block (Block2) and requests in several blocks (Block1). */
void nacre_site_changed(nacre_site *site, const char *path);

/* nacre_site_respond handles an event of the transfer, REQUEST, NOTIFY or OBSERVER_REMOVED.
 *   refused by nacre_site_on_access                            its code, before anything below is looked at but critical
 *                                                              options and the path
 *   resource with that path, or the longest subtree above it   its handler, which decides on methods and sees Accept
 *   no such resource                                           /.well-known/core: see below; otherwise 4.04
 *   critical option that is unknown, or of a wrong length      4.02; a NON is ignored (RFC 7252 5.4.1)
 *   or number of times
 *   plain request for an OSCORE-only resource                  4.01
 *   proxying                                                   5.05
 *
 * If-Match and If-None-Match are processed for every method (RFC 7252 5.10.8):
 *   GET, FETCH                           the handler is called; a 2.xx response becomes 4.12 unless its ETag option fulfils
 *                                        the condition. A deferred response cannot be compared: 4.12
 *   others, NACRE_RESOURCE_CONDITIONAL   the handler decides by nacre_conditions_hold, before it changes anything
 *   others                               4.12, and the handler is not called
 *
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (another event, or a handler's code that is no response code);
 * NACRE_ERR_BUFFER_TOO_SMALL (a handler's options); otherwise as nacre_transfer_respond. After an error of a handler the
 * response is 5.00: the exchange ends in any case.
 *
 * /.well-known/core lists the resources that are not hidden in link format (RFC 6690), with `osc` on OSCORE-only links (RFC
 * 8613 9), `obs` on observable ones (RFC 7641 6), and the attributes of nacre_link. Queries filter it (RFC 6690 4.1): href,
 * rt, if, ct, title and sz, with a final `*` for any continuation; several queries are 4.00, an empty one is none.
 * A long list is sent in blocks. A plain request gets the same list, because `osc` informs clients without a context, but in
 * blocks of 64 bytes, so that amplification stays within RFC 9175 2.6. */
NACRE_MUST_USE nacre_err nacre_site_respond(nacre_site *site, const nacre_event *event);

#ifdef __cplusplus
}
#endif

#endif

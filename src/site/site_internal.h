/* SPDX-License-Identifier: MIT */
/* site_internal: the structure of a site and the functions its files share. */
#ifndef NACRE_SITE_INTERNAL_H
#define NACRE_SITE_INTERNAL_H

#include <nacre/site.h>

/* One observation of a path. */
typedef struct nacre__observed_path {
    nacre_observer observer;               /* none: free */
    uint64_t path;                         /* hash of the path; a collision only causes a spurious notification */
    void (*unobserved)(void *observation); /* the response's */
    void *observation;
} nacre__observed_path;

/* What is kept of /.well-known/core: with these any block is written without what precedes it. */
enum { NACRE__LIST_MARKS = 64, NACRE__LIST_ETAG = 8 };
typedef struct nacre__list_index {
    bool is_current;                   /* for the resources as they are set */
    uint64_t len;                      /* of the whole list, without a filter */
    uint8_t etag[NACRE__LIST_ETAG];    /* a hash of it */
    uint64_t marks[NACRE__LIST_MARKS]; /* where the links of resource 0, stride, 2 * stride … begin */
    size_t stride;
} nacre__list_index;

struct nacre_site {
    nacre_transfer *transfer;
    const nacre_resource *resources;
    size_t num_resources;
    nacre_on_access on_access; /* NULL: everything is allowed */
    void *access_user;
    uint8_t hash_key[16]; /* for paths and the ETag of /.well-known/core */
    nacre__list_index list;
    nacre__observed_path *observed;
    uint32_t num_observed, next_observed;
    char *path; /* of the request being handled */
    size_t path_size;
};

/* observed_paths.c: nacre__observed_path_add registers the observer of a delivered request; nacre__observed_path_end removes
 * the one of an OBSERVER_REMOVED event. */
bool nacre__observed_path_add(nacre_site *site, const nacre_event *event, const char *path,
                              const nacre_response *response);
void nacre__observed_path_end(nacre_site *site, const nacre_event *event);

/* site.c: 0, or the code of the refusal, for a request of `event` to `path`. */
uint8_t nacre__site_refusal(nacre_site *site, const nacre_event *event, const nacre_message *message, const char *path);

/* well_known.c: /.well-known/core. `listing` and the response must live until the response is sent. */
typedef struct nacre__listing {
    uint64_t from;
    nacre_bytes window; /* the list from there on, at least one block; in the response's buffer */
} nacre__listing;
void nacre__well_known(nacre_site *site, nacre__listing *listing, const nacre_event *event, nacre_response *response);

#endif

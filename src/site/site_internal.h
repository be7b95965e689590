/* SPDX-License-Identifier: MIT */
/* site_internal: a site, and what its files ask of each other. */
#ifndef NACRE_SITE_INTERNAL_H
#define NACRE_SITE_INTERNAL_H

#include <nacre/site.h>

/* Somebody who observes a path. */
typedef struct nacre__observed_path {
    nacre_exchange observer;               /* 0: free */
    uint64_t path;                         /* its hash: two paths that share one cost a notification too many */
    void (*unobserved)(void *observation); /* the response's */
    void *observation;
} nacre__observed_path;

struct nacre_site {
    nacre_transfer *transfer;
    const nacre_resource *resources;
    size_t num_resources;
    uint8_t hash_key[16]; /* of paths, and of the list's ETags */
    nacre__observed_path *observed;
    uint32_t num_observed, next_observed;
    char *path; /* of the request that is answered */
    size_t path_size;
};

/* watchers.c: who observes what. nacre__observed_path_add registers a delivered request; nacre__observed_path_end takes the event's. */
bool nacre__observed_path_add(nacre_site *site, const nacre_event *event, const char *path,
                              const nacre_response *response);
void nacre__observed_path_end(nacre_site *site, const nacre_event *event);

/* well_known.c: /.well-known/core. `listing` lives until the answer is sent. */
typedef struct nacre__listing {
    const nacre_site *site;
    nacre_bytes options; /* of the request: its queries are filters */
} nacre__listing;
void nacre__well_known(const nacre_site *site, nacre__listing *listing, const nacre_event *event,
                       nacre_response *response);

#endif

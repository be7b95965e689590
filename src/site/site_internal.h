/* SPDX-License-Identifier: MIT */
/* site_internal: a site, and what its files ask of each other. */
#ifndef NACRE_SITE_INTERNAL_H
#define NACRE_SITE_INTERNAL_H

#include <nacre/site.h>

struct nacre_site {
    nacre_transfer *transfer;
    const nacre_resource *resources;
    size_t num_resources;
    uint8_t salt[8]; /* of the list's ETags */
};

/* well_known.c: /.well-known/core. `listing` lives until the answer is sent. */
typedef struct nacre__listing {
    const nacre_site *site;
    nacre_bytes options; /* of the request: its queries are filters */
} nacre__listing;
void nacre__well_known(const nacre_site *site, nacre__listing *listing, const nacre_event *event,
                       nacre_response *response);

#endif

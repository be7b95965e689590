/* SPDX-License-Identifier: MIT */
/* observed_paths: maps paths to observers (RFC 7641). The endpoint keeps the observers; this file keeps their paths. */
#include "site_internal.h"
#include "base/siphash.h"

#include <string.h>

static uint64_t hash_of(const nacre_site *site, const char *path)
{
    return nacre__siphash_of(site->hash_key, nacre_bytes_of((const uint8_t *)path, strlen(path)));
}

static nacre__observed_path *free_entry(nacre_site *site)
{
    for (uint32_t i = 0; i < site->num_observed; i++) {
        nacre__observed_path *observed_path = &site->observed[(site->next_observed + i) % site->num_observed];
        if (!nacre_observer_is_none(observed_path->observer)) continue;
        site->next_observed = (uint32_t)(observed_path - site->observed) + 1;
        return observed_path;
    }
    return NULL;
}

/* False: not registered; the response is then sent without Observe (RFC 7641 4.1). */
bool nacre__observed_path_add(nacre_site *site, const nacre_event *event, const char *path,
                              const nacre_response *response)
{
    nacre_endpoint *ep = nacre_transfer_endpoint(site->transfer);
    nacre__observed_path *observed_path = free_entry(site);
    nacre_observer observer;
    if (observed_path == NULL || nacre_endpoint_observe(ep, &observer, event->exchange, observed_path) != NACRE_OK)
        return false;
    observed_path->observer = observer;
    observed_path->path = hash_of(site, path);
    observed_path->unobserved = response->unobserved;
    observed_path->observation = response->observation;
    return true;
}

void nacre__observed_path_end(nacre_site *site, const nacre_event *event)
{
    const uintptr_t at = (uintptr_t)event->user, first = (uintptr_t)site->observed;
    if (at < first || at - first >= site->num_observed * sizeof *site->observed) return; /* not one of the site's */
    nacre__observed_path *observed_path = event->user;
    if (!nacre_observer_equal(observed_path->observer, event->observer)) return;
    observed_path->observer = NACRE_OBSERVER_NONE;
    if (observed_path->unobserved != NULL) observed_path->unobserved(observed_path->observation);
    observed_path->unobserved = NULL;
}

void nacre_site_changed(nacre_site *site, const char *path)
{
    const uint64_t hash = hash_of(site, path);
    for (uint32_t i = 0; i < site->num_observed; i++)
        if (!nacre_observer_is_none(site->observed[i].observer) && site->observed[i].path == hash)
            nacre_endpoint_changed(nacre_transfer_endpoint(site->transfer), site->observed[i].observer);
}

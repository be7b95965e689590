/* SPDX-License-Identifier: MIT */
/* watchers: who observes which path (RFC 7641). The endpoint has the observers; here is what they look at. */
#include "site_internal.h"
#include "base/siphash.h"

#include <string.h>

static uint64_t hash_of(const nacre_site *site, const char *path)
{
    return nacre__siphash_of(site->hash_key, nacre_bytes_of((const uint8_t *)path, strlen(path)));
}

static nacre__watcher *free_place(nacre_site *site)
{
    for (uint32_t i = 0; i < site->num_watchers; i++) {
        nacre__watcher *watcher = &site->watchers[(site->next_watcher + i) % site->num_watchers];
        if (watcher->observer != 0) continue;
        site->next_watcher = (uint32_t)(watcher - site->watchers) + 1;
        return watcher;
    }
    return NULL;
}

/* False: it cannot be done, and the request is answered all the same, without Observe (RFC 7641 4.1). */
bool nacre__watch(nacre_site *site, const nacre_event *event, const char *path, const nacre_response *response)
{
    nacre_endpoint *ep = nacre_transfer_endpoint(site->transfer);
    nacre__watcher *watcher = free_place(site);
    nacre_exchange observer;
    if (watcher == NULL || nacre_endpoint_observe(ep, event->exchange, watcher, &observer) != NACRE_OK) return false;
    watcher->observer = observer;
    watcher->path = hash_of(site, path);
    watcher->unobserved = response->unobserved;
    watcher->observation = response->observation;
    return true;
}

void nacre__watcher_gone(nacre_site *site, const nacre_event *event)
{
    const uintptr_t at = (uintptr_t)event->user, first = (uintptr_t)site->watchers;
    if (at < first || at - first >= site->num_watchers * sizeof *site->watchers) return; /* not one of the site's */
    nacre__watcher *watcher = event->user;
    if (watcher->observer != event->exchange) return;
    watcher->observer = 0;
    if (watcher->unobserved != NULL) watcher->unobserved(watcher->observation);
    watcher->unobserved = NULL;
}

void nacre_site_changed(nacre_site *site, const char *path)
{
    const uint64_t hash = hash_of(site, path);
    for (uint32_t i = 0; i < site->num_watchers; i++)
        if (site->watchers[i].observer != 0 && site->watchers[i].path == hash)
            nacre_endpoint_changed(nacre_transfer_endpoint(site->transfer), site->watchers[i].observer);
}

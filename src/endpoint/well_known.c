/* SPDX-License-Identifier: MIT */
/* well_known: the list of a site's resources at /.well-known/core, in CoRE Link Format (RFC 6690). `osc` marks what is
 * served to OSCORE requests only (RFC 8613 9). Links that do not fit the room any more are left out, whole ones. */
#include "endpoint_internal.h"

#include <string.h>

static size_t put(uint8_t *to, const char *text)
{
    const size_t len = strlen(text);
    memcpy(to, text, len);
    return len;
}

nacre_bytes nacre__well_known(const nacre_resource *resources, size_t num_resources, nacre_room room)
{
    size_t at = 0;
    for (size_t i = 0; i < num_resources; i++) {
        const nacre_resource *resource = &resources[i];
        if (resource->flags & NACRE_RESOURCE_HIDDEN) continue;
        const bool osc = !(resource->flags & NACRE_RESOURCE_PLAIN);
        if (strlen(resource->path) + strlen(",<>;osc") > room.cap - at) continue;
        if (at != 0) at += put(room.ptr + at, ",");
        at += put(room.ptr + at, "<");
        at += put(room.ptr + at, resource->path);
        at += put(room.ptr + at, osc ? ">;osc" : ">");
    }
    return nacre_bytes_of(room.ptr, at);
}

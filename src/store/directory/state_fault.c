/* SPDX-License-Identifier: MIT */
#include "store/directory/state_fault.h"
#include "base/hosted/detail.h"

nacre_err nacre__state_fault(const nacre__dirfd *dirfd, const nacre__json *where, const char *text, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s/sequence.json: line %zu: %s", dirfd->path, where->line, text);
}

nacre_err nacre__state_fault_value(const nacre__dirfd *dirfd, const nacre__json *where, const char *text,
                                   nacre_detail *why)
{
    char found[NACRE__JSON_MAX_DISPLAYED];
    nacre__json_show(found, where);
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s/sequence.json: line %zu: %s, found %s", dirfd->path, where->line,
                       text, found);
}

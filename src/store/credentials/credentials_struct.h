/* SPDX-License-Identifier: MIT */
/* credentials_struct: the map of credentials, shared by the file that changes it and the one that looks URIs up. */
#ifndef NACRE_STORE_CREDENTIALS_STRUCT_H
#define NACRE_STORE_CREDENTIALS_STRUCT_H

#include "store/credentials/credentials.h"

typedef struct nacre__credential_entry {
    nacre__entry_setting is;                      /* its slices point into `text`, each NUL-terminated */
    const char *pattern;                          /* as matched: with a '/' after a bare authority */
    const char *plain_host;                       /* the same with a normalised host */
    const struct nacre__credential_entry *target; /* after all aliases; NULL: none */
    size_t order;
    enum { NACRE__ENTRY_NEW, NACRE__ENTRY_BEING_FOLLOWED, NACRE__ENTRY_KNOWN } state;
    bool is_circle;
    char text[];
} nacre__credential_entry;

struct nacre_credentials {
    nacre__credential_entry **entries; /* in the order they were set */
    size_t num, cap;
    nacre__credential_entry **by_name, **by_length; /* `num`, and `num_patterns` */
    size_t num_patterns;
    uint64_t version;
};

static inline const char *nacre__entry_name(const nacre__credential_entry *e)
{
    return (const char *)e->is.name.ptr;
}

static inline const char *nacre__entry_target(const nacre__credential_entry *e)
{
    return (const char *)e->is.target.ptr;
}

#endif

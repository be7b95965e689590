/* SPDX-License-Identifier: MIT */
/* credentials: the interface between the map of credentials and the reader of its file. */
#ifndef NACRE_STORE_CREDENTIALS_H
#define NACRE_STORE_CREDENTIALS_H

#include <nacre/credentials.h>

/* The content of an entry; strings are copied. */
typedef struct nacre__entry_setting {
    enum {
        NACRE__ENTRY_DIRECTORY,
        NACRE__ENTRY_CONTEXT,
        NACRE__ENTRY_PLAIN,
        NACRE__ENTRY_OTHER,
        NACRE__ENTRY_ALIAS
    } kind;
    nacre_bytes name;
    nacre_bytes dirfd, target; /* concatenated: a directory, an alias, or the type of OTHER */
    nacre_role role;
    nacre_context *context;
    nacre_store store;
    size_t line; /* in a file, for error texts */
} nacre__entry_setting;

/* An error text for the name of an entry; NULL: valid. */
const char *nacre__credentials_name_fault(const char *name);

/* nacre__credentials_append adds an entry with a new name. Lookups find it after nacre__credentials_index.
 * NACRE_OK, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__credentials_append(nacre_credentials *credentials, const nacre__entry_setting *setting);

/* nacre__credentials_index rebuilds the lookup lists after changes. */
void nacre__credentials_index(nacre_credentials *credentials);

/* nacre__credentials_first_fault gives the first alias that leads to no credential, and why; false: none. */
typedef struct nacre__alias_fault {
    const char *name, *alias;
    size_t line;
    bool is_circle; /* otherwise `alias` does not exist */
} nacre__alias_fault;
bool nacre__credentials_first_fault(const nacre_credentials *credentials, nacre__alias_fault *fault);

/* nacre__credentials_version changes with each change of the map; never 0. */
uint64_t nacre__credentials_version(const nacre_credentials *credentials);

#endif

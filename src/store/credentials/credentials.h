/* SPDX-License-Identifier: MIT */
/* credentials: what the map of credentials and the reader of its file say to each other. */
#ifndef NACRE_STORE_CREDENTIALS_H
#define NACRE_STORE_CREDENTIALS_H

#include <nacre/credentials.h>

/* What an entry is to be; strings are copied. */
typedef struct nacre__entry_setting {
    enum {
        NACRE__ENTRY_DIRECTORY,
        NACRE__ENTRY_CONTEXT,
        NACRE__ENTRY_PLAIN,
        NACRE__ENTRY_OTHER,
        NACRE__ENTRY_ALIAS
    } kind;
    nacre_bytes name;
    nacre_bytes dirfd, target; /* joined: a directory, the alias, or what OTHER is called */
    nacre_role role;
    nacre_context *context;
    nacre_store store;
    size_t line; /* in a file, for error texts */
} nacre__entry_setting;

/* What is wrong with the name of an entry, for people; NULL: nothing. */
const char *nacre__credentials_name_fault(const char *name);

/* nacre__credentials_append adds an entry whose name is known to be new. It is found only after nacre__credentials_index.
 * NACRE_OK, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__credentials_append(nacre_credentials *credentials, const nacre__entry_setting *setting);

/* nacre__credentials_index makes all entries be found. */
void nacre__credentials_index(nacre_credentials *credentials);

/* nacre__credentials_first_fault gives the first alias that leads to no credential, and why; false when there is none. */
typedef struct nacre__alias_fault {
    const char *name, *alias;
    size_t line;
    bool is_circle; /* or else: `alias` is not there */
} nacre__alias_fault;
bool nacre__credentials_first_fault(const nacre_credentials *credentials, nacre__alias_fault *fault);

/* nacre__credentials_version is another number after each change of the map; never 0. */
uint64_t nacre__credentials_version(const nacre_credentials *credentials);

#endif

/* SPDX-License-Identifier: MIT */
/* serve_contexts: see serve_contexts.h. */
#include "serve_contexts.h"
#include "base/hosted/detail.h"
#include "io/server/server_internal.h"

#include <stdlib.h>

static nacre_err add_database(nacre_server *server, const serve_settings *a, nacre_detail *why)
{
    uint8_t kek[NACRE_SQLITE_KEK];
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_err err = NACRE_OK;
    if (a->kek != NULL) err = tool_kek(&config.kek, kek, a->kek, why);
    if (err == NACRE_OK) err = nacre_server_add_database(server, a->database, &config, why);
    nacre_wipe(kek, sizeof kek);
    return err;
}

/* The directories of `a` become those of the server. They are known by device and inode, so that a path whose directory was
 * replaced by another one means the new one. */
static nacre_err replace_directories(nacre_server *server, const serve_settings *a, nacre_detail *why)
{
    nacre_credential *entries = calloc(a->num_contexts + 1, sizeof *entries);
    if (entries == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < a->num_contexts; i++)
        entries[i] = (nacre_credential){ .kind = NACRE_CREDENTIAL_DIRECTORY,
                                         .name = a->contexts[i],
                                         .directory = a->contexts[i] };
    const nacre_err err = nacre__server_replace(server, entries, a->num_contexts, why);
    free(entries);
    return err;
}

nacre_err serve_contexts_change(nacre_server *server, const serve_settings *then, nacre_detail *why)
{
    nacre_credentials *credentials = NULL;
    if (then->credentials == NULL) return replace_directories(server, then, why);
    nacre_err err = nacre_credentials_load(&credentials, then->credentials, why);
    if (err == NACRE_OK) err = nacre_server_replace_credentials(server, credentials, why);
    nacre_credentials_free(credentials);
    return err;
}

nacre_err serve_contexts_add(nacre_server *server, const serve_settings *a, nacre_detail *why)
{
    nacre_server_set_role(server, a->role);
    const nacre_err err = serve_contexts_change(server, a, why);
    return err == NACRE_OK && a->database != NULL ? add_database(server, a, why) : err;
}

/* Writes a line when copies of `path` would not be detected. */
static void tell_mark(const char *path)
{
    const char *text = nacre_mark_text(nacre_mark_at(path));
    if (text != NULL) serve_log(SERVE_WARNING, "store", NULL, "%s: %s", path, text);
}

void serve_contexts_tell_marks(const serve_settings *a)
{
    size_t cursor = 0;
    nacre_credential entry;
    nacre_credentials *credentials = NULL;
    for (size_t i = 0; i < a->num_contexts; i++) tell_mark(a->contexts[i]);
    if (a->database != NULL) tell_mark(a->database);
    if (a->credentials == NULL || nacre_credentials_load(&credentials, a->credentials, NULL) != NACRE_OK) return;
    while (nacre_credentials_next(credentials, &entry, &cursor))
        if (entry.kind == NACRE_CREDENTIAL_DIRECTORY) tell_mark(entry.directory);
    nacre_credentials_free(credentials);
}

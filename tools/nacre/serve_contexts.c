/* SPDX-License-Identifier: MIT */
/* serve_contexts: see serve_contexts.h. */
#include "serve_contexts.h"

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

nacre_err serve_contexts_add(nacre_server *server, const serve_settings *a, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    nacre_server_set_role(server, a->role);
    if (a->credentials != NULL) err = nacre_server_add_credentials(server, a->credentials, why);
    for (size_t i = 0; err == NACRE_OK && i < a->num_contexts; i++)
        err = nacre_server_add_context(server, a->contexts[i], why);
    if (err == NACRE_OK && a->database != NULL) err = add_database(server, a, why);
    return err;
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

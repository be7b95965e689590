/* SPDX-License-Identifier: MIT */
/* serve_contexts: see serve_contexts.h. */
#include "serve_contexts.h"
#include "base/hosted/detail.h"

#include <string.h>
#include <sys/stat.h>

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

static bool names(const serve_settings *s, const char *context)
{
    for (size_t i = 0; i < s->num_contexts; i++)
        if (strcmp(s->contexts[i], context) == 0) return true;
    return false;
}

/* Whether it is named, by this path or another. */
static bool has(const serve_settings *s, const char *context)
{
    struct stat wanted, found;
    const bool is_there = stat(context, &wanted) == 0;
    for (size_t i = 0; i < s->num_contexts; i++) {
        if (strcmp(s->contexts[i], context) == 0) return true;
        if (is_there && stat(s->contexts[i], &found) == 0 && found.st_dev == wanted.st_dev &&
            found.st_ino == wanted.st_ino)
            return true;
    }
    return false;
}

/* Removes those of the first `num` contexts of `from` that `kept` does not have. */
static void remove_others(nacre_server *server, const serve_settings *from, size_t num, const serve_settings *kept)
{
    for (size_t i = 0; i < num; i++) {
        nacre_detail why = { "" };
        if (has(kept, from->contexts[i])) continue;
        const nacre_err err = nacre_server_remove_context(server, from->contexts[i], &why);
        if (err != NACRE_OK && err != NACRE_ERR_NO_CONTEXT)
            serve_log(SERVE_WARNING, "store", NULL, "%s: removed: %s", from->contexts[i], why.text);
    }
}

static nacre_err change_directories(nacre_server *server, const serve_settings *now, const serve_settings *then,
                                    nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    size_t num = 0;
    while (num < then->num_contexts && err == NACRE_OK) {
        if (!names(now, then->contexts[num])) err = nacre_server_add_context(server, then->contexts[num], why);
        if (err == NACRE_OK) num++;
    }
    if (err != NACRE_OK) {
        remove_others(server, then, num, now);
        return err;
    }
    remove_others(server, now, now->num_contexts, then);
    return NACRE_OK;
}

nacre_err serve_contexts_change(nacre_server *server, const serve_settings *now, const serve_settings *then,
                                nacre_detail *why)
{
    nacre_credentials *credentials = NULL;
    if ((now->credentials != NULL) != (then->credentials != NULL))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "contexts and credentials: to go from one to the other, start the server again");
    if (then->credentials == NULL) return change_directories(server, now, then, why);
    nacre_err err = nacre_credentials_load(&credentials, then->credentials, why);
    if (err == NACRE_OK) err = nacre_server_replace_credentials(server, credentials, why);
    nacre_credentials_free(credentials);
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

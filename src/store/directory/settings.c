/* SPDX-License-Identifier: MIT */
/* settings: see settings.h. */
#include "store/directory/settings.h"

#include <stdio.h>
#include <string.h>

#include "base/hosted/detail.h"

const char *const nacre__settings_files[NACRE__SETTINGS_FILES] = { "secret.json", "secrets.json", "settings.json" };

static const struct {
    const char *name;
    const char *other_name; /* used by the legacy layout's generator; NULL: none */
} table[NACRE__NUM_SETTINGS] = {
    [NACRE__SECRET] = { "secret", NULL },
    [NACRE__SALT] = { "salt", NULL },
    [NACRE__SENDER_ID] = { "sender-id", NULL },
    [NACRE__RECIPIENT_ID] = { "recipient-id", NULL },
    [NACRE__CLIENT_ID] = { "client-sender-id", "client-id" },
    [NACRE__SERVER_ID] = { "server-sender-id", "server-id" },
    [NACRE__ID_CONTEXT] = { "id-context", NULL },
    [NACRE__ALGORITHM] = { "algorithm", NULL },
    [NACRE__HASH] = { "kdf-hashfun", NULL },
    [NACRE__WINDOW] = { "window", NULL },
    [NACRE__SEQUENCE_REQUIRED] = { "sequence-required", NULL },
    [NACRE__CHUNK_START] = { "sequence-chunk-start", NULL },
    [NACRE__CHUNK_LIMIT] = { "sequence-chunk-limit", NULL },
};

/* ---- Names ---- */

static bool is_named(const char *member, const char *name, nacre__setting_form *form)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (name == NULL || strncmp(member, name, len) != 0) return false;
    if (strcmp(member + len, "") == 0) *form = NACRE__AS_IS;
    else if (strcmp(member + len, "_hex") == 0) *form = NACRE__AS_HEX;
    else if (strcmp(member + len, "_ascii") == 0) *form = NACRE__AS_ASCII;
    else return false;
    return true;
}

/* Whether a member's name is that of the setting; sets its form. */
static bool is_datum(const char *member, nacre__setting_number number, nacre__setting_form *form)
{
    return is_named(member, table[number].name, form) || is_named(member, table[number].other_name, form);
}

const char *nacre__setting_name(size_t index)
{
    return index < NACRE__NUM_SETTINGS ? table[index].name : NULL;
}

bool nacre__setting_is_known(const char *member)
{
    nacre__setting_form form;
    for (nacre__setting_number i = 0; i < NACRE__NUM_SETTINGS; i++)
        if (is_datum(member, i, &form)) return true;
    return false;
}

/* ---- Errors ---- */

nacre_err nacre__setting_bad(const nacre__settings *settings, nacre__setting_number number, const char *text)
{
    const nacre__setting *d = &settings->at[number];
    if (d->value == NULL)
        return nacre__fail(settings->why, NACRE_ERR_BAD_CONTEXT, "%s: \"%s\" %s", settings->dirfd->path,
                           table[number].name, text);
    return nacre__fail(settings->why, NACRE_ERR_BAD_CONTEXT, "%s/%s: line %zu: \"%s\" %s", settings->dirfd->path,
                       d->file, d->value->line, d->value->name, text);
}

nacre_err nacre__setting_bad_value(const nacre__settings *settings, nacre__setting_number number, const char *text)
{
    char found[NACRE__JSON_MAX_DISPLAYED], whole[256];
    if (number == NACRE__SECRET || number == NACRE__SALT) return nacre__setting_bad(settings, number, text);
    nacre__json_show(found, settings->at[number].value);
    snprintf(whole, sizeof whole, "%s, found %s", text, found);
    return nacre__setting_bad(settings, number, whole);
}

/* ---- Reading ---- */

static nacre_err sort_member(nacre__settings *settings, const nacre__json *member, const char *file)
{
    for (nacre__setting_number i = 0; i < NACRE__NUM_SETTINGS; i++) {
        nacre__setting *d = &settings->at[i];
        nacre__setting_form form;
        if (!is_datum(member->name, i, &form)) continue;
        if (d->value != NULL)
            return nacre__fail(settings->why, NACRE_ERR_BAD_CONTEXT,
                               "%s/%s: line %zu: \"%s\" was given already, in line %zu of %s; leave one",
                               settings->dirfd->path, file, member->line, member->name, d->value->line, d->file);
        *d = (nacre__setting){ member, file, form };
        return NACRE_OK;
    }
    return NACRE_OK;
}

static nacre_err sort_members(nacre__settings *settings, const nacre__json *root, const char *file)
{
    if (root->type != NACRE__JSON_OBJECT)
        return nacre__fail(settings->why, NACRE_ERR_BAD_CONTEXT, "%s/%s: an object is expected, found %s",
                           settings->dirfd->path, file, nacre__json_type_name(root));
    for (const nacre__json *m = root->first; m != NULL; m = m->next) {
        nacre_err err = sort_member(settings, m, file);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

static nacre_err parse(nacre__settings *settings, size_t number, const nacre__file *file)
{
    char label[256];
    const char *name = nacre__settings_files[number];
    snprintf(label, sizeof label, "%s/%s", settings->dirfd->path, name);
    nacre_err err = nacre__json_parse(&settings->docs[number], nacre_bytes_of(file->ptr, file->len), label,
                                      NACRE_ERR_BAD_CONTEXT, settings->why);
    return err == NACRE_OK ? sort_members(settings, settings->docs[number].root, name) : err;
}

static bool same(const nacre__file *a, const nacre__file *b)
{
    return nacre_bytes_equal(nacre_bytes_of(a->ptr, a->len), nacre_bytes_of(b->ptr, b->len));
}

/* Reads all files before parsing, because two of them are compared. */
static nacre_err read_all(nacre__settings *settings, nacre__file files[NACRE__SETTINGS_FILES],
                          bool found[NACRE__SETTINGS_FILES])
{
    for (size_t i = 0; i < NACRE__SETTINGS_FILES; i++) {
        nacre_err err = nacre__file_read(&files[i], &found[i], settings->dirfd, nacre__settings_files[i],
                                         NACRE__SETTINGS_MAX_FILE, settings->why);
        if (err != NACRE_OK) return err;
    }
    if (!found[0] && !found[1] && !found[2])
        return nacre__fail(settings->why, NACRE_ERR_BAD_CONTEXT,
                           "%s: neither secret.json nor settings.json is there: not a context directory",
                           settings->dirfd->path);
    if (found[0] && found[1] && same(&files[0], &files[1])) found[1] = false;
    return NACRE_OK;
}

nacre_err nacre__settings_read(nacre__settings *settings)
{
    nacre__file files[NACRE__SETTINGS_FILES] = { { .ptr = NULL } };
    bool found[NACRE__SETTINGS_FILES] = { false };
    nacre_err err = read_all(settings, files, found);
    for (size_t i = 0; i < NACRE__SETTINGS_FILES && err == NACRE_OK; i++)
        if (found[i]) err = parse(settings, i, &files[i]);
    for (size_t i = 0; i < NACRE__SETTINGS_FILES; i++) nacre__file_free(&files[i]);
    return err;
}

void nacre__settings_free(nacre__settings *settings)
{
    for (size_t i = 0; i < NACRE__SETTINGS_FILES; i++) nacre__json_free(&settings->docs[i]);
}

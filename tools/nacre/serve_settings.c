/* SPDX-License-Identifier: MIT */
/* serve_settings: see serve_settings.h. */
#include "serve_settings.h"
#include "base/hosted/detail.h"
#include "io/server/server_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field_of(serve_settings *s, const serve_key *key)
{
    return (uint8_t *)s + key->offset;
}

static const void *const_field_of(const serve_settings *s, const serve_key *key)
{
    return (const uint8_t *)s + key->offset;
}

void serve_settings_init(serve_settings *s)
{
    *s = (serve_settings){ .log_level = SERVE_WARNING, .stop_timeout_ms = 5000, .log_period_ms = 600000 };
}

void serve_settings_free(serve_settings *s)
{
    for (const serve_key *key = serve_keys; key->name != NULL; key++)
        if (key->kind == SERVE_TEXT) free(*(char **)field_of(s, key));
    for (size_t i = 0; i < s->num_contexts; i++) free(s->contexts[i]);
    free(s->contexts);
    free(s->config);
    serve_rights_free(s->rights);
    *s = (serve_settings){ .log_level = SERVE_WARNING };
}

/* ---- Values ----------------------------------------------------------------------------------------------------------- */

static nacre_err set_text(char **field, const char *text, nacre_detail *why)
{
    if (*text == '\0') return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "give a value");
    char *copy = strdup(text);
    if (copy == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    free(*field);
    *field = copy;
    return NACRE_OK;
}

static nacre_err add_context(serve_settings *s, const char *text, nacre_detail *why)
{
    char *copy = NULL;
    const nacre_err err = set_text(&copy, text, why);
    if (err != NACRE_OK) return err;
    char **contexts = realloc(s->contexts, (s->num_contexts + 1) * sizeof *contexts);
    if (contexts == NULL) {
        free(copy);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    }
    s->contexts = contexts;
    s->contexts[s->num_contexts++] = copy;
    return NACRE_OK;
}

static nacre_err set_switch(bool *field, const char *text, nacre_detail *why)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *field = i % 2 != 0;
        return NACRE_OK;
    }
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "give yes or no, not '%s'", text);
}

static nacre_err set_choice(unsigned *field, const serve_key *key, const char *text, nacre_detail *why)
{
    const size_t len = strlen(text);
    unsigned i = 0;
    for (const char *at = key->words; *at != '\0'; i++) {
        const size_t word = strcspn(at, " ");
        if (len == word && memcmp(at, text, len) == 0) {
            *field = i;
            return NACRE_OK;
        }
        at += word + strspn(at + word, " ");
    }
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "'%s': it is one of %s", text, key->words);
}

static void store_number(void *field, size_t size, uint64_t number)
{
    const uint8_t small = (uint8_t)number;
    const uint16_t medium = (uint16_t)number;
    const uint32_t large = (uint32_t)number;
    if (size == sizeof small) memcpy(field, &small, size);
    else if (size == sizeof medium) memcpy(field, &medium, size);
    else if (size == sizeof large) memcpy(field, &large, size);
    else memcpy(field, &number, size);
}

static nacre_err set_number(void *field, const serve_key *key, const char *text, nacre_detail *why)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < key->least || value > key->most)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "give a number from %llu to %llu, not '%s'",
                           (unsigned long long)key->least, (unsigned long long)key->most, text);
    store_number(field, key->size, value);
    return NACRE_OK;
}

static nacre_err set_value(serve_settings *s, const serve_key *key, const char *text, nacre_detail *why)
{
    void *field = field_of(s, key);
    unsigned chosen = 0;
    nacre_err err;
    switch (key->kind) {
    case SERVE_TEXT: return set_text(field, text, why);
    case SERVE_LIST: return add_context(s, text, why);
    case SERVE_SWITCH: return set_switch(field, text, why);
    case SERVE_CHOICE:
        err = set_choice(&chosen, key, text, why);
        if (err == NACRE_OK) store_number(field, key->size, chosen);
        return err;
    case SERVE_NUMBER: return set_number(field, key, text, why);
    case SERVE_RIGHTS: break;
    }
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "give rows of peers, methods and paths");
}

static bool is_by_option(const serve_settings *s, const char *name)
{
    return s->from[serve_key_find(name) - serve_keys] == SERVE_FROM_OPTION;
}

/* Contexts are named by credentials or one by one: --credentials takes the place of the file's contexts, and the reverse. */
static bool is_overridden(const serve_settings *s, const serve_key *key)
{
    const bool names_contexts = strcmp(key->name, "contexts") == 0 || strcmp(key->name, "credentials") == 0;
    if (names_contexts) return is_by_option(s, "contexts") || is_by_option(s, "credentials");
    return s->from[key - serve_keys] == SERVE_FROM_OPTION;
}

nacre_err serve_settings_set(serve_settings *s, const serve_key *key, const char *text, unsigned from,
                             nacre_detail *why)
{
    unsigned *const before = &s->from[key - serve_keys];
    if (from != SERVE_FROM_OPTION && is_overridden(s, key)) {
        serve_settings checked;
        serve_settings_init(&checked);
        const nacre_err err = set_value(&checked, key, text, why);
        serve_settings_free(&checked);
        return err;
    }
    const nacre_err err = set_value(s, key, text, why);
    if (err == NACRE_OK) *before = from;
    return err;
}

bool serve_settings_is_set(const serve_settings *s, const char *name)
{
    const serve_key *key = serve_key_find(name);
    return key != NULL && s->from[key - serve_keys] != 0;
}

/* ---- All together ------------------------------------------------------------------------------------------------------ */

static nacre_err check_together(const serve_settings *s, nacre_detail *why)
{
    const nacre_err bad = NACRE_ERR_BAD_ARGUMENT;
    const uint16_t size = s->limits.block_size;
    if (s->credentials != NULL && s->num_contexts > 0)
        return nacre__fail(why, bad, "--context and --credentials: give one of them");
    if (s->kek != NULL && s->database == NULL) return nacre__fail(why, bad, "--kek needs --db DB");
    if (s->writable && s->root == NULL) return nacre__fail(why, bad, "--writable needs --root DIR");
    if (size != 0 && (size & (size - 1)) != 0)
        return nacre__fail(why, bad, "limits.block_size: give 16, 32, 64, 128, 256, 512 or 1024");
    if (s->credentials == NULL && s->num_contexts == 0 && s->database == NULL && !serve_rights_has_anonymous(s->rights))
        return nacre__fail(why, bad,
                           "give --context DIR, --credentials FILE or --db DB: without one no client could be served");
    return NACRE_OK;
}

nacre_err serve_settings_finish(serve_settings *s, nacre_detail *why)
{
    const nacre_err err = check_together(s, why);
    if (err != NACRE_OK) return err;
    if (s->config != NULL && !serve_settings_is_set(s, "log.level")) s->log_level = SERVE_INFO;
    serve_settings zero = *s; /* of numbers that are set, 0 is none or never, not the default */
    if (!nacre__server_config_resolve(&s->limits, &zero.limits))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "these limits are not possible");
    for (const serve_key *key = serve_keys; key->name != NULL; key++)
        if (key->kind == SERVE_NUMBER && s->from[key - serve_keys] != 0)
            memcpy(field_of(s, key), const_field_of(&zero, key), key->size);
    return NACRE_OK;
}

static bool are_equal_texts(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool serve_settings_equal(const serve_settings *a, const serve_settings *b, const serve_key *key)
{
    switch (key->kind) {
    case SERVE_TEXT:
        return are_equal_texts(*(char *const *)const_field_of(a, key), *(char *const *)const_field_of(b, key));
    case SERVE_LIST:
        if (a->num_contexts != b->num_contexts) return false;
        for (size_t i = 0; i < a->num_contexts; i++)
            if (strcmp(a->contexts[i], b->contexts[i]) != 0) return false;
        return true;
    case SERVE_RIGHTS: return serve_rights_equal(a->rights, b->rights);
    case SERVE_SWITCH:
    case SERVE_CHOICE:
    case SERVE_NUMBER: break;
    }
    return memcmp(const_field_of(a, key), const_field_of(b, key), key->size) == 0;
}

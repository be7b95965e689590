/* SPDX-License-Identifier: MIT */
/* serve_reload: see serve_running.h. */
#include "serve_running.h"
#include "serve_check.h"
#include "serve_contexts.h"
#include "serve_log.h"
#include "base/hosted/detail.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 512 };

/* The keys that differ and cannot change, separated by spaces. */
static void name_fixed(char names[MAX_NAMES], const serve_settings *now, const serve_settings *then)
{
    size_t used = 0;
    names[0] = '\0';
    for (const serve_key *key = serve_keys; key->name != NULL; key++) {
        const size_t len = strlen(key->name);
        const bool is_set = now->from[key - serve_keys] != 0 || then->from[key - serve_keys] != 0;
        if (!is_set || key->can_change || serve_settings_equal(now, then, key) || used + len + 2 > MAX_NAMES) continue;
        if (used > 0) names[used++] = ' ';
        memcpy(names + used, key->name, len + 1);
        used += len;
    }
}

static void swap(void *a, void *b, size_t size)
{
    uint8_t kept[sizeof(void *) * 2];
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

/* Exchanges the values of keys that can change, so that `then` is left with the old ones. */
static void exchange(serve_settings *now, serve_settings *then)
{
    for (const serve_key *key = serve_keys; key->name != NULL; key++) {
        if (!key->can_change) continue;
        swap((uint8_t *)now + key->offset, (uint8_t *)then + key->offset, key->size);
        swap(&now->from[key - serve_keys], &then->from[key - serve_keys], sizeof now->from[0]);
    }
    swap(&now->num_contexts, &then->num_contexts, sizeof now->num_contexts);
}

/* What rights and `writable` are about: they would apply to the old values until the next start. */
static nacre_err check_same(const serve_settings *now, const serve_settings *then, nacre_detail *why)
{
    static const char *const names[] = { "root", "demo", "database", "role" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!serve_settings_equal(now, then, serve_key_find(names[i])))
            return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: start the server again, because rights depend on it",
                               names[i]);
    return NACRE_OK;
}

/* A file that is written just now may end before its rights. */
static nacre_err check_rights(const serve_settings *now, const serve_settings *then, nacre_detail *why)
{
    if (now->rights == NULL || then->rights != NULL) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                       "rights: there are none any more, so that all contexts could do everything: give a row with "
                       "peers '*', methods '*' and paths /**, or start the server again");
}

/* Until contexts and rights have both changed, a request needs the rights of before and after: NULL ends this. */
static void need_too(serve_running *r, const serve_settings *then)
{
    (void)pthread_rwlock_wrlock(&r->rights_lock);
    r->then = then;
    (void)pthread_rwlock_unlock(&r->rights_lock);
}

static nacre_err change(serve_running *r, const serve_settings *then, nacre_detail *why)
{
    nacre_err err = check_same(&r->settings, then, why);
    if (err == NACRE_OK) err = check_rights(&r->settings, then, why);
    if (err != NACRE_OK) return err;
    need_too(r, then);
    err = serve_contexts_change(r->server, then, why);
    if (err != NACRE_OK) need_too(r, NULL);
    return err;
}

/* Handlers that read them hold these locks. */
static void take_over(serve_running *r, serve_settings *then)
{
    (void)pthread_rwlock_wrlock(&r->rights_lock);
    (void)pthread_mutex_lock(&r->resources[0].lock);
    exchange(&r->settings, then);
    r->then = NULL;
    r->root.is_writable = r->settings.writable;
    r->root.credentials = r->settings.credentials;
    (void)pthread_mutex_unlock(&r->resources[0].lock);
    (void)pthread_rwlock_unlock(&r->rights_lock);
    serve_metrics_name(r->metrics, r->settings.contexts, r->settings.num_contexts, r->settings.credentials);
    atomic_store(&r->shows_requests, r->settings.verbose);
    serve_log_set(r->settings.log_level, r->settings.log_format);
}

void serve_reload(serve_running *r)
{
    char fixed[MAX_NAMES];
    nacre_detail why = { "" };
    serve_settings then;
    serve_settings_init(&then);
    nacre_err err = serve_settings_load_again(&then, r->argc, r->argv, &why);
    if (err == NACRE_OK) err = change(r, &then, &why);
    if (err != NACRE_OK) {
        serve_log(SERVE_ERROR, "reload", NULL, "nothing is changed: %s", why.text);
    } else {
        name_fixed(fixed, &r->settings, &then);
        take_over(r, &then);
        serve_log(SERVE_INFO, "reload", NULL, "read %s again", r->settings.config);
        if (!serve_check_file(r->settings.config))
            serve_log(SERVE_WARNING, "reload", NULL, "%s: " SERVE_CHECK_OPEN, r->settings.config);
        if (!r->is_plain && serve_rights_has_anonymous(r->settings.rights))
            serve_log(SERVE_WARNING, "reload", NULL, "rights for anonymous apply at the next start only");
        if (fixed[0] != '\0') serve_log(SERVE_WARNING, "reload", NULL, "changed at the next start only: %s", fixed);
    }
    serve_settings_free(&then);
}

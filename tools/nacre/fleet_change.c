/* SPDX-License-Identifier: MIT */
/* fleet_change: create, remove, revoke, import, export, check and adopt. */
#include <stdio.h>
#include <stdlib.h>

#include "fleet.h"
#include "store/sqlite/sqlite_import.h"

int fleet_create(fleet_args *a)
{
    nacre_detail why;
    const nacre_err err = nacre_sqlite_create(a->path, &a->config, a->crypto, &why);
    if (err != NACRE_OK) return tool_fail("fleet", err, "%s", why.text);
    fleet_say("%s: made, empty%s", a->path, nacre_is_absent(a->config.kek) ? "" : "; its keys will be encrypted");
    return tool_flush("fleet");
}

/* ---- Ending ---- */

static int end(fleet_args *a, nacre_err (*how)(nacre_sqlite *, const int64_t *, size_t, nacre_detail *),
               const char *done)
{
    nacre_detail why;
    nacre_sqlite *db = NULL;
    int64_t *ids = calloc((size_t)a->num_words, sizeof *ids);
    int code = ids != NULL ? TOOL_OK : tool_fail("fleet", NACRE_ERR_NO_MEMORY, "out of memory");
    for (int i = 0; code == TOOL_OK && i < a->num_words; i++) code = fleet_id(&ids[i], a->words[i]);
    if (code == TOOL_OK) code = fleet_open(&db, a, false);
    if (code == TOOL_OK) {
        const nacre_err err = how(db, ids, (size_t)a->num_words, &why);
        if (err != NACRE_OK) code = tool_fail("fleet", err, "%s", why.text);
        for (int i = 0; err == NACRE_OK && i < a->num_words; i++)
            fleet_say("%s: context %s %s", a->path, a->words[i], done);
        code = fleet_close(db, code);
    }
    free(ids);
    return code;
}

int fleet_remove(fleet_args *a)
{
    return end(a, nacre_sqlite_remove, "removed");
}

int fleet_revoke(fleet_args *a)
{
    return end(a, nacre_sqlite_revoke, "revoked");
}

/* ---- Moving ---- */

/* All are examined before the first is moved. */
static int import_all(nacre_sqlite *db, const fleet_args *a)
{
    nacre_detail why;
    nacre_err err = NACRE_OK;
    if (a->num_words > 1) err = nacre__sqlite_import_rehearse(db, a->words, (size_t)a->num_words, a->role, &why);
    if (err != NACRE_OK) return tool_fail("fleet", err, "%s; no directory was moved", why.text);
    for (int i = 0; i < a->num_words; i++) {
        int64_t id;
        err = nacre_sqlite_import(db, &id, a->words[i], a->role, a->name, &why);
        if (err != NACRE_OK)
            return tool_fail("fleet", err, "%s%s", why.text,
                             i > 0 ? "; the directories on standard output were moved before" : "");
        fleet_say("%s: moved, context %lld", a->words[i], (long long)id);
    }
    return TOOL_OK;
}

int fleet_import(fleet_args *a)
{
    nacre_sqlite *db;
    if (a->name != NULL && a->num_words > 1) return tool_usage("fleet", "--name: give one directory");
    const int code = fleet_open(&db, a, false);
    return code == TOOL_OK ? fleet_close(db, import_all(db, a)) : code;
}

int fleet_export(fleet_args *a)
{
    nacre_detail why;
    nacre_sqlite *db;
    int64_t id;
    int code = fleet_id(&id, a->words[0]);
    if (code == TOOL_OK) code = fleet_open(&db, a, false);
    if (code != TOOL_OK) return code;
    const nacre_err err = nacre_sqlite_export(db, id, a->words[1], &why);
    if (err == NACRE_OK)
        fleet_say("%s: has context %lld of %s, which no longer has it", a->words[1], (long long)id, a->path);
    else code = tool_fail("fleet", err, "%s", why.text);
    return fleet_close(db, code);
}

/* ---- Condition ---- */

static void print_problem(void *user, const char *text)
{
    (void)user;
    printf("%s\n", text);
}

int fleet_check(fleet_args *a)
{
    nacre_detail why;
    size_t num = 0;
    const nacre_err err = nacre_sqlite_check(a->path, &a->config, a->crypto, print_problem, NULL, &num, &why);
    if (err != NACRE_OK) return tool_fail("fleet", err, "%s", why.text);
    if (num == 0) fleet_say("%s: no problems", a->path);
    const int code = tool_flush("fleet");
    if (code != TOOL_OK || num == 0) return code;
    return tool_fail("fleet", NACRE_ERR_BAD_CONTEXT, "%s: has %zu problem%s", a->path, num, num > 1 ? "s" : "");
}

int fleet_adopt(fleet_args *a)
{
    nacre_detail why;
    const nacre_err err = nacre_sqlite_adopt(a->path, &a->config, a->crypto, &why);
    if (err != NACRE_OK) return tool_fail("fleet", err, "%s", why.text);
    printf(
        "%s: its contexts go on at least 2^32 numbers higher; the next request to each gets an Echo challenge. Revoke\n"
        "again what was revoked since the copy was made.\n",
        a->path);
    return tool_flush("fleet");
}

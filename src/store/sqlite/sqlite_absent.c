/* SPDX-License-Identifier: MIT */
/* sqlite_absent: replaces the other files here in a build without libsqlite3. */
#include <nacre/sqlite.h>

#include "base/hosted/detail.h"
#include "store/sqlite/sqlite_import.h"
#include "store/sqlite/sqlite_label.h"
#include "store/sqlite/sqlite_serve.h"

static nacre_err absent(nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                       "this nacre was built without SQLite; build it with libsqlite3 (Debian: libsqlite3-dev)");
}

/* No database can be open, so only the first five functions can be called. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GIVES(type, name, parameters, value)                                                                           \
    type name parameters                                                                                               \
    {                                                                                                                  \
        return value;                                                                                                  \
    }
#define ABSENT(name, parameters) GIVES(nacre_err, name, parameters, absent(why))

static const nacre_store_ops no_ops = { .size = sizeof no_ops };

GIVES(nacre_sqlite_config, nacre_sqlite_config_default, (void),
      (nacre_sqlite_config){ .size = sizeof(nacre_sqlite_config) })
GIVES(bool, nacre_sqlite_is_built, (void), false)
ABSENT(nacre_sqlite_create,
       (const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto, nacre_detail *why))
ABSENT(nacre_sqlite_open, (nacre_sqlite * *db, const char *path, const nacre_sqlite_config *config,
                           const nacre_crypto *crypto, nacre_detail *why))
ABSENT(nacre_sqlite_adopt,
       (const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto, nacre_detail *why))
ABSENT(nacre_sqlite_add,
       (nacre_sqlite * db, int64_t *ids, size_t num, nacre_sqlite_source source, void *user, nacre_detail *why))
ABSENT(nacre_sqlite_find, (nacre_sqlite * db, nacre_sqlite_query *queries, size_t num, nacre_detail *why))
ABSENT(nacre_sqlite_load,
       (nacre_sqlite * db, nacre_context **contexts, const int64_t *ids, size_t num, nacre_detail *why))
ABSENT(nacre_sqlite_load_all, (nacre_sqlite * db, nacre_sqlite_on_context on_context, void *user, nacre_detail *why))
ABSENT(nacre_sqlite_unload, (nacre_sqlite * db, nacre_context *ctx, nacre_detail *why))
ABSENT(nacre__sqlite_data_version, (nacre_sqlite * db, uint64_t *version, nacre_detail *why))
ABSENT(nacre__sqlite_unload_these, (nacre_sqlite * db, nacre_context *const *contexts, size_t num, nacre_detail *why))
GIVES(bool, nacre__sqlite_has, (const nacre_store *store), false)
GIVES(size_t, nacre__sqlite_size, (const nacre_context *ctx), 0)
GIVES(const char *const *, nacre__sqlite_claims, (const nacre_context *ctx), NULL)
ABSENT(nacre_sqlite_remove, (nacre_sqlite * db, const int64_t *ids, size_t num, nacre_detail *why))
ABSENT(nacre_sqlite_revoke, (nacre_sqlite * db, const int64_t *ids, size_t num, nacre_detail *why))
ABSENT(nacre_sqlite_list,
       (nacre_sqlite * db, const nacre_sqlite_filter *filter, nacre_sqlite_visit visit, void *user, nacre_detail *why))
ABSENT(nacre_sqlite_import,
       (nacre_sqlite * db, int64_t *id, const char *dir, nacre_role role, const char *name, nacre_detail *why))
ABSENT(nacre__sqlite_import_rehearse,
       (nacre_sqlite * db, char *const *dirs, size_t num, nacre_role role, nacre_detail *why))
ABSENT(nacre_sqlite_export, (nacre_sqlite * db, int64_t id, const char *dir, nacre_detail *why))
ABSENT(nacre_sqlite_get_stats, (nacre_sqlite * db, nacre_sqlite_stats *stats, nacre_detail *why))
ABSENT(nacre_sqlite_check, (const char *path, const nacre_sqlite_config *config, const nacre_crypto *crypto,
                            nacre_sqlite_on_problem on_problem, void *user, size_t *num_problems, nacre_detail *why))
GIVES(nacre_err, nacre_sqlite_close, (nacre_sqlite * db, nacre_detail *why), NACRE_OK)
GIVES(nacre_store, nacre_sqlite_store, (nacre_context * ctx), ((nacre_store){ &no_ops, ctx }))
GIVES(int64_t, nacre_sqlite_id, (const nacre_context *ctx), 0)
GIVES(const char *, nacre_sqlite_path, (const nacre_sqlite *db), "")
GIVES(void, nacre__sqlite_label, (char *label, size_t size, const nacre_context *ctx), )

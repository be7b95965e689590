/* SPDX-License-Identifier: MIT */
/* sqlite_import: whether several directories can be moved, before the first is. */
#ifndef NACRE_STORE_SQLITE_IMPORT_H
#define NACRE_STORE_SQLITE_IMPORT_H

#include <nacre/sqlite.h>

/* nacre__sqlite_import_rehearse changes nothing. NACRE_OK: nacre_sqlite_import of each in turn is expected to succeed; otherwise its
 * error for one of them, which `why` names. */
NACRE_MUST_USE nacre_err nacre__sqlite_import_rehearse(nacre_sqlite *db, char *const *dirs, size_t num, nacre_role role,
                                                       nacre_detail *why);

#endif

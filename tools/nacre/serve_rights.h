/* SPDX-License-Identifier: MIT */
/* serve_rights: which peer may use which methods on which paths. A list of rows; a request is allowed if one row has its peer,
 * its method and its path. There are no rows that forbid, so their order does not matter. */
#ifndef NACRE_TOOL_SERVE_RIGHTS_H
#define NACRE_TOOL_SERVE_RIGHTS_H

#include "tool.h"

typedef struct serve_rights serve_rights;

serve_rights *serve_rights_new(void); /* without rows, which allows nothing; NULL: no memory */
void serve_rights_free(serve_rights *rights);

/* serve_rights_add adds a row. Each text is a list, separated by newlines; methods and paths also by spaces.
 *   peers    names of contexts (nacre_server_claims), "*": every context, "anonymous": unprotected requests
 *   methods  GET, POST, PUT, DELETE, FETCH, PATCH, iPATCH; "read": GET and FETCH, "write": the others, "*": all
 *   paths    "/a/b": this one; a segment "*" stands for any one, "**" at the end for any number; percent-encoded as in a URI
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (`why` says what is wrong; nothing is added); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err serve_rights_add(serve_rights *rights, const char *peers, const char *methods,
                                          const char *paths, nacre_detail *why);

bool serve_rights_has_anonymous(const serve_rights *rights); /* NULL: no */
bool serve_rights_equal(const serve_rights *a, const serve_rights *b);

/* serve_rights_allow: `claims` are the peer's names, NULL-terminated; NULL: none are known. `path` is as nacre_path_text writes it.
 * A last empty segment is ignored, because "/a/" names the directory /a. A path with a segment "." or ".." is never allowed. */
bool serve_rights_allow(const serve_rights *rights, bool is_protected, const char *const *claims, uint8_t method,
                        const char *path);

/* serve_rights_next_name: each name of the rows in turn but "*" and "anonymous"; `cursor` starts at 0. NULL: no more. The name
 * ends at a newline or NUL: its length is in `len`. */
const char *serve_rights_next_name(const serve_rights *rights, size_t *cursor, size_t *len);

#endif

/* SPDX-License-Identifier: MIT */
/* text: a growing string, for files that are replaced as a whole. It may hold secrets, so its memory is wiped when freed. If
 * memory runs out, `failed` stays set; check it once, at the end. */
#ifndef NACRE_STORE_TEXT_H
#define NACRE_STORE_TEXT_H

#include "store/json/json.h"

typedef struct nacre__text {
    char *ptr; /* NUL-terminated; NULL if nothing was written */
    size_t len, cap;
    bool failed;
} nacre__text;

void nacre__text_put(nacre__text *text, const char *format, ...) NACRE_PRINTF(2, 3);
void nacre__text_free(nacre__text *text);

/* A quoted, escaped string; a value with its children. Both on one line. */
void nacre__text_put_string(nacre__text *text, const char *string);
void nacre__text_put_json(nacre__text *text, const nacre__json *value);

#endif

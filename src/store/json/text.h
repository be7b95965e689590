/* SPDX-License-Identifier: MIT */
/* text: a string that grows as it is written, for files that are replaced as a whole. It may hold secrets: it is wiped
 * whenever its memory is given back. Running out of memory sticks, and is asked for once, at the end. */
#ifndef NACRE_STORE_TEXT_H
#define NACRE_STORE_TEXT_H

#include "store/json/json.h"

typedef struct nacre__text {
    char *ptr; /* with a NUL behind it; NULL when nothing was written */
    size_t len, cap;
    bool failed;
} nacre__text;

void nacre__text_put(nacre__text *text, const char *format, ...) NACRE_PRINTF(2, 3);
void nacre__text_free(nacre__text *text);

/* A string in quotes, escaped; a value with all that is in it. Both on one line. */
void nacre__text_put_string(nacre__text *text, const char *string);
void nacre__text_put_json(nacre__text *text, const nacre__json *value);

#endif

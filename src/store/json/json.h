/* SPDX-License-Identifier: MIT */
/* json: parses small JSON texts into a tree, more strictly than RFC 8259.
 *
 * Also refused: an empty text, a byte order mark, overlong UTF-8, half a surrogate pair, a NUL in a string, two members of one
 * name, more than 16 levels. Numbers are kept as text, so nothing is rounded. The tree may hold secrets: it and the parser's
 * memory are wiped when freed. */
#ifndef NACRE_STORE_JSON_H
#define NACRE_STORE_JSON_H

#include <nacre/store.h>

typedef enum nacre__json_type {
    NACRE__JSON_NULL,
    NACRE__JSON_BOOLEAN,
    NACRE__JSON_NUMBER,
    NACRE__JSON_STRING,
    NACRE__JSON_ARRAY,
    NACRE__JSON_OBJECT,
} nacre__json_type;

typedef struct nacre__json nacre__json;
struct nacre__json {
    nacre__json_type type;
    bool truth;       /* a boolean's value */
    const char *text; /* a number's or string's text, NUL-terminated */
    size_t len;
    const char *name;          /* in an object: the member's name */
    size_t line;               /* where it ended, from 1 */
    nacre__json *first, *next; /* children of arrays and objects, in order */
    size_t num_children;
};

typedef struct nacre__json_doc {
    nacre__json *root;
    struct nacre__arena_block *blocks; /* private */
} nacre__json_doc;

enum { NACRE__JSON_MAX_DEPTH = 16 };

/* nacre__json_parse reads `text`; `label` is its file's name for error texts. Nothing in `doc` points into `text`.
 * NACRE_OK  free `doc` with nacre__json_free;  `malformed` when the text is refused;  NACRE_ERR_NO_MEMORY
 * On failure `doc` is all zero, which may be freed as well. */
NACRE_MUST_USE nacre_err nacre__json_parse(nacre__json_doc *doc, nacre_bytes text, const char *label,
                                           nacre_err malformed, nacre_detail *why);
void nacre__json_free(nacre__json_doc *doc);

/* nacre__json_member gives an object's member; NULL if absent or not an object. */
const nacre__json *nacre__json_member(const nacre__json *object, const char *name);

/* "a number", "an object" … for error texts. */
const char *nacre__json_type_name(const nacre__json *value);

/* nacre__json_show writes a value for an error text: 1025, "sha1", true, an array; long ones are truncated. Not for secrets. */
enum { NACRE__JSON_MAX_DISPLAYED = 48 };
void nacre__json_show(char text[NACRE__JSON_MAX_DISPLAYED], const nacre__json *value);

/* nacre__json_check_text checks what the parser does not (see above). False: offset and reason are set. */
bool nacre__json_check_text(nacre_bytes text, size_t *offset, const char **reason);

/* nacre__utf8_valid: well-formed, in the shortest form, no surrogates. */
bool nacre__utf8_valid(nacre_bytes text);

#endif

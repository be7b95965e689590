/* SPDX-License-Identifier: MIT */
/* data: where each datum of a context stands, in secret.json and settings.json.
 *
 * Any datum may be in any of the files, as NAME_hex or NAME_ascii where it is a byte string; given twice it is refused,
 * for nobody can tell which one the peer has. Members with other names are left alone. secret.json and secrets.json are
 * two names of one file: when both are there with the same text, as while one is renamed to the other, they count once. */
#ifndef NACRE_STORE_DATA_H
#define NACRE_STORE_DATA_H

#include "store/file/files.h"
#include "store/json/json.h"

enum { NACRE__DATA_MAX_FILE = 64 * 1024, NACRE__DATA_FILES = 3 };
extern const char *const nacre__data_files[NACRE__DATA_FILES];

typedef enum nacre__datum_number {
    NACRE__SECRET,
    NACRE__SALT,
    NACRE__SENDER_ID,
    NACRE__RECIPIENT_ID,
    NACRE__CLIENT_ID,
    NACRE__SERVER_ID,
    NACRE__ID_CONTEXT,
    NACRE__ALGORITHM,
    NACRE__HASH,
    NACRE__WINDOW,
    NACRE__SEQUENCE_REQUIRED,
    NACRE__CHUNK_START,
    NACRE__CHUNK_LIMIT,
    NACRE__NUM_DATA
} nacre__datum_number;
typedef enum nacre__datum_form { NACRE__AS_IS, NACRE__AS_HEX, NACRE__AS_ASCII } nacre__datum_form;

/* Where a datum was found; `value` is NULL when it was not. */
typedef struct nacre__datum {
    const nacre__json *value;
    const char *file;
    nacre__datum_form form;
} nacre__datum;

typedef struct nacre__data {
    const nacre__folder *folder;
    nacre_detail *why;
    nacre__json_doc docs[NACRE__DATA_FILES];
    nacre__datum at[NACRE__NUM_DATA];
} nacre__data;

/* nacre__data_read finds all data; `data` is all zero but for folder and why. Free it in any case.
 * NACRE_OK, NACRE_ERR_BAD_CONTEXT, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__data_read(nacre__data *data);
void nacre__data_free(nacre__data *data);

/* An error at a datum: file, line and key are named, and the text goes on with what is wrong and what is allowed;
 * nacre__data_bad_value also with what was found instead, unless that is a secret. */
nacre_err nacre__data_bad(const nacre__data *data, nacre__datum_number number, const char *text);
nacre_err nacre__data_bad_value(const nacre__data *data, nacre__datum_number number, const char *text);

/* nacre__data_name gives the names that mean something, one by one, without their suffixes; NULL ends. */
const char *nacre__data_name(size_t index);

/* nacre__data_knows tells whether a member of that name, with its suffix, means something. */
bool nacre__data_knows(const char *member);

#endif

/* SPDX-License-Identifier: MIT */
/* data: where each datum of a context stands, in secret.json and settings.json.
 *
 * Any datum may be in any of the files, as NAME_hex or NAME_ascii where it is a byte string; given twice it is refused,
 * for nobody can tell which one the peer has. Members with other names are left alone. secret.json and secrets.json are
 * two names of one file: when both are there with the same text, as while one is renamed to the other, they count once. */
#ifndef NACRE_STORE_SETTINGS_H
#define NACRE_STORE_SETTINGS_H

#include "store/file/files.h"
#include "store/json/json.h"

enum { NACRE__SETTINGS_MAX_FILE = 64 * 1024, NACRE__SETTINGS_FILES = 3 };
extern const char *const nacre__settings_files[NACRE__SETTINGS_FILES];

typedef enum nacre__setting_number {
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
    NACRE__NUM_SETTINGS
} nacre__setting_number;
typedef enum nacre__setting_form { NACRE__AS_IS, NACRE__AS_HEX, NACRE__AS_ASCII } nacre__setting_form;

/* Where a datum was found; `value` is NULL when it was not. */
typedef struct nacre__setting {
    const nacre__json *value;
    const char *file;
    nacre__setting_form form;
} nacre__setting;

typedef struct nacre__settings {
    const nacre__dirfd *dirfd;
    nacre_detail *why;
    nacre__json_doc docs[NACRE__SETTINGS_FILES];
    nacre__setting at[NACRE__NUM_SETTINGS];
} nacre__settings;

/* nacre__settings_read finds all data; `settings` is all zero but for folder and why. Free it in any case.
 * NACRE_OK, NACRE_ERR_BAD_CONTEXT, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__settings_read(nacre__settings *settings);
void nacre__settings_free(nacre__settings *settings);

/* An error at a datum: file, line and key are named, and the text goes on with what is wrong and what is allowed;
 * nacre__setting_bad_value also with what was found instead, unless that is a secret. */
nacre_err nacre__setting_bad(const nacre__settings *settings, nacre__setting_number number, const char *text);
nacre_err nacre__setting_bad_value(const nacre__settings *settings, nacre__setting_number number, const char *text);

/* nacre__setting_name gives the names that mean something, one by one, without their suffixes; NULL ends. */
const char *nacre__setting_name(size_t index);

/* nacre__setting_knows tells whether a member of that name, with its suffix, means something. */
bool nacre__setting_knows(const char *member);

#endif

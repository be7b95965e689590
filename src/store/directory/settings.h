/* SPDX-License-Identifier: MIT */
/* settings: finds the settings of a context in secret.json and settings.json.
 *
 * Any setting may be in any of the files; byte strings are NAME_hex or NAME_ascii. A setting given twice is refused because it
 * is unknown which value the peer has. Members with other names are ignored. secrets.json is another name of secret.json: if
 * both exist with the same text, as during a rename, they count as one. */
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

/* Where a setting was found; `value` is NULL if it was not. */
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

/* nacre__settings_read finds all settings. Set `dirfd` and `why` and zero the rest before; free it in any case.
 * NACRE_OK, NACRE_ERR_BAD_CONTEXT, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__settings_read(nacre__settings *settings);
void nacre__settings_free(nacre__settings *settings);

/* Errors about a setting: the message gives file, line and name, then `text`: what is wrong and what is allowed.
 * nacre__setting_bad_value appends the value found, unless it is a secret. */
nacre_err nacre__setting_bad(const nacre__settings *settings, nacre__setting_number number, const char *text);
nacre_err nacre__setting_bad_value(const nacre__settings *settings, nacre__setting_number number, const char *text);

/* nacre__setting_name gives the name of a setting without suffix; NULL past the last. */
const char *nacre__setting_name(size_t index);

/* nacre__setting_is_known tells whether a member name, with its suffix, is a setting. */
bool nacre__setting_is_known(const char *member);

#endif

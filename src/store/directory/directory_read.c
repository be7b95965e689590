/* SPDX-License-Identifier: MIT */
/* directory_read: reads the parameters of a context from secret.json and settings.json.
 *
 * The member names of the IDs determine the layout: sender-id and recipient-id are for one side; client-sender-id and
 * server-sender-id (legacy layout) are for both, and the role selects the Sender ID. */
#include "store/directory/directory_read.h"

#include <stdio.h>
#include <string.h>

#include "store/directory/settings.h"
#include "store/json/decimal.h"
#include "base/hosted/detail.h"
#include "store/directory/legacy_sequence.h"

enum { LEGACY_ALGORITHM = 12 /* AES-CCM-64-64-128 */, MAX_CHUNK = 10000 };

struct reading {
    nacre__settings settings;
    nacre_role role;
    nacre_directory_info *info;
    nacre__setting_number sender_id, recipient_id; /* the settings that hold these, by layout and role */
};

/* ---- Reading one setting ---- */

static nacre_err too_long(const struct reading *r, nacre__setting_number number, size_t len, size_t max)
{
    char text[96];
    snprintf(text, sizeof text, "has %zu bytes, at most %zu are allowed%s", len, max,
             number >= NACRE__SENDER_ID && number <= NACRE__SERVER_ID ? " with this algorithm" : "");
    return nacre__setting_bad(&r->settings, number, text);
}

static nacre_err read_ascii(const struct reading *r, nacre__setting_number number, nacre_buf buf, size_t *len)
{
    const nacre__json *value = r->settings.at[number].value;
    for (size_t i = 0; i < value->len; i++)
        if ((unsigned char)value->text[i] > 0x7f)
            return nacre__setting_bad(&r->settings, number, "has a character that is not ASCII; use the _hex form");
    if (value->len > buf.cap) return too_long(r, number, value->len, buf.cap);
    memcpy(buf.ptr, value->text, value->len);
    *len = value->len;
    return NACRE_OK;
}

static nacre_err read_hex(const struct reading *r, nacre__setting_number number, nacre_buf buf, size_t *len)
{
    const nacre__json *value = r->settings.at[number].value;
    nacre_bytes bytes = NACRE_ABSENT;
    nacre_err err = nacre_hex_decode(&bytes, buf, value->text, value->len);
    if (err == NACRE_ERR_BUFFER_TOO_SMALL) return too_long(r, number, value->len / 2, buf.cap);
    if (err != NACRE_OK)
        return nacre__setting_bad_value(&r->settings, number, "must be pairs of hex digits without separators");
    *len = bytes.len;
    return NACRE_OK;
}

/* Reads a byte string; if missing, `len` is 0. */
static nacre_err read_bytes(const struct reading *r, nacre__setting_number number, nacre_buf buf, size_t *len)
{
    const nacre__setting *d = &r->settings.at[number];
    *len = 0;
    if (d->value == NULL) return NACRE_OK;
    if (d->form == NACRE__AS_IS) {
        char text[96];
        snprintf(text, sizeof text, "needs a suffix that says what it holds: \"%s_hex\" or \"%s_ascii\"",
                 nacre__setting_name(number), nacre__setting_name(number));
        return nacre__setting_bad(&r->settings, number, text);
    }
    if (d->value->type != NACRE__JSON_STRING) return nacre__setting_bad_value(&r->settings, number, "must be a string");
    return d->form == NACRE__AS_HEX ? read_hex(r, number, buf, len) : read_ascii(r, number, buf, len);
}

static nacre_err unknown_algorithm(const struct reading *r)
{
    char text[400], found[NACRE__JSON_MAX_DISPLAYED];
    nacre__json_show(found, r->settings.at[NACRE__ALGORITHM].value);
    size_t at = (size_t)snprintf(text, sizeof text, "is %s, which is none of", found);
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %s", i == 0 ? "" : ",", aead->name);
    return nacre__setting_bad(&r->settings, NACRE__ALGORITHM, text);
}

static nacre_err read_algorithm(const struct reading *r)
{
    const nacre__setting *d = &r->settings.at[NACRE__ALGORITHM];
    const nacre_aead *aead = NULL;
    uint64_t number = 0;
    if (d->value == NULL) {
        /* RFC 8613 3.2: the default. The legacy layout dates from the drafts, which had another default. */
        bool older = r->info->layout == NACRE_LAYOUT_LEGACY;
        r->info->aead = nacre_aead_by_number(older ? LEGACY_ALGORITHM : NACRE_AES_CCM_16_64_128);
        return NACRE_OK;
    }
    if (d->form != NACRE__AS_IS)
        return nacre__setting_bad(&r->settings, NACRE__ALGORITHM, "must be \"algorithm\", without a suffix");
    if (d->value->type == NACRE__JSON_STRING) aead = nacre_aead_by_name(d->value->text);
    else if (d->value->type != NACRE__JSON_NUMBER)
        return nacre__setting_bad_value(&r->settings, NACRE__ALGORITHM, "must be a name or a COSE number");
    else if (nacre__decimal_to_uint(&number, d->value->text, d->value->len) == NACRE__DECIMAL_OK && number <= INT16_MAX)
        aead = nacre_aead_by_number((int)number);
    if (aead == NULL) return unknown_algorithm(r);
    r->info->aead = aead;
    return NACRE_OK;
}

static nacre_err read_hash(const struct reading *r)
{
    const nacre__setting *d = &r->settings.at[NACRE__HASH];
    r->info->hash = NACRE_SHA256; /* RFC 8613 3.2: HKDF SHA-256 is the default */
    if (d->value == NULL) return NACRE_OK;
    if (r->info->layout == NACRE_LAYOUT_LEGACY) {
        if (d->form == NACRE__AS_IS && d->value->type == NACRE__JSON_STRING && strcmp(d->value->text, "sha256") == 0)
            return NACRE_OK;
        return nacre__setting_bad_value(&r->settings, NACRE__HASH,
                                        "must be \"sha256\", the only one of the legacy layout, without a suffix");
    }
    if (d->form == NACRE__AS_IS && d->value->type == NACRE__JSON_STRING &&
        nacre_hash_by_name(d->value->text, &r->info->hash))
        return NACRE_OK;
    return nacre__setting_bad_value(&r->settings, NACRE__HASH,
                                    "must be \"sha256\", \"sha384\" or \"sha512\", without a suffix");
}

static nacre_err read_window(const struct reading *r)
{
    const nacre__setting *d = &r->settings.at[NACRE__WINDOW];
    uint64_t size = NACRE_REPLAY_DEFAULT;
    if (d->value != NULL && (d->form != NACRE__AS_IS || d->value->type != NACRE__JSON_NUMBER ||
                             nacre__decimal_to_uint(&size, d->value->text, d->value->len) != NACRE__DECIMAL_OK ||
                             size == 0 || size > NACRE_REPLAY_MAX))
        return nacre__setting_bad_value(&r->settings, NACRE__WINDOW, "must be a whole number from 1 to 1024");
    r->info->window = (uint16_t)size;
    return NACRE_OK;
}

/* true: the directory requires a state, so that a lost one is not taken for that of new keys. */
static nacre_err read_sequence_required(const struct reading *r)
{
    const nacre__setting *d = &r->settings.at[NACRE__SEQUENCE_REQUIRED];
    if (d->value == NULL) return NACRE_OK;
    if (d->form != NACRE__AS_IS || d->value->type != NACRE__JSON_BOOLEAN)
        return nacre__setting_bad_value(&r->settings, NACRE__SEQUENCE_REQUIRED,
                                        "must be true or false, without a suffix");
    r->info->sequence_required = d->value->truth;
    return NACRE_OK;
}

static nacre_err read_chunk(const struct reading *r, nacre__setting_number number, uint16_t *chunk)
{
    const nacre__setting *d = &r->settings.at[number];
    uint64_t read = 0;
    if (d->value != NULL && (d->form != NACRE__AS_IS || d->value->type != NACRE__JSON_NUMBER ||
                             nacre__decimal_to_uint(&read, d->value->text, d->value->len) != NACRE__DECIMAL_OK ||
                             read == 0 || read > MAX_CHUNK))
        return nacre__setting_bad_value(&r->settings, number, "must be a whole number from 1 to 10000");
    *chunk = (uint16_t)read;
    return NACRE_OK;
}

static nacre_err read_chunks(const struct reading *r)
{
    nacre_directory_info *info = r->info;
    nacre_err err = read_chunk(r, NACRE__CHUNK_START, &info->first_chunk);
    if (err == NACRE_OK) err = read_chunk(r, NACRE__CHUNK_LIMIT, &info->max_chunk);
    if (err == NACRE_OK && info->max_chunk > 0 && info->first_chunk > info->max_chunk)
        return nacre__setting_bad(&r->settings, NACRE__CHUNK_START, "is more than \"sequence-chunk-limit\"");
    return err;
}

static nacre_err read_id(const struct reading *r, nacre__setting_number number, uint8_t id[NACRE_MAX_ID], size_t *len)
{
    /* RFC 8613 3.3: at most the nonce's length minus 6 */
    nacre_buf buf = { id, (size_t)r->info->aead->nonce_len - 6 };
    if (r->settings.at[number].value == NULL)
        return nacre__setting_bad(&r->settings, number, "is missing: add it with _hex or _ascii (\"\" is allowed)");
    return read_bytes(r, number, buf, len);
}

static nacre_err read_ids(const struct reading *r)
{
    nacre_directory_info *info = r->info;
    nacre_err err = read_id(r, r->sender_id, info->sender_id, &info->sender_id_len);
    if (err == NACRE_OK) err = read_id(r, r->recipient_id, info->recipient_id, &info->recipient_id_len);
    if (err != NACRE_OK) return err;
    /* RFC 8613 3.3: equal IDs would make both sides use the same key and the same nonces. */
    if (nacre_bytes_equal(nacre_bytes_of(info->sender_id, info->sender_id_len),
                          nacre_bytes_of(info->recipient_id, info->recipient_id_len)))
        return nacre__setting_bad(&r->settings, r->recipient_id,
                                  info->layout == NACRE_LAYOUT_LEGACY
                                      ? "is the same as the other side's; the two sides of a context need different IDs"
                                      : "is the same as the sender-id; the two sides of a context need different IDs");
    return NACRE_OK;
}

static nacre_err read_secrets(const struct reading *r)
{
    nacre_directory_info *info = r->info;
    if (r->settings.at[NACRE__SECRET].value == NULL)
        return nacre__setting_bad(&r->settings, NACRE__SECRET,
                                  "is missing: add \"secret_hex\" or \"secret_ascii\" to secret.json");
    nacre_err err = read_bytes(r, NACRE__SECRET, NACRE_BUF(info->secret), &info->secret_len);
    if (err == NACRE_OK) err = read_bytes(r, NACRE__SALT, NACRE_BUF(info->salt), &info->salt_len);
    if (err != NACRE_OK) return err;
    return info->secret_len > 0
               ? NACRE_OK
               : nacre__setting_bad(&r->settings, NACRE__SECRET, "is empty; at least one byte is needed, 16 are usual");
}

/* ---- Layout and role ---- */

static nacre_err mixed(const struct reading *r, nacre__setting_number newer, nacre__setting_number older)
{
    const nacre__setting *d = &r->settings.at[newer], *o = &r->settings.at[older];
    return nacre__fail(r->settings.why, NACRE_ERR_BAD_CONTEXT,
                       "%s: \"%s\" (%s) and \"%s\" (%s) are of two layouts; leave sender-id and recipient-id, or "
                       "client-sender-id and server-sender-id",
                       r->settings.dirfd->path, d->value->name, d->file, o->value->name, o->file);
}

static nacre_err choose_older(struct reading *r)
{
    r->info->layout = NACRE_LAYOUT_LEGACY;
    r->info->role = r->role;
    r->sender_id = r->role == NACRE_ROLE_SERVER ? NACRE__SERVER_ID : NACRE__CLIENT_ID;
    r->recipient_id = r->role == NACRE_ROLE_SERVER ? NACRE__CLIENT_ID : NACRE__SERVER_ID;
    nacre__setting_number given = r->settings.at[NACRE__CLIENT_ID].value != NULL ? NACRE__CLIENT_ID : NACRE__SERVER_ID;
    if (r->role != NACRE_ROLE_CLIENT && r->role != NACRE_ROLE_SERVER)
        return nacre__setting_bad(&r->settings, given,
                                  "serves both sides; say which this is: role client or server (--role)");
    return NACRE_OK;
}

static nacre_err find_layout(const struct reading *r, bool *newer, bool *older)
{
    *newer = r->settings.at[NACRE__SENDER_ID].value != NULL || r->settings.at[NACRE__RECIPIENT_ID].value != NULL;
    *older = r->settings.at[NACRE__CLIENT_ID].value != NULL || r->settings.at[NACRE__SERVER_ID].value != NULL;
    if (!*newer || !*older) return NACRE_OK;
    return mixed(r, r->settings.at[NACRE__SENDER_ID].value != NULL ? NACRE__SENDER_ID : NACRE__RECIPIENT_ID,
                 r->settings.at[NACRE__CLIENT_ID].value != NULL ? NACRE__CLIENT_ID : NACRE__SERVER_ID);
}

static nacre_err choose_layout(struct reading *r)
{
    bool newer, older;
    nacre_err err = find_layout(r, &newer, &older);
    if (err != NACRE_OK) return err;
    if (older) return choose_older(r);
    r->sender_id = NACRE__SENDER_ID;
    r->recipient_id = NACRE__RECIPIENT_ID;
    if (r->role == NACRE_ROLE_NONE) return NACRE_OK;
    return nacre__setting_bad(&r->settings, NACRE__SENDER_ID,
                              newer ? "says which side this is, so that no role can be given; leave it out (--role)"
                                    : "is missing, and so are the client-sender-id and server-sender-id of a role");
}

static nacre_err read_data(struct reading *r)
{
    nacre_directory_info *info = r->info;
    nacre_err err = choose_layout(r);
    if (err == NACRE_OK) err = read_algorithm(r);
    if (err == NACRE_OK) err = read_hash(r);
    if (err == NACRE_OK) err = read_window(r);
    if (err == NACRE_OK) err = read_sequence_required(r);
    if (err == NACRE_OK) err = read_chunks(r);
    if (err == NACRE_OK) err = read_ids(r);
    if (err == NACRE_OK) err = read_bytes(r, NACRE__ID_CONTEXT, NACRE_BUF(info->id_context), &info->id_context_len);
    if (err == NACRE_OK) err = read_secrets(r);
    info->has_id_context = r->settings.at[NACRE__ID_CONTEXT].value != NULL;
    return err;
}

/* ---- The whole ---- */

static nacre_err read_state(nacre_directory_info *info, nacre__json_doc *rest, const nacre__dirfd *dirfd,
                            nacre_detail *why)
{
    nacre__sequence state;
    nacre_bytes sender = nacre_bytes_of(info->sender_id, info->sender_id_len);
    nacre_bytes recipient = nacre_bytes_of(info->recipient_id, info->recipient_id_len);
    nacre_err err =
        info->layout == NACRE_LAYOUT_LEGACY
            ? nacre__legacy_read(&state, rest, &info->has_state, dirfd, sender, recipient, info->window, why)
            : nacre__sequence_read(&state, &info->has_state, dirfd, info->window, why);
    if (err != NACRE_OK) return err;
    info->next_to_send = state.next_to_send;
    info->window_known = state.window_known;
    info->window_index = state.window_index;
    memcpy(info->window_bits, state.window_bits, sizeof info->window_bits);
    info->elsewhere = state.elsewhere;
    info->generation = state.generation;
    return NACRE_OK;
}

nacre_err nacre__directory_load(nacre_directory_info *info, nacre__json_doc *rest, const nacre__dirfd *dirfd,
                                nacre_role role, nacre_detail *why)
{
    struct reading r = { .settings = { .dirfd = dirfd, .why = why }, .role = role, .info = info };
    memset(info, 0, sizeof *info);
    memset(rest, 0, sizeof *rest);
    nacre_err err = nacre__settings_read(&r.settings);
    if (err == NACRE_OK) err = read_data(&r);
    nacre__settings_free(&r.settings);
    if (err == NACRE_OK) err = read_state(info, rest, dirfd, why);
    info->mark = nacre__directory_mark(dirfd);
    if (err != NACRE_OK) nacre_wipe(info, sizeof *info);
    return err;
}

nacre_err nacre__directory_check_state(const nacre_directory_info *info, const nacre__dirfd *dirfd, nacre_detail *why)
{
    if (info->has_state || !info->sequence_required) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s/sequence.json: is missing, though \"sequence-required\" says that it is there: which "
                       "numbers were used is lost; make new keys (nacre keygen), or see nacre adopt "
                       "--next-to-send",
                       dirfd->path);
}

nacre_err nacre__directory_check_identity(const nacre_directory_info *info, const nacre__dirfd *dirfd,
                                          nacre_detail *why)
{
    if (!info->elsewhere) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s/sequence.json: was copied, edited or put back: this is not the file that the state was "
                       "written to, and numbers may have been used since; make new keys (nacre keygen), or "
                       "run nacre adopt if none was used",
                       dirfd->path);
}

nacre_err nacre__directory_layout(nacre_layout *layout, const nacre__dirfd *dirfd, nacre_detail *why)
{
    nacre_directory_info none;
    struct reading r = { .settings = { .dirfd = dirfd, .why = why }, .info = &none };
    bool newer = false, older = false;
    nacre_err err = nacre__settings_read(&r.settings);
    if (err == NACRE_OK) err = find_layout(&r, &newer, &older);
    nacre__settings_free(&r.settings);
    if (err == NACRE_OK) *layout = older ? NACRE_LAYOUT_LEGACY : NACRE_LAYOUT_NEWEST;
    return err;
}

nacre_err nacre_directory_read_as(nacre_directory_info *info, const char *path, nacre_role role, bool reveal,
                                  nacre_detail *why)
{
    nacre_directory_info read;
    nacre__json_doc rest;
    nacre__dirfd dirfd;
    nacre_err err = nacre__dirfd_open(&dirfd, path, why);
    if (err != NACRE_OK) return err;
    err = nacre__directory_load(&read, &rest, &dirfd, role, why);
    if (err == NACRE_OK) err = nacre__directory_check_state(&read, &dirfd, why);
    nacre__json_free(&rest);
    nacre__dirfd_close(&dirfd);
    if (err == NACRE_OK && !reveal) {
        nacre_wipe(read.secret, sizeof read.secret);
        nacre_wipe(read.salt, sizeof read.salt);
        read.secret_len = read.salt_len = 0;
    }
    if (err == NACRE_OK) *info = read;
    nacre_wipe(&read, sizeof read);
    return err;
}

nacre_err nacre_directory_read(nacre_directory_info *info, const char *path, bool reveal, nacre_detail *why)
{
    return nacre_directory_read_as(info, path, NACRE_ROLE_NONE, reveal, why);
}

/* SPDX-License-Identifier: MIT */
/* directory_read: secret.json and settings.json to the parameters of a context.
 *
 * The keys of the IDs tell the layout: sender-id and recipient-id say them as one side has them; client-sender-id and
 * server-sender-id, of the older layout, serve both sides, and a role tells which is the sender's.
 *
 * Any datum may be in any of the files, as NAME_hex or NAME_ascii where it is a byte string; given twice it is refused,
 * for nobody can tell which one the peer has. Members with other names are left alone. */
#include "store/directory_read.h"

#include <stdio.h>
#include <string.h>

#include "store/decimal.h"
#include "store/fail.h"
#include "store/json.h"
#include "store/seed_sequence.h"

enum { MAX_SIZE = 64 * 1024, NUM_FILES = 3, SEED_ALGORITHM = 12 /* AES-CCM-64-64-128 */ };

static const char *const file_names[NUM_FILES] = { "secret.json", "secrets.json", "settings.json" };

enum datum_number {
    SECRET,
    SALT,
    SENDER_ID,
    RECIPIENT_ID,
    CLIENT_ID,
    SERVER_ID,
    ID_CONTEXT,
    ALGORITHM,
    HASH,
    WINDOW,
    NUM_DATA
};
typedef enum datum_form { AS_IS, AS_HEX, AS_ASCII } datum_form;

static const struct {
    const char *name;
    const char *other_name; /* what the generator of the older layout wrote; NULL: nothing else */
} data_table[NUM_DATA] = {
    [SECRET] = { "secret", NULL },
    [SALT] = { "salt", NULL },
    [SENDER_ID] = { "sender-id", NULL },
    [RECIPIENT_ID] = { "recipient-id", NULL },
    [CLIENT_ID] = { "client-sender-id", "client-id" },
    [SERVER_ID] = { "server-sender-id", "server-id" },
    [ID_CONTEXT] = { "id-context", NULL },
    [ALGORITHM] = { "algorithm", NULL },
    [HASH] = { "kdf-hashfun", NULL },
    [WINDOW] = { "window", NULL },
};

/* Where a datum was found; `value` is NULL when it was not. */
struct datum {
    const nacre__json *value;
    const char *file;
    datum_form form;
};

struct reading {
    const nacre__folder *folder;
    nacre_detail *why;
    nacre_role role;
    nacre__json_doc docs[NUM_FILES];
    struct datum data[NUM_DATA];
    nacre_directory_info *info;
    enum datum_number sender_id, recipient_id; /* which data are these, in this layout and role */
};

/* An error at a datum: file, line and key are named, and the text goes on with what is wrong and what is allowed. */
static nacre_err bad_datum(const struct reading *r, enum datum_number number, const char *text)
{
    const struct datum *d = &r->data[number];
    if (d->value == NULL)
        return nacre__store_fail(r->why, NACRE_ERR_BAD_CONTEXT, "%s: \"%s\" %s", r->folder->path,
                                 data_table[number].name, text);
    return nacre__store_fail(r->why, NACRE_ERR_BAD_CONTEXT, "%s/%s: line %zu: \"%s\" %s", r->folder->path, d->file,
                             d->value->line, d->value->name, text);
}

/* The same, with what was found instead, unless that is a secret. */
static nacre_err bad_value(const struct reading *r, enum datum_number number, const char *text)
{
    char found[NACRE__JSON_MAX_SHOWN], whole[256];
    if (number == SECRET || number == SALT) return bad_datum(r, number, text);
    nacre__json_show(found, r->data[number].value);
    snprintf(whole, sizeof whole, "%s, found %s", text, found);
    return bad_datum(r, number, whole);
}

/* ---- Finding the data in the files ---- */

/* Whether a member's name is that of a datum, and in which form. */
static bool is_named(const char *member, const char *name, datum_form *form)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (name == NULL || strncmp(member, name, len) != 0) return false;
    if (strcmp(member + len, "") == 0) *form = AS_IS;
    else if (strcmp(member + len, "_hex") == 0) *form = AS_HEX;
    else if (strcmp(member + len, "_ascii") == 0) *form = AS_ASCII;
    else return false;
    return true;
}

static bool is_datum(const char *member, enum datum_number number, datum_form *form)
{
    return is_named(member, data_table[number].name, form) || is_named(member, data_table[number].other_name, form);
}

bool nacre__directory_knows(const char *member)
{
    datum_form form;
    for (enum datum_number i = 0; i < NUM_DATA; i++)
        if (is_datum(member, i, &form)) return true;
    return false;
}

static nacre_err sort_member(struct reading *r, const nacre__json *member, const char *file)
{
    for (enum datum_number i = 0; i < NUM_DATA; i++) {
        struct datum *d = &r->data[i];
        datum_form form;
        if (!is_datum(member->name, i, &form)) continue;
        if (d->value != NULL)
            return nacre__store_fail(r->why, NACRE_ERR_BAD_CONTEXT,
                                     "%s/%s: line %zu: \"%s\" was given already, in line %zu of %s; leave one",
                                     r->folder->path, file, member->line, member->name, d->value->line, d->file);
        *d = (struct datum){ member, file, form };
        return NACRE_OK;
    }
    return NACRE_OK;
}

static nacre_err sort_members(struct reading *r, const nacre__json *root, const char *file)
{
    if (root->type != NACRE__JSON_OBJECT)
        return nacre__store_fail(r->why, NACRE_ERR_BAD_CONTEXT, "%s/%s: an object is expected, found %s",
                                 r->folder->path, file, nacre__json_type_name(root));
    for (const nacre__json *m = root->first; m != NULL; m = m->next) {
        nacre_err err = sort_member(r, m, file);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

static nacre_err read_one_file(struct reading *r, size_t number, bool *found)
{
    char shown[256];
    nacre__file file;
    nacre_err err = nacre__file_read(&file, found, r->folder, file_names[number], MAX_SIZE, r->why);
    if (err != NACRE_OK || !*found) return err;
    snprintf(shown, sizeof shown, "%s/%s", r->folder->path, file_names[number]);
    err = nacre__json_parse(&r->docs[number], nacre_bytes_of(file.ptr, file.len), shown, NACRE_ERR_BAD_CONTEXT, r->why);
    nacre__file_free(&file);
    return err == NACRE_OK ? sort_members(r, r->docs[number].root, file_names[number]) : err;
}

static nacre_err read_files(struct reading *r)
{
    bool any = false;
    for (size_t i = 0; i < NUM_FILES; i++) {
        bool found = false;
        nacre_err err = read_one_file(r, i, &found);
        if (err != NACRE_OK) return err;
        any = any || found;
    }
    if (any) return NACRE_OK;
    return nacre__store_fail(r->why, NACRE_ERR_BAD_CONTEXT,
                             "%s: neither secret.json nor settings.json is there: not a context directory",
                             r->folder->path);
}

/* ---- Reading one datum ---- */

static nacre_err too_long(const struct reading *r, enum datum_number number, size_t len, size_t max)
{
    char text[96];
    snprintf(text, sizeof text, "has %zu bytes, at most %zu are allowed%s", len, max,
             number >= SENDER_ID && number <= SERVER_ID ? " with this algorithm" : "");
    return bad_datum(r, number, text);
}

static nacre_err read_ascii(const struct reading *r, enum datum_number number, nacre_room room, size_t *len)
{
    const nacre__json *value = r->data[number].value;
    for (size_t i = 0; i < value->len; i++)
        if ((unsigned char)value->text[i] > 0x7f)
            return bad_datum(r, number, "has a character that is not ASCII; use the _hex form");
    if (value->len > room.cap) return too_long(r, number, value->len, room.cap);
    memcpy(room.ptr, value->text, value->len);
    *len = value->len;
    return NACRE_OK;
}

static nacre_err read_hex(const struct reading *r, enum datum_number number, nacre_room room, size_t *len)
{
    const nacre__json *value = r->data[number].value;
    nacre_bytes bytes = NACRE_ABSENT;
    nacre_err err = nacre_hex_decode(&bytes, room, value->text, value->len);
    if (err == NACRE_ERR_NO_ROOM) return too_long(r, number, value->len / 2, room.cap);
    if (err != NACRE_OK) return bad_value(r, number, "must be pairs of hex digits without separators");
    *len = bytes.len;
    return NACRE_OK;
}

/* A byte string; a missing one leaves `len` at 0. */
static nacre_err read_bytes(const struct reading *r, enum datum_number number, nacre_room room, size_t *len)
{
    const struct datum *d = &r->data[number];
    *len = 0;
    if (d->value == NULL) return NACRE_OK;
    if (d->form == AS_IS) {
        char text[96];
        snprintf(text, sizeof text, "needs a suffix that says what it holds: \"%s_hex\" or \"%s_ascii\"",
                 data_table[number].name, data_table[number].name);
        return bad_datum(r, number, text);
    }
    if (d->value->type != NACRE__JSON_STRING) return bad_value(r, number, "must be a string");
    return d->form == AS_HEX ? read_hex(r, number, room, len) : read_ascii(r, number, room, len);
}

static nacre_err unknown_algorithm(const struct reading *r)
{
    char text[400], found[NACRE__JSON_MAX_SHOWN];
    nacre__json_show(found, r->data[ALGORITHM].value);
    size_t at = (size_t)snprintf(text, sizeof text, "is %s, which is none of", found);
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %s", i == 0 ? "" : ",", aead->name);
    return bad_datum(r, ALGORITHM, text);
}

static nacre_err read_algorithm(const struct reading *r)
{
    const struct datum *d = &r->data[ALGORITHM];
    const nacre_aead *aead = NULL;
    uint64_t number = 0;
    if (d->value == NULL) {
        /* RFC 8613 3.2: the default; the older layout comes from the time of drafts, which had another. */
        bool older = r->info->layout == NACRE_LAYOUT_SEED;
        r->info->aead = nacre_aead_by_number(older ? SEED_ALGORITHM : NACRE_AES_CCM_16_64_128);
        return NACRE_OK;
    }
    if (d->form != AS_IS) return bad_datum(r, ALGORITHM, "must be \"algorithm\", without a suffix");
    if (d->value->type == NACRE__JSON_STRING) aead = nacre_aead_by_name(d->value->text);
    else if (d->value->type != NACRE__JSON_NUMBER) return bad_value(r, ALGORITHM, "must be a name or a COSE number");
    else if (nacre__decimal_to_uint(&number, d->value->text, d->value->len) == NACRE__DECIMAL_OK && number <= INT16_MAX)
        aead = nacre_aead_by_number((int)number);
    if (aead == NULL) return unknown_algorithm(r);
    r->info->aead = aead;
    return NACRE_OK;
}

static nacre_err read_hash(const struct reading *r)
{
    const struct datum *d = &r->data[HASH];
    r->info->hash = NACRE_SHA256; /* RFC 8613 3.2: HKDF SHA-256 is the default */
    if (d->value == NULL) return NACRE_OK;
    if (r->info->layout == NACRE_LAYOUT_SEED) {
        if (d->form == AS_IS && d->value->type == NACRE__JSON_STRING && strcmp(d->value->text, "sha256") == 0)
            return NACRE_OK;
        return bad_value(r, HASH, "must be \"sha256\", the only one of the older layout, without a suffix");
    }
    if (d->form == AS_IS && d->value->type == NACRE__JSON_STRING && nacre_hash_by_name(d->value->text, &r->info->hash))
        return NACRE_OK;
    return bad_value(r, HASH, "must be \"sha256\", \"sha384\" or \"sha512\", without a suffix");
}

static nacre_err read_window(const struct reading *r)
{
    const struct datum *d = &r->data[WINDOW];
    uint64_t size = NACRE_REPLAY_DEFAULT;
    if (d->value != NULL && (d->form != AS_IS || d->value->type != NACRE__JSON_NUMBER ||
                             nacre__decimal_to_uint(&size, d->value->text, d->value->len) != NACRE__DECIMAL_OK ||
                             size == 0 || size > NACRE_REPLAY_MAX))
        return bad_value(r, WINDOW, "must be a whole number from 1 to 1024");
    r->info->window = (uint16_t)size;
    return NACRE_OK;
}

static nacre_err read_id(const struct reading *r, enum datum_number number, uint8_t id[NACRE_MAX_ID], size_t *len)
{
    /* RFC 8613 3.3: at most the nonce's length minus 6 */
    nacre_room room = { id, (size_t)r->info->aead->nonce_len - 6 };
    if (r->data[number].value == NULL)
        return bad_datum(r, number, "is missing: add it with _hex or _ascii (\"\" is allowed)");
    return read_bytes(r, number, room, len);
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
        return bad_datum(r, r->recipient_id,
                         info->layout == NACRE_LAYOUT_SEED
                             ? "is the same as the other side's; the two sides of a context need different IDs"
                             : "is the same as the sender-id; the two sides of a context need different IDs");
    return NACRE_OK;
}

static nacre_err read_secrets(const struct reading *r)
{
    nacre_directory_info *info = r->info;
    if (r->data[SECRET].value == NULL)
        return bad_datum(r, SECRET, "is missing: add \"secret_hex\" or \"secret_ascii\" to secret.json");
    nacre_err err = read_bytes(r, SECRET, NACRE_ROOM(info->secret), &info->secret_len);
    if (err == NACRE_OK) err = read_bytes(r, SALT, NACRE_ROOM(info->salt), &info->salt_len);
    if (err != NACRE_OK) return err;
    return info->secret_len > 0 ? NACRE_OK
                                : bad_datum(r, SECRET, "is empty; at least one byte is needed, 16 are usual");
}

/* ---- The layout, and which ID is whose ---- */

static nacre_err mixed(const struct reading *r, enum datum_number newer, enum datum_number older)
{
    const struct datum *d = &r->data[newer], *o = &r->data[older];
    return nacre__store_fail(r->why, NACRE_ERR_BAD_CONTEXT,
                             "%s: \"%s\" (%s) and \"%s\" (%s) are of two layouts; leave sender-id and recipient-id, or "
                             "client-sender-id and server-sender-id",
                             r->folder->path, d->value->name, d->file, o->value->name, o->file);
}

static nacre_err choose_older(struct reading *r)
{
    r->info->layout = NACRE_LAYOUT_SEED;
    r->info->role = r->role;
    r->sender_id = r->role == NACRE_ROLE_SERVER ? SERVER_ID : CLIENT_ID;
    r->recipient_id = r->role == NACRE_ROLE_SERVER ? CLIENT_ID : SERVER_ID;
    enum datum_number given = r->data[CLIENT_ID].value != NULL ? CLIENT_ID : SERVER_ID;
    if (r->role != NACRE_ROLE_CLIENT && r->role != NACRE_ROLE_SERVER)
        return bad_datum(r, given, "serves both sides; say which this is: role client or server (--role)");
    return NACRE_OK;
}

static nacre_err find_layout(const struct reading *r, bool *newer, bool *older)
{
    *newer = r->data[SENDER_ID].value != NULL || r->data[RECIPIENT_ID].value != NULL;
    *older = r->data[CLIENT_ID].value != NULL || r->data[SERVER_ID].value != NULL;
    if (!*newer || !*older) return NACRE_OK;
    return mixed(r, r->data[SENDER_ID].value != NULL ? SENDER_ID : RECIPIENT_ID,
                 r->data[CLIENT_ID].value != NULL ? CLIENT_ID : SERVER_ID);
}

static nacre_err choose_layout(struct reading *r)
{
    bool newer, older;
    nacre_err err = find_layout(r, &newer, &older);
    if (err != NACRE_OK) return err;
    if (older) return choose_older(r);
    r->sender_id = SENDER_ID;
    r->recipient_id = RECIPIENT_ID;
    if (r->role == NACRE_ROLE_NONE) return NACRE_OK;
    return bad_datum(r, SENDER_ID,
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
    if (err == NACRE_OK) err = read_ids(r);
    if (err == NACRE_OK) err = read_bytes(r, ID_CONTEXT, NACRE_ROOM(info->id_context), &info->id_context_len);
    if (err == NACRE_OK) err = read_secrets(r);
    info->has_id_context = r->data[ID_CONTEXT].value != NULL;
    return err;
}

/* ---- The whole ---- */

static nacre_err read_state(nacre_directory_info *info, nacre__json_doc *rest, const nacre__folder *folder,
                            nacre_detail *why)
{
    nacre__sequence state;
    nacre_bytes sender = nacre_bytes_of(info->sender_id, info->sender_id_len);
    nacre_bytes recipient = nacre_bytes_of(info->recipient_id, info->recipient_id_len);
    nacre_err err = info->layout == NACRE_LAYOUT_SEED
                        ? nacre__seed_read(&state, rest, &info->has_state, folder, sender, recipient, info->window, why)
                        : nacre__sequence_read(&state, &info->has_state, folder, info->window, why);
    if (err != NACRE_OK) return err;
    info->next_to_send = state.next_to_send;
    info->window_known = state.window_known;
    info->window_index = state.window_index;
    memcpy(info->window_bits, state.window_bits, sizeof info->window_bits);
    return NACRE_OK;
}

nacre_err nacre__directory_load(nacre_directory_info *info, nacre__json_doc *rest, const nacre__folder *folder,
                                nacre_role role, nacre_detail *why)
{
    struct reading r = { .folder = folder, .why = why, .role = role, .info = info };
    memset(info, 0, sizeof *info);
    memset(rest, 0, sizeof *rest);
    nacre_err err = read_files(&r);
    if (err == NACRE_OK) err = read_data(&r);
    for (size_t i = 0; i < NUM_FILES; i++) nacre__json_free(&r.docs[i]);
    if (err == NACRE_OK) err = read_state(info, rest, folder, why);
    if (err != NACRE_OK) nacre_wipe(info, sizeof *info);
    return err;
}

nacre_err nacre__directory_layout(nacre_layout *layout, const nacre__folder *folder, nacre_detail *why)
{
    nacre_directory_info none;
    struct reading r = { .folder = folder, .why = why, .info = &none };
    bool newer = false, older = false;
    nacre_err err = read_files(&r);
    if (err == NACRE_OK) err = find_layout(&r, &newer, &older);
    for (size_t i = 0; i < NUM_FILES; i++) nacre__json_free(&r.docs[i]);
    if (err == NACRE_OK) *layout = older ? NACRE_LAYOUT_SEED : NACRE_LAYOUT_NEWEST;
    return err;
}

nacre_err nacre_directory_read_as(nacre_directory_info *info, const char *path, nacre_role role, bool reveal,
                                  nacre_detail *why)
{
    nacre_directory_info read;
    nacre__json_doc rest;
    nacre__folder folder;
    nacre_err err = nacre__folder_open(&folder, path, why);
    if (err != NACRE_OK) return err;
    err = nacre__directory_load(&read, &rest, &folder, role, why);
    nacre__json_free(&rest);
    nacre__folder_close(&folder);
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

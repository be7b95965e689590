/* SPDX-License-Identifier: MIT */
/* fleet_add: adds the contexts of a JSON file: an object, or an array of them, with the members of a directory's files
 * (secret_hex, salt_hex, sender-id_hex, recipient-id_hex, id-context_hex, algorithm, kdf-hashfun, window) and name. The keys must
 * be new: a context that was used elsewhere is moved with import. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "fleet.h"
#include "store/json/decimal.h"
#include "store/json/json.h"

enum { MAX_TEXT = 1 << 30 };

typedef struct reading {
    const char *path;
    const nacre__json *next;
} reading;

/* ---- One context ---- */

static nacre_err refuse(const reading *r, const nacre__json *where, const char *name, const char *text,
                        nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: line %zu: %s: %s", r->path, where->line, name, text);
}

static nacre_err read_hex(const reading *r, const nacre__json *member, uint8_t *to, size_t cap, size_t *len,
                          nacre_detail *why)
{
    nacre_bytes out;
    if (member->type != NACRE__JSON_STRING ||
        nacre_hex_decode(&out, (nacre_buf){ to, cap }, member->text, member->len) != NACRE_OK)
        return refuse(r, member, member->name, "hex digit pairs are expected, not too many", why);
    *len = out.len;
    return NACRE_OK;
}

static nacre_err read_name(const reading *r, const nacre__json *member, char *to, size_t cap, nacre_detail *why)
{
    if (member->type != NACRE__JSON_STRING || member->len >= cap)
        return refuse(r, member, member->name, "a string is expected, not too long", why);
    memcpy(to, member->text, member->len + 1);
    return NACRE_OK;
}

static nacre_err read_window(const reading *r, const nacre__json *member, nacre_directory_info *i, nacre_detail *why)
{
    uint64_t number = 0;
    if (member->type != NACRE__JSON_NUMBER ||
        nacre__decimal_to_uint(&number, member->text, member->len) != NACRE__DECIMAL_OK || number == 0 ||
        number > NACRE_REPLAY_MAX)
        return refuse(r, member, "window", "a number from 1 to 1024 is expected", why);
    i->window = (uint16_t)number;
    return NACRE_OK;
}

static nacre_err read_algorithm(const reading *r, const nacre__json *member, nacre_directory_info *i, nacre_detail *why)
{
    const char *text = member->type == NACRE__JSON_STRING ? member->text : "";
    if (strcmp(member->name, "kdf-hashfun") == 0)
        return nacre_hash_by_name(text, &i->hash) ? NACRE_OK : refuse(r, member, member->name, "unknown hash", why);
    i->aead = nacre_aead_by_name(text);
    return i->aead != NULL ? NACRE_OK : refuse(r, member, member->name, "unknown algorithm", why);
}

static nacre_err read_member(const reading *r, const nacre__json *m, nacre_sqlite_context *c, nacre_detail *why)
{
    nacre_directory_info *i = &c->info;
    const struct {
        const char *name;
        uint8_t *to;
        size_t cap, *len;
    } hex[] = {
        { "secret_hex", i->secret, sizeof i->secret, &i->secret_len },
        { "salt_hex", i->salt, sizeof i->salt, &i->salt_len },
        { "sender-id_hex", i->sender_id, sizeof i->sender_id, &i->sender_id_len },
        { "recipient-id_hex", i->recipient_id, sizeof i->recipient_id, &i->recipient_id_len },
        { "id-context_hex", i->id_context, sizeof i->id_context, &i->id_context_len },
    };
    for (size_t n = 0; n < sizeof hex / sizeof hex[0]; n++) {
        if (strcmp(m->name, hex[n].name) != 0) continue;
        if (hex[n].to == i->id_context) i->has_id_context = true;
        return read_hex(r, m, hex[n].to, hex[n].cap, hex[n].len, why);
    }
    if (strcmp(m->name, "name") == 0) return read_name(r, m, c->name, sizeof c->name, why);
    if (strcmp(m->name, "window") == 0) return read_window(r, m, i, why);
    if (strcmp(m->name, "algorithm") == 0 || strcmp(m->name, "kdf-hashfun") == 0) return read_algorithm(r, m, i, why);
    return refuse(r, m, m->name, "unknown; a context that was used elsewhere is moved with nacre fleet import", why);
}

static nacre_err read_one(void *user, nacre_sqlite_context *c, size_t index, nacre_detail *why)
{
    reading *r = user;
    const nacre__json *object = r->next;
    (void)index;
    r->next = object->next;
    if (object->type != NACRE__JSON_OBJECT)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: line %zu: an object is expected", r->path, object->line);
    c->info.aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    c->info.window_known = true;
    for (const nacre__json *m = object->first; m != NULL; m = m->next) {
        const nacre_err err = read_member(r, m, c, why);
        if (err != NACRE_OK) return err;
    }
    return c->info.secret_len > 0 ? NACRE_OK : refuse(r, object, "secret_hex", "is missing", why);
}

/* ---- The file ---- */

/* All of it, in memory that is wiped. */
static uint8_t *read_text(FILE *file, size_t *len)
{
    size_t cap = 1 << 16;
    uint8_t *text = malloc(cap);
    *len = 0;
    while (text != NULL && cap <= MAX_TEXT) {
        *len += fread(text + *len, 1, cap - *len, file);
        if (*len < cap) {
            if (!ferror(file)) return text;
            break;
        }
        uint8_t *larger = malloc(2 * cap);
        if (larger != NULL) memcpy(larger, text, cap);
        nacre_wipe(text, cap);
        free(text);
        text = larger;
        cap *= 2;
    }
    if (text != NULL) nacre_wipe(text, cap);
    free(text);
    return NULL;
}

static int add_all(fleet_args *a, const nacre__json *root)
{
    nacre_detail why;
    nacre_sqlite *db;
    const bool is_array = root->type == NACRE__JSON_ARRAY;
    reading r = { a->words[0], is_array ? root->first : root };
    const size_t num = is_array ? root->num_children : 1;
    int code = fleet_open(&db, a, false);
    if (code != TOOL_OK) return code;
    const nacre_err err = nacre_sqlite_add(db, NULL, num, read_one, &r, &why);
    if (err == NACRE_OK) fleet_say("%s: %zu added", a->path, num);
    else code = tool_fail("fleet", err, "%s; none was added", why.text);
    return fleet_close(db, code);
}

int fleet_add(fleet_args *a)
{
    nacre_detail why;
    nacre__json_doc doc;
    size_t len = 0;
    const char *path = a->words[0];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) return tool_fail("fleet", NACRE_ERR_FILE, "%s: cannot open: %s", path, strerror(errno));
    uint8_t *text = read_text(file, &len);
    if (file != stdin) (void)fclose(file);
    if (text == NULL) return tool_fail("fleet", NACRE_ERR_FILE, "%s: cannot be read, or is too large", path);
    const nacre_err err = nacre__json_parse(&doc, nacre_bytes_of(text, len), path, NACRE_ERR_BAD_CONTEXT, &why);
    nacre_wipe(text, len);
    free(text);
    if (err != NACRE_OK) return tool_fail("fleet", err, "%s", why.text);
    const int code = add_all(a, doc.root);
    nacre__json_free(&doc);
    return code;
}

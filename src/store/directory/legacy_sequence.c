/* SPDX-License-Identifier: MIT */
/* legacy_sequence: reads the legacy layout's state strictly, and writes it. */
#include "store/directory/legacy_sequence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/json/decimal.h"
#include "base/hosted/detail.h"
#include "store/directory/state_fault.h"

enum { MAX_SIZE = 64 * 1024, MAX_HEX = 2 * NACRE_MAX_ID + 1 };

struct reading {
    const nacre__dirfd *dirfd;
    nacre_detail *why;
    nacre_bytes sender_id, recipient_id;
    uint16_t window;
    const nacre__json *used, *seen, *received, *unused; /* the last two may be NULL */
};

/* ---- IDs as names ---- */

static bool is_id(const char *hex, nacre_bytes id)
{
    uint8_t buf[NACRE_MAX_ID];
    nacre_bytes bytes = NACRE_ABSENT;
    return nacre_hex_decode(&bytes, NACRE_BUF(buf), hex, strlen(hex)) == NACRE_OK && nacre_bytes_equal(bytes, id);
}

/* Finds the entry of an ID, in upper or lower case hex; NULL: none. */
static nacre_err find_entry(const struct reading *r, const nacre__json **entry, const nacre__json *object,
                            nacre_bytes id)
{
    *entry = NULL;
    for (const nacre__json *m = object != NULL ? object->first : NULL; m != NULL; m = m->next) {
        if (!is_id(m->name, id)) continue;
        if (*entry != NULL)
            return nacre__state_fault(r->dirfd, m, "one ID has two entries, in upper and in lower case; leave one",
                                      r->why);
        *entry = m;
    }
    return NACRE_OK;
}

static bool lists_id(const nacre__json *array, nacre_bytes id)
{
    for (const nacre__json *e = array != NULL ? array->first : NULL; e != NULL; e = e->next)
        if (e->type == NACRE__JSON_STRING && is_id(e->text, id)) return true;
    return false;
}

/* A missing entry means lost, not zero: older programs of the other side keep only their own entries. */
static nacre_err lost(const struct reading *r, const nacre__json *where, const char *member, nacre_bytes id)
{
    char hex[MAX_HEX];
    nacre_hex_encode(hex, id);
    return nacre__fail(r->why, NACRE_ERR_BAD_CONTEXT,
                       "%s/sequence.json: line %zu: \"%s\" has no entry for the ID \"%s\": what this side did is not "
                       "known; make new keys",
                       r->dirfd->path, where->line, member, hex);
}

/* ---- Reading ---- */

static nacre_err read_used(const struct reading *r, nacre__sequence *s, const nacre__json *value)
{
    uint64_t number = 0;
    if ((value->type != NACRE__JSON_NUMBER && value->type != NACRE__JSON_STRING) ||
        nacre__decimal_to_uint(&number, value->text, value->len) != NACRE__DECIMAL_OK)
        return nacre__state_fault_value(
            r->dirfd, value, "\"used\" must hold a whole number, 0 or more, without sign, point or exponent", r->why);
    s->next_to_send = number > NACRE_SEQ_MAX ? NACRE_SEQ_MAX + 1 : number;
    return NACRE_OK;
}

static bool read_number(int64_t *number, const nacre__json *value)
{
    uint64_t read = 0;
    *number = -1;
    if (value->type != NACRE__JSON_NUMBER) return false;
    if (strcmp(value->text, "-1") == 0) return true;
    if (nacre__decimal_to_uint(&read, value->text, value->len) != NACRE__DECIMAL_OK || read > NACRE_SEQ_MAX)
        return false;
    *number = (int64_t)read;
    return true;
}

static nacre_err import(const struct reading *r, nacre__sequence *s, const nacre__json *list, const int64_t *numbers,
                        size_t num)
{
    nacre_replay window;
    uint64_t words[NACRE_REPLAY_MAX / 64];
    if (num == 1 && numbers[0] == (int64_t)NACRE_SEQ_MAX) return NACRE_OK; /* unknown */
    if (nacre_replay_init(&window, r->window, words) != NACRE_OK ||
        nacre_replay_import_seen(&window, numbers, num) != NACRE_OK)
        return nacre__state_fault(r->dirfd, list, "\"seen\" must list numbers in ascending order, each once", r->why);
    s->window_known = nacre_replay_export(&window, &s->window_index, s->window_bits);
    return NACRE_OK;
}

static nacre_err read_list(const struct reading *r, nacre__sequence *s, const nacre__json *list, int64_t *numbers)
{
    size_t num = 0;
    for (const nacre__json *e = list->first; e != NULL; e = e->next)
        if (!read_number(&numbers[num++], e))
            return nacre__state_fault_value(r->dirfd, e, "\"seen\" lists whole numbers from -1 to 2^40 - 1", r->why);
    return import(r, s, list, numbers, num);
}

static nacre_err read_seen(const struct reading *r, nacre__sequence *s, const nacre__json *list)
{
    if (list->type != NACRE__JSON_ARRAY)
        return nacre__state_fault_value(r->dirfd, list, "\"seen\" must hold an array of numbers", r->why);
    int64_t *numbers = malloc((list->num_children + 1) * sizeof *numbers);
    if (numbers == NULL) return nacre__fail(r->why, NACRE_ERR_NO_MEMORY, "out of memory");
    nacre_err err = read_list(r, s, list, numbers);
    free(numbers);
    return err;
}

/* "received" overrides "seen". */
static nacre_err read_received(const struct reading *r, nacre__sequence *s)
{
    const nacre__json *entry;
    nacre_err err = find_entry(r, &entry, r->received, r->recipient_id);
    if (err != NACRE_OK || entry == NULL) return err;
    if (entry->type != NACRE__JSON_STRING || strcmp(entry->text, "unknown") != 0)
        return nacre__state_fault_value(r->dirfd, entry, "\"received\" must hold \"unknown\"", r->why);
    s->window_known = false;
    return NACRE_OK;
}

static nacre_err read_state(const struct reading *r, nacre__sequence *s)
{
    const nacre__json *used, *seen;
    nacre_err err = find_entry(r, &used, r->used, r->sender_id);
    if (err == NACRE_OK) err = find_entry(r, &seen, r->seen, r->recipient_id);
    if (err != NACRE_OK) return err;
    if (used == NULL && seen == NULL && lists_id(r->unused, r->sender_id)) {
        s->window_known = true; /* empty window */
        return NACRE_OK;
    }
    if (used == NULL) return lost(r, r->used, "used", r->sender_id);
    if (seen == NULL) return lost(r, r->seen, "seen", r->recipient_id);
    err = read_used(r, s, used);
    if (err == NACRE_OK) err = read_seen(r, s, seen);
    if (err == NACRE_OK) err = read_received(r, s);
    return err;
}

static nacre_err find_ours(struct reading *r, const nacre__json *root)
{
    const nacre__json *ours = nacre__json_member(root, "nacre");
    if (ours == NULL) return NACRE_OK;
    if (ours->type != NACRE__JSON_OBJECT)
        return nacre__state_fault_value(r->dirfd, ours, "\"nacre\" must be an object", r->why);
    r->received = nacre__json_member(ours, "received");
    r->unused = nacre__json_member(ours, "unused");
    if (r->received != NULL && r->received->type != NACRE__JSON_OBJECT)
        return nacre__state_fault_value(r->dirfd, r->received, "\"received\" must be an object", r->why);
    if (r->unused != NULL && r->unused->type != NACRE__JSON_ARRAY)
        return nacre__state_fault_value(r->dirfd, r->unused, "\"unused\" must be an array", r->why);
    return NACRE_OK;
}

static nacre_err read_root(struct reading *r, nacre__sequence *s, const nacre__json *root)
{
    if (root->type != NACRE__JSON_OBJECT)
        return nacre__state_fault_value(r->dirfd, root, "an object is expected", r->why);
    r->used = nacre__json_member(root, "used");
    r->seen = nacre__json_member(root, "seen");
    if (r->used == NULL) {
        bool newer = nacre__json_member(root, "next-to-send") != NULL;
        return nacre__state_fault(
            r->dirfd, root,
            newer ? "no \"used\", but \"next-to-send\": this state is of the newest layout, the IDs are not"
                  : "no \"used\"",
            r->why);
    }
    if (r->used->type != NACRE__JSON_OBJECT)
        return nacre__state_fault_value(r->dirfd, r->used, "\"used\" must be an object", r->why);
    if (r->seen == NULL) return nacre__state_fault(r->dirfd, root, "no \"seen\"", r->why);
    if (r->seen->type != NACRE__JSON_OBJECT)
        return nacre__state_fault_value(r->dirfd, r->seen, "\"seen\" must be an object", r->why);
    nacre_err err = find_ours(r, root);
    return err == NACRE_OK ? read_state(r, s) : err;
}

static nacre_err read_text(struct reading *r, nacre__sequence *s, nacre__json_doc *rest, const nacre__state_text *text)
{
    char label[256];
    snprintf(label, sizeof label, "%s/sequence.json", r->dirfd->path);
    nacre_err err =
        nacre__json_parse(rest, nacre_bytes_of(text->file.ptr, text->file.len), label, NACRE_ERR_BAD_CONTEXT, r->why);
    if (err == NACRE_OK) err = read_root(r, s, rest->root);
    if (err == NACRE_OK) s->elsewhere = nacre__state_is_elsewhere(text, rest->root, &s->generation);
    if (err != NACRE_OK) nacre__json_free(rest);
    return err;
}

nacre_err nacre__legacy_read(nacre__sequence *sequence, nacre__json_doc *rest, bool *found, const nacre__dirfd *dirfd,
                             nacre_bytes sender_id, nacre_bytes recipient_id, uint16_t window, nacre_detail *why)
{
    struct reading r = {
        .dirfd = dirfd, .why = why, .sender_id = sender_id, .recipient_id = recipient_id, .window = window
    };
    nacre__sequence read = { .window_known = false };
    nacre__state_text text;
    *rest = (nacre__json_doc){ NULL, NULL };
    nacre_err err = nacre__state_text_read(&text, dirfd, MAX_SIZE, why);
    if (err != NACRE_OK) return err;
    *found = text.found;
    if (*found) err = read_text(&r, &read, rest, &text);
    else read.window_known = true;
    nacre__file_free(&text.file);
    if (err == NACRE_OK) *sequence = read;
    return err;
}

/* ---- Writing ---- */

/* Lists the number below the window, then each number seen in it. */
static void put_seen(nacre__text *text, const nacre__sequence *s)
{
    if (!s->window_known) {
        nacre__text_put(text, "[%" PRIu64 "]", NACRE_SEQ_MAX);
        return;
    }
    nacre__text_put(text, "[%" PRId64, (int64_t)s->window_index - 1);
    for (unsigned i = 0; i < NACRE_REPLAY_MAX; i++)
        if (s->window_bits[i / 8] >> (i % 8) & 1) nacre__text_put(text, ", %" PRIu64, s->window_index + i);
    nacre__text_put(text, "]");
}

/* Copies the entries of other IDs. */
static void put_others(nacre__text *text, const nacre__json *object, nacre_bytes id, bool first)
{
    if (object == NULL || object->type != NACRE__JSON_OBJECT) return;
    for (const nacre__json *m = object->first; m != NULL; m = m->next) {
        if (is_id(m->name, id)) continue;
        if (!first) nacre__text_put(text, ", ");
        first = false;
        nacre__text_put_string(text, m->name);
        nacre__text_put(text, ": ");
        nacre__text_put_json(text, m);
    }
}

static bool has_others(const nacre__json *value, nacre_bytes id)
{
    for (const nacre__json *e = value != NULL ? value->first : NULL; e != NULL; e = e->next)
        if (e->name != NULL ? !is_id(e->name, id) : e->type == NACRE__JSON_STRING && !is_id(e->text, id)) return true;
    return false;
}

static void put_unused(nacre__text *text, const nacre__legacy_form *form, const nacre__json *unused)
{
    char hex[MAX_HEX];
    const char *separator = "";
    nacre_hex_encode(hex, form->recipient_id); /* the other side's Sender ID */
    nacre__text_put(text, "\"unused\": [");
    if (form->fresh) nacre__text_put(text, "\"%s\"", hex);
    for (const nacre__json *e = !form->fresh && unused != NULL ? unused->first : NULL; e != NULL; e = e->next) {
        if (e->type != NACRE__JSON_STRING || is_id(e->text, form->sender_id)) continue;
        nacre__text_put(text, "%s", separator);
        nacre__text_put_string(text, e->text);
        separator = ", ";
    }
    nacre__text_put(text, "]");
}

static void put_received(nacre__text *text, const nacre__sequence *s, const nacre__json *received, nacre_bytes id)
{
    char hex[MAX_HEX];
    nacre_hex_encode(hex, id);
    nacre__text_put(text, "\"received\": {");
    if (!s->window_known) nacre__text_put(text, "\"%s\": \"unknown\"", hex);
    put_others(text, received, id, s->window_known);
    nacre__text_put(text, "}");
}

static void put_ours(nacre__text *text, const nacre__sequence *s, const nacre__legacy_form *form, const char *mark)
{
    const nacre__json *ours = form->rest != NULL ? nacre__json_member(form->rest, "nacre") : NULL;
    const nacre__json *received = ours != NULL ? nacre__json_member(ours, "received") : NULL;
    const nacre__json *unused = ours != NULL ? nacre__json_member(ours, "unused") : NULL;
    bool has_mark = mark[0] != '\0';
    bool has_received = !s->window_known || has_others(received, form->recipient_id);
    bool has_unused = form->fresh || has_others(unused, form->sender_id);
    if (!has_mark && !has_received && !has_unused) return;
    nacre__text_put(text, ", \"nacre\": {");
    if (has_mark) nacre__text_put(text, "\"born\": \"%s\"", mark);
    if (has_mark && (has_received || has_unused)) nacre__text_put(text, ", ");
    if (has_received) put_received(text, s, received, form->recipient_id);
    if (has_received && has_unused) nacre__text_put(text, ", ");
    if (has_unused) put_unused(text, form, unused);
    nacre__text_put(text, "}");
}

void nacre__legacy_put(nacre__text *text, const nacre__sequence *s, const nacre__legacy_form *form, const char *mark)
{
    char sender[MAX_HEX], recipient[MAX_HEX];
    nacre_hex_encode(sender, form->sender_id);
    nacre_hex_encode(recipient, form->recipient_id);
    nacre__text_put(text, "\"used\": {\"%s\": %" PRIu64, sender, s->next_to_send);
    put_others(text, form->rest != NULL ? nacre__json_member(form->rest, "used") : NULL, form->sender_id, false);
    nacre__text_put(text, "}, \"seen\": {\"%s\": ", recipient);
    put_seen(text, s);
    put_others(text, form->rest != NULL ? nacre__json_member(form->rest, "seen") : NULL, form->recipient_id, false);
    nacre__text_put(text, "}");
    put_ours(text, s, form, mark);
}

static nacre_err commit(nacre__new_state *state, const nacre__text *text, bool *uncertain, nacre_detail *why)
{
    const char *path = state->file.dirfd->path;
    if (!text->failed && text->len <= MAX_SIZE) return nacre__state_commit(state, text->ptr, uncertain, why);
    nacre__file_abandon(&state->file);
    if (text->failed) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s/sequence.json: out of memory", path);
    return nacre__fail(why, NACRE_ERR_FILE,
                       "%s/sequence.json: would have %zu bytes, more than can be read again; the entries of "
                       "other IDs take too much room",
                       path, text->len);
}

nacre_err nacre__legacy_write(const nacre__dirfd *dirfd, const nacre__sequence *sequence,
                              const nacre__legacy_form *form, bool *uncertain, nacre_detail *why)
{
    nacre__text text = { NULL, 0, 0, false };
    nacre__new_state state;
    *uncertain = false;
    nacre_err err = nacre__state_begin(&state, form->writer, dirfd, why);
    if (err != NACRE_OK) return err;
    nacre__text_put(&text, "{");
    nacre__legacy_put(&text, sequence, form, state.mark);
    nacre__text_put(&text, "}\n");
    err = commit(&state, &text, uncertain, why);
    nacre__text_free(&text);
    return err;
}

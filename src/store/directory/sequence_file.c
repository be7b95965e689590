/* SPDX-License-Identifier: MIT */
/* sequence_file: reads sequence.json strictly, because a wrong guess would reuse a nonce or accept a replay; writes it as a
 * whole. */
#include "store/directory/sequence_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/json/decimal.h"
#include "base/hosted/detail.h"
#include "store/directory/state_fault.h"
#include "store/json/json.h"

enum { MAX_SIZE = 64 * 1024 };

struct reading {
    const nacre__dirfd *dirfd;
    nacre_detail *why;
};

/* Like aiocoap, accepts a number in a string. A value above NACRE_SEQ_MAX means that no number is left: aiocoap reserves
 * numbers in chunks, and the last chunk may extend beyond the end. */
static nacre_err read_next_to_send(const struct reading *r, uint64_t *next, const nacre__json *root)
{
    const nacre__json *value = nacre__json_member(root, "next-to-send");
    if (value == NULL) {
        bool older = nacre__json_member(root, "used") != NULL;
        return nacre__state_fault(
            r->dirfd, root,
            older ? "no next-to-send, but \"used\": this state is of the legacy layout, the IDs are not"
                  : "no next-to-send",
            r->why);
    }
    uint64_t number = 0;
    if ((value->type != NACRE__JSON_NUMBER && value->type != NACRE__JSON_STRING) ||
        nacre__decimal_to_uint(&number, value->text, value->len) != NACRE__DECIMAL_OK)
        return nacre__state_fault_value(
            r->dirfd, value, "next-to-send must be a whole number, 0 or more, without sign, point or exponent", r->why);
    *next = number > NACRE_SEQ_MAX ? NACRE_SEQ_MAX + 1 : number;
    return NACRE_OK;
}

static nacre_err read_bitfield(const struct reading *r, nacre__sequence *s, const nacre__json *value, uint16_t window)
{
    nacre__decimal_result result = NACRE__DECIMAL_NOT_WHOLE;
    if (value->type == NACRE__JSON_NUMBER)
        result = nacre__decimal_to_bits(s->window_bits, window, value->text, value->len);
    if (result == NACRE__DECIMAL_OK) return NACRE_OK;
    if (result == NACRE__DECIMAL_TOO_LARGE)
        return nacre__fail(r->why, NACRE_ERR_BAD_CONTEXT,
                           "%s/sequence.json: line %zu: bitfield has more bits than the window of %u; set \"window\" "
                           "in settings.json as it was",
                           r->dirfd->path, value->line, (unsigned)window);
    return nacre__state_fault_value(
        r->dirfd, value, "bitfield must be a whole number, 0 or more, without sign, point or exponent", r->why);
}

static nacre_err read_window(const struct reading *r, nacre__sequence *s, const nacre__json *received, uint16_t window)
{
    const nacre__json *index = nacre__json_member(received, "index");
    const nacre__json *bitfield = nacre__json_member(received, "bitfield");
    if (index == NULL || bitfield == NULL)
        return nacre__state_fault(r->dirfd, received, "received must have index and bitfield", r->why);
    /* aiocoap writes both as null if the window was never initialised: unknown. */
    if (index->type == NACRE__JSON_NULL && bitfield->type == NACRE__JSON_NULL) return NACRE_OK;
    if (index->type != NACRE__JSON_NUMBER ||
        nacre__decimal_to_uint(&s->window_index, index->text, index->len) != NACRE__DECIMAL_OK ||
        s->window_index > NACRE_SEQ_MAX + 1)
        return nacre__state_fault_value(r->dirfd, index, "index must be a whole number from 0 to 2^40", r->why);
    s->window_known = true;
    return read_bitfield(r, s, bitfield, window);
}

static nacre_err read_received(const struct reading *r, nacre__sequence *s, const nacre__json *root, uint16_t window)
{
    const nacre__json *received = nacre__json_member(root, "received");
    if (received == NULL) return nacre__state_fault(r->dirfd, root, "no received", r->why);
    if (received->type == NACRE__JSON_OBJECT) return read_window(r, s, received, window);
    if (received->type == NACRE__JSON_STRING && strcmp(received->text, "unknown") == 0) return NACRE_OK;
    return nacre__state_fault_value(r->dirfd, received,
                                    "received must be \"unknown\" or an object with index and bitfield", r->why);
}

static nacre_err read_root(const struct reading *r, nacre__sequence *s, const nacre__json *root, uint16_t window)
{
    if (root->type != NACRE__JSON_OBJECT)
        return nacre__state_fault_value(r->dirfd, root, "an object is expected", r->why);
    nacre_err err = read_next_to_send(r, &s->next_to_send, root);
    return err == NACRE_OK ? read_received(r, s, root, window) : err;
}

/* DIR/lock has recorded a later state: that of an unused directory, or of another program, was restored. */
static bool is_behind(const nacre__sequence *s, const nacre__generation *count)
{
    if (count->number == 0 || count->number < s->generation) return false;
    return s->next_to_send < count->next_to_send || (s->generation == 0 && nacre__sequence_is_new(s));
}

static nacre_err read_text(const struct reading *r, nacre__sequence *s, const nacre__state_text *text, uint16_t window)
{
    char label[256];
    nacre__json_doc doc;
    snprintf(label, sizeof label, "%s/sequence.json", r->dirfd->path);
    nacre_err err =
        nacre__json_parse(&doc, nacre_bytes_of(text->file.ptr, text->file.len), label, NACRE_ERR_BAD_CONTEXT, r->why);
    if (err != NACRE_OK) return err;
    err = read_root(r, s, doc.root, window);
    s->elsewhere = nacre__state_is_elsewhere(text, doc.root, &s->generation) || is_behind(s, &text->count);
    nacre__json_free(&doc);
    return err;
}

nacre_err nacre__sequence_read(nacre__sequence *sequence, bool *found, const nacre__dirfd *dirfd, uint16_t window,
                               nacre_detail *why)
{
    const struct reading r = { dirfd, why };
    nacre__sequence read = { .window_known = false };
    nacre__state_text text;
    nacre_err err = nacre__state_text_read(&text, dirfd, MAX_SIZE, why);
    if (err != NACRE_OK) return err;
    *found = text.found;
    if (*found) err = read_text(&r, &read, &text, window);
    else read.window_known = true;
    nacre__file_free(&text.file);
    if (err == NACRE_OK) *sequence = read;
    return err;
}

void nacre__sequence_members(char text[NACRE__SEQUENCE_MAX_TEXT], const nacre__sequence *sequence)
{
    char bitfield[NACRE__DECIMAL_MAX_TEXT];
    nacre__decimal_from_bits(bitfield, sequence->window_bits, sizeof sequence->window_bits);
    if (sequence->window_known)
        snprintf(text, NACRE__SEQUENCE_MAX_TEXT,
                 "\"next-to-send\": %" PRIu64 ", \"received\": {\"index\": %" PRIu64 ", \"bitfield\": %s}",
                 sequence->next_to_send, sequence->window_index, bitfield);
    else
        snprintf(text, NACRE__SEQUENCE_MAX_TEXT, "\"next-to-send\": %" PRIu64 ", \"received\": \"unknown\"",
                 sequence->next_to_send);
}

nacre_err nacre__sequence_write_next(const nacre__dirfd *dirfd, const nacre__sequence *sequence,
                                     nacre__generation_writer *writer, bool *uncertain, nacre_detail *why)
{
    char members[NACRE__SEQUENCE_MAX_TEXT], text[NACRE__SEQUENCE_MAX_TEXT + NACRE__MARK_TEXT + 40];
    nacre__new_state state;
    *uncertain = false;
    if (writer != NULL) writer->next_to_send = sequence->next_to_send;
    nacre_err err = nacre__state_begin(&state, writer, dirfd, why);
    if (err != NACRE_OK) return err;
    nacre__sequence_members(members, sequence);
    if (state.mark[0] != '\0')
        snprintf(text, sizeof text, "{%s, \"nacre\": {\"born\": \"%s\"}}\n", members, state.mark);
    else snprintf(text, sizeof text, "{%s}\n", members);
    return nacre__state_commit(&state, text, uncertain, why);
}

nacre_err nacre__sequence_write(const nacre__dirfd *dirfd, const nacre__sequence *sequence, bool in_use,
                                bool *uncertain, nacre_detail *why)
{
    nacre__generation_writer writer = { .fd = -1 };
    return nacre__sequence_write_next(dirfd, sequence, in_use ? &writer : NULL, uncertain, why);
}

bool nacre__sequence_equal(const nacre__sequence *a, const nacre__sequence *b)
{
    if (a->next_to_send != b->next_to_send || a->window_known != b->window_known) return false;
    if (!a->window_known) return true;
    return a->window_index == b->window_index && memcmp(a->window_bits, b->window_bits, sizeof a->window_bits) == 0;
}

bool nacre__sequence_is_new(const nacre__sequence *sequence)
{
    const nacre__sequence new_one = { .window_known = true };
    return nacre__sequence_equal(sequence, &new_one);
}

nacre__sequence nacre__sequence_of(const nacre_directory_info *info)
{
    nacre__sequence state = { .next_to_send = info->next_to_send,
                              .window_known = info->window_known,
                              .window_index = info->window_index };
    memcpy(state.window_bits, info->window_bits, sizeof state.window_bits);
    return state;
}

/* SPDX-License-Identifier: MIT */
/* state_file: see state_file.h. */
#include "store/directory/state_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/json/decimal.h"

/* ---- Reading ---- */

nacre_err nacre__state_text_read(nacre__state_text *text, const nacre__dirfd *dirfd, size_t max, nacre_detail *why)
{
    *text = (nacre__state_text){ .found = false };
    nacre_err err = nacre__generation_read(&text->count, dirfd, why);
    if (err == NACRE_OK)
        err = nacre__file_read_identity(&text->file, text->identity, &text->found, dirfd, "sequence.json", max, why);
    nacre__file_identity_of(text->dir_identity, dirfd->fd);
    text->touched = nacre__file_identity_touched(dirfd->fd, "sequence.json");
    return err;
}

typedef struct mark {
    char file[NACRE__MARK_TEXT], dir_identity[NACRE__MARK_TEXT];
    uint64_t generation;
} mark;

/* "FILE@DIRECTORY#GENERATION": each part may be missing, but not all. */
static bool parse(mark *m, const nacre__json *said)
{
    *m = (mark){ .generation = 0 };
    if (said->type != NACRE__JSON_STRING || said->len == 0 || said->len >= NACRE__MARK_TEXT) return false;
    const char *at = said->text;
    size_t len = strcspn(at, "@#");
    memcpy(m->file, at, len);
    at += len;
    if (*at == '@') {
        len = strcspn(++at, "#");
        memcpy(m->dir_identity, at, len);
        at += len;
    }
    if (*at == '\0') return true;
    return nacre__decimal_to_uint(&m->generation, at + 1, strlen(at + 1)) == NACRE__DECIMAL_OK && m->generation > 0;
}

/* Implements the table in generation.h. */
static bool is_outdated(const nacre__state_text *text, uint64_t generation)
{
    if (generation == 0) return false;
    if (text->count.number < generation)
        return text->touched && nacre__file_identity_kind_of(text->identity) == NACRE__FILE_IDENTITY_TIME;
    return text->count.number > generation;
}

bool nacre__state_is_elsewhere(const nacre__state_text *text, const nacre__json *root, uint64_t *generation)
{
    mark m;
    const nacre__json *ours = nacre__json_member(root, "nacre");
    const nacre__json *said = ours != NULL ? nacre__json_member(ours, "born") : NULL;
    *generation = 0;
    if (said == NULL) return false; /* unused, or written by another program or by hand */
    if (!parse(&m, said)) return true;
    *generation = m.generation;
    return !nacre__file_identity_matches(text->identity, m.file) ||
           !nacre__file_identity_matches(text->dir_identity, m.dir_identity) || is_outdated(text, m.generation);
}

/* ---- Writing ---- */

static void put_mark(nacre__new_state *state, int dir_fd)
{
    char dir_identity[NACRE__FILE_IDENTITY_TEXT], generation[24] = "";
    nacre__file_identity_of(dir_identity, dir_fd);
    if (state->generation > 0) snprintf(generation, sizeof generation, "#%" PRIu64, state->generation);
    snprintf(state->mark, sizeof state->mark, "%s%s%s%s", state->file.identity, dir_identity[0] != '\0' ? "@" : "",
             dir_identity, generation);
}

nacre_err nacre__state_begin(nacre__new_state *state, nacre__generation_writer *writer, const nacre__dirfd *dirfd,
                             nacre_detail *why)
{
    state->writer = writer;
    state->generation = 0;
    state->mark[0] = '\0';
    nacre_err err = writer != NULL ? nacre__generation_next(&state->generation, writer, dirfd, why) : NACRE_OK;
    if (err == NACRE_OK) err = nacre__file_begin(&state->file, dirfd, "sequence.json", why);
    if (err == NACRE_OK && writer != NULL) put_mark(state, dirfd->fd);
    return err;
}

nacre_err nacre__state_commit(nacre__new_state *state, const char *text, bool *uncertain, nacre_detail *why)
{
    nacre_err err = nacre__file_commit(&state->file, text, uncertain, why);
    if (err != NACRE_OK || state->writer == NULL) return err;
    err = nacre__generation_put(state->writer, state->generation, state->file.dirfd, why);
    *uncertain = err != NACRE_OK; /* the state is durable, but an older snapshot would not be detected */
    return err;
}

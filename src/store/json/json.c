/* SPDX-License-Identifier: MIT */
/* json: builds a tree from libyajl's events.
 *
 * libyajl does not check its allocator's results and leaves parts of the text, including secrets, in memory it frees. So it
 * allocates from one block, reserved before and wiped after. The text length bounds the size: two buffers that double until a
 * token fits, and a small state. */
#include "store/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "store/json/arena.h"
#include "base/hosted/detail.h"

struct parse {
    nacre__json_doc doc;
    yajl_handle yajl;
    nacre_bytes text;
    const char *label;
    nacre_err malformed;
    nacre_detail *why;
    nacre_err err; /* set by the callback that stopped the parser */
    nacre__json *open[NACRE__JSON_MAX_DEPTH], *last[NACRE__JSON_MAX_DEPTH];
    size_t depth;
    const char *name; /* name of the member whose value is next */
    size_t line, line_at;
};

/* ---- libyajl's memory: arena pieces with their size in front ---- */

struct piece {
    size_t size;
    size_t padding; /* keeps the bytes after it aligned */
};

static void *piece_take(void *arena, size_t size)
{
    struct piece *piece = nacre__arena_take(arena, sizeof *piece + size);
    if (piece == NULL) return NULL;
    piece->size = size;
    return piece + 1;
}

static void *piece_grow(void *arena, void *old, size_t size)
{
    void *grown = piece_take(arena, size);
    if (grown == NULL || old == NULL) return grown;
    size_t old_size = ((struct piece *)old - 1)->size;
    memcpy(grown, old, old_size < size ? old_size : size);
    return grown;
}

static void piece_free(void *arena, void *old)
{
    (void)arena, (void)old; /* nacre__arena_free frees all */
}

/* ---- Errors ---- */

/* Counts lines incrementally as the parser advances, so that the text is scanned once. */
static size_t line_of(struct parse *p, size_t offset)
{
    for (; p->line_at < offset && p->line_at < p->text.len; p->line_at++)
        if (p->text.ptr[p->line_at] == '\n') p->line++;
    return p->line;
}

static size_t line_now(struct parse *p)
{
    return line_of(p, yajl_get_bytes_consumed(p->yajl));
}

static int stop(struct parse *p, nacre_err err, const char *reason)
{
    p->err = nacre__fail(p->why, err, "%s: line %zu: %s", p->label, line_now(p), reason);
    return 0;
}

/* ---- Events ---- */

static char *copy_text(struct parse *p, const void *text, size_t len)
{
    char *copy = nacre__arena_take(&p->doc.blocks, len + 1);
    if (copy != NULL && len > 0) memcpy(copy, text, len);
    return copy;
}

static void append(struct parse *p, nacre__json *value)
{
    nacre__json *parent = p->open[p->depth - 1];
    if (parent->num_children++ == 0) parent->first = value;
    else p->last[p->depth - 1]->next = value;
    p->last[p->depth - 1] = value;
}

static nacre__json *add(struct parse *p, nacre__json_type type)
{
    nacre__json *value = nacre__arena_take(&p->doc.blocks, sizeof *value);
    if (value == NULL) {
        stop(p, NACRE_ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    value->type = type;
    value->line = line_now(p);
    value->name = p->name;
    p->name = NULL;
    if (p->depth > 0) append(p, value);
    else p->doc.root = value;
    return value;
}

static int add_text(struct parse *p, nacre__json_type type, const void *text, size_t len)
{
    nacre__json *value = add(p, type);
    if (value == NULL) return 0;
    value->text = copy_text(p, text, len);
    value->len = len;
    return value->text != NULL ? 1 : stop(p, NACRE_ERR_NO_MEMORY, "out of memory");
}

static int on_null(void *ctx)
{
    return add(ctx, NACRE__JSON_NULL) != NULL;
}

static int on_boolean(void *ctx, int truth)
{
    nacre__json *value = add(ctx, NACRE__JSON_BOOLEAN);
    if (value != NULL) value->truth = truth != 0;
    return value != NULL;
}

static int on_number(void *ctx, const char *text, size_t len)
{
    return add_text(ctx, NACRE__JSON_NUMBER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct parse *p = ctx;
    if (memchr(text, 0, len) != NULL) return stop(p, p->malformed, "a NUL in a string");
    return add_text(p, NACRE__JSON_STRING, text, len);
}

static int on_name(void *ctx, const unsigned char *text, size_t len)
{
    struct parse *p = ctx;
    if (memchr(text, 0, len) != NULL) return stop(p, p->malformed, "a NUL in a member's name");
    p->name = copy_text(p, text, len);
    return p->name != NULL ? 1 : stop(p, NACRE_ERR_NO_MEMORY, "out of memory");
}

static int open_container(struct parse *p, nacre__json_type type)
{
    if (p->depth == NACRE__JSON_MAX_DEPTH) return stop(p, p->malformed, "nested deeper than 16 levels");
    nacre__json *value = add(p, type);
    if (value == NULL) return 0;
    p->open[p->depth++] = value;
    return 1;
}

static int on_open_object(void *ctx)
{
    return open_container(ctx, NACRE__JSON_OBJECT);
}

static int on_open_array(void *ctx)
{
    return open_container(ctx, NACRE__JSON_ARRAY);
}

static int on_close_array(void *ctx)
{
    ((struct parse *)ctx)->depth--;
    return 1;
}

static int by_name(const void *a, const void *b)
{
    const nacre__json *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Sorts by name, so that members of one name are adjacent. */
static const nacre__json *find_repeated(const nacre__json *object, const nacre__json **sorted)
{
    size_t num = 0;
    for (const nacre__json *m = object->first; m != NULL; m = m->next) sorted[num++] = m;
    qsort(sorted, num, sizeof *sorted, by_name);
    for (size_t i = 1; i < num; i++)
        if (by_name(&sorted[i - 1], &sorted[i]) == 0)
            return sorted[i - 1]->line > sorted[i]->line ? sorted[i - 1] : sorted[i];
    return NULL;
}

static int on_close_object(void *ctx)
{
    struct parse *p = ctx;
    const nacre__json *object = p->open[--p->depth];
    if (object->num_children < 2) return 1;
    const nacre__json **sorted = malloc(object->num_children * sizeof *sorted);
    if (sorted == NULL) return stop(p, NACRE_ERR_NO_MEMORY, "out of memory");
    const nacre__json *repeated = find_repeated(object, sorted);
    free(sorted);
    if (repeated == NULL) return 1;
    p->err = nacre__fail(p->why, p->malformed, "%s: line %zu: \"%.100s\" is there twice; leave one", p->label,
                         repeated->line, repeated->name);
    return 0;
}

/* ---- Parser ---- */

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_object,
    .yajl_map_key = on_name,
    .yajl_end_map = on_close_object,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close_array,
};

static void name_byte(char *out, size_t size, const struct parse *p, size_t offset)
{
    if (offset >= p->text.len) snprintf(out, size, "the end of the file");
    else if (p->text.ptr[offset] > 0x20 && p->text.ptr[offset] < 0x7f) snprintf(out, size, "'%c'", p->text.ptr[offset]);
    else snprintf(out, size, "byte 0x%02x", p->text.ptr[offset]);
}

/* libyajl's message without its excerpt of the text, which may contain a secret. */
static nacre_err syntax_error(struct parse *p, bool at_end)
{
    size_t consumed = at_end ? p->text.len : yajl_get_bytes_consumed(p->yajl);
    size_t offset = !at_end && consumed > 0 ? consumed - 1 : consumed;
    char found[32];
    name_byte(found, sizeof found, p, offset);
    unsigned char *words = yajl_get_error(p->yajl, 0, NULL, 0);
    size_t len = words != NULL ? strcspn((const char *)words, "\n") : 0;
    if (len > 0 && words[len - 1] == '.') len--; /* store.h promises lines without a final dot */
    return nacre__fail(p->why, p->malformed, "%s: line %zu: not JSON, found %s at byte %zu: %.*s", p->label,
                       line_of(p, offset), found, offset, (int)len, words != NULL ? (const char *)words : "");
}

static nacre_err run(struct parse *p)
{
    yajl_status status = yajl_parse(p->yajl, p->text.ptr, p->text.len);
    bool at_end = status == yajl_status_ok;
    if (at_end) status = yajl_complete_parse(p->yajl);
    if (status == yajl_status_ok) return NACRE_OK;
    return p->err != NACRE_OK ? p->err : syntax_error(p, at_end);
}

static nacre_err parse_with_pool(struct parse *p, struct nacre__arena_block **pool)
{
    yajl_alloc_funcs memory = { piece_take, piece_grow, piece_free, pool };
    size_t needed = 8 * (p->text.len + 2048) + 16384;
    if (!nacre__arena_reserve(pool, needed)) return nacre__fail(p->why, NACRE_ERR_NO_MEMORY, "out of memory");
    p->yajl = yajl_alloc(&callbacks, &memory, p);
    if (p->yajl == NULL) return nacre__fail(p->why, NACRE_ERR_NO_MEMORY, "out of memory");
    nacre_err err = run(p);
    yajl_free(p->yajl);
    return err;
}

nacre_err nacre__json_parse(nacre__json_doc *doc, nacre_bytes text, const char *label, nacre_err malformed,
                            nacre_detail *why)
{
    struct parse p = { .text = text, .label = label, .malformed = malformed, .why = why, .line = 1 };
    struct nacre__arena_block *pool = NULL;
    size_t offset = 0;
    const char *reason = NULL;

    *doc = (nacre__json_doc){ NULL, NULL };
    if (!nacre__json_check_text(text, &offset, &reason))
        return nacre__fail(why, malformed, "%s: line %zu: %s (byte %zu)", label, line_of(&p, offset), reason, offset);
    nacre_err err = parse_with_pool(&p, &pool);
    nacre__arena_free(&pool);
    if (err != NACRE_OK) nacre__json_free(&p.doc);
    else *doc = p.doc;
    return err;
}

void nacre__json_free(nacre__json_doc *doc)
{
    nacre__arena_free(&doc->blocks);
    doc->root = NULL;
}

const nacre__json *nacre__json_member(const nacre__json *object, const char *name)
{
    if (object->type != NACRE__JSON_OBJECT) return NULL;
    const nacre__json *member = object->first;
    while (member != NULL && strcmp(member->name, name) != 0) member = member->next;
    return member;
}

const char *nacre__json_type_name(const nacre__json *value)
{
    static const char *const names[] = { "null", "a boolean", "a number", "a string", "an array", "an object" };
    return names[value->type];
}

void nacre__json_show(char text[NACRE__JSON_MAX_DISPLAYED], const nacre__json *value)
{
    const size_t size = NACRE__JSON_MAX_DISPLAYED;
    if (value->type == NACRE__JSON_NUMBER) snprintf(text, size, "%.40s", value->text);
    else if (value->type == NACRE__JSON_STRING) snprintf(text, size, "\"%.40s\"", value->text);
    else if (value->type == NACRE__JSON_BOOLEAN) snprintf(text, size, "%s", value->truth ? "true" : "false");
    else snprintf(text, size, "%s", nacre__json_type_name(value));
}

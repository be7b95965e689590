/* SPDX-License-Identifier: MIT */
/* json: reading members, strictly. Numbers are read from their text, so that none is rounded. */
#include "vectors.h"

#include <string.h>

static yajl_val find(yajl_val object, const char *name, size_t len)
{
    if (!YAJL_IS_OBJECT(object)) return NULL;
    for (size_t i = 0; i < object->u.object.len; i++) {
        const char *key = object->u.object.keys[i];
        if (strlen(key) == len && memcmp(key, name, len) == 0) return object->u.object.values[i];
    }
    return NULL;
}

bool vec_has(yajl_val object, const char *name)
{
    return find(object, name, strlen(name)) != NULL;
}

bool vec_is_null(yajl_val object, const char *name)
{
    return YAJL_IS_NULL(find(object, name, strlen(name)));
}

/* next_name takes one name off the list: its length, and whether it may be absent. */
static size_t next_name(const char **list, const char **name, bool *optional)
{
    while (**list == ' ') (*list)++;
    *name = *list;
    size_t len = strcspn(*list, " ");
    *list += len;
    *optional = len && (*name)[len - 1] == '?';
    return *optional ? len - 1 : len;
}

static bool is_named(const char *names, const char *key)
{
    const char *name;
    bool optional;
    for (size_t len; (len = next_name(&names, &name, &optional)) != 0;)
        if (strlen(key) == len && memcmp(key, name, len) == 0) return true;
    return false;
}

bool vec_members(vec_run *run, yajl_val object, const char *names)
{
    if (!YAJL_IS_OBJECT(object)) {
        vec_differs(run, "not an object");
        return false;
    }
    bool was_bad = run->bad;
    run->bad = false;
    for (size_t i = 0; i < object->u.object.len; i++) {
        const char *key = object->u.object.keys[i];
        if (!is_named(names, key)) vec_differs(run, "unknown member \"%s\"", key);
        for (size_t j = 0; j < i; j++)
            if (strcmp(key, object->u.object.keys[j]) == 0) vec_differs(run, "member \"%s\" is there twice", key);
    }
    const char *list = names, *name;
    bool optional;
    for (size_t len; (len = next_name(&list, &name, &optional)) != 0;)
        if (!optional && !find(object, name, len)) vec_differs(run, "member \"%.*s\" is missing", (int)len, name);
    bool good = !run->bad;
    run->bad = was_bad || !good;
    return good;
}

yajl_val vec_get(vec_run *run, yajl_val object, const char *name)
{
    yajl_val v = find(object, name, strlen(name));
    if (!v) vec_differs(run, "member \"%s\" is missing", name);
    return v;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static nacre_bytes hex_of(vec_run *run, yajl_val value, const char *what)
{
    nacre_bytes empty = nacre_bytes_of(vec_alloc(run, 0), 0);
    const char *text = YAJL_GET_STRING(value);
    if (!text) {
        if (value) vec_differs(run, "%s: not a string", what);
        return empty;
    }
    size_t len = strlen(text) / 2;
    uint8_t *bytes = vec_alloc(run, len);
    for (size_t i = 0; i < len; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            vec_differs(run, "%s: not lower-case hex", what);
            return empty;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (text[2 * len]) {
        vec_differs(run, "%s: half a byte at the end", what);
        return empty;
    }
    return nacre_bytes_of(bytes, len);
}

nacre_bytes vec_hex(vec_run *run, yajl_val object, const char *name)
{
    return hex_of(run, vec_get(run, object, name), name);
}

nacre_bytes vec_hex_or_null(vec_run *run, yajl_val object, const char *name)
{
    yajl_val v = vec_get(run, object, name);
    return YAJL_IS_NULL(v) ? NACRE_ABSENT : hex_of(run, v, name);
}

uint64_t vec_uint_of(vec_run *run, yajl_val value, const char *what)
{
    if (!YAJL_IS_NUMBER(value)) {
        if (value) vec_differs(run, "%s: not a number", what);
        return 0;
    }
    uint64_t n = 0;
    for (const char *at = YAJL_GET_NUMBER(value); *at; at++) {
        int d = *at >= '0' && *at <= '9' ? *at - '0' : -1;
        if (d < 0 || n > (UINT64_MAX - (uint64_t)d) / 10) {
            vec_differs(run, "%s: not an unsigned number of 64 bits", what);
            return 0;
        }
        n = 10 * n + (uint64_t)d;
    }
    return n;
}

uint64_t vec_uint(vec_run *run, yajl_val object, const char *name)
{
    return vec_uint_of(run, vec_get(run, object, name), name);
}

bool vec_bool_of(vec_run *run, yajl_val value, const char *what)
{
    if (value && !YAJL_IS_TRUE(value) && !YAJL_IS_FALSE(value)) vec_differs(run, "%s: neither true nor false", what);
    return YAJL_IS_TRUE(value);
}

bool vec_bool(vec_run *run, yajl_val object, const char *name)
{
    return vec_bool_of(run, vec_get(run, object, name), name);
}

const char *vec_text(vec_run *run, yajl_val object, const char *name)
{
    yajl_val v = vec_get(run, object, name);
    if (YAJL_IS_STRING(v)) return YAJL_GET_STRING(v);
    if (v) vec_differs(run, "%s: not a string", name);
    return "";
}

size_t vec_array(vec_run *run, yajl_val object, const char *name)
{
    yajl_val v = vec_get(run, object, name);
    if (YAJL_IS_ARRAY(v)) return v->u.array.len;
    if (v) vec_differs(run, "%s: not an array", name);
    return 0;
}

void vec_check_about(vec_run *run, yajl_val root)
{
    (void)vec_text(run, root, "source");
    for (size_t i = 0; i < vec_array(run, root, "notes"); i++)
        if (!YAJL_IS_STRING(vec_at(root, "notes", i))) vec_differs(run, "notes: not all are strings");
}

yajl_val vec_at(yajl_val object, const char *name, size_t index)
{
    yajl_val v = find(object, name, strlen(name));
    return YAJL_IS_ARRAY(v) && index < v->u.array.len ? v->u.array.values[index] : NULL;
}

void vec_bits(vec_run *run, yajl_val object, const char *name, uint8_t *bits, size_t len)
{
    memset(bits, 0, len);
    yajl_val v = vec_get(run, object, name);
    if (!YAJL_IS_NUMBER(v)) {
        if (v) vec_differs(run, "%s: not a number", name);
        return;
    }
    for (const char *at = YAJL_GET_NUMBER(v); *at; at++) { /* bits = 10 * bits + digit */
        unsigned carry = (unsigned)(*at - '0');
        bool good = carry <= 9;
        for (size_t i = 0; good && i < len; i++) {
            carry += 10u * bits[i];
            bits[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (!good || carry) {
            vec_differs(run, "%s: not a number of %zu bytes", name, len);
            return;
        }
    }
}

static const char *name_of(yajl_val entry)
{
    const char *id = YAJL_GET_STRING(find(entry, "id", 2));
    return id ? id : YAJL_GET_STRING(find(entry, "name", 4));
}

void vec_each(vec_run *run, yajl_val root, const char *list, vec_one *one)
{
    yajl_val entries = find(root, list, strlen(list));
    if (!YAJL_IS_ARRAY(entries) || entries->u.array.len == 0) {
        vec_begin(run, list, "-");
        vec_differs(run, "missing, empty or not an array");
        vec_end(run);
        return;
    }
    for (size_t i = 0; i < entries->u.array.len; i++) {
        yajl_val entry = entries->u.array.values[i];
        const char *name = name_of(entry);
        if (name) vec_begin(run, list, "%s", name);
        else vec_begin(run, list, "entry %zu", i + 1);
        one(run, root, entry);
        vec_end(run);
    }
}

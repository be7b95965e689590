/* SPDX-License-Identifier: MIT */
/* json: a parsed tree is well-formed; written and parsed again it is the same tree. Refused input leaves nothing
 * allocated, and an error text of one line. */
#include "fuzz.h"

#include "store/json/json.h"

typedef struct text {
    char *ptr;
    size_t len, cap;
} text;

static void put(text *t, const char *bytes, size_t len)
{
    if (t->cap - t->len < len) {
        t->cap = 2 * (t->cap + len);
        t->ptr = realloc(t->ptr, t->cap);
        CHECK(t->ptr != NULL);
    }
    if (len > 0) memcpy(t->ptr + t->len, bytes, len);
    t->len += len;
}

static void put_string(text *t, const char *bytes, size_t len)
{
    put(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        char escaped[8];
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\') put(t, bytes + i, 1);
        else put(t, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
    }
    put(t, "\"", 1);
}

static void put_value(text *t, const nacre__json *v)
{
    switch (v->type) {
    case NACRE__JSON_NULL: put(t, "null", 4); break;
    case NACRE__JSON_BOOLEAN: put(t, v->truth ? "true" : "false", v->truth ? 4 : 5); break;
    case NACRE__JSON_NUMBER: put(t, v->text, v->len); break;
    case NACRE__JSON_STRING: put_string(t, v->text, v->len); break;
    case NACRE__JSON_ARRAY:
    case NACRE__JSON_OBJECT:
        put(t, v->type == NACRE__JSON_ARRAY ? "[" : "{", 1);
        for (const nacre__json *child = v->first; child != NULL; child = child->next) {
            if (child != v->first) put(t, ",", 1);
            if (v->type == NACRE__JSON_OBJECT) {
                put_string(t, child->name, strlen(child->name));
                put(t, ":", 1);
            }
            put_value(t, child);
        }
        put(t, v->type == NACRE__JSON_ARRAY ? "]" : "}", 1);
        break;
    }
}

static void check_value(const nacre__json *v, unsigned depth, size_t num_lines)
{
    CHECK(depth <= NACRE__JSON_MAX_DEPTH + 1 && v->line >= 1 && v->line <= num_lines);
    char label[NACRE__JSON_MAX_DISPLAYED];
    nacre__json_show(label, v);
    CHECK(memchr(label, '\0', sizeof label) != NULL && nacre__json_type_name(v) != NULL);
    if (v->type == NACRE__JSON_NUMBER || v->type == NACRE__JSON_STRING) {
        CHECK(v->text[v->len] == '\0' && strlen(v->text) == v->len);
        CHECK(nacre__utf8_valid(nacre_bytes_of((const uint8_t *)v->text, v->len)));
    }
    size_t num = 0;
    for (const nacre__json *child = v->first; child != NULL; child = child->next, num++) {
        check_value(child, depth + 1, num_lines);
        if (v->type == NACRE__JSON_OBJECT) CHECK(nacre__json_member(v, child->name) == child); /* names are unique */
        else CHECK(nacre__json_member(v, "a") == NULL);
    }
    CHECK(num == v->num_children);
    CHECK(num == 0 || v->type == NACRE__JSON_ARRAY || v->type == NACRE__JSON_OBJECT);
}

static bool same(const nacre__json *a, const nacre__json *b)
{
    if (a->type != b->type || a->truth != b->truth || a->len != b->len || a->num_children != b->num_children)
        return false;
    if (a->len > 0 && memcmp(a->text, b->text, a->len) != 0) return false;
    const nacre__json *x = a->first, *y = b->first;
    for (; x != NULL; x = x->next, y = y->next)
        if ((a->type == NACRE__JSON_OBJECT && strcmp(x->name, y->name) != 0) || !same(x, y)) return false;
    return true;
}

static void again(const nacre__json_doc *doc)
{
    text t = { NULL, 0, 0 };
    nacre_detail why;
    nacre__json_doc second;
    put_value(&t, doc->root);
    CHECK(nacre__json_parse(&second, nacre_bytes_of((const uint8_t *)t.ptr, t.len), "again", NACRE_ERR_BAD_CONTEXT,
                            &why) == NACRE_OK);
    CHECK(same(doc->root, second.root));
    nacre__json_free(&second);
    free(t.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre__json_doc doc;
    nacre_detail why = { "" };
    size_t num_lines = 1;
    for (size_t i = 0; i < size; i++) num_lines += data[i] == '\n';
    nacre_bytes bytes = fuzz_copy(nacre_bytes_of(data, size));
    nacre_err err = nacre__json_parse(&doc, bytes, "file.json", NACRE_ERR_BAD_CONTEXT, &why);
    if (err == NACRE_OK) {
        check_value(doc.root, 1, num_lines);
        again(&doc);
    } else {
        CHECK(err == NACRE_ERR_BAD_CONTEXT && doc.root == NULL && doc.blocks == NULL);
        fuzz_check_detail(&why);
    }
    nacre__json_free(&doc);
    fuzz_release();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* fleet_list: list, show and stats. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "fleet.h"
#include "store/json/decimal.h"

static const char *const status_names[] = { "active", "removed", "revoked", "exported" };

typedef struct printing {
    yajl_gen gen; /* NULL: text */
    bool reveal;
    size_t num;
} printing;

/* ---- JSON ---- */

static void put_string(yajl_gen gen, const char *text)
{
    yajl_gen_string(gen, (const unsigned char *)text, strlen(text));
}

static void put_number(yajl_gen gen, const char *name, uint64_t number)
{
    char text[24];
    const int len = snprintf(text, sizeof text, "%" PRIu64, number);
    put_string(gen, name);
    yajl_gen_number(gen, text, (size_t)len);
}

static void put_text(yajl_gen gen, const char *name, const char *text)
{
    put_string(gen, name);
    put_string(gen, text);
}

static void put_bytes(yajl_gen gen, const char *name, const uint8_t *ptr, size_t len)
{
    char hex[2 * 256 + 1];
    nacre_hex_encode(hex, nacre_bytes_of(ptr, len));
    put_text(gen, name, hex);
    nacre_wipe(hex, sizeof hex);
}

static void put_received(yajl_gen gen, const nacre_directory_info *i)
{
    char bits[NACRE__DECIMAL_MAX_TEXT];
    put_string(gen, "received");
    if (!i->window_known) {
        put_string(gen, "unknown");
        return;
    }
    nacre__decimal_from_bits(bits, i->window_bits, sizeof i->window_bits);
    yajl_gen_map_open(gen);
    put_number(gen, "index", i->window_index);
    put_string(gen, "bitfield");
    yajl_gen_number(gen, bits, strlen(bits));
    yajl_gen_map_close(gen);
}

/* The members have the names that they have in the files of a directory. */
static void put_context(const printing *p, const nacre_sqlite_context *c)
{
    const nacre_directory_info *i = &c->info;
    yajl_gen gen = p->gen;
    yajl_gen_map_open(gen);
    put_number(gen, "id", (uint64_t)c->id);
    put_text(gen, "status", status_names[c->status]);
    if (c->name[0] != '\0') put_text(gen, "name", c->name);
    put_text(gen, "algorithm", i->aead->name);
    put_text(gen, "kdf-hashfun", nacre_hash_name(i->hash));
    put_number(gen, "window", i->window);
    put_bytes(gen, "sender-id_hex", i->sender_id, i->sender_id_len);
    put_bytes(gen, "recipient-id_hex", i->recipient_id, i->recipient_id_len);
    if (i->has_id_context) put_bytes(gen, "id-context_hex", i->id_context, i->id_context_len);
    put_number(gen, "next-to-send", i->next_to_send);
    if (c->status == NACRE_SQLITE_ACTIVE) put_received(gen, i);
    if (p->reveal && i->secret_len > 0) {
        put_bytes(gen, "secret_hex", i->secret, i->secret_len);
        put_bytes(gen, "salt_hex", i->salt, i->salt_len);
    }
    yajl_gen_map_close(gen);
}

static void print_piece(void *file, const char *text, size_t len)
{
    fwrite(text, 1, len, file);
}

/* ---- Text ---- */

static void print_bytes(const char *label, const uint8_t *ptr, size_t len)
{
    printf(", %s ", label);
    if (len == 0) printf("(empty)");
    tool_print_hex(stdout, nacre_bytes_of(ptr, len));
}

/* A name may have control characters, which a terminal would interpret: below U+0020, and from U+007F to U+009F. */
static void print_name(const char *name)
{
    printf(", name ");
    for (; *name != '\0'; name++) {
        const unsigned char c = (unsigned char)name[0], next = (unsigned char)name[1];
        const bool is_long = c == 0xc2 && next >= 0x80 && next <= 0x9f;
        (void)putchar(c < 0x20 || c == 0x7f || is_long ? '?' : c);
        name += is_long;
    }
}

static void print_context(const printing *p, const nacre_sqlite_context *c)
{
    const nacre_directory_info *i = &c->info;
    printf("%lld: %s, %s, %s, window %u", (long long)c->id, status_names[c->status], i->aead->name,
           nacre_hash_name(i->hash), (unsigned)i->window);
    print_bytes("sender id", i->sender_id, i->sender_id_len);
    print_bytes("recipient id", i->recipient_id, i->recipient_id_len);
    if (i->has_id_context) print_bytes("id context", i->id_context, i->id_context_len);
    if (i->next_to_send > NACRE_SEQ_MAX) printf(", no number is left");
    else printf(", next to send %" PRIu64, i->next_to_send);
    if (c->status == NACRE_SQLITE_ACTIVE && i->window_known) printf(", received from %" PRIu64, i->window_index);
    else if (c->status == NACRE_SQLITE_ACTIVE) printf(", received unknown");
    if (c->name[0] != '\0') print_name(c->name);
    if (p->reveal && i->secret_len > 0) {
        print_bytes("secret", i->secret, i->secret_len);
        print_bytes("salt", i->salt, i->salt_len);
    }
    printf("\n");
}

static nacre_err visit(void *user, const nacre_sqlite_context *c, nacre_detail *why)
{
    printing *p = user;
    (void)why;
    p->num++;
    if (p->gen != NULL) put_context(p, c);
    else print_context(p, c);
    return NACRE_OK;
}

/* ---- Commands ---- */

static yajl_gen json(void)
{
    yajl_gen gen = yajl_gen_alloc(NULL);
    if (gen == NULL) return NULL;
    yajl_gen_config(gen, yajl_gen_beautify, 1);
    yajl_gen_config(gen, yajl_gen_indent_string, "  ");
    yajl_gen_config(gen, yajl_gen_print_callback, print_piece, stdout); /* its buffer would keep secrets */
    return gen;
}

static int print(fleet_args *a, const nacre_sqlite_filter *filter, int64_t wanted)
{
    nacre_detail why;
    nacre_sqlite *db;
    printing p = { .reveal = filter->reveal };
    int code = fleet_open(&db, a, true);
    if (code != TOOL_OK) return code;
    if (a->json && (p.gen = json()) == NULL) code = tool_fail("fleet", NACRE_ERR_NO_MEMORY, "out of memory");
    if (p.gen != NULL && wanted == 0) yajl_gen_array_open(p.gen);
    const nacre_err err = code == TOOL_OK ? nacre_sqlite_list(db, filter, visit, &p, &why) : NACRE_OK;
    if (p.gen != NULL && wanted == 0) yajl_gen_array_close(p.gen);
    if (p.gen != NULL) yajl_gen_free(p.gen);
    if (err != NACRE_OK) code = tool_fail("fleet", err, "%s", why.text);
    return fleet_close(db, code);
}

int fleet_list(fleet_args *a)
{
    const nacre_sqlite_filter filter = { .ended = a->all };
    return print(a, &filter, 0);
}

static nacre_err note(void *user, const nacre_sqlite_context *c, nacre_detail *why)
{
    (void)why;
    *(int64_t *)user = c->id;
    return NACRE_OK;
}

int fleet_show(fleet_args *a)
{
    nacre_detail why;
    nacre_sqlite *db;
    int64_t id, found = 0;
    int code = fleet_id(&id, a->words[0]);
    if (code == TOOL_OK) code = fleet_open(&db, a, true);
    if (code != TOOL_OK) return code;
    const nacre_sqlite_filter look = { .after = id - 1, .max = 1, .ended = true };
    const nacre_sqlite_filter filter = { .after = id - 1, .max = 1, .ended = true, .reveal = a->reveal };
    const nacre_err err = nacre_sqlite_list(db, &look, note, &found, &why);
    if (err != NACRE_OK) code = tool_fail("fleet", err, "%s", why.text);
    else if (found != id)
        code = tool_fail("fleet", NACRE_ERR_BAD_CONTEXT, "%s: there is no context %lld", a->path, (long long)id);
    (void)nacre_sqlite_close(db, NULL);
    return code == TOOL_OK ? print(a, &filter, id) : code;
}

static void print_stats(const fleet_args *a, const nacre_sqlite_stats *s)
{
    const struct {
        const char *name, *text;
        uint64_t number;
    } rows[] = {
        { "active", "active contexts", s->num_active },
        { "exhausted", "… without numbers left", s->num_exhausted },
        { "removed", "removed", s->num_removed },
        { "revoked", "revoked", s->num_revoked },
        { "exported", "exported", s->num_exported },
        { "writes", "transactions", s->num_writes },
        { "bytes", "bytes", s->file_size },
    };
    yajl_gen gen = a->json ? json() : NULL;
    if (gen != NULL) yajl_gen_map_open(gen);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (gen != NULL) put_number(gen, rows[i].name, rows[i].number);
        else printf("%-24s %" PRIu64 "\n", rows[i].text, rows[i].number);
    }
    const struct {
        const char *name;
        bool truth;
    } facts[] = { { "used", s->used }, { "encrypted", s->encrypted }, { "copied", s->copied } };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (gen == NULL) {
            printf("%-24s %s\n", facts[i].name, facts[i].truth ? "yes" : "no");
            continue;
        }
        put_string(gen, facts[i].name);
        yajl_gen_bool(gen, facts[i].truth);
    }
    if (gen == NULL) return;
    yajl_gen_map_close(gen);
    yajl_gen_free(gen);
}

int fleet_stats(fleet_args *a)
{
    nacre_detail why;
    nacre_sqlite *db;
    nacre_sqlite_stats stats;
    int code = fleet_open(&db, a, true);
    if (code != TOOL_OK) return code;
    const nacre_err err = nacre_sqlite_get_stats(db, &stats, &why);
    if (err == NACRE_OK) print_stats(a, &stats);
    else code = tool_fail("fleet", err, "%s", why.text);
    return fleet_close(db, code);
}

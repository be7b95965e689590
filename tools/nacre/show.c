/* SPDX-License-Identifier: MIT */
/* show: prints a context directory as text or JSON. It takes no lock, so that the directory of a running program can be
 * shown; secrets are printed only on request. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "store/json/decimal.h"
#include "store/json/json.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

struct view {
    const char *path;
    bool reveal;
    nacre_role role;
    nacre_directory_info info;
};

static int help(void)
{
    printf("Usage: nacre show [--json] [--reveal] [--role ROLE] DIR\n"
           "Show the content of a context directory: its parameters, the next sequence number and the replay\n"
           "window, as stored. While a program has the directory open, the stored number is ahead and the window\n"
           "is unknown.\n\n"
           "  --json     as JSON, with the names of the files\n"
           "  --reveal   include master secret and master salt\n"
           "  --role     client or server: the side of a directory in the legacy layout\n"
           "  --help     this text\n");
    return tool_flush("show");
}

/* ---- Text ---- */

static void print_bytes(const char *label, const uint8_t *ptr, size_t len)
{
    printf("%-20s ", label);
    if (len == 0) printf("(empty)");
    tool_print_hex(stdout, nacre_bytes_of(ptr, len));
    printf("\n");
}

static void print_window(const nacre_directory_info *info)
{
    char bits[NACRE__DECIMAL_MAX_TEXT];
    size_t seen = 0;
    for (size_t i = 0; i < info->window; i++) seen += info->window_bits[i / 8] >> (i % 8) & 1;
    nacre__decimal_from_bits(bits, info->window_bits, sizeof info->window_bits);
    printf("%-20s ", "received");
    if (!info->window_known)
        printf("unknown (in use, adopted, or not closed cleanly: the next request received gets an Echo challenge)\n");
    else if (info->window_index == 0 && seen == 0) printf("nothing\n");
    else
        printf("all below %" PRIu64 ", and %zu from %" PRIu64 " on (bitfield %s)\n", info->window_index, seen,
               info->window_index, bits);
}

static bool is_new(const nacre_directory_info *info)
{
    bool seen = !info->window_known || info->window_index > 0;
    for (size_t i = 0; i < sizeof info->window_bits; i++) seen = seen || info->window_bits[i] != 0;
    return info->next_to_send == 0 && !seen;
}

static void print_for_people(const struct view *v)
{
    const nacre_directory_info *info = &v->info;
    printf("%-20s %s\n", "directory", v->path);
    if (info->layout == NACRE_LAYOUT_LEGACY)
        printf("%-20s older, as %s\n", "layout", info->role == NACRE_ROLE_CLIENT ? "client" : "server");
    printf("%-20s %s (COSE %d)\n", "algorithm", info->aead->name, info->aead->cose);
    printf("%-20s %s\n", "hash", nacre_hash_name(info->hash));
    printf("%-20s %u\n", "window", (unsigned)info->window);
    print_bytes("sender id", info->sender_id, info->sender_id_len);
    print_bytes("recipient id", info->recipient_id, info->recipient_id_len);
    if (info->has_id_context) print_bytes("id context", info->id_context, info->id_context_len);
    else printf("%-20s none\n", "id context");
    if (info->next_to_send > NACRE_SEQ_MAX) printf("%-20s none is left: new keys are needed\n", "next to send");
    else printf("%-20s %" PRIu64 "%s\n", "next to send", info->next_to_send, is_new(info) ? " (never used)" : "");
    print_window(info);
    if (info->elsewhere) printf("%-20s copied, edited or put back: it is not used (see nacre adopt)\n", "state");
    else if (info->sequence_required) printf("%-20s required (sequence-required)\n", "state");
    if (info->first_chunk > 0) printf("%-20s %u\n", "first chunk", (unsigned)info->first_chunk);
    if (info->max_chunk > 0) printf("%-20s %u\n", "largest chunk", (unsigned)info->max_chunk);
    if (!v->reveal) return;
    print_bytes("secret", info->secret, info->secret_len);
    print_bytes("salt", info->salt, info->salt_len);
}

/* ---- JSON ---- */

static void put_string(yajl_gen gen, const char *text)
{
    yajl_gen_string(gen, (const unsigned char *)text, strlen(text));
}

static void put_uint(yajl_gen gen, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRIu64, number);
    yajl_gen_number(gen, text, (size_t)len);
}

static void put_bytes(yajl_gen gen, const char *name, const uint8_t *ptr, size_t len)
{
    char hex[2 * 256 + 1];
    nacre_hex_encode(hex, nacre_bytes_of(ptr, len));
    put_string(gen, name);
    put_string(gen, hex);
    nacre_wipe(hex, sizeof hex);
}

/* A path is bytes, JSON is UTF-8: a path that is not UTF-8 is left out. */
static void put_path(yajl_gen gen, const char *path)
{
    bool fits = nacre__utf8_valid(nacre_bytes_of((const uint8_t *)path, strlen(path)));
    put_string(gen, fits ? path : "?");
}

static void put_received(yajl_gen gen, const nacre_directory_info *info)
{
    char bits[NACRE__DECIMAL_MAX_TEXT];
    put_string(gen, "received");
    if (!info->window_known) {
        put_string(gen, "unknown");
        return;
    }
    nacre__decimal_from_bits(bits, info->window_bits, sizeof info->window_bits);
    yajl_gen_map_open(gen);
    put_string(gen, "index");
    put_uint(gen, info->window_index);
    put_string(gen, "bitfield");
    yajl_gen_number(gen, bits, strlen(bits));
    yajl_gen_map_close(gen);
}

static void put_all(yajl_gen gen, const struct view *v)
{
    const nacre_directory_info *info = &v->info;
    yajl_gen_map_open(gen);
    put_string(gen, "path");
    put_path(gen, v->path);
    if (info->layout == NACRE_LAYOUT_LEGACY) {
        put_string(gen, "layout");
        put_string(gen, "seed");
        put_string(gen, "role");
        put_string(gen, info->role == NACRE_ROLE_CLIENT ? "client" : "server");
    }
    put_string(gen, "algorithm");
    put_string(gen, info->aead->name);
    put_string(gen, "kdf-hashfun");
    put_string(gen, nacre_hash_name(info->hash));
    put_string(gen, "window");
    put_uint(gen, info->window);
    put_bytes(gen, "sender-id_hex", info->sender_id, info->sender_id_len);
    put_bytes(gen, "recipient-id_hex", info->recipient_id, info->recipient_id_len);
    if (info->has_id_context) put_bytes(gen, "id-context_hex", info->id_context, info->id_context_len);
    put_string(gen, "next-to-send");
    put_uint(gen, info->next_to_send);
    put_received(gen, info);
    put_string(gen, "sequence-required");
    yajl_gen_bool(gen, info->sequence_required);
    if (info->elsewhere) {
        put_string(gen, "copied");
        yajl_gen_bool(gen, true);
    }
    if (info->first_chunk > 0) {
        put_string(gen, "sequence-chunk-start");
        put_uint(gen, info->first_chunk);
    }
    if (info->max_chunk > 0) {
        put_string(gen, "sequence-chunk-limit");
        put_uint(gen, info->max_chunk);
    }
    if (v->reveal) {
        put_bytes(gen, "secret_hex", info->secret, info->secret_len);
        put_bytes(gen, "salt_hex", info->salt, info->salt_len);
    }
    yajl_gen_map_close(gen);
}

/* Writes to stdout directly, so that the generator's buffer holds no copy of a secret. */
static void print_json_piece(void *file, const char *text, size_t len)
{
    fwrite(text, 1, len, file);
}

static int print_json(const struct view *v)
{
    yajl_gen gen = yajl_gen_alloc(NULL);
    if (gen == NULL) return tool_fail("show", NACRE_ERR_NO_MEMORY, "out of memory");
    yajl_gen_config(gen, yajl_gen_beautify, 1);
    yajl_gen_config(gen, yajl_gen_indent_string, "  ");
    yajl_gen_config(gen, yajl_gen_print_callback, print_json_piece, stdout);
    put_all(gen, v);
    yajl_gen_free(gen);
    return TOOL_OK;
}

static int show(struct view *v, bool json)
{
    nacre_detail why;
    nacre_err err = nacre_directory_read_as(&v->info, v->path, v->role, v->reveal, &why);
    if (err != NACRE_OK) return tool_fail("show", err, "%s", why.text);
    int code = TOOL_OK;
    if (json) code = print_json(v);
    else print_for_people(v);
    nacre_wipe(&v->info, sizeof v->info);
    return code == TOOL_OK ? tool_flush("show") : code;
}

int tool_show(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "json", no_argument, NULL, 'j' },
        { "reveal", no_argument, NULL, 'r' },
        { "role", required_argument, NULL, 'R' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct view v = { .reveal = false };
    bool json = false;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'j': json = true; break;
        case 'r': v.reveal = true; break;
        case 'R':
            if (tool_role("show", &v.role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("show", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("show", argv[optind - 1], long_options);
        }
    }
    if (argc - optind != 1) return tool_usage("show", "one directory is expected, found %d", argc - optind);
    v.path = argv[optind];
    if (tool_is_file(v.path))
        return tool_usage("show", "%s is a file; for a database use nacre fleet list or show", v.path);
    return show(&v, json);
}

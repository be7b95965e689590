/* SPDX-License-Identifier: MIT */
/* pack: moves context directories into one file; nacre show of such a file. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_twins.h"
#include "store/json/decimal.h"
#include "base/hosted/detail.h"
#include "store/pack/pack_move.h"
#include "suggest.h"
#include "tool.h"

static int help(void)
{
    printf(
        "Usage: nacre pack FILE DIR... [--role ROLE]\n"
        "Move the contexts of directories, with their state, into FILE for 'nacre serve --pack FILE'; FILE is\n"
        "created if it does not exist. The directories cannot be used afterwards, and can be removed. If one\n"
        "cannot be moved, none is. After an interruption, run the same command again.\n\n"
        "Never keep a copy of FILE, and never put an old one back: sequence numbers would be used twice.\n"
        "'nacre show' lists its contexts, 'nacre unpack' moves a context out again, and 'nacre adopt' permits the use\n"
        "of a moved pack. FILE does not shrink.\n\n"
        "  --role ROLE   client or server: the side of directories in the legacy layout\n"
        "  --help        this text\n");
    return tool_flush("pack");
}

/* ---- Adding ---- */

/* Checks all directories, each by itself and against the others, before the first is moved. */
static nacre_err check_all(nacre_pack *pack, char *const *dirs, int num, nacre_role role, nacre_detail *why)
{
    tool_twins twins;
    nacre_detail text;
    bool is_certain, has_twin = false;
    nacre_err err = NACRE_OK;
    for (int i = 0; err == NACRE_OK && i < num; i++) err = nacre__pack_check_in(pack, dirs[i], role, why);
    if (err != NACRE_OK) return err;
    err = tool_twins_collect(&twins, num, dirs, role);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot compare the contexts: %s", nacre_err_text(err));
    for (int i = 0; !has_twin && i < num; i++) {
        size_t cursor = 0;
        has_twin = tool_twins_next(&twins, i, &cursor, &is_certain, &text);
    }
    tool_twins_free(&twins);
    return has_twin ? nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s", text.text) : NACRE_OK;
}

static int move_all(nacre_pack *pack, char *const *dirs, int num, nacre_role role)
{
    nacre_detail why = { { 0 } };
    nacre_err err = check_all(pack, dirs, num, role, &why);
    if (err != NACRE_OK) return tool_fail("pack", err, "%s%s", why.text, num > 1 ? "; no directory was moved" : "");
    for (int i = 0; i < num; i++) {
        err = nacre_pack_move_in(pack, dirs[i], role, &why);
        if (err != NACRE_OK && num > 1)
            return tool_fail("pack", err, "%s; %d of %d were moved before: those on standard output", why.text, i, num);
        if (err != NACRE_OK) return tool_fail("pack", err, "%s", why.text);
        printf("%s: moved\n", dirs[i]);
    }
    return TOOL_OK;
}

static int open_and_move(const char *path, char *const *dirs, int num, nacre_role role, const nacre_crypto *crypto)
{
    nacre_detail why = { { 0 } };
    nacre_pack *pack;
    struct stat st;
    nacre_err err = NACRE_OK;
    const bool is_new = stat(path, &st) != 0 && errno == ENOENT;
    if (is_new) err = nacre_pack_create(path, &why);
    if (err == NACRE_OK) err = nacre_pack_open(&pack, path, crypto, &why);
    if (err != NACRE_OK) return tool_fail("pack", err, "%s", why.text);
    int code = move_all(pack, dirs, num, role);
    if (is_new && code != TOOL_OK && nacre_pack_num(pack) == 0) (void)unlink(path); /* still locked and empty */
    err = nacre_pack_close(pack, &why);
    if (err != NACRE_OK && code == TOOL_OK) code = tool_fail("pack", err, "%s", why.text);
    return code == TOOL_OK ? tool_flush("pack") : code;
}

int tool_pack(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "role", required_argument, NULL, 'R' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    nacre_role role = NACRE_ROLE_NONE;
    nacre_crypto crypto;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'R':
            if (tool_role("pack", &role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("pack", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("pack", argv[optind - 1], long_options);
        }
    }
    if (argc - optind < 2) return tool_usage("pack", "a file and at least one directory are expected");
    nacre_err err = nacre_openssl_open(&crypto);
    if (err != NACRE_OK) return tool_fail("pack", err, "%s", nacre_err_text(err));
    int code = open_and_move(argv[optind], argv + optind + 1, argc - optind - 1, role, &crypto);
    nacre_openssl_close(&crypto);
    return code;
}

/* ---- nacre show ---- */

struct view {
    bool reveal, json;
    size_t num;
};

static void print_member(const char *name, const uint8_t *ptr, size_t len)
{
    printf(", \"%s_hex\": \"", name);
    tool_print_hex(stdout, nacre_bytes_of(ptr, len));
    printf("\"");
}

static void print_json(const struct view *v, size_t index, const nacre_directory_info *info)
{
    char bits[NACRE__DECIMAL_MAX_TEXT];
    printf("%s\n  {\"place\": %zu, \"algorithm\": \"%s\", \"kdf-hashfun\": \"%s\", \"window\": %u",
           v->num > 0 ? "," : "", index, info->aead->name, nacre_hash_name(info->hash), (unsigned)info->window);
    print_member("sender-id", info->sender_id, info->sender_id_len);
    print_member("recipient-id", info->recipient_id, info->recipient_id_len);
    if (info->has_id_context) print_member("id-context", info->id_context, info->id_context_len);
    nacre__decimal_from_bits(bits, info->window_bits, sizeof info->window_bits);
    printf(", \"next-to-send\": %" PRIu64 ", \"received\": ", info->next_to_send);
    if (info->window_known) printf("{\"index\": %" PRIu64 ", \"bitfield\": %s}", info->window_index, bits);
    else printf("\"unknown\"");
    if (v->reveal) {
        print_member("secret", info->secret, info->secret_len);
        print_member("salt", info->salt, info->salt_len);
    }
    printf("}");
}

static void print_bytes(const char *label, const uint8_t *ptr, size_t len)
{
    printf(", %s ", label);
    if (len == 0) printf("(empty)");
    tool_print_hex(stdout, nacre_bytes_of(ptr, len));
}

static void print_line(const struct view *v, size_t index, const nacre_directory_info *info)
{
    printf("%zu: %s, %s, window %u", index, info->aead->name, nacre_hash_name(info->hash), (unsigned)info->window);
    print_bytes("sender id", info->sender_id, info->sender_id_len);
    print_bytes("recipient id", info->recipient_id, info->recipient_id_len);
    if (info->has_id_context) print_bytes("id context", info->id_context, info->id_context_len);
    if (info->next_to_send > NACRE_SEQ_MAX) printf(", no number is left");
    else printf(", next to send %" PRIu64, info->next_to_send);
    if (!info->window_known) printf(", received unknown");
    else printf(", received from %" PRIu64, info->window_index);
    if (v->reveal) {
        print_bytes("secret", info->secret, info->secret_len);
        print_bytes("salt", info->salt, info->salt_len);
    }
    printf("\n");
}

static nacre_err show_one(void *user, size_t index, const nacre_directory_info *info, nacre_detail *why)
{
    struct view *v = user;
    (void)why;
    if (v->json) print_json(v, index, info);
    else print_line(v, index, info);
    v->num++;
    return NACRE_OK;
}

int tool_show_pack(const char *path, bool reveal, bool json)
{
    nacre_detail why;
    struct view v = { reveal, json, 0 };
    if (json) printf("[");
    nacre_err err = nacre_pack_read(path, reveal, show_one, &v, &why);
    if (json) printf("\n]\n");
    if (err != NACRE_OK) return tool_fail("show", err, "%s", why.text);
    return tool_flush("show");
}

/* SPDX-License-Identifier: MIT */
/* export: a context in another program's format. The output holds keys, so it must be requested by name. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "suggest.h"
#include "tool.h"

enum { LIBCOAP_MAX_WINDOW = 63, DIRECT_HKDF_SHA_256 = -10, DIRECT_HKDF_SHA_512 = -11 };

struct export
{
    const char *path;
    nacre_role role;
    bool reveal, used;
    nacre_directory_info info;
};

static int help(void)
{
    printf("Usage: nacre export DIR --for wireshark|libcoap|aiocoap --reveal [--used] [--role ROLE]\n"
           "Print a context in the format of another program. The output contains the keys: keep it as secret as\n"
           "DIR.\n\n"
           "  --for wireshark   lines for oscore_contexts in a Wireshark profile, one for each side's requests;\n"
           "                    AES-CCM-16-64-128 with SHA-256 only\n"
           "  --for libcoap     a configuration file, for coap-client -E and coap-server -E\n"
           "  --for aiocoap     a complete settings.json\n"
           "                    (libcoap and aiocoap: do not use DIR any more, or both would use the same numbers)\n"
           "  --reveal          required, because keys are printed\n"
           "  --used            libcoap and aiocoap: export a used context too. The other program must then start\n"
           "                    from the number printed on standard error\n"
           "  --role ROLE       client or server: the side of a directory in the legacy layout\n"
           "  --help            this text\n");
    return tool_flush("export");
}

static void print_bytes(const uint8_t *ptr, size_t len)
{
    tool_print_hex(stdout, nacre_bytes_of(ptr, len));
}

/* ---- Wireshark: one line for each side's requests ---- */

static void wireshark_line(const nacre_directory_info *info, bool ours)
{
    const uint8_t *from = ours ? info->sender_id : info->recipient_id;
    const uint8_t *to = ours ? info->recipient_id : info->sender_id;
    printf("\"");
    print_bytes(from, ours ? info->sender_id_len : info->recipient_id_len);
    printf("\",\"");
    print_bytes(to, ours ? info->recipient_id_len : info->sender_id_len);
    printf("\",\"");
    print_bytes(info->secret, info->secret_len);
    printf("\",\"");
    print_bytes(info->salt, info->salt_len);
    printf("\",\"");
    print_bytes(info->id_context, info->id_context_len);
    printf("\",\"AES-CCM-16-64-128 (CCM*)\"\n");
}

static int for_wireshark(const struct export *e)
{
    const nacre_directory_info *info = &e->info;
    if (info->aead->cose != NACRE_AES_CCM_16_64_128 || info->hash != NACRE_SHA256)
        return tool_fail("export", NACRE_ERR_UNSUPPORTED,
                         "%s: %s with %s; Wireshark decrypts AES-CCM-16-64-128 with sha256 only", e->path,
                         info->aead->name, nacre_hash_name(info->hash));
    if (info->has_id_context && info->id_context_len == 0)
        return tool_fail("export", NACRE_ERR_UNSUPPORTED,
                         "%s: the ID Context is present and empty; Wireshark cannot tell that from none", e->path);
    wireshark_line(info, true);
    wireshark_line(info, false);
    return TOOL_OK;
}

/* ---- Programs that continue to use the context ---- */

static bool was_received(const nacre_directory_info *info)
{
    static const uint8_t none[sizeof info->window_bits];
    return !info->window_known || info->window_index > 0 || memcmp(info->window_bits, none, sizeof none) != 0;
}

/* These formats have no field for the state: the program that reads them begins with number 0, and reusing a number breaks the
 * encryption (RFC 8613 7.2.1). */
static int check_unused(const struct export *e, const char *what)
{
    const nacre_directory_info *info = &e->info;
    if (info->elsewhere)
        return tool_fail(
            "export", NACRE_ERR_BAD_CONTEXT,
            "%s: the state was copied, edited or put back, so that the next number is not known; see nacre "
            "adopt",
            e->path);
    if (e->used) return TOOL_OK;
    if (info->next_to_send > 0)
        return tool_fail("export", NACRE_ERR_UNSUPPORTED,
                         "%s: sequence numbers below %" PRIu64
                         " may have been used, which %s cannot say: it would use them "
                         "again. Make new keys (nacre keygen), or see --used",
                         e->path, info->next_to_send, what);
    if (was_received(info))
        return tool_fail("export", NACRE_ERR_UNSUPPORTED,
                         "%s: messages were received, which %s cannot say: it would accept them again. Make new keys "
                         "(nacre keygen), or see --used",
                         e->path, what);
    return TOOL_OK;
}

/* After the export there are two counters for one Sender Key (RFC 8613 3.3). */
static void tell_number(const struct export *e)
{
    fprintf(stderr, "nacre export: from now on use these keys with the other program only, and not %s any more\n",
            e->path);
    if (e->info.next_to_send > 0)
        fprintf(stderr, "nacre export: go on with sender sequence number %" PRIu64 ", not below\n",
                e->info.next_to_send);
    if (was_received(&e->info)) fprintf(stderr, "nacre export: begin with an unknown replay window (Echo)\n");
}

static void libcoap_bytes(const char *keyword, const uint8_t *ptr, size_t len)
{
    printf("%s,hex,\"", keyword);
    print_bytes(ptr, len);
    printf("\"\n");
}

static int for_libcoap(const struct export *e)
{
    const nacre_directory_info *info = &e->info;
    int code = check_unused(e, "libcoap's configuration");
    if (code != TOOL_OK) return code;
    if (info->hash == NACRE_SHA384)
        return tool_fail("export", NACRE_ERR_UNSUPPORTED,
                         "%s: \"kdf-hashfun\" is sha384; libcoap has sha256 and sha512", e->path);
    if (info->window > LIBCOAP_MAX_WINDOW)
        return tool_fail("export", NACRE_ERR_UNSUPPORTED, "%s: \"window\" is %u; libcoap has windows from 1 to %d",
                         e->path, (unsigned)info->window, (int)LIBCOAP_MAX_WINDOW);
    if (info->has_id_context && info->id_context_len == 0)
        return tool_fail("export", NACRE_ERR_UNSUPPORTED,
                         "%s: the ID Context is present and empty; libcoap takes that for none, which gives other keys",
                         e->path);
    libcoap_bytes("master_secret", info->secret, info->secret_len);
    if (info->salt_len > 0) libcoap_bytes("master_salt", info->salt, info->salt_len);
    if (info->has_id_context) libcoap_bytes("id_context", info->id_context, info->id_context_len);
    libcoap_bytes("sender_id", info->sender_id, info->sender_id_len);
    libcoap_bytes("recipient_id", info->recipient_id, info->recipient_id_len);
    printf("replay_window,integer,%u\naead_alg,integer,%d\nhkdf_alg,integer,%d\n", (unsigned)info->window,
           info->aead->cose, info->hash == NACRE_SHA512 ? DIRECT_HKDF_SHA_512 : DIRECT_HKDF_SHA_256);
    tell_number(e);
    return TOOL_OK;
}

static void json_bytes(const char *name, const uint8_t *ptr, size_t len)
{
    printf("\"%s_hex\": \"", name);
    print_bytes(ptr, len);
    printf("\",\n ");
}

static int for_aiocoap(const struct export *e)
{
    const nacre_directory_info *info = &e->info;
    int code = check_unused(e, "settings.json");
    if (code != TOOL_OK) return code;
    printf("{");
    json_bytes("sender-id", info->sender_id, info->sender_id_len);
    json_bytes("recipient-id", info->recipient_id, info->recipient_id_len);
    if (info->has_id_context) json_bytes("id-context", info->id_context, info->id_context_len);
    json_bytes("secret", info->secret, info->secret_len);
    json_bytes("salt", info->salt, info->salt_len);
    printf("\"algorithm\": \"%s\",\n \"kdf-hashfun\": \"%s\",\n \"window\": %u}\n", info->aead->name,
           nacre_hash_name(info->hash), (unsigned)info->window);
    tell_number(e);
    return TOOL_OK;
}

/* ---- Command line ---- */

typedef int export_fn(const struct export *e);

static const struct {
    const char *name;
    export_fn *run;
} forms[] = { { "wireshark", for_wireshark }, { "libcoap", for_libcoap }, { "aiocoap", for_aiocoap } };

static export_fn *find_form(const char *name)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(name, forms[i].name) == 0) return forms[i].run;
    return NULL;
}

static int run(struct export *e, export_fn *form)
{
    nacre_detail why;
    nacre_err err = nacre_directory_read_as(&e->info, e->path, e->role, true, &why);
    if (err != NACRE_OK) return tool_fail("export", err, "%s", why.text);
    int code = form(e);
    nacre_wipe(&e->info, sizeof e->info);
    return code == TOOL_OK ? tool_flush("export") : code;
}

int tool_export(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "for", required_argument, NULL, 'f' }, { "reveal", no_argument, NULL, 'v' },
        { "used", no_argument, NULL, 'u' },      { "role", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },      { NULL, 0, NULL, 0 },
    };
    struct export e = { .reveal = false };
    export_fn *form = NULL;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'v': e.reveal = true; break;
        case 'u': e.used = true; break;
        case 'f':
            form = find_form(optarg);
            if (form == NULL) return tool_usage("export", "--for %s: it is wireshark, libcoap or aiocoap", optarg);
            break;
        case 'r':
            if (tool_role("export", &e.role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("export", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("export", argv[optind - 1], long_options);
        }
    }
    if (argc - optind != 1) return tool_usage("export", "one directory is expected, found %d", argc - optind);
    if (form == NULL) return tool_usage("export", "--for wireshark, --for libcoap or --for aiocoap is missing");
    if (!e.reveal) return tool_usage("export", "the output holds the keys: say --reveal if that is what you want");
    e.path = argv[optind];
    return run(&e, form);
}

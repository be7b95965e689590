/* SPDX-License-Identifier: MIT */
/* peers: the same load on other implementations' servers and on nacre's, in the same run: libcoap's example server,
 * plain, as Debian packages it (libcoap3-bin), and a server made with aiocoap, protected. A missing one is named and
 * left out.
 *
 * aiocoap is used from the Python named by $NACRE_AIOCOAP_PYTHON, or else from .venv of the source directory, where
 * scripts/aiocoap.sh installs it. */
#include "bench.h"
#include "net/load_case.h"
#include "net/directory.h"
#include "net/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUM_FLOWS = 1000, MAX_CASES = 3, PATH = 512 };

static nacre_crypto crypto;
static pair *pairs;
static nacre_table table;
static batch buf;

static void skip(const char *peer, const char *why)
{
    printf("SKIPPED: %s: %s\n", peer, why);
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

/* The peer's server, then nacre's. A slow peer gets fewer requests per run. */
typedef struct contest {
    const char *peer_name, *name; /* "libcoap", "libcoap, plain" */
    const char *path;             /* of a resource with a payload of a dozen bytes */
    process peer;
    bool ipv6, is_protected, is_slow;
    double goal; /* nacre, protected, over the peer's time, with 64 requests outstanding */
} contest;

static void compare(bench *b, const contest *c, bool con, size_t outstanding, size_t flows)
{
    const char *names[MAX_CASES] = { c->name, "nacre, protected", "nacre, plain" };
    char label[96], path[32];
    load_case load_cases[MAX_CASES];
    bench_case cases[MAX_CASES];
    (void)snprintf(label, sizeof label, "%s: %s, %zu outstanding, %zu flow%s", c->peer_name, con ? "CON" : "NON",
                   outstanding, flows, flows > 1 ? "s" : "");
    if (!bench_wanted(b, label)) return;
    (void)snprintf(path, sizeof path, "/%s", c->path);
    const serve_config config = { .kind = SERVE_BATCHES, .crypto = &crypto, .contexts = &table, .path = path };
    const process nacre = serve_start(&config);
    for (size_t i = 0; i < MAX_CASES; i++) {
        const bool is_peer = i == 0, is_protected = is_peer ? c->is_protected : i == 1;
        const process server = is_peer ? c->peer : nacre;
        const batch_kind kind = { c->path, con, is_protected ? pairs : NULL, flows, &crypto };
        const load_config how = {
            .port = server.port, .ipv6 = is_peer && c->ipv6, .flows = flows, .outstanding = outstanding, .coap = true
        };
        load_cases[i] = load_case_open(server, &how, &buf, &kind);
        cases[i] = load_case_bench(names[i], &load_cases[i], i == 1 && outstanding > 1 ? c->goal : 0);
        if (is_peer && c->is_slow) cases[i].step = 2 * outstanding;
    }
    bench_compare(b, label, cases, MAX_CASES);
    load_case_report(b, label, cases, MAX_CASES);
    for (size_t i = 0; i < MAX_CASES; i++) load_case_close(&load_cases[i]);
    process_stop(nacre);
}

/* ---- libcoap ----------------------------------------------------------------------------------------------------- */

/* The first of `names` that is a program in $PATH. */
static bool find_program(char found[PATH], const char *const *names)
{
    const char *path = getenv("PATH");
    for (; *names != NULL; names++)
        for (const char *at = path, *end; at != NULL; at = end != NULL ? end + 1 : NULL) {
            end = strchr(at, ':');
            const int len = end != NULL ? (int)(end - at) : (int)strlen(at);
            (void)snprintf(found, PATH, "%.*s/%s", len, at, *names);
            if (access(found, X_OK) == 0) return true;
        }
    return false;
}

static void against_libcoap(bench *b)
{
    static const char *const names[] = { "coap-server-openssl", "coap-server-notls", "coap-server-gnutls",
                                         "coap-server", NULL };
    static const char name[] = "libcoap, plain";
    char program[PATH], port[8], address[] = "127.0.0.1", option_a[] = "-A", option_p[] = "-p";
    const uint16_t number = process_free_port(false);
    if (!find_program(program, names)) {
        skip(name, "no coap-server is installed (Debian: libcoap3-bin)");
        return;
    }
    (void)snprintf(port, sizeof port, "%u", (unsigned)number);
    char *argv[] = { program, option_a, address, option_p, port, NULL };
    const contest c = {
        .peer_name = "libcoap", .name = name, .path = "time", .peer = process_run(argv, number, false), .goal = 1 / 3.0
    };
    if (c.peer.pid == 0) {
        skip(name, "its server does not start");
        return;
    }
    for (int con = 0; con < 2; con++) {
        compare(b, &c, con != 0, 64, 1);
        compare(b, &c, con != 0, 1, 1);
    }
    compare(b, &c, false, 64, 64);
    process_stop(c.peer);
}

/* ---- aiocoap ----------------------------------------------------------------------------------------------------- */

/* The server's side of the first pair, as a directory. */
static void write_directory(const char *path)
{
    nacre_directory_info info = { .aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128),
                                  .hash = NACRE_SHA256,
                                  .window = 64,
                                  .sender_id_len = strlen(PAIR_SERVER_ID),
                                  .recipient_id_len = 4,
                                  .secret_len = 16 };
    nacre_detail why = { "" };
    memcpy(info.sender_id, PAIR_SERVER_ID, info.sender_id_len);
    pair_id(info.recipient_id, 0);
    pair_secret(info.secret, 0);
    bench_check(nacre_directory_create(path, &info, &why) == NACRE_OK, why.text);
}

typedef struct seen {
    nacre_request_id id;
    uint8_t code; /* inner code */
} seen;

static void see(void *user, size_t index, const uint8_t *bytes, size_t len)
{
    seen *s = user;
    uint8_t plaintext[256];
    nacre_message outer, plain;
    (void)index;
    if (nacre_message_parse(&outer, nacre_bytes_of(bytes, len)) == NACRE_OK &&
        nacre_unprotect_response(&pairs[0].client, &crypto, &s->id, &plain, NULL, NACRE_BUF(plaintext), &outer) ==
            NACRE_OK)
        s->code = plain.code;
}

/* One request whose response is decrypted: the load sees outer codes only, and counts a protected error as a
 * response. */
static bool responds_with_content(const contest *c)
{
    const uint8_t token[4] = { 0 };
    uint8_t path[16], datagram[64];
    seen s = { 0 };
    nacre_options options;
    nacre_bytes out;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .mid = 1, .token = NACRE_ARRAY(token) };
    get.payload = NACRE_ABSENT;
    nacre_options_init(&options, NACRE_BUF(path));
    nacre_options_add(&options, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)c->path, strlen(c->path)));
    bench_check(nacre_options_finish(&options, &get.options) == NACRE_OK &&
                    nacre_protect_request(&pairs[0].client, &crypto, &s.id, &out, NACRE_BUF(datagram), &get, NULL) ==
                        NACRE_OK,
                "protect");
    const load_config how = { .port = c->peer.port, .ipv6 = c->ipv6, .flows = 1, .outstanding = 1, .coap = true };
    const load_request request = { out.ptr, (uint16_t)out.len };
    load *l = load_open(&how);
    (void)load_run(l, &request, 1, see, &s);
    load_close(l);
    return s.code == NACRE_CONTENT;
}

static void against_aiocoap(bench *b)
{
    static const char name[] = "aiocoap, protected";
    static const char in_venv[] = NACRE_SOURCE_DIR "/.venv/bin/python";
    char python[PATH], script[] = NACRE_SOURCE_DIR "/tests/interop/aiocoap_server.py", no_cache[] = "-B", port[8];
    char parent[DIRECTORY_PATH], directory[DIRECTORY_PATH + 8];
    const char *given = getenv("NACRE_AIOCOAP_PYTHON");
    (void)snprintf(python, sizeof python, "%s", given != NULL ? given : in_venv);
    if (access(python, X_OK) != 0) {
        skip(name, "NACRE_AIOCOAP_PYTHON names no Python that has it (scripts/aiocoap.sh makes one)");
        return;
    }
    directory_make(parent);
    (void)snprintf(directory, sizeof directory, "%s/server", parent);
    write_directory(directory);
    const uint16_t number = process_free_port(true);
    (void)snprintf(port, sizeof port, "%u", (unsigned)number);
    char *argv[] = { python, no_cache, script, directory, port, NULL };
    const contest c = { .peer_name = "aiocoap",
                        .name = name,
                        .path = "hello",
                        .peer = process_run(argv, number, true),
                        .ipv6 = true,
                        .is_protected = true,
                        .is_slow = true };
    if (c.peer.pid == 0) skip(name, "its server does not start, or has no IPv6");
    else {
        bench_check(responds_with_content(&c), "aiocoap's server does not answer with 2.05");
        compare(b, &c, false, 64, 1);
        compare(b, &c, true, 64, 1);
        compare(b, &c, true, 1, 1);
    }
    process_stop(c.peer);
    directory_remove(parent);
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "peers", "other implementations' servers and nacre's under the same load");
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    pairs = pairs_open(&crypto, NUM_FLOWS);
    serve_table(&table, pairs, NUM_FLOWS);
    buf = batch_open();
    process_pin(PROCESS_CLIENT_CORE);
    against_libcoap(b);
    against_aiocoap(b);
    batch_close(&buf);
    serve_table_close(&table);
    pairs_close(pairs, NUM_FLOWS);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}

/* SPDX-License-Identifier: MIT */
/* flood: the datagrams of each attack, and the process that sends them. See flood.h. */
#include "net/flood.h"
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NUM_KIDS = 16, BURST = 64 };

static uint64_t chance = 1;

static size_t put(uint8_t *out, const void *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return len;
}

static size_t put_random(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) out[i] = (uint8_t)bench_random(&chance);
    return len;
}

/* Header and token; each second one is a CON. The message ID comes later. */
static size_t put_header(uint8_t *out, size_t i, uint8_t code)
{
    const uint8_t header[] = { (uint8_t)(i % 2 == 0 ? 0x44 : 0x54), code, 0, 0 };
    const size_t len = put(out, header, sizeof header);
    return len + put_random(out + len, 4);
}

/* ---- Requests that no key verifies -------------------------------------------------------------------------------------- */

/* A POST whose OSCORE option has a Partial IV and a kid, as `sequence` and `kid` say. */
static size_t put_protected(uint8_t *out, size_t i, nacre_bytes sequence, const uint8_t kid[4])
{
    size_t len = put_header(out, i, NACRE_POST);
    out[len++] = (uint8_t)(0x90 | (1 + sequence.len + 4)); /* option 9 */
    out[len++] = (uint8_t)(0x08 | sequence.len);
    len += put(out + len, sequence.ptr, sequence.len);
    return len + put(out + len, kid, 4);
}

static size_t put_payload(uint8_t *out, size_t len)
{
    out[0] = 0xff;
    return 1 + put_random(out + 1, len);
}

size_t flood_random_kid(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    uint8_t sequence, kid[4];
    put_random(&sequence, 1);
    put_random(kid, sizeof kid);
    kid[0] |= 0x80; /* none of `pairs` */
    const size_t len = put_protected(out, i, (nacre_bytes){ &sequence, 1 }, kid);
    return len + put_payload(out + len, 24);
}

static size_t forge(uint8_t *out, size_t i, nacre_bytes sequence)
{
    uint8_t kid[4];
    pair_id(kid, i % NUM_KIDS);
    const size_t len = put_protected(out, i, sequence, kid);
    return len + put_payload(out + len, 24);
}

size_t flood_wrong_tag(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    const uint8_t sequence[] = { 0x7f, (uint8_t)(i >> 8), (uint8_t)i };
    return forge(out, i, NACRE_ARRAY(sequence));
}

size_t flood_huge_sequence(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    const uint8_t sequence[] = { 0xff, 0xff, 0xff, (uint8_t)(i >> 8), (uint8_t)i };
    return forge(out, i, NACRE_ARRAY(sequence));
}

size_t flood_outer_block1(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    static const uint8_t block1[] = { 0xd1, 27 - 9 - 13, 0x0a }; /* number 0, more, 64 bytes */
    const uint8_t sequence[] = { 0x7f, (uint8_t)(i >> 8), (uint8_t)i };
    uint8_t kid[4];
    pair_id(kid, i % NUM_KIDS);
    size_t len = put_protected(out, i, NACRE_ARRAY(sequence), kid);
    len += put(out + len, block1, sizeof block1);
    return len + put_payload(out + len, 64);
}

/* ---- Requests that verify ----------------------------------------------------------------------------------------------- */

static nacre_message get(const uint8_t token[4], size_t i)
{
    nacre_message plain = { .type = i % 2 == 0 ? NACRE_CON : NACRE_NON, .code = NACRE_GET, .token = { token, 4 } };
    plain.options = NACRE_STR("\xb1"
                              "a"); /* Uri-Path */
    plain.payload = NACRE_ABSENT;
    return plain;
}

size_t flood_replay(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    uint8_t token[4];
    nacre_request_id id;
    nacre_bytes written;
    pair_id(token, i);
    const nacre_message plain = get(token, i);
    bench_check(nacre_protect_request(&pairs[0].client, crypto, &id, &written, (nacre_buf){ out, FLOOD_MOST }, &plain,
                                      NULL) == NACRE_OK,
                "a request to replay");
    return written.len;
}

nacre_context_params flood_material(bool is_client)
{
    nacre_context_params material = { .master_secret.bytes = NACRE_STR("sixteen secrets!"),
                                      .sender_id = NACRE_STR(PAIR_SERVER_ID),
                                      .recipient_id = NACRE_STR(FLOOD_REDERIVATION_ID),
                                      .window = 64 };
    if (is_client) material.sender_id = NACRE_STR(FLOOD_REDERIVATION_ID);
    if (is_client) material.recipient_id = NACRE_STR(PAIR_SERVER_ID);
    return material;
}

size_t flood_rederivation(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs;
    uint8_t token[4], r1[NACRE_REDERIVE_NONCE];
    nacre_rederive_client client;
    nacre_rederived derived = { 0 };
    nacre_request_id id;
    nacre_bytes written;
    size_t size, align;
    const nacre_context_params material = flood_material(true);
    bench_check(nacre_context_key_layout(crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    derived.key_buf = (nacre_buf){ bench_alloc(size), size };
    pair_id(token, i);
    put_random(r1, sizeof r1);
    const nacre_message plain = get(token, i);
    bench_check(nacre_rederive_begin(&client, &derived, crypto, &material, r1) == NACRE_OK, "B.2");
    const nacre_protect_options options = nacre_rederive_options(&client);
    bench_check(nacre_protect_request(&derived.context, crypto, &id, &written, (nacre_buf){ out, FLOOD_MOST }, &plain,
                                      &options) == NACRE_OK,
                "request #1");
    nacre_context_wipe(&derived.context);
    free(derived.key_buf.ptr);
    if (i / 2 % 2 == 0) out[written.len - 1] ^= 1;
    return written.len;
}

/* ---- Plain requests ----------------------------------------------------------------------------------------------------- */

size_t flood_plain(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    const size_t len = put_header(out, i, NACRE_GET);
    return len + put(out + len,
                     "\xb1"
                     "a",
                     2);
}

static size_t put_core(uint8_t *out, size_t i)
{
    static const char path[] = "\xbb.well-known\x04"
                               "core";
    const size_t len = put_header(out, i, NACRE_GET);
    return len + put(out + len, path, sizeof path - 1);
}

size_t flood_core(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    return put_core(out, i);
}

size_t flood_core_filters(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    (void)pairs, (void)crypto;
    size_t len = put_core(out, i);
    for (int k = 0; k < 170; k++) len += put(out + len, k == 0 ? "\x44rt=x" : "\x04rt=x", 5); /* Uri-Query */
    return len;
}

size_t flood_unknown_options(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto)
{
    enum { DELTA = 2000 - 11 - 269 };
    static const uint8_t first[] = { 0xe0, DELTA >> 8, DELTA & 0xff }; /* number 2000 */
    size_t len = flood_plain(out, i, pairs, crypto);
    len += put(out + len, first, sizeof first);
    for (int k = 0; k < 170; k++)
        out[len++] = 0x20; /* empty; each number even, so elective, and above all registered ones */
    return len;
}

/* ---- Sending ------------------------------------------------------------------------------------------------------------ */

typedef struct arsenal {
    uint16_t port;
    volatile uint64_t *sent;
    uint16_t lens[FLOOD_DATAGRAMS];
    uint8_t bytes[FLOOD_DATAGRAMS][FLOOD_MOST];
} arsenal;

static int source(uint16_t port, uint32_t i)
{
    const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f010001 + (i << 8)) } };
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bench_check(fd >= 0 && bind(fd, (const struct sockaddr *)&from, sizeof from) == 0 &&
                    connect(fd, (const struct sockaddr *)&to, sizeof to) == 0,
                "an attacker's socket");
    return fd;
}

static void send_burst(arsenal *a, int fd, size_t first, uint16_t *mid)
{
    struct mmsghdr messages[BURST] = { 0 };
    struct iovec slices[BURST];
    for (size_t i = 0; i < BURST; i++) {
        uint8_t *bytes = a->bytes[first + i];
        ++*mid;
        bytes[2] = (uint8_t)(*mid >> 8);
        bytes[3] = (uint8_t)*mid;
        slices[i] = (struct iovec){ bytes, a->lens[first + i] };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &slices[i], .msg_iovlen = 1 };
    }
    const int sent = sendmmsg(fd, messages, BURST, 0);
    if (sent > 0) *a->sent += (uint64_t)sent;
}

static void attack(const void *arg, int ready)
{
    arsenal *a = (arsenal *)(uintptr_t)arg; /* this process's copy */
    int fds[FLOOD_SOURCES];
    uint16_t mid = 0;
    for (uint32_t i = 0; i < FLOOD_SOURCES; i++) fds[i] = source(a->port, i);
    process_ready(ready, 0);
    (void)raise(SIGSTOP);
    for (size_t round = 0;; round++) send_burst(a, fds[round % FLOOD_SOURCES], round * BURST % FLOOD_DATAGRAMS, &mid);
}

flood flood_open(uint16_t port, flood_write *write, pair *pairs, const nacre_crypto *crypto, unsigned core)
{
    arsenal *a = bench_alloc(sizeof *a);
    a->port = port;
    a->sent = mmap(NULL, sizeof *a->sent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_check(a->sent != MAP_FAILED, "mmap");
    for (size_t i = 0; i < FLOOD_DATAGRAMS; i++) a->lens[i] = (uint16_t)write(a->bytes[i], i, pairs, crypto);
    const flood f = { process_fork(attack, a, core), a->sent };
    free(a);
    return f;
}

void flood_begin(const flood *f)
{
    (void)kill(f->attacker.pid, SIGCONT);
}

void flood_pause(const flood *f)
{
    (void)kill(f->attacker.pid, SIGSTOP);
}

void flood_close(flood *f)
{
    process_stop(f->attacker);
    (void)munmap((void *)(uintptr_t)f->sent, sizeof *f->sent);
}

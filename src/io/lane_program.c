/* SPDX-License-Identifier: MIT */
/* lane_program: loads source address and port, hashes them, and searches the list: a binary tree whose leaves compare up to eight
 * hashes. Between two words the hash is mixed four times: after one, a sender who chooses its IPv6 address could cancel its
 * difference to a peer's address under every key. A is the hash; X is the socket's index for unlisted peers, and a leaf returns X or X + 1. Conditional jumps reach 255
 * instructions, so an inner node skips an unconditional one:
 *
 *             jge middle, +0, +1
 *             ja  upper
 *             … lower half …
 *     upper:  … upper half …
 */
#include "io/lane_program.h"
#include "io/address.h"

#include <stdlib.h>
#include <string.h>

/* One round of a multiply-xorshift hash, which classic BPF can compute too: see put_mix. */
static uint32_t mix(uint32_t h, uint32_t factor, unsigned shift)
{
    h *= factor;
    return h ^ h >> shift;
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

enum { FIRST_SHIFT = 15, LAST_SHIFT = 16, AT_PORT = 1, AT_HOST = 3 /* in a nacre_address */ };

static uint32_t mix_twice(uint32_t h, const nacre__lane_key *key)
{
    return mix(mix(h, key->factor, FIRST_SHIFT), key->last_factor, LAST_SHIFT);
}

uint32_t nacre__lane_hash(const nacre__lane_key *key, const nacre_address *peer)
{
    const size_t len = nacre__address_is_ipv6(peer) ? 16 : 4;
    uint32_t h = key->start ^ ((uint32_t)peer->bytes[AT_PORT] << 8 | peer->bytes[AT_PORT + 1]);
    for (size_t i = 0; i < len; i += 4) h = mix_twice(mix_twice(h, key), key) ^ load(peer->bytes + AT_HOST + i);
    return mix_twice(h, key);
}

#ifdef __linux__
#include <linux/filter.h>

enum {
    LEAF = 8,
    HEADER = SKF_NET_OFF,     /* offsets of the IP header's bytes begin here; 0 is the first byte of the payload */
    HASH_CELL = 0,            /* in the program's memory */
    LISTED_BITS = 0x7fffffff, /* of a hash, compared with the list */
};

typedef struct writer {
    struct sock_filter *out;
    size_t len;
} writer;

static void put(writer *w, int code, uint32_t k)
{
    w->out[w->len++] = (struct sock_filter){ .code = (uint16_t)code, .k = k };
}

static void put_jump(writer *w, int code, uint32_t k, size_t if_true, size_t if_false)
{
    w->out[w->len++] =
        (struct sock_filter){ .code = (uint16_t)code, .jt = (uint8_t)if_true, .jf = (uint8_t)if_false, .k = k };
}

static void put_mix(writer *w, uint32_t factor, unsigned shift)
{
    put(w, BPF_ALU | BPF_MUL | BPF_K, factor);
    put(w, BPF_MISC | BPF_TAX, 0);
    put(w, BPF_ALU | BPF_RSH | BPF_K, shift);
    put(w, BPF_ALU | BPF_XOR | BPF_X, 0);
}

static void put_mix_twice(writer *w, const nacre__lane_key *key)
{
    put_mix(w, key->factor, FIRST_SHIFT);
    put_mix(w, key->last_factor, LAST_SHIFT);
}

/* The port is in A; the last two rounds follow. */
static void put_hash(writer *w, const nacre__lane_key *key, uint32_t at_host, size_t len)
{
    put(w, BPF_ALU | BPF_XOR | BPF_K, key->start);
    for (size_t i = 0; i < len; i += 4) {
        put_mix_twice(w, key);
        put_mix_twice(w, key);
        put(w, BPF_ST, HASH_CELL);
        put(w, BPF_LD | BPF_W | BPF_ABS, (uint32_t)HEADER + at_host + (uint32_t)i);
        put(w, BPF_LDX | BPF_MEM, HASH_CELL);
        put(w, BPF_ALU | BPF_XOR | BPF_X, 0);
    }
}

/* The port follows the header and its options. */
static void put_v4(writer *w, const nacre__lane_key *key)
{
    put(w, BPF_LDX | BPF_B | BPF_MSH, (uint32_t)HEADER);
    put(w, BPF_LD | BPF_H | BPF_IND, (uint32_t)HEADER);
    put_hash(w, key, 12, 4);
}

/* After an extension header the port counts as 0, so that its sender does not match its entry in the list. */
static void put_v6(writer *w, const nacre__lane_key *key)
{
    put(w, BPF_LD | BPF_B | BPF_ABS, (uint32_t)HEADER + 6);
    put_jump(w, BPF_JMP | BPF_JEQ | BPF_K, 17 /* UDP */, 2, 0);
    put(w, BPF_ALU | BPF_AND | BPF_K, 0);
    put(w, BPF_JMP | BPF_JA, 1);
    put(w, BPF_LD | BPF_H | BPF_ABS, (uint32_t)HEADER + 40);
    put_hash(w, key, 8, 16);
}

static void put_leaf(writer *w, const uint32_t *hashes, size_t num)
{
    for (size_t i = 0; i < num; i++) put_jump(w, BPF_JMP | BPF_JEQ | BPF_K, hashes[i], num - i + 1, 0);
    put(w, BPF_MISC | BPF_TXA, 0);
    put(w, BPF_RET | BPF_A, 0);
    put(w, BPF_MISC | BPF_TXA, 0);
    put(w, BPF_ALU | BPF_OR | BPF_K, 1); /* X is even */
    put(w, BPF_RET | BPF_A, 0);
}

/* Recursion is seven calls deep at most: num <= NACRE__LANE_PEERS. */
static void put_list(writer *w, const uint32_t *hashes, size_t num) /* NOLINT(misc-no-recursion) */
{
    if (num <= LEAF) {
        put_leaf(w, hashes, num);
        return;
    }
    const size_t middle = num / 2, at = w->len;
    put_jump(w, BPF_JMP | BPF_JGE | BPF_K, hashes[middle], 0, 1);
    put(w, BPF_JMP | BPF_JA, 0);
    put_list(w, hashes, middle);
    w->out[at + 1].k = (uint32_t)(w->len - at - 2);
    put_list(w, hashes + middle, num - middle);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Leaves the hash in A and in HASH_CELL. */
static void put_source_hash(writer *w, const nacre__lane_key *key)
{
    put(w, BPF_LD | BPF_B | BPF_ABS, (uint32_t)HEADER);
    put(w, BPF_ALU | BPF_RSH | BPF_K, 4); /* the IP version */
    const size_t version = w->len;
    put_jump(w, BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 0);
    put_v4(w, key);
    const size_t skip = w->len;
    put(w, BPF_JMP | BPF_JA, 0);
    w->out[version].jt = (uint8_t)(w->len - version - 1);
    put_v6(w, key);
    w->out[skip].k = (uint32_t)(w->len - skip - 1);
    put_mix_twice(w, key);
    put(w, BPF_ST, HASH_CELL);
}

size_t nacre__lane_program(struct sock_filter *out, const nacre__lane_key *key, unsigned num_workers, uint32_t *hashes,
                           size_t num)
{
    writer w = { out, 0 };
    if (num_workers == 1 && num == 0) {
        put(&w, BPF_RET | BPF_K, 0);
        return w.len;
    }
    for (size_t i = 0; i < num; i++) hashes[i] &= LISTED_BITS;
    if (num > 1) qsort(hashes, num, sizeof *hashes, by_value);
    put_source_hash(&w, key);
    put(&w, BPF_ALU | BPF_MOD | BPF_K, num_workers);
    put(&w, BPF_ALU | BPF_LSH | BPF_K, 1);
    put(&w, BPF_MISC | BPF_TAX, 0);
    put(&w, BPF_LD | BPF_MEM, HASH_CELL);
    put(&w, BPF_ALU | BPF_AND | BPF_K, LISTED_BITS);
    put_list(&w, hashes, num);
    return w.len;
}
#else
typedef int nacre__lane_program_is_for_linux; /* no empty translation unit */
#endif

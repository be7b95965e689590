/* SPDX-License-Identifier: MIT */
/* siphash: SipHash (Aumasson, Bernstein 2012), the keyed hash of every table with keys from peers: with a random key peers
 * cannot choose collisions. SipHash-1-3: one round per word of eight bytes, three at the end. Not for checksums or
 * authentication.
 *
 * Several values are hashed as words, or as bytes padded with zeros, in an injective encoding: a length precedes the
 * bytes. */
#ifndef NACRE_BASE_SIPHASH_H
#define NACRE_BASE_SIPHASH_H

#include <nacre/base.h>
#include "base/copy.h"

enum { NACRE__SIPHASH_ROUNDS = 1, NACRE__SIPHASH_LAST_ROUNDS = 3, NACRE__HASH_KEY_LEN = 16 };

typedef struct nacre__siphash {
    uint64_t v[4];
} nacre__siphash;

static inline uint64_t nacre__load_le64(const uint8_t *p)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the analyzer does not follow strlen */
    return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
           (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline uint64_t nacre__load_le32(const uint8_t *p)
{
    return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

/* Loads fewer than eight bytes, padded with zeros. Without a loop some bytes are read twice. */
NACRE__ONE_COPY uint64_t nacre__load_short(const uint8_t *p, size_t len)
{
#if defined(__OPTIMIZE_SIZE__)
    uint64_t word = 0;
    while (len > 0) word = word << 8 | p[--len];
    return word;
#else
    if (len >= 4) return nacre__load_le32(p) | nacre__load_le32(p + len - 4) << 8 * (len - 4);
    if (len == 0) return 0;
    return p[0] | (uint64_t)p[len / 2] << 8 * (len / 2) | (uint64_t)p[len - 1] << 8 * (len - 1);
#endif
}

static inline uint64_t nacre__rotate_left(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

NACRE__ONE_COPY void nacre__siphash_rounds(nacre__siphash *s, int num)
{
    uint64_t a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];
    for (; num > 0; num--) {
        a += b, c += d;
        b = nacre__rotate_left(b, 13) ^ a, d = nacre__rotate_left(d, 16) ^ c;
        a = nacre__rotate_left(a, 32) + d, c += b;
        d = nacre__rotate_left(d, 21) ^ a, b = nacre__rotate_left(b, 17) ^ c;
        c = nacre__rotate_left(c, 32);
    }
    *s = (nacre__siphash){ { a, b, c, d } };
}

static inline nacre__siphash nacre__siphash_start(const uint8_t key[NACRE__HASH_KEY_LEN])
{
    const uint64_t low = nacre__load_le64(key), high = nacre__load_le64(key + 8);
    return (nacre__siphash){ { low ^ UINT64_C(0x736f6d6570736575), high ^ UINT64_C(0x646f72616e646f6d),
                               low ^ UINT64_C(0x6c7967656e657261), high ^ UINT64_C(0x7465646279746573) } };
}

NACRE__ONE_COPY void nacre__siphash_absorb(nacre__siphash *s, uint64_t word, int rounds)
{
    s->v[3] ^= word;
    nacre__siphash_rounds(s, rounds);
    s->v[0] ^= word;
}

/* The hash, with any numbers of rounds: `last` has the number of all bytes, modulo 256, in its highest byte, and below it
 * those of the incomplete word. */
NACRE__ONE_COPY uint64_t nacre__siphash_close(nacre__siphash *s, uint64_t last, int rounds, int last_rounds)
{
    nacre__siphash_absorb(s, last, rounds);
    s->v[2] ^= 0xff;
    nacre__siphash_rounds(s, last_rounds);
    return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

/* Absorbs the whole words of `bytes`, which follow `before` bytes in whole words. Returns the last word, to close with. */
static inline uint64_t nacre__siphash_absorb_bytes(nacre__siphash *s, size_t before, nacre_bytes bytes, int rounds)
{
    const size_t rest = bytes.len % 8;
    const uint8_t *at = bytes.ptr;
    for (size_t i = bytes.len / 8; i > 0; i--, at += 8) nacre__siphash_absorb(s, nacre__load_le64(at), rounds);
    const uint64_t num = (uint64_t)(before + bytes.len) << 56;
#if !defined(__OPTIMIZE_SIZE__)
    if (rest > 0 && bytes.len > 8) return num | nacre__load_le64(at + rest - 8) >> (64 - 8 * rest);
#endif
    return num | nacre__load_short(at, rest);
}

/* ---- SipHash-1-3 ---------------------------------------------------------------------------------------------------- */

static inline void nacre__siphash_word(nacre__siphash *s, uint64_t word)
{
    nacre__siphash_absorb(s, word, NACRE__SIPHASH_ROUNDS);
}

/* Adds `bytes`, padded with zeros to whole words. */
static inline void nacre__siphash_words(nacre__siphash *s, nacre_bytes bytes)
{
    size_t at = 0;
    for (; at + 8 <= bytes.len; at += 8) nacre__siphash_word(s, nacre__load_le64(bytes.ptr + at));
    if (at < bytes.len) nacre__siphash_word(s, nacre__load_short(bytes.ptr + at, bytes.len - at));
}

static inline uint64_t nacre__siphash_end(nacre__siphash *s, uint64_t last)
{
    return nacre__siphash_close(s, last, NACRE__SIPHASH_ROUNDS, NACRE__SIPHASH_LAST_ROUNDS);
}

static inline uint64_t nacre__siphash_end_bytes(nacre__siphash *s, size_t before, nacre_bytes bytes)
{
    return nacre__siphash_end(s, nacre__siphash_absorb_bytes(s, before, bytes, NACRE__SIPHASH_ROUNDS));
}

static inline uint64_t nacre__siphash_of(const uint8_t key[NACRE__HASH_KEY_LEN], nacre_bytes bytes)
{
    nacre__siphash s = nacre__siphash_start(key);
    return nacre__siphash_end_bytes(&s, 0, bytes);
}

#endif

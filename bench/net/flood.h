/* SPDX-License-Identifier: MIT */
/* flood: attackers, each a process that sends the same few thousand datagrams over and over as fast as its core can, with a new
 * message ID each time, from FLOOD_SOURCES addresses of 127.0.0.0/8. Responses to them are not read. */
#ifndef NACRE_BENCH_FLOOD_H
#define NACRE_BENCH_FLOOD_H

#include "net/pairs.h"
#include "net/process.h"

enum { FLOOD_SOURCES = 16, FLOOD_DATAGRAMS = 4096, FLOOD_MOST = 1024 /* bytes of one */ };

/* Writes datagram number `i`, whose message ID the flood replaces, to `out`; returns its length. `pairs` are contexts of the
 * server. */
typedef size_t flood_write(uint8_t out[FLOOD_MOST], size_t i, pair *pairs, const nacre_crypto *crypto);

flood_write flood_random_kid;      /* protected requests under a kid that no context has */
flood_write flood_wrong_tag;       /* … under the kids of `pairs`, with ciphertexts that verify under none */
flood_write flood_replay;          /* verified requests of pairs[0], captured and sent again */
flood_write flood_huge_sequence;   /* … with a wrong tag and Partial IVs of five bytes */
flood_write flood_outer_block1;    /* first outer blocks, which no second one follows (RFC 8613 4.1.3.4.2) */
flood_write flood_plain;           /* plain GET of /a, which is served */
flood_write flood_core;            /* plain GET of /.well-known/core */
flood_write flood_core_filters;    /* … with 170 filters (RFC 6690 4.1) */
flood_write flood_unknown_options; /* plain GET of /a with 170 elective options that no one knows */
flood_write flood_rederivation;    /* requests #1 of RFC 8613 B.2: each second one verifies, the others are forged */

/* What flood_rederivation wants to be enabled at the server: the peer FLOOD_REDERIVATION_ID. */
#define FLOOD_REDERIVATION_ID "b2"
nacre_context_params flood_material(bool is_client);

typedef struct flood {
    process attacker;
    volatile uint64_t *sent; /* datagrams so far; shared with its process */
} flood;

/* flood_open makes the datagrams and the process, which pauses until flood_begin and after flood_pause. */
flood flood_open(uint16_t port, flood_write *write, pair *pairs, const nacre_crypto *crypto, unsigned core);
void flood_begin(const flood *f);
void flood_pause(const flood *f);
void flood_close(flood *f);

#endif

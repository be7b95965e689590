/* SPDX-License-Identifier: MIT */
/* pairs: security contexts for measurements, both sides of each, and requests built in advance. */
#ifndef NACRE_BENCH_PAIRS_H
#define NACRE_BENCH_PAIRS_H

#include "net/load.h"
#include <nacre/nacre.h>

/* One context: the client's Sender ID is its number, four bytes in network order, and the server's is "s". Each has a
 * different secret. */
typedef struct pair {
    nacre_context client, server;
    nacre_buf keys[2];
} pair;

#define PAIR_SERVER_ID "s"
void pair_id(uint8_t id[4], size_t number);
void pair_secret(uint8_t secret[16], size_t number);

pair *pairs_open(const nacre_crypto *crypto, size_t num);
void pairs_close(pair *pairs, size_t num);

/* A buffer for requests, and how it is filled. */
enum { BATCH_MOST = 100000, BATCH_REQUEST = 128 };
typedef struct batch {
    uint8_t *bytes; /* BATCH_REQUEST for each */
    load_request *requests;
    size_t num;
    uint16_t next_mid;
} batch;
batch batch_open(void);
void batch_close(batch *b);

/* The requests: number i is of pair i % num_pairs, or (pairs NULL) plain. */
typedef struct batch_kind {
    const char *path; /* one segment, without slashes */
    bool con;
    pair *pairs;
    size_t num_pairs;
    const nacre_crypto *crypto;
} batch_kind;
void batch_fill(batch *b, size_t num, const batch_kind *kind);
/* The same one by one, for kinds that change in between. */
void batch_start(batch *b);
void batch_add(batch *b, const batch_kind *kind);

#endif

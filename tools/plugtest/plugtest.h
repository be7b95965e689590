/* SPDX-License-Identifier: MIT */
/* plugtest: what both sides of the public OSCORE interop tests share: the four contexts, whose keys everybody knows.
 *
 * A and B are the two sides of RFC 8613 C.1, C and D those of C.3, which has an ID Context. Clients use A and C, servers B and
 * D. */
#ifndef NACRE_TOOL_PLUGTEST_H
#define NACRE_TOOL_PLUGTEST_H

#include "tool.h"

/* The two programs. Each gets argv with its own name in argv[0], and gives the exit code. */
int plugtest_server_main(int argc, char **argv);
int plugtest_client_main(int argc, char **argv);

typedef struct plugtest_context {
    nacre_context *context;
    nacre_store store;    /* ops NULL: none */
    nacre_directory *dir; /* in a state directory, or else: */
    nacre_context made;
    void *keys;
} plugtest_context;

/* The crypto of a client that plays to have wrong keys: while `inverted` is NACRE_SEAL or NACRE_OPEN, contexts that are made
 * get a sender key, or a recipient key, with every bit turned round. `crypto` is then to be used everywhere. */
typedef struct plugtest_crypto {
    nacre_crypto_ops ops; /* first: it is found from here */
    nacre_crypto under, crypto;
    int inverted; /* or -1 */
} plugtest_crypto;
nacre_err plugtest_crypto_open(plugtest_crypto *crypto);
void plugtest_crypto_close(plugtest_crypto *crypto);

/* plugtest_open opens STATE/a … STATE/d (`letter`), which it makes when it is not there; without a state directory the context
 * is kept in memory. NACRE_OK, or as nacre_directory_open and nacre_directory_create. */
nacre_err plugtest_open(plugtest_context *c, char letter, const char *state, const nacre_crypto *crypto,
                        nacre_detail *why);

/* plugtest_derive makes one in memory, from sequence number `next_seq` on, with another Sender ID when one is given. */
nacre_err plugtest_derive(plugtest_context *c, char letter, const nacre_crypto *crypto, nacre_bytes sender_id,
                          uint64_t next_seq);

/* plugtest_close writes the state back and wipes. A context that is all zero may be closed. */
nacre_err plugtest_close(plugtest_context *c, nacre_detail *why);

enum { PLUGTEST_LARGE = 25 + 101 * 10 }; /* the length of /oscore/block's text */

#endif

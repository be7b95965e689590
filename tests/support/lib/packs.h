/* SPDX-License-Identifier: MIT */
/* packs: contexts to put into packs, and packs in scratch folders. */
#ifndef TEST_PACKS_H
#define TEST_PACKS_H

#include "support.h"

/* Context number `index` of a fleet: Sender ID 01, a Recipient ID made of the number, its own secret; new keys. */
void pack_describe(nacre_directory_info *info, size_t index);
/* The same as a source for nacre_pack_add; `user` points to a size_t, the index of the first one. */
nacre_err pack_source(void *user, nacre_directory_info *info, size_t index, nacre_detail *why);
/* Its peer, volatile; valid until test_release. */
nacre_context *pack_peer(const nacre_directory_info *info);

/* A pack with contexts 0 to num - 1, created and closed. */
void pack_make(const char *path, size_t num);
nacre_pack *pack_open(const char *path); /* must succeed */
void pack_close(nacre_pack *pack);       /* must succeed */

/* Called with each number that a context of a pack sends below; NULL: none. */
extern void (*pack_on_number)(const nacre_context *ctx, uint64_t number);

/* One request of `peer` to `ctx`, with `store` served as needed. NACRE_OK: accepted; then `echo`, if given, says
 * whether an Echo was needed. */
nacre_err pack_request_one(nacre_context *peer, nacre_context *ctx, const nacre_store *store, bool *echo);
nacre_bytes pack_last_request(void); /* its datagram, until the next one */
nacre_err pack_replay(nacre_context *ctx, const nacre_store *store, nacre_bytes datagram);
/* `ctx` sends a request if it can. */
nacre_err pack_try_to_send(nacre_context *ctx, const nacre_store *store);
/* `ctx` sends a request, and the peer verifies it; gives its number. */
uint64_t pack_send_one(nacre_context *peer, nacre_context *ctx, const nacre_store *store);

/* Whole files. */
nacre_bytes pack_file(const char *path); /* lives until test_release */
void pack_put_file(const char *path, nacre_bytes bytes);

#endif

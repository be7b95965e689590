/* SPDX-License-Identifier: MIT */
/* fleet: contexts of a fleet for stores, databases of them, and exchanges with them. */
#ifndef TEST_FLEET_H
#define TEST_FLEET_H

#include "support.h"

/* Context number `index` of a fleet: Sender ID 01, a Recipient ID made of the number, its own secret; new keys. */
void fleet_describe(nacre_directory_info *info, size_t index);
/* Its peer, volatile; valid until test_release. */
nacre_context *fleet_peer(const nacre_directory_info *info);

/* A database of these contexts, with ids from 1 on, closed. Only if nacre_sqlite_is_built. */
void fleet_database(const char *path, const nacre_directory_info *infos, size_t num);

/* Called with each number that a context sends below; NULL: none. */
extern void (*fleet_on_number)(const nacre_context *ctx, uint64_t number);

/* One request of `peer` to `ctx`, with `store` served as needed. NACRE_OK: accepted; then `echo`, if given, says
 * whether an Echo was needed. */
nacre_err fleet_request_one(nacre_context *peer, nacre_context *ctx, const nacre_store *store, bool *echo);
nacre_bytes fleet_last_request(void); /* its datagram, until the next one */
nacre_err fleet_replay(nacre_context *ctx, const nacre_store *store, nacre_bytes datagram);
/* `ctx` sends a request if it can. */
nacre_err fleet_try_to_send(nacre_context *ctx, const nacre_store *store);
/* `ctx` sends a request, and the peer verifies it; gives its number. */
uint64_t fleet_send_one(nacre_context *peer, nacre_context *ctx, const nacre_store *store);

/* Whole files. */
nacre_bytes file_bytes(const char *path); /* lives until test_release */
void file_put(const char *path, nacre_bytes bytes);

#endif

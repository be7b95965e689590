/* SPDX-License-Identifier: MIT */
/* pair: two context directories, the sides of one context, in a scratch directory, and clients that send requests to a
 * server with the other side (served.h). For tests of both over real sockets. */
#ifndef NACRE_TEST_PAIR_H
#define NACRE_TEST_PAIR_H

#include <nacre/nacre.h>

#include "scratch.h"
#include "served.h"

typedef struct pair {
    char *dir;
    char client[300], server[300]; /* Sender IDs 00 and 01 */
} pair;

/* pair_make makes a fresh scratch directory with the pair in it. pair_remove stops running servers and removes the
 * directory. */
void pair_make(pair *p);
void pair_remove(pair *p);

/* cmocka set-up and teardown, for tests whose state is a pair. */
int pair_set_up(void **state);
int pair_tear_down(void **state);

/* pair_more makes another pair with the same IDs, under two names in the directory. */
void pair_more(const pair *p, const char *client, const char *server);

/* pair_quick: short timers, so that an expected failure takes a second at most. */
extern const nacre_timing pair_quick;

/* ---- Clients; an unexpected failure fails the test with its reason ----------------------------------------------- */
nacre_client *pair_open(const nacre_client_options *options);
nacre_client *pair_open_with(const char *context_dir); /* pair_quick */
void pair_close(nacre_client *client);

/* pair_get sends one request; `why` is empty before. */
nacre_err pair_get(nacre_client *client, nacre_reply *reply, const char *uri, nacre_detail *why);

/* pair_expect GETs this text, protected. */
void pair_expect(nacre_client *client, const char *uri, const char *text);

/* pair_expect_error fails with this error: soon, and with a one-line message. */
void pair_expect_error(nacre_client *client, const char *uri, nacre_err expected, nacre_reply *reply);

/* What a client showed: set pair_see_datagram and pair_see_message with this as their user. */
typedef struct pair_seen {
    size_t sent, received, messages;
    uint8_t first_type;
    uint8_t last_code;
    bool has_accept, all_protected;
} pair_seen;
void pair_see_datagram(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len);
void pair_see_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain);

#endif

/* SPDX-License-Identifier: MIT */
/* client: the interface between the interop client and its tests. */
#ifndef NACRE_TOOL_PLUGTEST_CLIENT_H
#define NACRE_TOOL_PLUGTEST_CLIENT_H

#include "plugtest.h"
#include "store_lines.h"

/* The result of a request, or of waiting for the next notification. */
typedef struct plugtest_outcome {
    nacre_event_kind kind; /* RESPONSE, NOTIFICATION or FAILED */
    nacre_err err;         /* reason of FAILED */
    bool is_protected;
    nacre_message message; /* its slices point into `bytes` */
    uint8_t bytes[1280];
} plugtest_outcome;

typedef struct plugtest_client {
    plugtest_crypto crypto;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_address peer;
    plugtest_context a, c;
    nacre_exchange exchange; /* in flight, or none */
    bool arrived;            /* `outcome` is new */
    plugtest_outcome outcome;
    store_lines lines;
    char remark[300]; /* a test's remark beside its verdict */
} plugtest_client;

/* plugtest_request sends a request and waits for its outcome in client->outcome: a response, the first notification or a
 * failure. False: it could not be sent. */
bool plugtest_request(plugtest_client *client, nacre_context *context, const nacre_message *request);

/* plugtest_wait waits for the next notification, or the end, of an observation. False: none within `ms`. */
bool plugtest_wait(plugtest_client *client, uint32_t ms);

/* plugtest_end cancels an exchange that is still open. */
void plugtest_end(plugtest_client *client);

/* plugtest_spend durably takes a sequence number of a context, for use by a context with other keys. */
nacre_err plugtest_spend(plugtest_client *client, plugtest_context *context, uint64_t *number);

enum { PLUGTEST_LAST = 17 };
typedef enum plugtest_verdict { PLUGTEST_PASSED, PLUGTEST_FAILED } plugtest_verdict;
plugtest_verdict plugtest_run(plugtest_client *client, int number);
const char *plugtest_title(int number);

#endif

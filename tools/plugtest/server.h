/* SPDX-License-Identifier: MIT */
/* server: the interface between the interop server and its resources. */
#ifndef NACRE_TOOL_PLUGTEST_SERVER_H
#define NACRE_TOOL_PLUGTEST_SERVER_H

#include "plugtest.h"

typedef struct plugtest_reply {
    uint8_t code;
    nacre_options options; /* in `option_buf` */
    nacre_bytes payload;   /* static, in `buf`, or the request's */
    uint8_t option_buf[64];
    char buf[1200];
} plugtest_reply;

/* What resources may read beside the request. */
typedef struct plugtest_view {
    const nacre_context *b, *d; /* NULL when the server simulates one without OSCORE */
} plugtest_view;

/* plugtest_respond makes the response to a request. A request that does not have what its test requires is reported on stderr
 * and still gets a response. */
void plugtest_respond(const plugtest_view *view, const nacre_message *request, bool is_protected,
                      plugtest_reply *reply);

/* plugtest_reply_text: 2.05, Content-Format 0 and `text`, which must outlive the reply. */
void plugtest_reply_text(plugtest_reply *reply, const char *text);

void plugtest_reply_init(plugtest_reply *reply, uint8_t code);

/* plugtest_observed returns how the observable resource at that path changes: the texts of its states, NULL-terminated,
 * and whether an error follows. NULL: no such resource. */
typedef struct plugtest_series {
    const char *path;
    const char *states[3];
    bool terminates;
} plugtest_series;
const plugtest_series *plugtest_observed(const nacre_message *request);

#endif

/* SPDX-License-Identifier: MIT */
/* server: what the server of the interop tests and its resources say to each other. */
#ifndef NACRE_TOOL_PLUGTEST_SERVER_H
#define NACRE_TOOL_PLUGTEST_SERVER_H

#include "plugtest.h"

typedef struct plugtest_reply {
    uint8_t code;
    nacre_options options; /* in `option_room` */
    nacre_bytes payload;   /* static, in `room`, or the request's */
    uint8_t option_room[64];
    char buf[1200];
} plugtest_reply;

/* What resources may look at beside the request. */
typedef struct plugtest_view {
    const nacre_context *b, *d; /* NULL when the server plays not to know OSCORE */
} plugtest_view;

/* plugtest_answer makes the answer to a request; what the tests want of a request and it has not is told on stderr, and answered
 * all the same. */
void plugtest_answer(const plugtest_view *view, const nacre_message *request, bool is_protected, plugtest_reply *reply);

/* plugtest_reply_text: 2.05, Content-Format 0, and a text that lives long enough. */
void plugtest_reply_text(plugtest_reply *reply, const char *text);

void plugtest_reply_init(plugtest_reply *reply, uint8_t code);

/* plugtest_observed says how the observable resource at that path goes on: the texts of its states, with NULL behind the
 * last, and whether it ends in an error then. NULL: there is none. */
typedef struct plugtest_series {
    const char *path;
    const char *states[3];
    bool terminates;
} plugtest_series;
const plugtest_series *plugtest_observed(const nacre_message *request);

#endif

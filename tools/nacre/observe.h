/* SPDX-License-Identifier: MIT */
/* observe: what nacre observe does beside a request: notifications until there were enough. */
#ifndef NACRE_TOOL_OBSERVE_H
#define NACRE_TOOL_OBSERVE_H

#include "tool.h"

typedef struct observe_args {
    uint32_t count;       /* notifications to print; 0: no limit */
    uint32_t duration_ms; /* 0: no limit */
} observe_args;

/* One payload and a newline. False: stdout does not take it. */
bool observe_print(const nacre_reply *reply);

/* Prints the payload of each notification, each with a newline behind it, until count, duration, nacre_client_stop, or the
 * end of what is observed. As nacre_client_observe; `num` tells how many were printed,
 * `output_failed` that stdout does not take it. */
nacre_err observe_run(const observe_args *args, nacre_client *client, nacre_reply *reply, const char *uri,
                      const nacre_options *options, uint32_t *num, bool *output_failed, nacre_detail *why);

#endif

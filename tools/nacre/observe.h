/* SPDX-License-Identifier: MIT */
/* observe: the part of nacre observe beyond a single request: its notifications. */
#ifndef NACRE_TOOL_OBSERVE_H
#define NACRE_TOOL_OBSERVE_H

#include "tool.h"

typedef struct observe_args {
    uint32_t count;       /* notifications to print; 0: no limit */
    uint32_t duration_ms; /* 0: no limit */
} observe_args;

/* Prints a payload and a newline. False: writing to stdout failed. */
bool observe_print(const nacre_reply *reply);

/* Prints the payload of each notification, followed by a newline, until count or duration is reached, nacre_client_stop is
 * called or the observation ends. Returns as nacre_client_observe; `num` is the number printed, `output_failed`: writing to
 * stdout failed. */
nacre_err observe_run(const observe_args *args, nacre_client *client, nacre_reply *reply, const char *uri,
                      const nacre_options *options, uint32_t *num, bool *output_failed, nacre_detail *why);

#endif

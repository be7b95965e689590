/* SPDX-License-Identifier: MIT */
/* request_show: the output of -v on stderr: each message before protection, beside the one on the wire. */
#ifndef NACRE_TOOL_REQUEST_SHOW_H
#define NACRE_TOOL_REQUEST_SHOW_H

#include "tool.h"

/* Initialize to zero. It is the `user` of the two functions, which are nacre_client_options.on_datagram and on_message. */
typedef struct request_show {
    char *request;     /* a request not yet sent, as text */
    uint8_t *response; /* the last received datagram */
    size_t response_len;
} request_show;

void request_show_datagram(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len);
void request_show_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain);

/* request_show_end prints what was never sent, and frees. */
void request_show_end(request_show *show);

#endif

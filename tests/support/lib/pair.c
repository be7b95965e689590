/* SPDX-License-Identifier: MIT */
/* pair: context directories of both sides, and clients that send requests. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const nacre_timing pair_quick = {
    .ack_timeout_ms = 100, .ack_random_factor_milli = 1000, .max_retransmit = 2, .response_timeout_ms = 800
};

void pair_more(const pair *p, const char *client, const char *server)
{
    const nacre_generate_options options = { .client_id = NACRE_STR("\x00"), .server_id = NACRE_STR("\x01") };
    nacre_detail why = { { 0 } };
    char a[300], b[300];
    (void)snprintf(a, sizeof a, "%s/%s", p->dir, client);
    (void)snprintf(b, sizeof b, "%s/%s", p->dir, server);
    if (nacre_directory_generate(a, b, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
}

void pair_make(pair *p)
{
    p->dir = scratch_make();
    pair_more(p, "client", "server");
    (void)snprintf(p->client, sizeof p->client, "%s/client", p->dir);
    (void)snprintf(p->server, sizeof p->server, "%s/server", p->dir);
}

void pair_remove(pair *p)
{
    served_end();
    scratch_remove(p->dir);
    p->dir = NULL;
}

int pair_set_up(void **state)
{
    pair *p = calloc(1, sizeof *p);
    if (p == NULL) return -1;
    pair_make(p);
    *state = p;
    return 0;
}

int pair_tear_down(void **state)
{
    pair_remove(*state);
    free(*state);
    return 0;
}

nacre_client *pair_open(const nacre_client_options *options)
{
    nacre_client *client;
    nacre_detail why = { { 0 } };
    if (nacre_client_open(&client, options, &why) != NACRE_OK) fail_msg("%s", why.text);
    return client;
}

nacre_client *pair_open_with(const char *context_dir)
{
    const nacre_client_options options = { .context_dir = context_dir, .timing = pair_quick };
    return pair_open(&options);
}

void pair_close(nacre_client *client)
{
    nacre_detail why = { { 0 } };
    if (nacre_client_close(client, &why) != NACRE_OK) fail_msg("%s", why.text);
}

nacre_err pair_get(nacre_client *client, nacre_reply *reply, const char *uri, nacre_detail *why)
{
    *why = (nacre_detail){ { 0 } };
    return nacre_client_request(client, reply, NACRE_GET, uri, NULL, NACRE_ABSENT, why);
}

void pair_expect(nacre_client *client, const char *uri, const char *text)
{
    nacre_reply reply;
    nacre_detail why;
    const nacre_err err = pair_get(client, &reply, uri, &why);
    if (err != NACRE_OK) fail_msg("%s: %s: %s", uri, nacre_err_name(err), why.text);
    assert_int_equal(reply.code, NACRE_CONTENT);
    assert_true(reply.is_protected);
    assert_int_equal(reply.payload.len, strlen(text));
    assert_memory_equal(reply.payload.ptr, text, reply.payload.len);
}

void pair_expect_error(nacre_client *client, const char *uri, nacre_err expected, nacre_reply *reply)
{
    nacre_detail why;
    const uint64_t start = nacre_clock_ms();
    const nacre_err err = pair_get(client, reply, uri, &why);
    if (err != expected) fail_msg("%s: %s, not %s: %s", uri, nacre_err_name(err), nacre_err_name(expected), why.text);
    assert_true(strlen(why.text) > 10);
    assert_null(strchr(why.text, '\n'));
    assert_true(nacre_clock_ms() - start < 5000);
}

void pair_see_datagram(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)full_len;
    pair_seen *s = user;
    (void)peer;
    if (outgoing && s->sent == 0) s->first_type = bytes.ptr[0] >> 4 & 3;
    if (outgoing) s->sent++;
    else s->received++;
}

void pair_see_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain)
{
    pair_seen *s = user;
    s->all_protected = is_protected && (s->messages == 0 || s->all_protected);
    s->messages++;
    s->last_code = plain->code;
    if (outgoing) s->has_accept = !nacre_is_absent(nacre_option_find(plain->options, NACRE_OPT_ACCEPT));
}

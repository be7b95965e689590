/* SPDX-License-Identifier: MIT */
/* rederiving: a client and a server that derive fresh contexts with their peer (RFC 8613 B.2, nacre/rederivation.h), to
 * test other implementations. SECRET and the IDs are hex; ID Context is absent.
 *
 *     renewed serve ADDRESS SECRET SENDER_ID RECIPIENT_ID
 *         prints "listening coap://ADDRESS" when it is ready, and "renewed" for each fresh context; answers 2.05 with
 *         the request's payload. After the response to a request with the payload "forget" it drops the context. Until
 *         interrupted.
 *     renewed ask ADDRESS PATH SECRET SENDER_ID RECIPIENT_ID NUM
 *         requests PATH NUM times, and prints "renewed" for each fresh context and the payload of each response; drops
 *         the context after every second one. Exit 1 if a response does not arrive. */
#include <nacre/nacre.h>
#include <nacre/rederivation.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ID = 7, MAX_SECRET = 64, STEP_MS = 200, PATIENCE_MS = 20000 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

typedef struct side {
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_rederivation rederivation;
    uint8_t secret[MAX_SECRET], ids[2][MAX_ID];
    void *keys[2];
    bool over;
    nacre_err err;
} side;

static bool read_hex(nacre_bytes *out, uint8_t *buf, size_t cap, const char *hex)
{
    const size_t len = strlen(hex) / 2;
    if (strlen(hex) % 2 != 0 || len > cap) return false;
    for (size_t i = 0; i < len; i++) {
        unsigned value;
        if (sscanf(hex + 2 * i, "%2x", &value) != 1) return false;
        buf[i] = (uint8_t)value;
    }
    *out = nacre_bytes_of(buf, len);
    return true;
}

/* words: secret, our ID, the peer's. */
static nacre_err make_rederivation(side *s, char **words)
{
    nacre_bytes secret;
    size_t size, align;
    nacre_rederivation *r = &s->rederivation;
    if (!read_hex(&secret, s->secret, sizeof s->secret, words[0]) ||
        !read_hex(&r->material.sender_id, s->ids[0], MAX_ID, words[1]) ||
        !read_hex(&r->material.recipient_id, s->ids[1], MAX_ID, words[2]))
        return NACRE_ERR_BAD_ARGUMENT;
    r->material.master_secret = (nacre_secret){ secret, 0 };
    nacre_err err = nacre_context_key_layout(&s->crypto, 0, &size, &align);
    if (err != NACRE_OK) return err;
    for (int i = 0; i < 2; i++)
        if ((s->keys[i] = aligned_alloc(align, (size + align - 1) / align * align)) == NULL) return NACRE_ERR_NO_MEMORY;
    r->derived.key_buf = (nacre_buf){ s->keys[0], size };
    r->spare.key_buf = (nacre_buf){ s->keys[1], size };
    return nacre_endpoint_add_rederivation(nacre_loop_endpoint(s->loop), r);
}

static nacre_err open_side(side *s, const nacre_address *local, nacre_on_event on_event, nacre_detail *why)
{
    nacre_err err = nacre_openssl_open(&s->crypto);
    if (err == NACRE_OK) err = nacre_udp_open(&s->udp, local, why);
    const nacre_endpoint_config config = { .crypto = s->crypto };
    if (err == NACRE_OK) err = nacre_loop_open(&s->loop, s->udp, &config, on_event, s, why);
    return err;
}

static void close_side(side *s)
{
    if (s->loop != NULL) nacre_endpoint_remove_rederivation(nacre_loop_endpoint(s->loop), &s->rederivation);
    nacre_loop_close(s->loop);
    nacre_udp_close(s->udp);
    nacre_openssl_close(&s->crypto);
    for (int i = 0; i < 2; i++) free(s->keys[i]);
    nacre_wipe(s->secret, sizeof s->secret);
}

static void say(nacre_bytes payload)
{
    printf("%.*s\n", (int)payload.len, payload.len == 0 ? "" : (const char *)payload.ptr);
    fflush(stdout);
}

/* ---- serve ------------------------------------------------------------------------------------------------------- */

static bool is_word(nacre_bytes payload, const char *word)
{
    return payload.len == strlen(word) && memcmp(payload.ptr, word, payload.len) == 0;
}

static void on_request(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    side *s = user;
    if (event->kind == NACRE_EVENT_REDERIVED) say(nacre_bytes_of((const uint8_t *)"renewed", 7));
    if (event->kind != NACRE_EVENT_REQUEST) return;
    const nacre_message response = { .code = event->context != NULL ? NACRE_CONTENT : NACRE_UNAUTHORIZED,
                                     .payload = event->message.payload };
    s->over = event->context != NULL && is_word(event->message.payload, "forget");
    s->err = nacre_endpoint_respond(ep, event->exchange, &response);
}

static nacre_err serve(side *s, char **words, nacre_detail *why)
{
    char text[72];
    nacre_address local;
    nacre_err err = nacre_address_resolve(&local, words[0], 0, why);
    if (err == NACRE_OK) err = open_side(s, &local, on_request, why);
    s->rederivation.is_server = true;
    if (err == NACRE_OK) err = make_rederivation(s, words + 1);
    if (err != NACRE_OK) return err;
    local = nacre_udp_local(s->udp);
    nacre_address_text(&local, text);
    printf("listening coap://%s\n", text);
    fflush(stdout);
    while (!interrupted && err == NACRE_OK && s->err == NACRE_OK) {
        err = nacre_loop_step(s->loop, STEP_MS, why);
        if (s->over) nacre_endpoint_rederive(nacre_loop_endpoint(s->loop), &s->rederivation);
        s->over = false;
    }
    return err != NACRE_OK ? err : s->err;
}

/* ---- ask --------------------------------------------------------------------------------------------------------- */

static void on_response(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    side *s = user;
    (void)ep;
    if (event->kind == NACRE_EVENT_REDERIVED) say(nacre_bytes_of((const uint8_t *)"renewed", 7));
    if (event->kind != NACRE_EVENT_RESPONSE && event->kind != NACRE_EVENT_FAILED) return;
    if (event->kind == NACRE_EVENT_RESPONSE) say(event->message.payload);
    s->err = event->kind == NACRE_EVENT_FAILED ? event->err : NACRE_OK;
    s->over = true;
}

static nacre_err request_once(side *s, const nacre_address *peer, const char *path, nacre_detail *why)
{
    uint8_t options[64];
    nacre_options o;
    nacre_exchange exchange;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    const nacre_request_options how = { .rederivation = &s->rederivation, .timeout_ms = PATIENCE_MS };
    nacre_options_init(&o, NACRE_BUF(options));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, strlen(path)));
    nacre_err err = nacre_options_finish(&o, &get.options);
    if (err == NACRE_OK)
        err = nacre_endpoint_request_with(nacre_loop_endpoint(s->loop), &exchange, peer, NULL, &get, &how, NULL);
    for (s->over = false; err == NACRE_OK && !s->over && !interrupted;) err = nacre_loop_step(s->loop, STEP_MS, why);
    return err != NACRE_OK ? err : interrupted ? NACRE_ERR_TIMEOUT : s->err;
}

static nacre_err request(side *s, char **words, nacre_detail *why)
{
    nacre_address peer;
    nacre_err err = nacre_address_resolve(&peer, words[0], 5683, why);
    if (err == NACRE_OK) err = open_side(s, NULL, on_response, why);
    s->rederivation.is_client = true;
    if (err == NACRE_OK) err = make_rederivation(s, words + 2);
    const unsigned long num = strtoul(words[5], NULL, 10);
    for (unsigned long i = 0; i < num && err == NACRE_OK; i++) {
        if (i > 0 && i % 2 == 0) nacre_endpoint_rederive(nacre_loop_endpoint(s->loop), &s->rederivation);
        err = request_once(s, &peer, words[1], why);
    }
    return err;
}

int main(int argc, char **argv)
{
    static side s;
    nacre_detail why = { { 0 } };
    nacre_err err;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (argc == 6 && strcmp(argv[1], "serve") == 0) {
        err = serve(&s, argv + 2, &why);
    } else if (argc == 8 && strcmp(argv[1], "ask") == 0) {
        err = request(&s, argv + 2, &why);
    } else {
        fprintf(stderr, "usage: renewed serve ADDRESS SECRET SENDER_ID RECIPIENT_ID\n"
                        "       renewed ask ADDRESS PATH SECRET SENDER_ID RECIPIENT_ID NUM\n");
        return 2;
    }
    close_side(&s);
    if (err != NACRE_OK) fprintf(stderr, "renewed: %s: %s\n", nacre_err_text(err), why.text);
    return err != NACRE_OK;
}

/* SPDX-License-Identifier: MIT */
/* nacre plugtest-server: the server of the public OSCORE interop tests, with contexts B and D. */
#include "server.h"
#include "suggest.h"
#include "signals.h"
#include "store_lines.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char name[] = "plugtest-server";

enum { COAP_PORT = 5683, STEP_MS = 200, CHANGE_MS = 2000, NUM_SLOTS = 4, NUM_OBSERVERS = 16 };

/* An observer; each gets the series from its beginning. */
typedef struct observer {
    nacre_observer handle;
    const plugtest_series *series; /* NULL: a free entry */
    int at;
    uint64_t due_ms; /* of the next state; UINT64_MAX: none */
} observer;

typedef struct server {
    const char *bind, *state;
    bool help, unaware;
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_loop *loop;
    plugtest_context b, d;
    nacre_table table;
    nacre_table_slot slots[NUM_SLOTS];
    plugtest_reply reply;
    observer observers[NUM_OBSERVERS];
    store_lines lines;
} server;

/* ---- Command line --------------------------------------------------------------------------------------------------- */

static int print_help(void)
{
    printf("Usage: nacre plugtest-server [--bind ADDRESS] [--state DIR] [--unaware]\n"
           "\n"
           "The server of the public OSCORE interop tests. Its keys are known to everybody: it protects\n"
           "nothing. Prints 'listening coap://ADDRESS' on stdout when it is ready.\n"
           "\n"
           "  --bind ADDRESS  HOST, HOST:PORT or [IPV6]:PORT; port 0 takes a free one\n"
           "                  (default: port 5683 on every address)\n"
           "  --state DIR     keep contexts B and D in DIR, which is made when it is not there;\n"
           "                  without this they are fresh at each start\n"
           "  --unaware       play a server that does not know OSCORE, for test 16\n"
           "  -h, --help      this text\n");
    return TOOL_OK;
}

enum { OPT_BIND = 256, OPT_STATE, OPT_UNAWARE };

static const struct option long_options[] = { { "bind", required_argument, NULL, OPT_BIND },
                                              { "state", required_argument, NULL, OPT_STATE },
                                              { "unaware", no_argument, NULL, OPT_UNAWARE },
                                              { "help", no_argument, NULL, 'h' },
                                              { NULL, 0, NULL, 0 } };

static int parse(server *s, int argc, char **argv)
{
    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        const char *given = argv[optind - 1];
        switch (option) {
        case OPT_BIND: s->bind = optarg; break;
        case OPT_STATE: s->state = optarg; break;
        case OPT_UNAWARE: s->unaware = true; break;
        case 'h': s->help = true; return TOOL_OK;
        case ':': return tool_usage(name, "%s needs a value", given);
        default: return tool_bad_option(name, given, long_options);
        }
    }
    if (optind < argc) return tool_usage(name, "%s: plugtest-server takes options only", argv[optind]);
    return TOOL_OK;
}

/* ---- Serving -------------------------------------------------------------------------------------------------------- */

static void respond(nacre_endpoint *ep, nacre_exchange exchange, const plugtest_reply *reply)
{
    nacre_message plain = { .code = reply->code, .payload = reply->payload };
    nacre_err err = nacre_options_finish(&reply->options, &plain.options);
    if (err == NACRE_OK) err = nacre_endpoint_respond(ep, exchange, &plain);
    if (err != NACRE_OK) nacre_endpoint_ignore(ep, exchange);
}

/* ---- Observing ------------------------------------------------------------------------------------------------------ */

static bool has_next(const observer *o)
{
    return o->series->states[o->at] != NULL && (o->series->states[o->at + 1] != NULL || o->series->terminates);
}

static void wait_for_change(observer *o)
{
    o->due_ms = has_next(o) ? nacre_clock_ms() + CHANGE_MS : UINT64_MAX;
}

/* Accepts a registration if the request has one and an entry is free; the request then gets its response as any other. */
static void observe(server *s, nacre_endpoint *ep, const nacre_event *event)
{
    uint64_t value = 1;
    nacre_bytes option = nacre_option_find(event->message.options, NACRE_OPT_OBSERVE);
    const plugtest_series *series = plugtest_observed(&event->message);
    if (series == NULL || event->context == NULL || nacre_is_absent(option) || !nacre_option_uint(option, &value) ||
        value != 0)
        return;
    for (int i = 0; i < NUM_OBSERVERS; i++) {
        observer *o = &s->observers[i];
        if (o->series != NULL) continue;
        if (nacre_endpoint_observe(ep, &o->handle, event->exchange, o) != NACRE_OK) return;
        o->series = series;
        o->at = 0;
        wait_for_change(o);
        return;
    }
}

static void notify(nacre_endpoint *ep, nacre_exchange exchange, const observer *o, plugtest_reply *reply)
{
    const char *state = o->series->states[o->at];
    plugtest_reply_text(reply, state != NULL ? state : "Terminate Observe");
    if (state == NULL) { /* RFC 7252 5.5.2: a diagnostic payload has no Content-Format */
        nacre_bytes text = reply->payload;
        plugtest_reply_init(reply, NACRE_SERVER_ERROR);
        reply->payload = text;
    }
    respond(ep, exchange, reply);
}

static void change_what_is_due(server *s)
{
    uint64_t now = nacre_clock_ms();
    for (int i = 0; i < NUM_OBSERVERS; i++) {
        observer *o = &s->observers[i];
        if (o->series == NULL || o->due_ms > now) continue;
        o->at++;
        wait_for_change(o);
        nacre_endpoint_changed(nacre_loop_endpoint(s->loop), o->handle);
    }
}

/* ---- The loop ------------------------------------------------------------------------------------------------------- */

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    server *s = user;
    observer *o = event->user;
    if (event->kind == NACRE_EVENT_NOTIFY) notify(ep, event->exchange, o, &s->reply);
    if (event->kind == NACRE_EVENT_OBSERVER_REMOVED) o->series = NULL;
    if (event->kind != NACRE_EVENT_REQUEST) return;
    observe(s, ep, event);
    const plugtest_view view = { s->b.context, s->d.context };
    plugtest_respond(&view, &event->message, event->context != NULL, &s->reply);
    respond(ep, event->exchange, &s->reply);
}

static nacre_err add_context(server *s, plugtest_context *c, char letter, nacre_detail *why)
{
    nacre_err err = plugtest_open(c, letter, s->state, &s->crypto, why);
    if (err == NACRE_OK) err = nacre_table_add(&s->table, c->context);
    if (err == NACRE_OK && c->store.ops != NULL) err = nacre_loop_add_store(s->loop, c->context, c->store);
    return err;
}

static nacre_err set_up(server *s, nacre_detail *why)
{
    nacre_address local;
    nacre_err err = nacre_openssl_open(&s->crypto);
    if (err == NACRE_OK) err = nacre_table_init(&s->table, s->slots, NUM_SLOTS);
    if (err == NACRE_OK) err = nacre_address_resolve(&local, s->bind != NULL ? s->bind : "[::]", COAP_PORT, why);
    if (err == NACRE_OK) err = nacre_udp_open(&s->udp, &local, why);
    if (err != NACRE_OK) return err;
    nacre_endpoint_config config = { .contexts = &s->table,
                                     .opaque_oscore = s->unaware,
                                     .observe.num_observers = NUM_OBSERVERS };
    config.crypto = s->crypto;
    err = nacre_loop_open(&s->loop, s->udp, &config, on_event, s, why);
    if (err != NACRE_OK || s->unaware) return err;
    s->lines.subcommand = name;
    nacre_loop_on_store(s->loop, store_lines_tell, &s->lines);
    err = add_context(s, &s->b, 'b', why);
    return err == NACRE_OK ? add_context(s, &s->d, 'd', why) : err;
}

static int serve(server *s)
{
    char text[72];
    nacre_detail why = { { 0 } };
    tool_signals_catch(name, true);
    nacre_err err = set_up(s, &why);
    if (err != NACRE_OK) return tool_fail(name, err, "%s", why.text[0] != '\0' ? why.text : nacre_err_text(err));
    nacre_address local = nacre_udp_local(s->udp);
    nacre_address_text(&local, text);
    if (printf("listening coap://%s\n", text) < 0 || fflush(stdout) != 0)
        return tool_fail(name, NACRE_ERR_FILE, "cannot write to stdout: %s", strerror(errno));
    while (!tool_is_stopped()) {
        change_what_is_due(s);
        err = nacre_loop_step(s->loop, STEP_MS, &why);
        if (err != NACRE_OK) return tool_fail(name, err, "%s", why.text);
    }
    return TOOL_OK;
}

static int tear_down(server *s, int result)
{
    nacre_detail why = { { 0 } };
    nacre_loop_close(s->loop); /* first, because its endpoint borrows the contexts */
    nacre_err b = plugtest_close(&s->b, &why), d = plugtest_close(&s->d, b == NACRE_OK ? &why : NULL);
    nacre_udp_close(s->udp);
    if (s->crypto.ops != NULL) nacre_openssl_close(&s->crypto);
    if (result != TOOL_OK || (b == NACRE_OK && d == NACRE_OK)) return result;
    return tool_fail(name, b != NACRE_OK ? b : d, "%s", why.text);
}

int plugtest_server_main(int argc, char **argv)
{
    static server s; /* too large for some stacks */
    int result = parse(&s, argc, argv);
    if (result != TOOL_OK) return result;
    return s.help ? print_help() : tear_down(&s, serve(&s));
}

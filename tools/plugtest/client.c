/* SPDX-License-Identifier: MIT */
/* nacre plugtest-client: the client of the public OSCORE interop tests, with contexts A and C. */
#include "client.h"
#include "base/hosted/detail.h"
#include "io/address.h"
#include "suggest.h"
#include "signals.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char name[] = "plugtest-client";

enum { COAP_PORT = 5683, UNAWARE_TEST = 16, NO_TEST_SAID = -1, STOP_MS = 250 };

typedef struct args {
    const char *state, *host;
    bool help;
    bool wanted[PLUGTEST_LAST + 1];
    bool all;
} args;

/* ---- Command line --------------------------------------------------------------------------------------------------- */

static int print_help(void)
{
    printf("Usage: nacre plugtest-client --state DIR HOST[:PORT] [N ...]\n"
           "\n"
           "Runs the public OSCORE interop tests against a server: number N, or all but 16, which needs a\n"
           "server that does not know OSCORE. Prints a line for each on stdout.\n"
           "\n"
           "  --state DIR   keep contexts A and C in DIR, which is made when it is not there. A second run\n"
           "                without the state of the first would be a replay\n"
           "  -h, --help    this text\n"
           "\n");
    for (int i = 0; i <= PLUGTEST_LAST; i++) printf("  %2d  %s\n", i, plugtest_title(i));
    printf("\nExit codes: 0 all passed, 1 one failed, 2 usage, 5 local failure.\n");
    return TOOL_OK;
}

static int take_number(args *a, const char *text)
{
    size_t len = strlen(text);
    int number = len >= 1 && len <= 2 && strspn(text, "0123456789") == len ? atoi(text) : PLUGTEST_LAST + 1;
    if (number > PLUGTEST_LAST) return tool_usage(name, "%s: tests have the numbers 0 to %d", text, (int)PLUGTEST_LAST);
    a->wanted[number] = true;
    return TOOL_OK;
}

static int parse(args *a, int argc, char **argv)
{
    static const struct option long_options[] = { { "state", required_argument, NULL, 's' },
                                                  { "help", no_argument, NULL, 'h' },
                                                  { NULL, 0, NULL, 0 } };
    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        const char *given = argv[optind - 1];
        if (option == 's') a->state = optarg;
        else if (option == 'h') a->help = true;
        else if (option == ':') return tool_usage(name, "%s needs a value", given);
        else return tool_bad_option(name, given, long_options);
        if (a->help) return TOOL_OK;
    }
    if (a->state == NULL) return tool_usage(name, "--state DIR is missing: where contexts A and C are kept");
    if (optind == argc) return tool_usage(name, "no server given: write HOST or HOST:PORT");
    a->host = argv[optind++];
    a->all = optind == argc;
    for (; optind < argc; optind++) {
        int result = take_number(a, argv[optind]);
        if (result != TOOL_OK) return result;
    }
    return TOOL_OK;
}

/* ---- One request ---------------------------------------------------------------------------------------------------- */

static void keep_message(plugtest_outcome *o, const nacre_message *message)
{
    size_t options = message->options.len, payload = message->payload.len;
    o->message = *message;
    o->message.token = NACRE_ABSENT;
    if (options + payload > sizeof o->bytes) options = payload = 0; /* a message never exceeds `bytes` */
    if (options > 0) memcpy(o->bytes, message->options.ptr, options);
    if (payload > 0) memcpy(o->bytes + options, message->payload.ptr, payload);
    o->message.options = nacre_bytes_of(o->bytes, options);
    o->message.payload = nacre_bytes_of(o->bytes + options, payload);
}

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    plugtest_client *client = user;
    if (event->kind == NACRE_EVENT_REQUEST) nacre_endpoint_ignore(ep, event->exchange); /* no resources here */
    if (!nacre_exchange_equal(event->exchange, client->exchange)) return;
    switch (event->kind) {
    case NACRE_EVENT_RESPONSE:
    case NACRE_EVENT_FAILED:
    case NACRE_EVENT_NOTIFICATION:
    case NACRE_EVENT_PONG: break;
    default: return; /* hints: the exchange continues */
    }
    client->arrived = true;
    client->outcome.kind = event->kind;
    client->outcome.err = event->err;
    client->outcome.is_protected = event->context != NULL;
    keep_message(&client->outcome, &event->message);
    if (event->kind == NACRE_EVENT_RESPONSE || event->kind == NACRE_EVENT_FAILED)
        client->exchange = NACRE_EXCHANGE_NONE;
}

bool plugtest_wait(plugtest_client *client, uint32_t ms)
{
    uint64_t start = nacre_clock_ms(), passed;
    while (!client->arrived && !tool_is_stopped() && (passed = nacre_clock_ms() - start) < ms) {
        const uint32_t left =
            ms - (uint32_t)passed; /* a signal that arrives just before the wait is noticed after STOP_MS */
        if (nacre_loop_step(client->loop, left < STOP_MS ? left : (uint32_t)STOP_MS, NULL) != NACRE_OK) return false;
    }
    bool arrived = client->arrived;
    client->arrived = false;
    return arrived;
}

bool plugtest_request(plugtest_client *client, nacre_context *context, const nacre_message *request)
{
    plugtest_end(client);
    nacre_err err = nacre_endpoint_request(nacre_loop_endpoint(client->loop), &client->exchange, &client->peer, context,
                                           request, NULL);
    if (err != NACRE_OK) {
        (void)snprintf(client->remark, sizeof client->remark, "the request cannot be sent: %s", nacre_err_text(err));
        return false;
    }
    return plugtest_wait(client, UINT32_MAX);
}

void plugtest_end(plugtest_client *client)
{
    if (!nacre_exchange_is_none(client->exchange))
        nacre_endpoint_cancel(nacre_loop_endpoint(client->loop), client->exchange);
    client->exchange = NACRE_EXCHANGE_NONE;
    client->arrived = false;
}

nacre_err plugtest_spend(plugtest_client *client, plugtest_context *context, uint64_t *number)
{
    uint8_t buf[64];
    nacre_bytes out;
    nacre_request_id id;
    const nacre_message request = { .code = NACRE_GET };
    *number = nacre_context_next_seq(context->context);
    nacre_err err =
        nacre_protect_request(context->context, &client->crypto.crypto, &id, &out, NACRE_BUF(buf), &request, NULL);
    if (err != NACRE_ERR_NOT_YET) return err;
    err = nacre_store_serve(&context->store, context->context, NULL);
    return err != NACRE_OK ? err
                           : nacre_protect_request(context->context, &client->crypto.crypto, &id, &out, NACRE_BUF(buf),
                                                   &request, NULL);
}

/* ---- All tests ------------------------------------------------------------------------------------------------------ */

static nacre_err add_context(plugtest_client *client, plugtest_context *c, char letter, const char *state,
                             nacre_detail *why)
{
    nacre_err err = plugtest_open(c, letter, state, &client->crypto.crypto, why);
    return err == NACRE_OK ? nacre_loop_add_store(client->loop, c->context, c->store) : err;
}

static nacre_err set_up(plugtest_client *client, const args *a, nacre_detail *why)
{
    static const nacre_address any;
    nacre_err err = nacre_address_resolve(&client->peer, a->host, COAP_PORT, why);
    if (err == NACRE_OK && !nacre__address_is_one_host(&client->peer))
        err = nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                          "'%s' is not the address of one host, and nothing was sent; name one server", a->host);
    if (err == NACRE_OK) err = plugtest_crypto_open(&client->crypto);
    if (err == NACRE_OK) err = nacre_udp_open(&client->udp, &any, why);
    if (err != NACRE_OK) return err;
    /* Several tests wait for rejected responses, or for responses that never come. */
    nacre_endpoint_config config = { .num_client_exchanges = 4 };
    config.timing = (nacre_timing){ .max_retransmit = 3, .response_timeout_ms = 5000 };
    config.crypto = client->crypto.crypto;
    err = nacre_loop_open(&client->loop, client->udp, &config, on_event, client, why);
    if (err != NACRE_OK) return err;
    client->lines.subcommand = name;
    nacre_loop_on_store(client->loop, store_lines_tell, &client->lines);
    err = add_context(client, &client->a, 'a', a->state, why);
    return err == NACRE_OK ? add_context(client, &client->c, 'c', a->state, why) : err;
}

static int run(plugtest_client *client, const args *a)
{
    static const char *const verdicts[] = { "passed", "failed" };
    int passed = 0, failed = 0, skipped = 0;
    for (int i = 0; i <= PLUGTEST_LAST; i++) {
        if (a->all && i == UNAWARE_TEST) {
            printf("test %d: skipped - %s: it needs a server without OSCORE; name its number to run it\n", i,
                   plugtest_title(i));
            skipped++;
        }
        if (a->all ? i == UNAWARE_TEST : !a->wanted[i]) continue;
        client->remark[0] = '\0';
        plugtest_verdict verdict = plugtest_run(client, i);
        plugtest_end(client);
        if (tool_is_stopped()) return TOOL_NO_RESPONSE;
        printf("test %d: %s - %s%s%s\n", i, verdicts[verdict], plugtest_title(i), client->remark[0] != '\0' ? ": " : "",
               client->remark);
        (void)fflush(stdout);
        *(verdict == PLUGTEST_PASSED ? &passed : &failed) += 1;
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    int flushed = tool_flush(name);
    return flushed != TOOL_OK ? flushed : failed == 0 ? TOOL_OK : TOOL_PEER_ERROR;
}

static int tear_down(plugtest_client *client, int result)
{
    nacre_detail why = { { 0 } };
    nacre_loop_close(client->loop); /* first, because its endpoint borrows the contexts */
    nacre_err a = plugtest_close(&client->a, &why), c = plugtest_close(&client->c, a == NACRE_OK ? &why : NULL);
    nacre_udp_close(client->udp);
    if (client->crypto.under.ops != NULL) plugtest_crypto_close(&client->crypto);
    if (result != TOOL_OK || (a == NACRE_OK && c == NACRE_OK)) return result;
    return tool_fail(name, a != NACRE_OK ? a : c, "%s", why.text);
}

int plugtest_client_main(int argc, char **argv)
{
    static plugtest_client client;
    args a = { 0 };
    nacre_detail why = { { 0 } };
    int result = parse(&a, argc, argv);
    if (result != TOOL_OK) return result;
    if (a.help) return print_help();
    tool_signals_catch(name, false);
    nacre_err err = set_up(&client, &a, &why);
    if (err != NACRE_OK) result = tool_fail(name, err, "%s", why.text[0] != '\0' ? why.text : nacre_err_text(err));
    else result = run(&client, &a);
    return tool_signals_end(tear_down(&client, result));
}

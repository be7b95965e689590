/* SPDX-License-Identifier: MIT */
/* nacre get, put, post, delete, fetch, observe: one request. The response's payload goes to stdout or a file, everything else
 * to stderr. */
#include "observe.h"
#include "base/hosted/visible.h"
#include "formats.h"
#include "request_body.h"
#include "request_show.h"
#include "signals.h"
#include "store_lines.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DIAGNOSTIC = 256, NO_NUMBER = -1 };

typedef struct args {
    const char *command, *uri;
    uint8_t method;
    nacre_client_options client;
    bool help, verbose;
    bool observes;
    observe_args observe;
    int content_format, accept; /* NO_NUMBER: not given */
    const char *payload;        /* as on the command line; NULL: none */
    const char *payload_file, *output;
} args;

/* ---- Command line ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *command;
    uint8_t method;
} methods[] = { { "get", NACRE_GET },       { "put", NACRE_PUT },     { "post", NACRE_POST },
                { "delete", NACRE_DELETE }, { "fetch", NACRE_FETCH }, { "observe", NACRE_GET } };

static int print_observe_help(void)
{
    printf("Usage: nacre observe URI [--context DIR | --credentials FILE] [--role ROLE] [OPTIONS]\n"
           "\n"
           "Prints a resource's payload, and again after each change, with a newline after each.\n"
           "Ends in order on SIGINT, SIGTERM, and SIGHUP from its terminal. If the server becomes unreachable, it\n"
           "keeps trying; stderr reports this, and when the server is back.\n"
           "\n"
           "  --count N             end after N lines\n"
           "  --duration S          end after S seconds\n"
           "  --context DIR, --credentials FILE, --role ROLE, --accept F, -b, --block-size N, --proxy URI,\n"
           "  --proxy-uri, --non, -v, --verbose: as for 'nacre get'\n"
           "  --timeout S           wait at most S seconds for the first line (default: CoAP's timers)\n"
           "  -h, --help            this text\n"
           "\n"
           "Exit codes: 0 ended by --count, --duration, a signal, or because the resource is not observable (one\n"
           "line, then); 1 the server ended it with an error, 2 usage, 3 no response, 4 security failure, 5 local\n"
           "failure.\n");
    return TOOL_OK;
}

static int print_help(const char *command)
{
    if (strcmp(command, "observe") == 0) return print_observe_help();
    printf("Usage: nacre %s URI [--context DIR | --credentials FILE] [--role ROLE] [OPTIONS]\n"
           "\n"
           "Sends one CoAP request and writes the payload of its response to stdout. Without a context\n"
           "and without credentials the request is plain.\n"
           "\n"
           "  URI                   coap://HOST[:PORT]/PATH[?QUERY], or coap+tcp://...\n"
           "  --context DIR         protect the request with the context in DIR\n"
           "  --credentials FILE    protect it with the context that FILE names for the URI; if it\n"
           "                        names none, nothing is sent\n"
           "  --role ROLE           client or server: the side of a directory in the legacy layout\n"
           "  --payload TEXT        the request's payload (put, post, fetch); @FILE reads a file, @- stdin\n"
           "  --payload-file FILE   the same as --payload @FILE\n"
           "  -o, --output FILE     write the response's payload to FILE, which is replaced once complete\n"
           "  -b, --block-size N    the largest block of a body, 16 to 1024 bytes (default: 1024)\n"
           "  --content-format F    its format: a number, a media type, or text, json, cbor, ...\n"
           "  --accept F            request that format\n"
           "  --proxy URI           send the request to this forward proxy, coap://HOST[:PORT]; URI may then\n"
           "                        have any scheme that the proxy speaks\n"
           "  --proxy-uri           use Proxy-Uri instead of Proxy-Scheme and Uri-Host\n"
           "  --non                 send a non-confirmable message: no retransmission\n"
           "  --timeout S           wait at most S seconds for the response (default: CoAP's timers)\n"
           "  -v, --verbose         show messages and datagrams on stderr\n"
           "  -h, --help            this text\n"
           "\n"
           "Exit codes: 0 a response of class 2.xx, 1 another response, 2 usage, 3 no response,\n"
           "4 security failure, 5 local failure.\n",
           command);
    return TOOL_OK;
}

/* A decimal number up to 65535, or false. */
static bool read_number(int *out, const char *text)
{
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len) return false;
    long value = strtol(text, NULL, 10);
    if (value > 65535) return false;
    *out = (int)value;
    return true;
}

/* Seconds, with a fraction or without: 1 millisecond to one day. */
static bool read_timeout(uint32_t *out_ms, const char *text)
{
    size_t whole = strspn(text, "0123456789"), part = 0;
    if (text[whole] == '.') part = 1 + strspn(text + whole + 1, "0123456789");
    if (whole == 0 || whole > 5 || text[whole + part] != '\0') return false;
    double seconds = strtod(text, NULL);
    if (seconds < 0.001 || seconds > 86400) return false;
    *out_ms = (uint32_t)(seconds * 1000 + 0.5);
    return true;
}

enum {
    OPT_CONTEXT = 256,
    OPT_PROXY,
    OPT_PROXY_URI,
    OPT_ROLE,
    OPT_CREDENTIALS,
    OPT_PAYLOAD,
    OPT_PAYLOAD_FILE,
    OPT_FORMAT,
    OPT_ACCEPT,
    OPT_NON,
    OPT_TIMEOUT,
    OPT_COUNT,
    OPT_DURATION
};

static const struct option long_options[] = { { "context", required_argument, NULL, OPT_CONTEXT },
                                              { "role", required_argument, NULL, OPT_ROLE },
                                              { "credentials", required_argument, NULL, OPT_CREDENTIALS },
                                              { "payload", required_argument, NULL, OPT_PAYLOAD },
                                              { "payload-file", required_argument, NULL, OPT_PAYLOAD_FILE },
                                              { "output", required_argument, NULL, 'o' },
                                              { "block-size", required_argument, NULL, 'b' },
                                              { "content-format", required_argument, NULL, OPT_FORMAT },
                                              { "accept", required_argument, NULL, OPT_ACCEPT },
                                              { "proxy", required_argument, NULL, OPT_PROXY },
                                              { "proxy-uri", no_argument, NULL, OPT_PROXY_URI },
                                              { "non", no_argument, NULL, OPT_NON },
                                              { "timeout", required_argument, NULL, OPT_TIMEOUT },
                                              { "count", required_argument, NULL, OPT_COUNT },
                                              { "duration", required_argument, NULL, OPT_DURATION },
                                              { "verbose", no_argument, NULL, 'v' },
                                              { "help", no_argument, NULL, 'h' },
                                              { NULL, 0, NULL, 0 } };

static bool read_block_size(uint16_t *out, const char *text)
{
    int number;
    if (!read_number(&number, text) || number < 16 || number > 1024 || (number & (number - 1)) != 0) return false;
    *out = (uint16_t)number;
    return true;
}

/* Handles one option; TOOL_OK, or the exit code of its error. */
static int take_option(args *a, int option, const char *given)
{
    int number;
    switch (option) {
    case OPT_CONTEXT: a->client.context_dir = optarg; break;
    case OPT_CREDENTIALS: a->client.credentials_file = optarg; break;
    case OPT_PAYLOAD: a->payload = optarg; break;
    case OPT_PAYLOAD_FILE: a->payload_file = optarg; break;
    case 'o': a->output = optarg; break;
    case 'b':
        if (!read_block_size(&a->client.limits.block_size, optarg))
            return tool_usage(a->command, "--block-size %s: not 16, 32, 64, 128, 256, 512 or 1024", optarg);
        break;
    case OPT_ROLE: return tool_role(a->command, &a->client.role, optarg);
    case OPT_PROXY: a->client.proxy = optarg; break;
    case OPT_PROXY_URI: a->client.proxy_uri = true; break;
    case OPT_NON: a->client.confirmable = false; break;
    case 'h': a->help = true; break;
    case 'v': a->verbose = true; break;
    case OPT_FORMAT:
        if (!tool_format_read(&a->content_format, optarg))
            return tool_usage(a->command, "--content-format %s: " TOOL_FORMAT_HELP, optarg);
        break;
    case OPT_ACCEPT:
        if (!tool_format_read(&a->accept, optarg))
            return tool_usage(a->command, "--accept %s: " TOOL_FORMAT_HELP, optarg);
        break;
    case OPT_TIMEOUT:
        if (!read_timeout(&a->client.timeout_ms, optarg))
            return tool_usage(a->command, "--timeout %s: not a number of seconds from 0.001 to 86400", optarg);
        break;
    case OPT_COUNT:
        if (!read_number(&number, optarg) || number == 0)
            return tool_usage(a->command, "--count %s: not a number from 1 to 65535", optarg);
        a->observe.count = (uint32_t)number;
        break;
    case OPT_DURATION:
        if (!read_timeout(&a->observe.duration_ms, optarg))
            return tool_usage(a->command, "--duration %s: not a number of seconds from 0.001 to 86400", optarg);
        break;
    case ':': return tool_usage(a->command, "%s needs a value", given);
    default: return tool_bad_option(a->command, given, long_options);
    }
    return TOOL_OK;
}

static int parse(args *a, int argc, char **argv)
{
    if (tool_options_once(argc, argv, ":hvo:b:", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (;;) {
        int option = getopt_long(argc, argv, ":hvo:b:", long_options, NULL);
        if (option == -1) break;
        int result = take_option(a, option, argv[optind - 1]);
        if (result != TOOL_OK || a->help) return result;
    }
    if (optind == argc) return tool_usage(a->command, "no URI given: write coap://HOST[:PORT]/PATH");
    if (argc - optind > 1) return tool_usage(a->command, "%s: one URI at a time", argv[optind + 1]);
    if (a->client.context_dir != NULL && a->client.credentials_file != NULL)
        return tool_usage(a->command, "--context and --credentials: give one of them");
    if (a->client.proxy_uri && a->client.proxy == NULL) return tool_usage(a->command, "--proxy-uri needs --proxy URI");
    if (a->payload != NULL && a->payload_file != NULL)
        return tool_usage(a->command, "--payload and --payload-file: give one of them");
    if (!a->observes && (a->observe.count != 0 || a->observe.duration_ms != 0))
        return tool_usage(a->command, "--count and --duration are for 'nacre observe'");
    if (a->observes &&
        (a->payload != NULL || a->payload_file != NULL || a->output != NULL || a->content_format != NO_NUMBER))
        return tool_usage(a->command, "observe sends no payload, and writes to stdout only");
    if ((a->method == NACRE_GET || a->method == NACRE_DELETE) && /* RFC 7252 5.5 */
        (a->payload != NULL || a->payload_file != NULL || a->content_format != NO_NUMBER))
        return tool_usage(a->command, "%s sends no payload, and no format of one: use put, post or fetch", a->command);
    a->uri = argv[optind];
    return TOOL_OK;
}

/* ---- Response --------------------------------------------------------------------------------------------------------- */

/* ": TEXT" of a diagnostic payload (RFC 7252 5.5.2), on one line and without control characters; "" without one. */
static void diagnostic(char *out, size_t cap, const nacre_reply *reply)
{
    nacre_bytes format = nacre_option_find(reply->options, NACRE_OPT_CONTENT_FORMAT), left = reply->payload;
    uint64_t number = 0;
    size_t used = 2;
    out[0] = '\0';
    if (left.len == 0) return;
    if (!nacre_is_absent(format) && nacre_option_uint(format, &number) && number != 0) {
        const char *name = tool_format_name(number);
        (void)snprintf(out, cap, ": %zu byte%s of Content-Format %u%s%s%s", left.len, left.len == 1 ? "" : "s",
                       (unsigned)number, name != NULL ? " (" : "", name != NULL ? name : "", name != NULL ? ")" : "");
        return;
    }
    memcpy(out, ": ", 2);
    while (left.len > 0 && used + 5 < cap) {
        size_t len = nacre__visible(left), step = len != 0 ? len : 1;
        if (len != 0) memcpy(out + used, left.ptr, len);
        else out[used] = '?';
        used += step;
        left = nacre_bytes_of(left.ptr + step, left.len - step);
    }
    out[used] = '\0';
}

static int write_payload(const char *command, nacre_bytes payload)
{
    bool ok = payload.len == 0 || fwrite(payload.ptr, 1, payload.len, stdout) == payload.len;
    if (payload.len > 0 && payload.ptr[payload.len - 1] != '\n' && isatty(STDOUT_FILENO))
        ok = putchar('\n') != EOF && ok;
    ok = fflush(stdout) == 0 && ok;
    return ok ? TOOL_OK : tool_fail(command, NACRE_ERR_FILE, "cannot write to stdout: %s", strerror(errno));
}

/* Prints the location of a created resource (RFC 7252 5.8.2) on stderr, because stdout has the payload. */
static void tell_location(const char *command, const nacre_reply *reply)
{
    char path[1024];
    uint8_t buf[1024];
    nacre_options as_uri;
    nacre_bytes options;
    nacre_options_init(&as_uri, NACRE_BUF(buf));
    nacre_option_iter it = nacre_option_begin(reply->options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_LOCATION_PATH) nacre_options_add(&as_uri, NACRE_OPT_URI_PATH, option.value);
    if (nacre_options_finish(&as_uri, &options) != NACRE_OK || options.len == 0) return;
    if (nacre_path_text(options, path, sizeof path) == NACRE_OK)
        fprintf(stderr, "nacre %s: created %s\n", command, path);
}

static int report(const char *command, const nacre_reply *reply, request_output *output)
{
    char text[MAX_DIAGNOSTIC], buf[5];
    if (reply->code >> 5 != 2) {
        diagnostic(text, sizeof text, reply);
        (void)tool_fail(command, NACRE_OK, "%s%s", nacre_code_name(reply->code, buf), text);
        return TOOL_PEER_ERROR;
    }
    if (reply->code == NACRE_CREATED) tell_location(command, reply);
    return output->path != NULL ? request_output_keep(output) : write_payload(command, reply->payload);
}

static int report_failure(const char *command, nacre_err err, const nacre_reply *reply, const nacre_detail *why)
{
    char text[MAX_DIAGNOSTIC];
    if (err != NACRE_ERR_UNAUTHENTICATED)
        return tool_fail(command, err, "%s", why->text[0] != '\0' ? why->text : nacre_err_text(err));
    diagnostic(text, sizeof text, reply);
    return tool_fail(command, err, "not authenticated: %s%s%s", why->text, text[0] != '\0' ? "; it says" : "", text);
}

/* ---- Command ---------------------------------------------------------------------------------------------------------- */

static void add_options(const args *a, nacre_options *o)
{
    if (a->content_format != NO_NUMBER)
        nacre_options_add_uint(o, NACRE_OPT_CONTENT_FORMAT, (uint64_t)a->content_format);
    if (a->accept != NO_NUMBER) nacre_options_add_uint(o, NACRE_OPT_ACCEPT, (uint64_t)a->accept);
}

static int observe(const args *a, nacre_client *client, request_output *output)
{
    uint8_t buf[16];
    bool output_failed = false;
    nacre_options o;
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    nacre_options_init(&o, NACRE_BUF(buf));
    add_options(a, &o);
    uint32_t num = 0;
    const nacre_err err = observe_run(&a->observe, client, &reply, a->uri, &o, &num, &output_failed, &why);
    if (output_failed) return tool_fail(a->command, NACRE_ERR_FILE, "cannot write to stdout: %s", strerror(errno));
    if (err != NACRE_OK) return report_failure(a->command, err, &reply, &why);
    if (reply.code == NACRE_EMPTY) return TOOL_OK;
    if (reply.code >> 5 != 2) return report(a->command, &reply, output);
    if (!observe_print(&reply))
        return tool_fail(a->command, NACRE_ERR_FILE, "cannot write to stdout: %s", strerror(errno));
    if (num == 0)
        (void)tool_fail(a->command, NACRE_OK,
                        "not observable: the server does not notify changes of '%s'; this is its present state",
                        a->uri);
    return TOOL_OK; /* the last state, or the only one available */
}

static nacre_err send_request(const args *a, nacre_client *client, nacre_reply *reply, request_payload *payload,
                              const nacre_sink *sink, nacre_detail *why)
{
    uint8_t buf[16];
    nacre_options o;
    nacre_options_init(&o, NACRE_BUF(buf));
    add_options(a, &o);
    if (payload->source.read == NULL && sink == NULL)
        return nacre_client_request(client, reply, a->method, a->uri, &o, payload->bytes, why);
    const nacre_source source = request_payload_source(payload);
    nacre_client_request_config request = nacre_client_request_config_default();
    request.method = a->method;
    request.uri = a->uri;
    request.options = &o;
    request.source = &source;
    request.sink = sink;
    return nacre_client_request_with(client, reply, &request, why);
}

static int exchange(const args *a, nacre_client *client, request_payload *payload, request_output *output)
{
    nacre_reply reply = { 0 };
    nacre_detail why = { { 0 } };
    const nacre_sink sink = { request_output_write, output };
    const nacre_err err = send_request(a, client, &reply, payload, output->path != NULL ? &sink : NULL, &why);
    request_progress_end();
    return err == NACRE_OK ? report(a->command, &reply, output) : report_failure(a->command, err, &reply, &why);
}

/* A request ends with one line: a store failure is printed only when there is no other. An observation prints all. */
static store_lines lines; /* `user` of the client's callbacks is for -v */

static void on_store(void *user, const nacre_store_report *report)
{
    (void)user;
    store_lines_tell(&lines, report);
}

static nacre_client *current; /* for the signal handler */

static void stop_client(void)
{
    nacre_client_stop(current);
}

static int open_and_exchange(const args *a, request_payload *payload, request_output *output)
{
    nacre_client *client;
    nacre_detail why = { { 0 } };
    nacre_client_options options = a->client;
    lines = (store_lines){ .subcommand = a->command, .keeps = !a->observes };
    options.on_store = on_store;
    nacre_err err = nacre_client_open(&client, &options, &why);
    if (err != NACRE_OK) return tool_fail(a->command, err, "%s", why.text);
    current = client;
    tool_signals_stop_with(stop_client);
    int result = a->observes ? observe(a, client, output) : exchange(a, client, payload, output);
    tool_signals_stop_with(NULL);
    err = nacre_client_close(client, &why);
    if (err != NACRE_OK && result == TOOL_OK) return tool_fail(a->command, err, "%s", why.text);
    if (lines.kept.text[0] != '\0' && result != TOOL_LOCAL)
        (void)tool_fail(a->command, NACRE_ERR_FILE, "the store of 1 context fails: %s", lines.kept.text);
    return result;
}

static int run(args *a)
{
    request_payload payload;
    request_output output;
    request_show show = { 0 };
    int result = request_payload_open(&payload, a->command, a->payload, a->payload_file);
    if (result != TOOL_OK) return result;
    tool_signals_catch(a->command, a->observes); /* while waiting for stdin no context is open */
    a->client.limits.max_body = REQUEST_MAX_BODY;
    if (a->verbose) {
        a->client.on_datagram = request_show_datagram;
        a->client.on_message = request_show_message;
        a->client.user = &show;
    } else if (isatty(STDERR_FILENO)) {
        a->client.on_progress = request_progress;
    }
    result = request_output_open(&output, a->command, a->output);
    if (result == TOOL_OK) {
        result = open_and_exchange(a, &payload, &output);
        request_output_close(&output);
    }
    request_payload_close(&payload);
    request_show_end(&show);
    return result;
}

int tool_request(int argc, char **argv)
{
    args a = {
        .command = argv[0], .client = nacre_client_options_default(), .content_format = NO_NUMBER, .accept = NO_NUMBER
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].command, argv[0]) == 0) a.method = methods[i].method;
    a.observes = strcmp(argv[0], "observe") == 0;
    int result = parse(&a, argc, argv);
    if (result != TOOL_OK) return result;
    return a.help ? print_help(a.command) : tool_signals_end(run(&a));
}

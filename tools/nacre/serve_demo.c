/* SPDX-License-Identifier: MIT */
/* serve_demo: four small demo resources. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FORMAT_TEXT = 0 };

bool serve_accepts(const nacre_request *request, nacre_response *response, unsigned format)
{
    nacre_bytes accept = nacre_option_find(request->message->options, NACRE_OPT_ACCEPT);
    uint64_t wanted = 0;
    if (nacre_is_absent(accept) || (nacre_option_uint(accept, &wanted) && wanted == format)) return true;
    nacre_response_text(response, NACRE_NOT_ACCEPTABLE, "not in that Content-Format");
    return false;
}

/* The payload must stay valid until the response is handed over. */
static void response_bytes(nacre_response *response, uint8_t code, nacre_bytes format, nacre_bytes payload)
{
    response->code = code;
    if (!nacre_is_absent(format)) nacre_options_add(&response->options, NACRE_OPT_CONTENT_FORMAT, format);
    response->payload = payload;
}

void serve_hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    if (request->message->code != NACRE_GET) nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET");
    else if (serve_accepts(request, response, FORMAT_TEXT))
        nacre_response_text(response, NACRE_CONTENT, "Hello World!");
}

void serve_time(void *user, const nacre_request *request, nacre_response *response)
{
    char text[32];
    struct tm utc;
    time_t now = time(NULL);
    (void)user;
    if (request->message->code != NACRE_GET) nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET");
    else if (gmtime_r(&now, &utc) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0 &&
             serve_accepts(request, response, FORMAT_TEXT))
        nacre_response_text(response, NACRE_CONTENT, text);
}

void serve_echo(void *user, const nacre_request *request, nacre_response *response)
{
    uint8_t method = request->message->code;
    nacre_bytes format = nacre_option_find(request->message->options, NACRE_OPT_CONTENT_FORMAT);
    (void)user;
    if (method != NACRE_POST && method != NACRE_FETCH)
        nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only POST and FETCH");
    else
        response_bytes(response, method == NACRE_FETCH ? NACRE_CONTENT : NACRE_CHANGED, format,
                       request->message->payload);
}

bool serve_is_demo(const char *name)
{
    static const char *const names[] = { "hello", "time", "echo", "store" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* ---- /store ----------------------------------------------------------------------------------------------------------- */

void serve_value_forget(serve_value *value)
{
    if (value->bytes != NULL) nacre_wipe(value->bytes, value->len);
    free(value->bytes);
    *value = (serve_value){ .server = value->server };
}

static void put(serve_value *value, const nacre_message *message, nacre_response *response)
{
    const nacre_bytes format = nacre_option_find(message->options, NACRE_OPT_CONTENT_FORMAT),
                      payload = message->payload;
    uint8_t *bytes = malloc(payload.len > 0 ? payload.len : 1);
    if (bytes == NULL || format.len > sizeof value->format_bytes) {
        free(bytes);
        nacre_response_text(response, NACRE_TOO_LARGE, "cannot keep that");
        return;
    }
    response->code = value->is_set ? NACRE_CHANGED : NACRE_CREATED;
    serve_value_forget(value);
    if (format.len > 0) memcpy(value->format_bytes, format.ptr, format.len);
    value->format = nacre_is_absent(format) ? NACRE_ABSENT : nacre_bytes_of(value->format_bytes, format.len);
    if (payload.len > 0) memcpy(bytes, payload.ptr, payload.len);
    value->bytes = bytes;
    value->len = payload.len;
    value->is_set = true;
}

static void get(const serve_value *value, const nacre_request *request, nacre_response *response)
{
    uint64_t format = 0;
    if (!value->is_set) nacre_response_text(response, NACRE_NOT_FOUND, "nothing is stored");
    else if (nacre_is_absent(value->format) ||
             (nacre_option_uint(value->format, &format) && serve_accepts(request, response, (unsigned)format)))
        response_bytes(response, NACRE_CONTENT, value->format, nacre_bytes_of(value->bytes, value->len));
}

void serve_store(void *user, const nacre_request *request, nacre_response *response)
{
    serve_value *value = user;
    const nacre_message *message = request->message;
    if (!nacre_conditions_hold(message->options, value->is_set, NACRE_ABSENT)) { /* RFC 7252 5.10.8 */
        nacre_response_text(response, NACRE_PRECONDITION_FAILED, "the value is not as the request expects");
        return;
    }
    switch (message->code) {
    case NACRE_GET: get(value, request, response); break;
    case NACRE_PUT:
        put(value, message, response);
        nacre_server_changed(value->server, "/store");
        break;
    case NACRE_DELETE:
        serve_value_forget(value);
        nacre_server_changed(value->server, "/store");
        response->code = NACRE_DELETED;
        break;
    default: nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET, PUT and DELETE");
    }
}

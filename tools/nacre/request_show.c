/* SPDX-License-Identifier: MIT */
/* request_show: inner and outer message, side by side.
 *
 * A request is reported before its datagram, a response after it. So a request is kept until the next datagram is sent, and the
 * last received datagram is kept until its message is reported. Where they do not match (blocks,
 * retransmissions, empty acknowledgements) the datagram is shown alone, in hex. */
#include "request_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT = 52 }; /* minimum columns of the inner message */

static char *text_of(const nacre_message *message)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    if (file == NULL) return NULL;
    tool_print_message(file, "", message);
    if (fclose(file) == 0) return text;
    free(text);
    return NULL;
}

/* Takes one line from the text; "" when none is left. */
static int next_line(const char **text, const char **line)
{
    size_t len = strcspn(*text, "\n");
    *line = *text;
    *text += len + ((*text)[len] == '\n');
    return (int)len;
}

static void print_alone(const char *arrow, const char *text)
{
    const char *line;
    while (*text != '\0') {
        int len = next_line(&text, &line);
        fprintf(stderr, "  %s %.*s\n", arrow, len, line);
    }
}

static void print_beside(const char *arrow, const char *inner, const char *outer)
{
    const char *left, *right;
    fprintf(stderr, "  %s %-*s | outer\n", arrow, (int)LEFT, "inner");
    while (*inner != '\0' || *outer != '\0') {
        int left_len = next_line(&inner, &left), right_len = next_line(&outer, &right);
        fprintf(stderr, "  %s %.*s%*s | %.*s\n", arrow, left_len, left, left_len < LEFT ? LEFT - left_len : 0, "",
                right_len, right);
    }
}

/* The outer message as text if these bytes are a protected one; else NULL. */
static char *outer_text(nacre_bytes bytes, bool is_request)
{
    nacre_message outer;
    if (bytes.len == 0 || nacre_message_parse(&outer, bytes) != NACRE_OK) return NULL;
    if (nacre_code_is_request(outer.code) != is_request) return NULL;
    return nacre_is_absent(nacre_option_find(outer.options, NACRE_OPT_OSCORE)) ? NULL : text_of(&outer);
}

static void print_pair(const char *arrow, const char *inner, nacre_bytes datagram, bool is_request)
{
    char *outer = outer_text(datagram, is_request);
    if (outer != NULL) print_beside(arrow, inner, outer);
    else print_alone(arrow, inner);
    free(outer);
}

void request_show_datagram(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    request_show *show = user;
    char text[72];
    if (outgoing && show->request != NULL) {
        print_pair(">", show->request, bytes, true);
        free(show->request);
        show->request = NULL;
    }
    nacre_address_text(peer, text);
    fprintf(stderr, "%c %zu bytes %s %s%s  ", outgoing ? '>' : '<', full_len, outgoing ? "to" : "from", text,
            nacre_address_is_reliable(peer) ? " over TCP" : "");
    if (full_len > bytes.len) fprintf(stderr, "cut to the first %zu: ", bytes.len);
    tool_print_hex(stderr, bytes);
    fputc('\n', stderr);
    if (outgoing || bytes.len == 0) return;
    uint8_t *response = realloc(show->response, bytes.len);
    if (response == NULL) return;
    memcpy(response, bytes.ptr, bytes.len);
    show->response = response;
    show->response_len = bytes.len;
}

void request_show_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain)
{
    request_show *show = user;
    char *text = text_of(plain);
    fprintf(stderr, "%s, %s:\n", outgoing ? "request" : "response", is_protected ? "protected" : "not protected");
    if (text == NULL) return;
    if (outgoing && is_protected) {
        free(show->request);
        show->request = text;
        return;
    }
    if (outgoing) print_alone(">", text);
    else print_pair("<", text, is_protected ? nacre_bytes_of(show->response, show->response_len) : NACRE_ABSENT, false);
    free(text);
}

void request_show_end(request_show *show)
{
    if (show->request != NULL) print_alone(">", show->request);
    free(show->request);
    free(show->response);
    *show = (request_show){ 0 };
}

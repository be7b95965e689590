/* SPDX-License-Identifier: MIT */
/* uri: the parts of a URI are slices of its text, in order; its path, written from the parsed options and parsed again,
 * gives the same options. */
#include "fuzz.h"

#include "coap/uri.h"

static bool within(nacre_bytes part, nacre_bytes text)
{
    return part.ptr >= text.ptr && part.ptr <= text.ptr + text.len &&
           part.len <= (size_t)(text.ptr + text.len - part.ptr);
}

static bool options_of(nacre_bytes *out, const nacre_uri *uri, size_t cap)
{
    nacre_options o;
    nacre_options_init(&o, fuzz_buf(cap));
    nacre_err err = nacre_uri_options(&o, uri);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BAD_URI);
    if (err != NACRE_OK) return false;
    CHECK(nacre_options_finish(&o, out) == NACRE_OK);
    return true;
}

static void path_again(nacre_bytes options, size_t text_len)
{
    static const char origin[] = "coap://[::1]";
    size_t cap = 3 * text_len + 2, head = sizeof origin - 1;
    char *path = fuzz_alloc(cap);
    CHECK(nacre_path_text(options, path, cap) == NACRE_OK && path[0] == '/');
    size_t len = strlen(path);
    char *tight = fuzz_alloc(len);
    CHECK(nacre_path_text(options, tight, len) == NACRE_ERR_BUFFER_TOO_SMALL && tight[0] == '\0');

    uint8_t *text = fuzz_alloc(head + len);
    memcpy(text, origin, head);
    memcpy(text + head, path, len);
    nacre_uri uri;
    nacre_bytes again;
    CHECK(nacre_uri_parse(&uri, nacre_bytes_of(text, head + len)) == NACRE_OK);
    CHECK(options_of(&again, &uri, 4 * len + 16));
    CHECK(fuzz_same_values(options, again, NACRE_OPT_URI_PATH));
}

static void check(const nacre_uri *uri, nacre_bytes text)
{
    CHECK(within(uri->scheme, text) && within(uri->host, text) && within(uri->path, text));
    CHECK(nacre_is_absent(uri->query) || within(uri->query, text));
    CHECK(uri->scheme.len > 0 && uri->host.len > 0 && uri->scheme.ptr == text.ptr);
    CHECK(uri->path.len == 0 || uri->path.ptr[0] == '/');
    CHECK(!uri->has_port || uri->port != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_bytes text = fuzz_copy(nacre_bytes_of(data, size)), options;
    nacre_uri any, uri;
    nacre_err err_any = nacre__uri_parse_any(&any, text), err = nacre_uri_parse(&uri, text);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BAD_URI || err == NACRE_ERR_UNSUPPORTED);
    CHECK((err_any == NACRE_ERR_BAD_URI) == (err == NACRE_ERR_BAD_URI));
    if (err_any == NACRE_OK) check(&any, text);
    if (err == NACRE_OK) {
        check(&uri, text);
        if (options_of(&options, &uri, 4 * size + 16)) {
            CHECK(nacre_is_absent(nacre_option_find(options, NACRE_OPT_URI_HOST)) == uri.host_is_ip);
            path_again(options, size);
        }
    }
    fuzz_release();
    return 0;
}

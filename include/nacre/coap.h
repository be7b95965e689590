/* SPDX-License-Identifier: MIT */
/* coap: messages as views over bytes, their options, and URIs (RFC 7252).
 *
 * To read a message, nacre_message_parse makes a view of a datagram; its slices point into the datagram and are valid as
 * long as it is. To write one, encode options with nacre_options, set them and the payload in a nacre_message, and call
 * nacre_message_write or nacre_protect_request. */
#ifndef NACRE_COAP_H
#define NACRE_COAP_H

#include <nacre/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Message types, RFC 7252 3. */
enum { NACRE_CON = 0, NACRE_NON = 1, NACRE_ACK = 2, NACRE_RST = 3 };

/* Codes, class in the upper three bits (RFC 7252 5.8, 5.9, 12.1; RFC 8132; RFC 7959). */
#define NACRE_CODE(class_, detail) (NACRE_VALUE(uint8_t)(((class_) << 5) | (detail)))
enum {
    NACRE_EMPTY = NACRE_CODE(0, 0),
    NACRE_GET = NACRE_CODE(0, 1),
    NACRE_POST = NACRE_CODE(0, 2),
    NACRE_PUT = NACRE_CODE(0, 3),
    NACRE_DELETE = NACRE_CODE(0, 4),
    NACRE_FETCH = NACRE_CODE(0, 5),
    NACRE_PATCH = NACRE_CODE(0, 6),
    NACRE_IPATCH = NACRE_CODE(0, 7),
    NACRE_CREATED = NACRE_CODE(2, 1),
    NACRE_DELETED = NACRE_CODE(2, 2),
    NACRE_VALID = NACRE_CODE(2, 3),
    NACRE_CHANGED = NACRE_CODE(2, 4),
    NACRE_CONTENT = NACRE_CODE(2, 5),
    NACRE_CONTINUE = NACRE_CODE(2, 31),
    NACRE_BAD_REQUEST = NACRE_CODE(4, 0),
    NACRE_UNAUTHORIZED = NACRE_CODE(4, 1),
    NACRE_BAD_OPTION = NACRE_CODE(4, 2),
    NACRE_FORBIDDEN = NACRE_CODE(4, 3),
    NACRE_NOT_FOUND = NACRE_CODE(4, 4),
    NACRE_METHOD_NOT_ALLOWED = NACRE_CODE(4, 5),
    NACRE_NOT_ACCEPTABLE = NACRE_CODE(4, 6),
    NACRE_INCOMPLETE = NACRE_CODE(4, 8),
    NACRE_PRECONDITION_FAILED = NACRE_CODE(4, 12),
    NACRE_TOO_LARGE = NACRE_CODE(4, 13),
    NACRE_UNSUPPORTED_FORMAT = NACRE_CODE(4, 15),
    NACRE_SERVER_ERROR = NACRE_CODE(5, 0),
    NACRE_NOT_IMPLEMENTED = NACRE_CODE(5, 1),
    NACRE_BAD_GATEWAY = NACRE_CODE(5, 2),
    NACRE_UNAVAILABLE = NACRE_CODE(5, 3),
    NACRE_GATEWAY_TIMEOUT = NACRE_CODE(5, 4),
    NACRE_PROXYING_NOT_SUPPORTED = NACRE_CODE(5, 5),
};

static inline bool nacre_code_is_request(uint8_t code)
{
    return code != 0 && code < 0x20;
}

static inline bool nacre_code_is_response(uint8_t code)
{
    return code >= 0x40 && code < 0xc0;
}

/* nacre_code_is_safe: whether a method changes nothing, so that the request may be repeated: GET and FETCH (RFC 7252 5.1,
 * RFC 8132 2). */
static inline bool nacre_code_is_safe(uint8_t code)
{
    return code == NACRE_GET || code == NACRE_FETCH;
}

/* nacre_code_name gives "GET", "2.05 Content" and so on; for a code without a name it writes the digits ("4.29") to
 * `buf`. */
const char *nacre_code_name(uint8_t code, char buf[5]);

/* Option numbers. */
enum {
    NACRE_OPT_IF_MATCH = 1,
    NACRE_OPT_URI_HOST = 3,
    NACRE_OPT_ETAG = 4,
    NACRE_OPT_IF_NONE_MATCH = 5,
    NACRE_OPT_OBSERVE = 6,
    NACRE_OPT_URI_PORT = 7,
    NACRE_OPT_LOCATION_PATH = 8,
    NACRE_OPT_OSCORE = 9,
    NACRE_OPT_URI_PATH = 11,
    NACRE_OPT_CONTENT_FORMAT = 12,
    NACRE_OPT_URI_PATH_ABBREV = 13,
    NACRE_OPT_MAX_AGE = 14,
    NACRE_OPT_URI_QUERY = 15,
    NACRE_OPT_HOP_LIMIT = 16,
    NACRE_OPT_ACCEPT = 17,
    NACRE_OPT_Q_BLOCK1 = 19,
    NACRE_OPT_LOCATION_QUERY = 20,
    NACRE_OPT_EDHOC = 21,
    NACRE_OPT_BLOCK2 = 23,
    NACRE_OPT_BLOCK1 = 27,
    NACRE_OPT_SIZE2 = 28,
    NACRE_OPT_Q_BLOCK2 = 31,
    NACRE_OPT_PROXY_URI = 35,
    NACRE_OPT_PROXY_SCHEME = 39,
    NACRE_OPT_SIZE1 = 60,
    NACRE_OPT_PROXY_CRI = 235,
    NACRE_OPT_PROXY_SCHEME_NUMBER = 239,
    NACRE_OPT_ECHO = 252,
    NACRE_OPT_NO_RESPONSE = 258,
    NACRE_OPT_REQUEST_TAG = 292,
};

/* Properties of an option number. RFC 8613 4.1: class E options are encrypted, class U options are sent in clear; an
 * option of both classes has an inner and an outer meaning. */
enum {
    NACRE_CLASS_E = 1,
    NACRE_CLASS_U = 2,
    NACRE_REPEATABLE = 4,
    NACRE_FORMAT_UINT = 8,
    NACRE_FORMAT_STRING = 16,
    NACRE_FORMAT_OPAQUE = 32,
    NACRE_FORMAT_EMPTY = 64,
};
typedef struct nacre_option_info {
    uint16_t number;
    uint16_t min_len, max_len; /* bytes */
    uint8_t flags;             /* NACRE_CLASS_…, NACRE_REPEATABLE, NACRE_FORMAT_… */
    const char *name;          /* "Uri-Path"; NULL for an unknown number */
} nacre_option_info;

/* nacre_option_lookup never fails: an unknown number is class E, repeatable, opaque, of any length (RFC 8613 4.1). */
const nacre_option_info *nacre_option_lookup(uint16_t number);

static inline bool nacre_option_is_critical(uint16_t number)
{
    return number & 1;
}

/* A message: header fields, and slices for token, options (encoded, without the payload marker) and payload. */
typedef struct nacre_message {
    uint8_t type; /* NACRE_CON … NACRE_RST */
    uint8_t code;
    uint16_t mid;
    nacre_bytes token;
    nacre_bytes options;
    nacre_bytes payload;
} nacre_message;

/* nacre_message_parse makes `m` a view of one datagram (RFC 7252 3, tokens as RFC 8974 2.1), and checks every option's
 * header, so that walking them later cannot fail.
 * NACRE_OK            `m` is set; its slices live as long as `datagram`
 * NACRE_ERR_MALFORMED not CoAP version 1, an option or the token runs past the end, a reserved delta, length or TKL,
 *                     an option number above 65535, a payload marker without a payload, or an empty message that
 *                     is longer than its header; `m` unchanged. Reject a CON with RST, drop others (RFC 7252 4.2) */
NACRE_MUST_USE nacre_err nacre_message_parse(nacre_message *m, nacre_bytes datagram);

/* nacre_message_write encodes `m` into `buf`; `out` is set to the bytes written, at the start of `buf`.
 * NACRE_OK, NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_TOO_LONG (token above 65804 bytes), NACRE_ERR_BAD_ARGUMENT (type above 3);
 * nothing is set on failure. The options are copied unchecked: they must be well-formed, as nacre_options writes them.
 * `buf` must not overlap what `m` points to. */
NACRE_MUST_USE nacre_err nacre_message_write(const nacre_message *m, nacre_bytes *out, nacre_buf buf);

/* nacre_message_size: the bytes that nacre_message_write needs. */
size_t nacre_message_size(const nacre_message *m);

/* Reading options: start with nacre_option_begin, call nacre_option_next until it returns false. For options that
 * nacre_message_parse has not checked, nacre_option_bad is true afterwards when they are not well-formed. */
typedef struct nacre_option {
    uint16_t number;
    nacre_bytes value;
} nacre_option;
typedef struct nacre_option_iter {
    const uint8_t *at, *end; /* private */
    uint32_t number;
    bool bad;
} nacre_option_iter;
nacre_option_iter nacre_option_begin(nacre_bytes options);
bool nacre_option_next(nacre_option_iter *it, nacre_option *opt);
static inline bool nacre_option_bad(const nacre_option_iter *it)
{
    return it->bad;
}

/* nacre_option_find gives the value of the first option with that number, or absent. */
nacre_bytes nacre_option_find(nacre_bytes options, uint16_t number);

/* nacre_option_uint reads a uint option's value (RFC 7252 3.2): big-endian, 0 to 8 bytes, empty is 0; leading zeros
 * are accepted. False for more than 8 bytes. */
bool nacre_option_uint(nacre_bytes value, uint64_t *out);

/* nacre_conditions_hold: whether the state of the target fulfils the request's If-Match and If-None-Match options.
 * `exists`: the target exists; `etag`: its ETag (absent or empty: none, and only an empty If-Match matches).
 * False: do not process the request, whatever its method; respond with 4.12 (RFC 7252 5.10.8). */
bool nacre_conditions_hold(nacre_bytes options, bool exists, nacre_bytes etag);

/* Writing options, in any order: an option is inserted by number, after options with the same number. A value must not
 * point into the list's own buffer, because insertion moves its contents. The first error is kept, and returned by
 * nacre_options_finish. */
typedef struct nacre_options {
    nacre_buf buf; /* private */
    size_t len;
    uint16_t last;
    nacre_err err;
} nacre_options;
void nacre_options_init(nacre_options *o, nacre_buf buf);
void nacre_options_add(nacre_options *o, uint16_t number, nacre_bytes value);
void nacre_options_add_uint(nacre_options *o, uint16_t number, uint64_t value);

/* nacre_options_finish gives the encoded options, in the buffer given to nacre_options_init.
 * NACRE_OK, NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_TOO_LONG (a value above 65804 bytes); `out` unchanged on failure. */
NACRE_MUST_USE nacre_err nacre_options_finish(const nacre_options *o, nacre_bytes *out);

/* A parsed URI, not decoded: the slices point into the text (RFC 7252 6.4, RFC 3986). */
typedef struct nacre_uri {
    nacre_bytes scheme; /* "coap" */
    nacre_bytes host;   /* without the brackets of an IP literal */
    uint16_t port;      /* as given, or the scheme's default: 5683 */
    bool has_port;      /* the text has a port */
    bool is_tcp;        /* the scheme is coap+tcp (RFC 8323 8.1), not coap */
    bool host_is_ip;    /* an IPv4 address or an IP literal: no Uri-Host option (RFC 7252 6.4 step 5) */
    nacre_bytes path;   /* from the first '/', or empty */
    nacre_bytes query;  /* after '?'; absent without one */
} nacre_uri;

/* nacre_uri_parse parses an absolute URI.
 * NACRE_OK              `uri` is set
 * NACRE_ERR_BAD_URI     no scheme, no host, user information, a bad port or percent sign, a fragment, a character
 *                       not allowed in URIs; `uri` unchanged
 * NACRE_ERR_UNSUPPORTED a scheme other than coap and coap+tcp (coaps, http …); `uri` unchanged */
NACRE_MUST_USE nacre_err nacre_uri_parse(nacre_uri *uri, nacre_bytes text);

/* nacre_uri_options adds Uri-Host (unless the host is an IP address; lower-cased, decoded), Uri-Port (only when it is
 * not the scheme's default), Uri-Path and Uri-Query to `o`, decoded (RFC 7252 6.4). Dot segments, also percent-encoded
 * ones, are resolved first (RFC 3986 5.2.4), as in nacre_credentials_find.
 * NACRE_OK; NACRE_ERR_BAD_URI for a segment above 255 bytes after decoding; a full buffer is an error of `o`. */
NACRE_MUST_USE nacre_err nacre_uri_options(nacre_options *o, const nacre_uri *uri);

/* nacre_path_text writes the Uri-Path options of a request as "/a/b" into `buf` as a string (percent-encoding what is
 * not an unreserved, sub-delim, ':' or '@' character; "/" when there is none).
 * NACRE_OK or NACRE_ERR_BUFFER_TOO_SMALL (`buf` then holds ""). `cap` counts the NUL and is at least 1. */
NACRE_MUST_USE nacre_err nacre_path_text(nacre_bytes options, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* codes: names of method and response codes, for display. */
#include <nacre/coap.h>

static const struct {
    uint8_t code;
    const char *name;
} names[] = {
    { NACRE_EMPTY, "Empty" },
    { NACRE_GET, "GET" },
    { NACRE_POST, "POST" },
    { NACRE_PUT, "PUT" },
    { NACRE_DELETE, "DELETE" },
    { NACRE_FETCH, "FETCH" },
    { NACRE_PATCH, "PATCH" },
    { NACRE_IPATCH, "iPATCH" },
    { NACRE_CREATED, "2.01 Created" },
    { NACRE_DELETED, "2.02 Deleted" },
    { NACRE_VALID, "2.03 Valid" },
    { NACRE_CHANGED, "2.04 Changed" },
    { NACRE_CONTENT, "2.05 Content" },
    { NACRE_CONTINUE, "2.31 Continue" },
    { NACRE_BAD_REQUEST, "4.00 Bad Request" },
    { NACRE_UNAUTHORIZED, "4.01 Unauthorized" },
    { NACRE_BAD_OPTION, "4.02 Bad Option" },
    { NACRE_FORBIDDEN, "4.03 Forbidden" },
    { NACRE_NOT_FOUND, "4.04 Not Found" },
    { NACRE_METHOD_NOT_ALLOWED, "4.05 Method Not Allowed" },
    { NACRE_NOT_ACCEPTABLE, "4.06 Not Acceptable" },
    { NACRE_INCOMPLETE, "4.08 Request Entity Incomplete" },
    { NACRE_CODE(4, 9), "4.09 Conflict" },
    { NACRE_PRECONDITION_FAILED, "4.12 Precondition Failed" },
    { NACRE_TOO_LARGE, "4.13 Request Entity Too Large" },
    { NACRE_UNSUPPORTED_FORMAT, "4.15 Unsupported Content-Format" },
    { NACRE_CODE(4, 22), "4.22 Unprocessable Entity" },
    { NACRE_CODE(4, 29), "4.29 Too Many Requests" },
    { NACRE_SERVER_ERROR, "5.00 Internal Server Error" },
    { NACRE_NOT_IMPLEMENTED, "5.01 Not Implemented" },
    { NACRE_BAD_GATEWAY, "5.02 Bad Gateway" },
    { NACRE_UNAVAILABLE, "5.03 Service Unavailable" },
    { NACRE_GATEWAY_TIMEOUT, "5.04 Gateway Timeout" },
    { NACRE_PROXYING_NOT_SUPPORTED, "5.05 Proxying Not Supported" },
    { NACRE_CODE(5, 8), "5.08 Hop Limit Reached" },
};

const char *nacre_code_name(uint8_t code, char buf[5])
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].code == code) return names[i].name;
    buf[0] = (char)('0' + (code >> 5));
    buf[1] = '.';
    buf[2] = (char)('0' + (code & 31) / 10);
    buf[3] = (char)('0' + (code & 31) % 10);
    buf[4] = '\0';
    return buf;
}

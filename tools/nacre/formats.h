/* SPDX-License-Identifier: MIT */
/* formats: names of Content-Formats, from IANA's registry "CoAP Content-Formats". */
#ifndef NACRE_TOOL_FORMATS_H
#define NACRE_TOOL_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

/* tool_format_name returns the media type of a Content-Format; NULL: not in the table. */
const char *tool_format_name(uint64_t number);

/* tool_format_read accepts a number up to 65535, a media type ("application/json") or its subtype ("json");
 * "text" is text/plain, too. */
bool tool_format_read(int *number, const char *text);

/* tool_format_help lists some names, for an error line. */
#define TOOL_FORMAT_HELP "not a number from 0 to 65535, nor a name such as text, link-format, json, cbor, octet-stream"

#endif

/* SPDX-License-Identifier: MIT */
/* role: --role, the side of a context that a directory of the legacy layout is opened as. */
#include <string.h>

#include "tool.h"

int tool_role(const char *subcommand, nacre_role *role, const char *text)
{
    if (strcmp(text, "client") == 0) *role = NACRE_ROLE_CLIENT;
    else if (strcmp(text, "server") == 0) *role = NACRE_ROLE_SERVER;
    else return tool_usage(subcommand, "--role %s: it is client or server", text);
    return TOOL_OK;
}

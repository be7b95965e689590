/* SPDX-License-Identifier: MIT */
/* server_warning: warnings of a server, for its program. */
#include "io/server/server_internal.h"

void nacre_server_on_warning(nacre_server *server, void (*on_warning)(void *user, const char *text), void *user)
{
    server->on_warning = on_warning;
    server->warning_user = user;
}

void nacre__server_warn(void *self, const char *text)
{
    const nacre_server *server = self;
    if (server->on_warning != NULL) server->on_warning(server->warning_user, text);
}

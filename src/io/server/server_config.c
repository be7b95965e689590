/* SPDX-License-Identifier: MIT */
/* server_config: the limits of a server, and their defaults. */
#include "io/server/server_internal.h"
#include "base/config_size.h"

/* Replaces 0 by the default. */
static void fill(nacre_server_config *c)
{
    if (c->num_workers == 0) c->num_workers = 1;
    if (c->bodies.num_bodies == 0) c->bodies.num_bodies = 16;
    if (c->bodies.bodies_per_peer == 0)
        c->bodies.bodies_per_peer = c->bodies.num_bodies >= 8 ? c->bodies.num_bodies / 4 : 2;
    if (c->bodies.max_body == 0) c->bodies.max_body = 1048576;
    if (c->bodies.timeout_ms == 0) c->bodies.timeout_ms = 93000; /* RFC 7252 4.8.2: MAX_TRANSMIT_WAIT */
    if (c->num_transmissions == 0) c->num_transmissions = 512;
    if (c->transmissions_per_peer == 0)
        c->transmissions_per_peer = c->num_transmissions >= 64 ? c->num_transmissions / 16 : 4;
    if (c->num_connections == 0) c->num_connections = 256;
    if (c->connections_per_host == 0) c->connections_per_host = c->num_connections >= 64 ? c->num_connections / 4 : 16;
    c->size = sizeof *c;
}

nacre_server_config nacre_server_config_default(void)
{
    nacre_server_config config = { .size = 0 };
    fill(&config);
    return config;
}

bool nacre__server_config_resolve(nacre_server_config *c, const nacre_server_config *from)
{
    *c = (nacre_server_config){ .size = 0 };
    if (from != NULL && !nacre__config_size_fits(from->size, sizeof *from)) return false;
    if (from != NULL) *c = *from;
    if (c->size == 0) fill(c);
    return c->bodies.num_bodies != 0 && c->bodies.bodies_per_peer != 0 && c->bodies.max_body != 0 &&
           c->bodies.timeout_ms != 0 && c->num_transmissions != 0 && c->transmissions_per_peer != 0 &&
           c->num_connections != 0 && c->connections_per_host != 0;
}

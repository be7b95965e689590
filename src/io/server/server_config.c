/* SPDX-License-Identifier: MIT */
/* server_config: the limits of a server, and their defaults. */
#include "io/server/server_internal.h"
#include "base/config_size.h"

static void default_u16(uint16_t *field, uint16_t value)
{
    if (*field == 0) *field = value;
}

static void default_u32(uint32_t *field, uint32_t value)
{
    if (*field == 0) *field = value;
}

static void default_size(size_t *field, size_t value)
{
    if (*field == 0) *field = value;
}

static void fill_bodies(nacre_bodies_config *b)
{
    default_u16(&b->num_bodies, 16);
    default_u16(&b->bodies_per_peer, b->num_bodies >= 8 ? b->num_bodies / 4 : 2);
    default_size(&b->max_body, 1048576);
    default_u32(&b->timeout_ms, 93000); /* RFC 7252 4.8.2: MAX_TRANSMIT_WAIT */
}

/* The endpoint's defaults, with more observers and outer blocks. */
static void fill_endpoint(nacre_server_config *c)
{
    const nacre_endpoint_config ep = nacre_endpoint_config_default();
    const nacre_timing *t = &ep.timing;
    default_u32(&c->observe.num_observers, 1024);
    default_u32(&c->observe.observers_per_peer, c->observe.num_observers > 64 ? c->observe.num_observers / 4 : 16);
    default_u16(&c->observe.observer_bytes, ep.observe.observer_bytes);
    c->admission.amplification_limit = true;
    default_u16(&c->admission.num_peers, ep.admission.num_peers);
    default_u16(&c->admission.challenges_per_second, ep.admission.challenges_per_second);
    default_u16(&c->admission.context_challenges_per_second, ep.admission.context_challenges_per_second);
    default_u16(&c->admission.source_per_second, ep.admission.source_per_second);
    default_u16(&c->congestion.nstart, ep.congestion.nstart);
    default_u32(&c->congestion.probing_rate, ep.congestion.probing_rate);
    default_u16(&c->outer_block.num_messages, 16); /* by proxies */
    default_u32(&c->outer_block.max_unfragmented, ep.outer_block.max_unfragmented);
    default_u32(&c->timing.ack_timeout_ms, t->ack_timeout_ms);
    default_u32(&c->timing.ack_random_factor_milli, t->ack_random_factor_milli);
    if (c->timing.max_retransmit == 0) c->timing.max_retransmit = t->max_retransmit;
    default_u32(&c->timing.response_timeout_ms, t->response_timeout_ms);
    default_u32(&c->timing.exchange_lifetime_ms, t->exchange_lifetime_ms);
    default_u32(&c->timing.ack_delay_ms, t->ack_delay_ms);
}

/* Replaces 0 and false by the default. */
static void fill(nacre_server_config *c)
{
    if (c->num_workers == 0) c->num_workers = 1;
    fill_bodies(&c->bodies);
    default_u16(&c->num_transmissions, 512);
    default_u16(&c->transmissions_per_peer, c->num_transmissions >= 64 ? c->num_transmissions / 16 : 4);
    default_u16(&c->num_connections, 256);
    default_u16(&c->connections_per_host, c->num_connections >= 64 ? c->num_connections / 4 : 16);
    default_u16(&c->num_requests, 4096);
    default_u16(&c->block_size, 1024);
    fill_endpoint(c);
    default_size(&c->tcp_input_bytes, 8192);
    default_size(&c->tcp_output_bytes, 32768);
    default_u32(&c->tcp_ping_after_ms, 120000);
    default_size(&c->cache_bytes, (size_t)64 << 20);
    default_u16(&c->num_lookups, 128);
    c->size = sizeof *c;
}

nacre_server_config nacre_server_config_default(void)
{
    nacre_server_config config = { .size = 0 };
    fill(&config);
    return config;
}

/* The endpoint, the transfer and the connections check the rest. */
static bool is_possible(const nacre_server_config *c)
{
    return c->bodies.num_bodies != 0 && c->bodies.bodies_per_peer != 0 && c->bodies.max_body != 0 &&
           c->bodies.timeout_ms != 0 && c->num_transmissions != 0 && c->transmissions_per_peer != 0 &&
           c->num_connections != 0 && c->connections_per_host != 0 && c->num_requests != 0 && c->block_size != 0 &&
           c->tcp_input_bytes != 0 && c->tcp_output_bytes != 0 && c->cache_bytes != 0 && c->num_lookups != 0;
}

bool nacre__server_config_resolve(nacre_server_config *c, const nacre_server_config *from)
{
    *c = (nacre_server_config){ .size = 0 };
    if (from != NULL && !nacre__config_size_fits(from->size, sizeof *from)) return false;
    if (from != NULL) *c = *from;
    if (c->size == 0) fill(c);
    return is_possible(c);
}

/* SPDX-License-Identifier: MIT */
#include "endpoint/exchange/server_pool.h"

void nacre__server_exchanges_lay_out(nacre__server_exchanges *x, nacre__pool_layout *layout,
                                     const nacre_endpoint_config *config)
{
    x->max_pending = config->burst < config->num_server_exchanges ? config->burst : config->num_server_exchanges;
    x->all = nacre__lay_out(layout, config->num_server_exchanges, sizeof *x->all);
    nacre__groups_lay_out(&x->by_peer, layout, config->num_server_exchanges);
    nacre__groups_lay_out(&x->by_context, layout, config->num_server_exchanges);
    x->num_lookups = config->opaque_oscore ? 0 : config->num_lookups;
    x->pending = nacre__lay_out(layout, (size_t)x->max_pending + x->num_lookups, sizeof *x->pending);
    x->separates = nacre__lay_out(layout, config->num_transmissions, sizeof *x->separates);
    nacre__groups_lay_out(&x->separates_by_peer, layout, config->num_transmissions);
    x->num_counts = nacre__num_buckets_for(config->num_transmissions);
    x->counts = nacre__lay_out(layout, x->num_counts, sizeof *x->counts);
}

void nacre__server_exchanges_init(nacre__server_exchanges *x, uint8_t *pending_bytes)
{
    const nacre_endpoint_config *config = &x->core->config;
    nacre__groups_init(&x->by_peer, &x->all->peer_link, sizeof *x->all);
    nacre__groups_init(&x->by_context, &x->all->context_link, sizeof *x->all);
    nacre__groups_init(&x->separates_by_peer, &x->separates->peer_link, sizeof *x->separates);
    for (uint32_t i = 0; i < config->num_server_exchanges; i++) {
        x->all[i].record = &x->dedup->records[i];
        x->all[i].pending = x->all[i].separate = x->all[i].observer = NACRE__NONE;
    }
    for (uint32_t i = 0; i < x->max_pending + x->num_lookups; i++) {
        uint8_t *bytes = pending_bytes + 2 * config->max_message * i;
        x->pending[i] = (nacre__pending_request){ .bytes = bytes, .server = NACRE__NONE };
    }
    for (uint32_t i = 0; i < config->num_transmissions; i++) {
        x->separates[i].t = &x->tx->all[config->num_client_exchanges + i];
        x->separates[i].server = x->separates[i].observer = NACRE__NONE;
    }
}

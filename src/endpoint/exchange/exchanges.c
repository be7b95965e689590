/* SPDX-License-Identifier: MIT */
#include "endpoint/exchange/exchanges.h"

void nacre__exchanges_lay_out(nacre__exchanges *x, nacre__pool_layout *layout, const nacre_endpoint_config *config,
                              uint32_t max_observers)
{
    x->events.cap = (uint32_t)config->num_client_exchanges + config->num_server_exchanges;
    x->max_pending = config->burst < config->num_server_exchanges ? config->burst : config->num_server_exchanges;
    x->numbers.index_bits[NACRE__OF_CLIENT_EXCHANGE] = nacre__index_bits_for(config->num_client_exchanges);
    x->numbers.index_bits[NACRE__OF_SERVER_EXCHANGE] = nacre__index_bits_for(config->num_server_exchanges);
    x->numbers.index_bits[NACRE__OF_OBSERVER] = nacre__index_bits_for(max_observers);
    x->clients = nacre__lay_out(layout, config->num_client_exchanges, sizeof *x->clients);
    x->tokens = nacre__lay_out(layout, config->num_client_exchanges, sizeof *x->tokens);
    x->servers = nacre__lay_out(layout, config->num_server_exchanges, sizeof *x->servers);
    x->notes = nacre__lay_out(layout, config->burst, sizeof *x->notes);
    x->events.refs = nacre__lay_out(layout, x->events.cap, sizeof *x->events.refs);
    x->pending = nacre__lay_out(layout, x->max_pending, sizeof *x->pending);
    x->separates = nacre__lay_out(layout, config->num_transmissions, sizeof *x->separates);
}

void nacre__exchanges_init(nacre__exchanges *x, uint8_t *client_bytes, uint8_t *pending_bytes)
{
    const nacre_endpoint_config *config = &x->core->config;
    const size_t max = config->max_message;
    for (uint32_t i = 0; i < config->num_client_exchanges; i++) {
        x->clients[i].plain = client_bytes + max * i;
        x->clients[i].t = &x->tx->all[i];
        x->clients[i].outer = NACRE__NONE;
    }
    for (uint32_t i = 0; i < config->num_server_exchanges; i++) {
        x->servers[i].record = &x->dedup->records[i];
        x->servers[i].pending = x->servers[i].separate = x->servers[i].observer = NACRE__NONE;
    }
    for (uint32_t i = 0; i < x->max_pending; i++)
        x->pending[i] = (nacre__pending_request){ .bytes = pending_bytes + 2 * max * i, .server = NACRE__NONE };
    for (uint32_t i = 0; i < config->num_transmissions; i++) {
        x->separates[i].t = &x->tx->all[config->num_client_exchanges + i];
        x->separates[i].server = x->separates[i].observer = NACRE__NONE;
    }
}

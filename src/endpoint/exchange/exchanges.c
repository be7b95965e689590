/* SPDX-License-Identifier: MIT */
#include "endpoint/exchange/exchanges.h"

void nacre__exchanges_cut(nacre__exchanges *x, nacre__cutter *c, const nacre_endpoint_config *config,
                          uint32_t max_observers)
{
    x->events.cap = (uint32_t)config->num_client_exchanges + config->num_server_exchanges;
    x->max_parked = config->burst < config->num_server_exchanges ? config->burst : config->num_server_exchanges;
    x->numbers.index_bits[NACRE__OF_SLOT] = nacre__index_bits_for(config->num_client_exchanges);
    x->numbers.index_bits[NACRE__OF_ENTRY] = nacre__index_bits_for(config->num_server_exchanges);
    x->numbers.index_bits[NACRE__OF_OBSERVER] = nacre__index_bits_for(max_observers);
    x->slots = nacre__cut(c, config->num_client_exchanges, sizeof *x->slots);
    x->tokens = nacre__cut(c, config->num_client_exchanges, sizeof *x->tokens);
    x->entries = nacre__cut(c, config->num_server_exchanges, sizeof *x->entries);
    x->notes = nacre__cut(c, config->burst, sizeof *x->notes);
    x->events.refs = nacre__cut(c, x->events.cap, sizeof *x->events.refs);
    x->parked = nacre__cut(c, x->max_parked, sizeof *x->parked);
    x->pushes = nacre__cut(c, config->num_transmissions, sizeof *x->pushes);
}

void nacre__exchanges_init(nacre__exchanges *x, uint8_t *slot_bytes, uint8_t *parked_bytes)
{
    const nacre_endpoint_config *config = &x->core->config;
    const size_t max = config->max_message;
    for (uint32_t i = 0; i < config->num_client_exchanges; i++) {
        x->slots[i].plain = slot_bytes + max * i;
        x->slots[i].t = &x->tx->all[i];
        x->slots[i].outer = NACRE__NONE;
    }
    for (uint32_t i = 0; i < config->num_server_exchanges; i++) {
        x->entries[i].record = &x->dedup->records[i];
        x->entries[i].parked = x->entries[i].push = x->entries[i].observer = NACRE__NONE;
    }
    for (uint32_t i = 0; i < x->max_parked; i++)
        x->parked[i] = (nacre__parked){ .bytes = parked_bytes + 2 * max * i, .entry = NACRE__NONE };
    for (uint32_t i = 0; i < config->num_transmissions; i++) {
        x->pushes[i].t = &x->tx->all[config->num_client_exchanges + i];
        x->pushes[i].entry = x->pushes[i].observer = NACRE__NONE;
    }
}

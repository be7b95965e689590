/* SPDX-License-Identifier: MIT */
#include "endpoint/exchange/client_pool.h"

void nacre__client_exchanges_lay_out(nacre__client_exchanges *x, nacre__pool_layout *layout,
                                     const nacre_endpoint_config *config)
{
    x->all = nacre__lay_out(layout, config->num_client_exchanges, sizeof *x->all);
    x->tokens = nacre__lay_out(layout, config->num_client_exchanges, sizeof *x->tokens);
    nacre__groups_lay_out(&x->by_peer, layout, config->num_client_exchanges);
    nacre__groups_lay_out(&x->by_context, layout, config->num_client_exchanges);
    x->notes = nacre__lay_out(layout, config->burst, sizeof *x->notes);
}

void nacre__client_exchanges_init(nacre__client_exchanges *x, uint8_t *bytes)
{
    const nacre_endpoint_config *config = &x->core->config;
    nacre__groups_init(&x->by_peer, &x->all->peer_link, sizeof *x->all);
    nacre__groups_init(&x->by_context, &x->all->context_link, sizeof *x->all);
    for (uint32_t i = 0; i < config->num_client_exchanges; i++) {
        x->all[i].plain = bytes + config->max_message * i;
        x->all[i].t = &x->tx->all[i];
        x->all[i].outer = NACRE__NONE;
    }
}

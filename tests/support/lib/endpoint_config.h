/* SPDX-License-Identifier: MIT */
/* endpoint_config: configurations for tests, of the fields that differ from the defaults. */
#ifndef NACRE_TESTS_ENDPOINT_CONFIG_H
#define NACRE_TESTS_ENDPOINT_CONFIG_H

#include <nacre/endpoint.h>

/* The fields of `differs` that are not 0, and the defaults of tests for the others: the library's, but with many requests in
 * flight at once, to peers that never respond. A configuration that began with the library's is returned as it is. */
static inline nacre_endpoint_config config_with(nacre_endpoint_config differs)
{
    nacre_endpoint_config c = nacre_endpoint_config_default();
    if (differs.size != 0) return differs;
    c.congestion = (nacre_congestion_config){ .nstart = UINT16_MAX, .probing_rate = UINT32_MAX };
#define CONFIG_TAKE(field) c.field = differs.field != 0 ? differs.field : c.field
    CONFIG_TAKE(max_message);
    CONFIG_TAKE(num_client_exchanges);
    CONFIG_TAKE(num_server_exchanges);
    CONFIG_TAKE(num_transmissions);
    c.transmissions_per_peer =
        differs.transmissions_per_peer != 0 ? differs.transmissions_per_peer : c.num_transmissions;
    CONFIG_TAKE(burst);
    CONFIG_TAKE(observe.num_observers);
    CONFIG_TAKE(observe.observers_per_peer);
    CONFIG_TAKE(observe.observer_bytes);
    CONFIG_TAKE(observe.reregister_ms);
    CONFIG_TAKE(admission.num_peers);
    CONFIG_TAKE(admission.challenges_per_second);
    CONFIG_TAKE(admission.context_challenges_per_second);
    CONFIG_TAKE(admission.source_per_second);
    CONFIG_TAKE(congestion.nstart);
    CONFIG_TAKE(congestion.probing_rate);
    CONFIG_TAKE(outer_block.num_messages);
    CONFIG_TAKE(outer_block.max_unfragmented);
    CONFIG_TAKE(timing.ack_timeout_ms);
    CONFIG_TAKE(timing.ack_random_factor_milli);
    CONFIG_TAKE(timing.max_retransmit);
    CONFIG_TAKE(timing.response_timeout_ms);
    CONFIG_TAKE(timing.exchange_lifetime_ms);
    CONFIG_TAKE(timing.ack_delay_ms);
    CONFIG_TAKE(num_lookups);
#undef CONFIG_TAKE
    if (c.observe.num_observers / 4 > 16 && differs.observe.observers_per_peer == 0)
        c.observe.observers_per_peer = c.observe.num_observers / 4;
    c.opaque_oscore = differs.opaque_oscore;
    c.contexts = differs.contexts;
    c.crypto = differs.crypto;
    c.random = differs.random;
    c.lock = differs.lock;
    c.limit = differs.limit;
    c.admission.origin = differs.admission.origin;
    return c;
}

/* The same, for addresses that need not be validated. */
static inline nacre_endpoint_config config_unlimited(nacre_endpoint_config differs)
{
    nacre_endpoint_config c = config_with(differs);
    c.admission.amplification_limit = false;
    return c;
}

/* The same, with observations that are not registered again. */
static inline nacre_endpoint_config config_once(nacre_endpoint_config differs)
{
    nacre_endpoint_config c = config_with(differs);
    c.observe.reregister = false;
    return c;
}

#endif

/* SPDX-License-Identifier: MIT */
/* serve_keys: the keys of nacre serve's configuration file (man nacre-serve.conf). */
#include "serve_settings.h"

#include <stddef.h>
#include <string.h>

#define FIELD(field) offsetof(serve_settings, field), sizeof(((serve_settings *)NULL)->field)
#define TEXT(name, field)                                                                                              \
    {                                                                                                                  \
        name, SERVE_TEXT, FIELD(field), 0, 0, NULL, false                                                              \
    }
#define SWITCH(name, field)                                                                                            \
    {                                                                                                                  \
        name, SERVE_SWITCH, FIELD(field), 0, 0, NULL, false                                                            \
    }
#define NUMBER(name, field, least, most)                                                                               \
    {                                                                                                                  \
        name, SERVE_NUMBER, FIELD(field), least, most, NULL, false                                                     \
    }

enum { DAY_MS = 86400000 };

const serve_key serve_keys[] = {
    TEXT("bind", bind),
    SWITCH("tcp", tcp),
    NUMBER("workers", limits.num_workers, 1, 64),
    { "contexts", SERVE_LIST, FIELD(contexts), 0, 0, NULL, true },
    { "credentials", SERVE_TEXT, FIELD(credentials), 0, 0, NULL, true },
    TEXT("database", database),
    TEXT("kek", kek),
    { "role", SERVE_CHOICE, FIELD(role), 0, 0, "any client server", false },
    TEXT("root", root),
    { "writable", SERVE_SWITCH, FIELD(writable), 0, 0, NULL, true },
    SWITCH("demo", demo),
    TEXT("metrics", metrics),
    { "rights", SERVE_RIGHTS, FIELD(rights), 0, 0, NULL, true },
    { "stop_timeout_ms", SERVE_NUMBER, FIELD(stop_timeout_ms), 0, 600000, NULL, true },
    { "log.level", SERVE_CHOICE, FIELD(log_level), 0, 0, "error warning info debug", true },
    { "log.format", SERVE_CHOICE, FIELD(log_format), 0, 0, "auto plain text json journal", true },
    { "log.requests", SERVE_SWITCH, FIELD(verbose), 0, 0, NULL, true },
    { "log.period_ms", SERVE_NUMBER, FIELD(log_period_ms), 1000, DAY_MS, NULL, true },
    NUMBER("limits.bodies", limits.bodies.num_bodies, 1, 1024),
    NUMBER("limits.bodies_per_client", limits.bodies.bodies_per_peer, 1, 1024),
    NUMBER("limits.max_body", limits.bodies.max_body, 1024, 1073741824),
    NUMBER("limits.body_timeout_ms", limits.bodies.timeout_ms, 1000, DAY_MS),
    NUMBER("limits.block_size", limits.block_size, 16, 1024),
    NUMBER("limits.deferred", limits.num_transmissions, 1, 65535),
    NUMBER("limits.deferred_per_client", limits.transmissions_per_peer, 1, 65535),
    NUMBER("limits.requests", limits.num_requests, 64, 65535),
    NUMBER("limits.observers", limits.observe.num_observers, 0, 1048576),
    NUMBER("limits.observers_per_client", limits.observe.observers_per_peer, 1, 1048576),
    NUMBER("limits.observer_bytes", limits.observe.observer_bytes, 64, 65535),
    NUMBER("limits.outer_bodies", limits.outer_block.num_messages, 0, 1024),
    NUMBER("limits.outer_body_bytes", limits.outer_block.max_unfragmented, 1024, 1048576),
    NUMBER("limits.validated_addresses", limits.admission.num_peers, 1, 65535),
    NUMBER("limits.challenges_per_second", limits.admission.challenges_per_second, 1, 65535),
    NUMBER("limits.challenges_per_context", limits.admission.context_challenges_per_second, 1, 65535),
    NUMBER("limits.challenges_per_host", limits.admission.source_per_second, 1, 65535),
    NUMBER("limits.notifications_per_client", limits.congestion.nstart, 1, 1024),
    NUMBER("limits.probing_rate", limits.congestion.probing_rate, 1, UINT32_MAX),
    NUMBER("limits.context_cache_bytes", limits.cache_bytes, 65536, UINT32_MAX),
    NUMBER("limits.context_lookups", limits.num_lookups, 1, 65535),
    NUMBER("limits.connections", limits.num_connections, 1, 65535),
    NUMBER("limits.connections_per_host", limits.connections_per_host, 1, 65535),
    NUMBER("limits.connection_input_bytes", limits.tcp_input_bytes, 2048, 16777216),
    NUMBER("limits.connection_output_bytes", limits.tcp_output_bytes, 4096, 16777216),
    NUMBER("limits.connection_ping_ms", limits.tcp_ping_after_ms, 0, DAY_MS),
    NUMBER("limits.connection_idle_ms", limits.tcp_idle_ms, 0, DAY_MS),
    NUMBER("limits.ack_timeout_ms", limits.timing.ack_timeout_ms, 100, DAY_MS),
    NUMBER("limits.max_retransmit", limits.timing.max_retransmit, 0, 16),
    NUMBER("limits.response_timeout_ms", limits.timing.response_timeout_ms, 1000, DAY_MS),
    NUMBER("limits.exchange_lifetime_ms", limits.timing.exchange_lifetime_ms, 1000, DAY_MS),
    NUMBER("limits.ack_delay_ms", limits.timing.ack_delay_ms, 0, 1500),
    { NULL, SERVE_TEXT, 0, 0, 0, 0, NULL, false },
};

_Static_assert(sizeof serve_keys / sizeof serve_keys[0] <= SERVE_MAX_KEYS, "serve_settings.from has an entry for each");

const serve_key *serve_key_find(const char *name)
{
    for (const serve_key *key = serve_keys; key->name != NULL; key++)
        if (strcmp(key->name, name) == 0) return key;
    return NULL;
}

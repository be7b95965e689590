/* SPDX-License-Identifier: MIT */
/* metrics_list: see metrics_list.h. */
#include "metrics_list.h"

#include <stdio.h>

static void begin(const metrics_sink *sink, const char *name, metric_type type, const char *help)
{
    sink->family(sink->self, name, type, help);
}

static void one(const metrics_sink *sink, const char *name, metric_type type, uint64_t number, const char *help)
{
    const metric_sample sample = { .number = number };
    begin(sink, name, type, help);
    sink->sample(sink->self, &sample);
}

static void counter(const metrics_sink *sink, const char *name, uint64_t number, const char *help)
{
    one(sink, name, METRIC_COUNTER, number, help);
}

static void gauge(const metrics_sink *sink, const char *name, uint64_t number, const char *help)
{
    one(sink, name, METRIC_GAUGE, number, help);
}

static void labelled(const metrics_sink *sink, const char *label, const char *value, uint64_t number)
{
    const metric_sample sample = { .label = label, .value = value, .number = number };
    sink->sample(sink->self, &sample);
}

/* ---- Messages ----------------------------------------------------------------------------------------------------------- */

static void requests(const metrics_sink *sink, const nacre_endpoint_stats *e)
{
    static const char *const methods[NACRE_STATS_METHODS] = { "other",  "GET",   "POST",  "PUT",
                                                              "DELETE", "FETCH", "PATCH", "iPATCH" };
    begin(sink, "nacre_requests_total", METRIC_COUNTER, "Requests accepted, by method.");
    for (int i = 0; i < NACRE_STATS_METHODS; i++) labelled(sink, "method", methods[i], e->methods[i]);
    counter(sink, "nacre_protected_requests_total", e->protected_requests, "Requests accepted that OSCORE protected.");
    counter(sink, "nacre_duplicates_total", e->duplicates, "Duplicates of messages that were received before.");
    counter(sink, "nacre_repeated_responses_total", e->repeated_responses,
            "Responses sent again for a duplicate of their request.");
}

/* Codes that were sent, and 2.05, so that there is a value from the start. */
static void responses(const metrics_sink *sink, const nacre_endpoint_stats *e)
{
    begin(sink, "nacre_responses_total", METRIC_COUNTER, "Responses to requests, by code.");
    for (unsigned code = 0; code < NACRE_STATS_CODES; code++) {
        char text[8];
        if (e->responded[code] == 0 && code != NACRE_CONTENT) continue;
        (void)snprintf(text, sizeof text, "%u.%02u", code >> 5, code & 31);
        labelled(sink, "code", text, e->responded[code]);
    }
}

static void refused(const metrics_sink *sink, const nacre_endpoint_stats *e)
{
    begin(sink, "nacre_refused_total", METRIC_COUNTER, "Protected messages that did not verify, by error.");
#define ROW(name, text) labelled(sink, "error", text, e->refused[NACRE_REFUSED_##name]);
    NACRE_REFUSED_MAP(ROW)
#undef ROW
    labelled(sink, "error", "other", e->refused[NACRE_REFUSED_OTHER]);
}

static bool is_rate_limit(nacre_dropped why)
{
    return why == NACRE_DROPPED_ECHO_RATE || why == NACRE_DROPPED_OVERSIZED_RATE || why == NACRE_DROPPED_REDERIVE_RATE;
}

static void dropped(const metrics_sink *sink, const nacre_endpoint_stats *e, bool by_rate)
{
#define ROW(name, text)                                                                                                \
    if (is_rate_limit(NACRE_DROPPED_##name) == by_rate)                                                                \
        labelled(sink, by_rate ? "limit" : "reason", text, e->dropped_for[NACRE_DROPPED_##name]);
    NACRE_DROPPED_MAP(ROW)
#undef ROW
}

static void messages(const metrics_sink *sink, const nacre_endpoint_stats *e)
{
    counter(sink, "nacre_messages_received_total", e->received, "Messages received, of all kinds.");
    counter(sink, "nacre_messages_sent_total", e->sent, "Messages sent, of all kinds.");
    counter(sink, "nacre_messages_malformed_total", e->malformed, "Messages received that are not CoAP.");
    counter(sink, "nacre_messages_oversized_total", e->oversized, "Messages received that are too long.");
    counter(sink, "nacre_retransmissions_total", e->retransmitted, "Messages sent again without an acknowledgement.");
    requests(sink, e);
    responses(sink, e);
    refused(sink, e);
    begin(sink, "nacre_dropped_total", METRIC_COUNTER, "Messages dropped without a response, by reason.");
    dropped(sink, e, false);
    begin(sink, "nacre_rate_limited_total", METRIC_COUNTER, "Messages dropped by a rate limit.");
    dropped(sink, e, true);
    counter(sink, "nacre_echo_challenges_total", e->echo_challenges,
            "Responses 4.01 with an Echo value to be returned.");
    counter(sink, "nacre_echo_proofs_total", e->echo_proofs,
            "Echo values returned that proved freshness or an address.");
    counter(sink, "nacre_notifications_sent_total", e->sent_notifications, "Notifications sent to observers.");
}

/* ---- The server --------------------------------------------------------------------------------------------------------- */

static void stores(const metrics_sink *sink, const nacre_server_stats *s)
{
    static const char *const writes[NACRE_NUM_STORE_WRITES] = { "reserve", "window", "save" };
    begin(sink, "nacre_store_write_seconds", METRIC_HISTOGRAM,
          "Time from the request of a write to its confirmation, by what is written.");
    for (int i = 0; i < NACRE_NUM_STORE_WRITES; i++) {
        const metric_sample sample = { .label = "write", .value = writes[i], .times = &s->store_times[i] };
        sink->sample(sink->self, &sample);
    }
    counter(sink, "nacre_store_failures_total", s->store_health.num_failures, "Calls of stores that failed.");
    gauge(sink, "nacre_store_failing_contexts", s->store_health.num_failing, "Contexts whose store fails at present.");
    gauge(sink, "nacre_store_requests", s->store_requests, "Writes requested and not confirmed.");
}

static void contexts(const metrics_sink *sink, const nacre_server_stats *s)
{
    gauge(sink, "nacre_contexts", s->contexts, "Security contexts in memory.");
    counter(sink, "nacre_context_cache_hits_total", s->cache_hits, "Contexts loaded on demand that were in memory.");
    counter(sink, "nacre_context_cache_misses_total", s->cache_misses, "Contexts loaded on demand that were not.");
    counter(sink, "nacre_context_cache_evictions_total", s->cache_evictions,
            "Contexts removed from memory for others.");
    counter(sink, "nacre_handshakes_total", s->handshakes, "Key exchanges that gave a context.");
    counter(sink, "nacre_handshakes_failed_total", s->failed_handshakes, "Key exchanges that failed.");
    gauge(sink, "nacre_handshakes_open", s->open_handshakes, "Key exchanges in progress.");
}

static void present(const metrics_sink *sink, const nacre_server_stats *s)
{
    const metric_sample busy = { .number = s->busy_ms, .in_milli = true };
    gauge(sink, "nacre_observers", s->observers, "Observers of resources.");
    gauge(sink, "nacre_connections", s->connections, "TCP connections.");
    gauge(sink, "nacre_bodies", s->bodies, "Bodies in blocks in progress.");
    gauge(sink, "nacre_deferred_requests", s->deferred, "Requests whose response is deferred.");
    gauge(sink, "nacre_lanes_apart", s->lanes_apart,
          "Workers that serve verified peers before others, during a flood.");
    counter(sink, "nacre_queue_drops_total", s->queue_drops,
            "Datagrams that the system dropped at full socket queues.");
    gauge(sink, "nacre_workers", s->workers, "Threads that serve datagrams.");
    begin(sink, "nacre_worker_busy_seconds", METRIC_GAUGE, "Time that the slowest worker has worked without waiting.");
    sink->sample(sink->self, &busy);
}

void metrics_list(const metrics_snapshot *snapshot, const metrics_sink *sink)
{
    begin(sink, "nacre_build_info", METRIC_GAUGE, "1, with the version of nacre.");
    labelled(sink, "version", nacre_version(), 1);
    gauge(sink, "nacre_uptime_seconds", snapshot->uptime_s, "Time since the server started.");
    gauge(sink, "nacre_healthy", snapshot->is_healthy, "1 while /healthz is 200.");
    gauge(sink, "nacre_ready", snapshot->is_ready, "1 while /readyz is 200.");
    messages(sink, &snapshot->stats.endpoint);
    contexts(sink, &snapshot->stats);
    stores(sink, &snapshot->stats);
    present(sink, &snapshot->stats);
}

/* SPDX-License-Identifier: MIT */
/* server_stats: the figures of all workers, added up. Counters and gauges are atomic words, so that no thread waits for another. */
#include "io/loop_internal.h"
#include "io/udp_internal.h"
#include "io/server/loader.h"
#include "io/server/server_internal.h"

#include <string.h>

static void add_endpoint(nacre_endpoint_stats *sum, const nacre_endpoint *ep)
{
    enum { NUM = sizeof(nacre_endpoint_stats) / sizeof(uint64_t) };
    uint64_t words[NUM], more[NUM];
    const nacre_endpoint_stats stats = nacre_endpoint_get_stats(ep);
    memcpy(words, sum, sizeof words);
    memcpy(more, &stats, sizeof more);
    for (size_t i = 0; i < NUM; i++) words[i] += more[i];
    memcpy(sum, words, sizeof words);
}

static void add_worker(nacre_server_stats *sum, const nacre__worker *worker, uint64_t now_ms)
{
    const nacre__loop_gauges *g = nacre__loop_get_gauges(worker->loop);
    const uint64_t since = nacre__gauge(&g->busy_since), busy_ms = since != 0 && now_ms > since ? now_ms - since : 0;
    add_endpoint(&sum->endpoint, nacre_loop_endpoint(worker->loop));
    if (busy_ms > sum->busy_ms) sum->busy_ms = busy_ms;
    sum->observers += nacre__gauge(&g->observers);
    sum->connections += nacre__gauge(&g->connections);
    sum->bodies += nacre__gauge(&g->bodies);
    sum->deferred += nacre__gauge(&g->deferred);
    sum->store_requests += nacre__gauge(&g->store_requests);
    sum->lanes_apart += nacre__gauge(&g->lanes_apart);
    sum->queue_drops += nacre__udp_queue_drops(worker->udp);
    sum->workers++;
}

void nacre_server_get_stats(const nacre_server *server, nacre_server_stats *stats, size_t size)
{
    nacre_server_stats sum;
    memset(&sum, 0, sizeof sum);
    const uint64_t now_ms = nacre_clock_ms();
    for (size_t i = 0; i < server->num_workers; i++) add_worker(&sum, &server->workers[i], now_ms);
    for (int i = 0; i < NACRE_NUM_STORE_WRITES; i++)
        sum.store_times[i] = nacre__store_times_get(&server->threads.times, (nacre_store_write)i);
    sum.contexts = atomic_load(&server->num_contexts);
    const nacre__loader_counts counts = nacre__loader_count(server->loader);
    sum.databases = counts.num_databases;
    sum.cache_hits = counts.hits;
    sum.cache_misses = counts.misses;
    sum.cache_evictions = counts.evictions;
    sum.store_health = nacre__store_health_get(&server->health);
    memset(stats, 0, size);
    memcpy(stats, &sum, size < sizeof sum ? size : sizeof sum);
}

/* SPDX-License-Identifier: MIT */
/* loop_publish: sets the gauges of a loop (loop_gauges.h). */
#include "endpoint/endpoint_driver.h" /* nacre__endpoint_num_observers */
#include "io/loop_internal.h"
#include "io/loop_struct.h"
#include "transfer/transfer_internal.h"

void nacre__loop_publish(nacre_loop *loop)
{
    nacre__loop_gauges *g = &loop->gauges;
    nacre__gauge_set(&g->observers, nacre__endpoint_num_observers(loop->ep));
    nacre__gauge_set(&g->connections, loop->tcp != NULL ? loop->tcp->num_polled : 0);
    nacre__gauge_set(&g->bodies, loop->transfer != NULL ? loop->transfer->num_bodies_used : 0);
    nacre__gauge_set(&g->deferred, loop->transfer != NULL ? loop->transfer->num_deferred : 0);
    nacre__gauge_set(&g->store_requests, loop->persist.num_jobs + loop->persist.stores.num_waiting);
    nacre__gauge_set(&g->lanes_apart, nacre__lanes_are_apart(loop->lanes));
    nacre__gauge_set(&g->busy_since, 0);
}

const nacre__loop_gauges *nacre__loop_get_gauges(const nacre_loop *loop)
{
    return &loop->gauges;
}

/* SPDX-License-Identifier: MIT */
/* loop_step: drives a loop: datagrams in, events out, stores served (persist.c), datagrams out, timers.
 *
 * All work is done by `settle`, which repeats until the endpoint has neither events nor datagrams. A step then waits for the
 * socket or the next deadline. */
#include "io/loop_internal.h"
#include "io/loop_struct.h"
#include "base/hosted/detail.h"
#include "transfer/transfer_internal.h"

#include <errno.h>
#include <string.h>

enum {
    MAX_ROUNDS = 64,     /* of settle in one step: a handler that always sends again must not stop the timers */
    MAX_TCP_BURSTS = 4,  /* from connections in one step */
    MAX_BUSY_STEPS = 16, /* full bursts received without polling the other descriptors */
    ASYNC_STORE_MS = 20, /* how often an asynchronous store is polled */
};

/* ---- Endpoint or transfer ---------------------------------------------------------------------------------------------- */

static bool next_event(nacre_loop *loop, nacre_event *event)
{
    return loop->transfer != NULL ? nacre_transfer_next_event(loop->transfer, event)
                                  : nacre_endpoint_next_event(loop->ep, event);
}

static size_t transmit_many(nacre_loop *loop)
{
    const uint64_t now = nacre_clock_ms();
    return loop->transfer != NULL ? nacre_transfer_transmit_many(loop->transfer, loop->out, loop->burst, now)
                                  : nacre_endpoint_transmit_many(loop->ep, loop->out, loop->burst, now);
}

static size_t receive_many(nacre_loop *loop, const nacre_datagram *datagrams, size_t num)
{
    const uint64_t now = nacre_clock_ms();
    return loop->transfer != NULL ? nacre_transfer_receive_many(loop->transfer, datagrams, num, now)
                                  : nacre_endpoint_receive_many(loop->ep, datagrams, num, now);
}

static uint64_t deadline_of(const nacre_loop *loop)
{
    return loop->transfer != NULL ? nacre_transfer_deadline(loop->transfer) : nacre_endpoint_deadline(loop->ep);
}

static void expire(nacre_loop *loop, uint64_t now)
{
    if (loop->transfer != NULL) nacre_transfer_expire(loop->transfer, now);
    else nacre_endpoint_expire(loop->ep, now);
}

/* ---- One round -------------------------------------------------------------------------------------------------------- */

static bool take_events(nacre_loop *loop)
{
    nacre_event event;
    bool any = false;
    while (next_event(loop, &event)) {
        any = true;
        if (event.kind == NACRE_EVENT_PERSIST) nacre__persist_serve(&loop->persist, loop->ep, event.context);
        else if (event.kind == NACRE_EVENT_LOOKUP && loop->on_lookup != NULL)
            loop->on_lookup(loop->lookup_self, loop->ep, &event);
        else if (loop->transfer != NULL) loop->on_transfer_event(loop->user, loop->transfer, &event);
        else loop->on_event(loop->user, loop->ep, &event);
    }
    nacre__persist_push(&loop->persist, loop->ep);
    return any || (loop->transfer != NULL && nacre__transfer_queued(loop->transfer)); /* queued without an event */
}

static void send_over_tcp(nacre_loop *loop, const nacre_outgoing *out)
{
    if (loop->tcp != NULL) nacre__tcp_send(loop->tcp, out, nacre_clock_ms());
    else nacre__udp_note_unreachable(loop->udp, &out->peer);
}

/* The number of messages sent: a full burst, and there may be more. */
static size_t send_datagrams(nacre_loop *loop)
{
    size_t num = transmit_many(loop);
    if (loop->on_datagram != NULL)
        for (size_t i = 0; i < num; i++)
            loop->on_datagram(loop->datagram_user, true, &loop->out[i].peer, loop->out[i].bytes,
                              loop->out[i].bytes.len);
    for (size_t at = 0; at < num;) {
        size_t run = 0; /* datagrams are sent in bursts, messages of connections one by one */
        while (at + run < num && !nacre_address_is_reliable(&loop->out[at + run].peer)) run++;
        nacre__udp_send(loop->udp, loop->out + at, run);
        at += run;
        if (at < num) send_over_tcp(loop, &loop->out[at++]);
    }
    if (loop->tcp != NULL) nacre__tcp_flush(loop->tcp, nacre_clock_ms());
    return num;
}

static bool tell_unreachable(nacre_loop *loop)
{
    nacre_address peer;
    bool any = false;
    while (nacre__udp_next_unreachable(loop->udp, &peer) ||
           (loop->udp->lane != NULL && nacre__udp_next_unreachable(loop->udp->lane, &peer)) ||
           (loop->tcp != NULL && nacre__tcp_next_unreachable(loop->tcp, &peer))) {
        nacre_endpoint_unreachable(loop->ep, &peer);
        any = true;
    }
    return any;
}

/* Takes events, sends and reports unreachable peers until nothing is left; true if anything was done. It ends with events:
 * sending may produce one without a datagram (a persist request), and there is more to send only after one, or after a full
 * burst. */
static bool settle(nacre_loop *loop)
{
    bool any = false, more = true; /* at first, what the application has queued */
    loop->unsettled = true;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        const bool took = take_events(loop);
        any = any || took;
        if (!took && !more) {
            loop->unsettled = false;
            break;
        }
        const size_t num = send_datagrams(loop);
        more = tell_unreachable(loop) || num == loop->burst;
        any = any || more || num > 0;
    }
    return any;
}

/* The first `num` of loop->in. */
static void deliver(nacre_loop *loop, size_t num)
{
    for (size_t i = 0; loop->on_datagram != NULL && i < num; i++) {
        const nacre_datagram *in = &loop->in[i];
        const size_t full_len = in->full_len > in->bytes.len ? in->full_len : in->bytes.len;
        loop->on_datagram(loop->datagram_user, false, &in->peer, in->bytes, full_len);
    }
    for (size_t at = 0; at < num;) {
        const size_t taken = receive_many(loop, loop->in + at, num - at);
        if (taken == 0 && take_events(loop)) continue; /* it is refused while events of an earlier burst are left */
        if (taken == 0) break;
        at += taken;
        (void)settle(loop);
    }
}

/* From the socket or its lane. */
static nacre_err receive(nacre_loop *loop, nacre_udp *udp)
{
    nacre__udp_buffers buffers = { loop->in_memory, loop->max_message, loop->burst };
    size_t num;
    buffers.num = nacre__lanes_begin(loop->lanes, udp, loop->burst);
    nacre_err err = nacre__udp_receive(udp, loop->in, &num, &buffers);
    if (err != NACRE_OK) return err;
    const bool is_full = num == loop->burst || num == NACRE__UDP_BURST;
    loop->busy_steps = is_full && !nacre__lanes_are_apart(loop->lanes) ? loop->busy_steps + 1 : 0;
    num = nacre__lanes_admit(loop->lanes, loop->in, num);
    deliver(loop, num);
    nacre__lanes_end(loop->lanes, num);
    return NACRE_OK;
}

/* What poll reported of a socket that may be read. `more`: it has more than poll can report. */
static nacre_err receive_if(nacre_loop *loop, nacre_udp *udp, short revents, bool more)
{
    if (revents & POLLERR) nacre__udp_fetch_errors(udp);
    if (revents & POLLNVAL) return NACRE_ERR_ADDRESS;
    return more || revents != 0 ? receive(loop, udp) : NACRE_OK;
}

/* The lane first. */
static nacre_err receive_datagrams(nacre_loop *loop, bool busy, bool is_paused)
{
    nacre_udp *udp = loop->udp;
    const short revents = loop->fds[NACRE__LOOP_AT_UDP].revents;
    if (udp->lane != NULL) {
        const nacre_err err =
            receive_if(loop, udp->lane, loop->fds[NACRE__LOOP_AT_LANE].revents, nacre__udp_pending(udp->lane));
        if (err != NACRE_OK) return err;
    }
    if (!is_paused) return receive_if(loop, udp, revents, busy || nacre__udp_pending(udp));
    if (revents & POLLERR) nacre__udp_fetch_errors(udp);
    return NACRE_OK;
}

/* Receives from connections. The messages of each round are processed before the next are taken. */
static void receive_over_tcp(nacre_loop *loop)
{
    nacre__udp_buffers buffers = { loop->in_memory, loop->max_message, loop->burst };
    size_t num = 1;
    for (int i = 0; i < MAX_TCP_BURSTS && num > 0; i++) {
        num = nacre__tcp_take(loop->tcp, loop->in, &buffers, nacre_clock_ms());
        deliver(loop, num);
        nacre__tcp_processed(loop->tcp);
    }
    loop->tcp_has_more = num > 0;
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------------- */

/* Datagrams are left that poll does not report. */
static bool is_pending(const nacre_loop *loop, bool is_paused)
{
    return (!is_paused && nacre__udp_pending(loop->udp)) ||
           (loop->udp->lane != NULL && nacre__udp_pending(loop->udp->lane));
}

uint64_t nacre_loop_deadline(const nacre_loop *loop)
{
    const uint64_t pause_us = nacre__lanes_pause_us(loop->lanes);
    if (loop->unsettled || loop->touched || loop->tcp_has_more || loop->busy_steps > 0 ||
        is_pending(loop, pause_us > 0))
        return 0;
    uint64_t deadline = deadline_of(loop);
    const uint64_t tcp = loop->tcp != NULL ? nacre__tcp_deadline(loop->tcp) : UINT64_MAX;
    const uint64_t retry = nacre__persist_deadline(&loop->persist);
    const uint64_t look = loop->persist.stores.num_waiting > 0 ? nacre_clock_ms() + ASYNC_STORE_MS : UINT64_MAX;
    const uint64_t end = pause_us > 0 ? nacre_clock_ms() + pause_us / 1000 + 1 : UINT64_MAX;
    if (end < deadline) deadline = end;
    if (tcp < deadline) deadline = tcp;
    if (retry < deadline) deadline = retry;
    return look < deadline ? look : deadline;
}

static int wait_ms(const nacre_loop *loop, uint32_t max_wait_ms)
{
    const uint64_t now = nacre_clock_ms(), deadline = nacre_loop_deadline(loop);
    const uint64_t left = deadline > now ? deadline - now : 0, wait = left < max_wait_ms ? left : max_wait_ms;
    return wait < 0x7fffffff ? (int)wait : 0x7fffffff;
}

void nacre__loop_touch(nacre_loop *loop)
{
    loop->touched = true;
}

/* `is_paused`: only errors of the first socket are reported. */
static nfds_t prepare(nacre_loop *loop, bool is_paused)
{
    const nacre_udp *lane = loop->udp->lane;
    loop->fds[NACRE__LOOP_AT_UDP] = (struct pollfd){ .fd = nacre_udp_fd(loop->udp), .events = is_paused ? 0 : POLLIN };
    loop->fds[NACRE__LOOP_AT_LANE] = (struct pollfd){ .fd = lane != NULL ? nacre_udp_fd(lane) : -1, .events = POLLIN };
    loop->fds[NACRE__LOOP_AT_WAKE] = (struct pollfd){ .fd = loop->wake_fd, .events = POLLIN };
    loop->fds[NACRE__LOOP_AT_EXTRA] = (struct pollfd){ .fd = loop->extra_fd, .events = POLLIN };
    loop->fds[NACRE__LOOP_AT_STORE] = (struct pollfd){ .fd = nacre__persist_fd(&loop->persist), .events = POLLIN };
    if (loop->tcp == NULL) return NACRE__LOOP_NUM_FDS;
    return NACRE__LOOP_NUM_FDS + nacre__tcp_prepare(loop->tcp, loop->fds + NACRE__LOOP_NUM_FDS, nacre_clock_ms());
}

size_t nacre_loop_fds(nacre_loop *loop, nacre_fd *fds, size_t num)
{
    const nfds_t num_all = prepare(loop, nacre__lanes_pause_us(loop->lanes) > 0);
    size_t used = 0;
    for (nfds_t i = 0; i < num_all; i++) {
        const struct pollfd *fd = &loop->fds[i];
        if (fd->fd < 0 || fd->events == 0) continue;
        if (used < num) fds[used] = (nacre_fd){ fd->fd, (fd->events & POLLIN) != 0, (fd->events & POLLOUT) != 0 };
        used++;
    }
    return used;
}

static nacre_err step(nacre_loop *loop, uint32_t max_wait_ms, nacre_detail *why)
{
    struct pollfd *fds = loop->fds;
    const uint64_t began_ms = nacre_clock_ms();
    nacre__gauge_set(&loop->gauges.busy_since, began_ms);
    nacre__persist_take(&loop->persist, loop->ep);
    nacre__persist_look(&loop->persist, loop->ep);
    nacre__persist_retry(&loop->persist, loop->ep, began_ms);
    loop->touched = false;
    bool worked = settle(loop);
    const uint64_t pause_us = nacre__lanes_pause_us(loop->lanes);
    const bool pending = is_pending(loop, pause_us > 0);
    const bool busy = loop->busy_steps > 0 && loop->busy_steps % MAX_BUSY_STEPS != 0;
    const nfds_t num_fds = prepare(loop, pause_us > 0);
    const int wait = worked || pending ? 0 : wait_ms(loop, max_wait_ms);
    nacre__loop_publish(loop);
    if (!busy && nacre__lanes_poll(fds, num_fds, wait, pause_us) < 0 && errno != EINTR && errno != EAGAIN)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot wait for the socket: %s", strerror(errno));
    nacre__gauge_set(&loop->gauges.busy_since, nacre_clock_ms());
    loop->woken = fds[NACRE__LOOP_AT_WAKE].revents != 0;
    nacre__persist_take(&loop->persist, loop->ep);
    if (receive_datagrams(loop, busy, pause_us > 0) != NACRE_OK)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "the socket failed; open it again");
    if (loop->tcp != NULL) {
        nacre__tcp_ready(loop->tcp, fds + NACRE__LOOP_NUM_FDS, num_fds - NACRE__LOOP_NUM_FDS, nacre_clock_ms());
        nacre__tcp_expire(loop->tcp, nacre_clock_ms());
        receive_over_tcp(loop);
    }
    if (fds[NACRE__LOOP_AT_EXTRA].revents != 0) loop->on_extra(loop->extra_user);
    if (deadline_of(loop) <= nacre_clock_ms()) expire(loop, nacre_clock_ms());
    (void)settle(loop);
    return NACRE_OK;
}

nacre_err nacre_loop_step(nacre_loop *loop, uint32_t max_wait_ms, nacre_detail *why)
{
    if (loop->stepping)
        return nacre__fail(why, NACRE_ERR_BUSY, "a callback of this loop runs: a step inside of it is not possible");
    loop->stepping = true;
    const nacre_err err = step(loop, max_wait_ms, why);
    nacre__loop_publish(loop);
    loop->stepping = false;
    return err;
}

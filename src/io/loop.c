/* SPDX-License-Identifier: MIT */
/* loop: drives one endpoint over one UDP socket and, optionally, connections: datagrams in, events out, stores served
 * (persist.c), datagrams out, timers.
 *
 * All work is done by `settle`, which repeats until the endpoint has neither events nor datagrams. A step then waits for the
 * socket or the next deadline. */
#include "endpoint/endpoint_driver.h" /* nacre__endpoint_on_confirmed */
#include "io/loop_internal.h"
#include "io/persist.h"
#include "io/tcp_internal.h"
#include "base/hosted/detail.h"
#include "transfer/transfer_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_MAX_MESSAGE = 1280, /* as nacre_endpoint_config says */
    DEFAULT_BURST = 32,
    MAX_ROUNDS = 64,     /* of settle in one step: a handler that always sends again must not stop the timers */
    MAX_TCP_BURSTS = 4,  /* from connections in one step */
    MAX_BUSY_STEPS = 16, /* full bursts received without polling the other descriptors */
    ASYNC_STORE_MS = 20, /* how often an asynchronous store is polled */
    AT_UDP = 0,          /* indices in `fds` */
    AT_WAKE = 1,
    AT_EXTRA = 2,
    NUM_FDS = 3, /* the connections' descriptors follow */
};

struct nacre_loop {
    nacre_udp *udp;
    nacre_endpoint *ep;
    void *ep_memory;
    size_t ep_size;
    nacre_transfer *transfer; /* NULL: events come from the endpoint */
    void *transfer_memory;
    size_t transfer_size;
    size_t max_message, burst;
    uint8_t *in_memory, *out_memory; /* burst * max_message bytes each */
    nacre_datagram *in;
    nacre_outgoing *out;
    nacre_on_event on_event;
    nacre_on_transfer_event on_transfer_event;
    void *user;
    nacre_on_datagram on_datagram;
    void *datagram_user;
    nacre_tcp *tcp;     /* NULL: none */
    struct pollfd *fds; /* the socket, wake_fd, extra_fd, and the connections' */
    bool tcp_has_more;  /* received messages of connections are left */
    nacre__persist persist;
    nacre__store_health local_health;
    int wake_fd, extra_fd;
    void (*on_extra)(void *user);
    void *extra_user;
    int busy_steps; /* consecutive full bursts */
    bool unsettled; /* MAX_ROUNDS was reached: work is left */
    bool touched;   /* the endpoint was used since the last step */
    bool woken;     /* the last step saw wake_fd readable */
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static nacre_err allocate(nacre_loop *loop, const nacre_endpoint_config *config)
{
    loop->ep_size = nacre_endpoint_size(config);
    if (loop->ep_size == 0) return NACRE_ERR_BAD_ARGUMENT;
    loop->ep_memory = malloc(loop->ep_size);
    loop->in_memory = calloc(loop->burst, loop->max_message);
    loop->out_memory = calloc(loop->burst, loop->max_message);
    loop->in = calloc(loop->burst, sizeof *loop->in);
    loop->out = calloc(loop->burst, sizeof *loop->out);
    loop->fds = calloc(NUM_FDS, sizeof *loop->fds);
    if (!loop->fds || !loop->ep_memory || !loop->in_memory || !loop->out_memory || !loop->in || !loop->out)
        return NACRE_ERR_NO_MEMORY;
    for (size_t i = 0; i < loop->burst; i++)
        loop->out[i].buf = (nacre_buf){ loop->out_memory + i * loop->max_message, loop->max_message };
    return nacre_endpoint_init(&loop->ep, loop->ep_memory, loop->ep_size, config);
}

static nacre_err add_transfer(nacre_loop *loop, const nacre_transfer_config *config)
{
    nacre_transfer_config on_ours = *config;
    on_ours.endpoint = loop->ep;
    loop->transfer_size = nacre_transfer_size(&on_ours);
    if (loop->transfer_size == 0) return NACRE_ERR_BAD_ARGUMENT;
    loop->transfer_memory = malloc(loop->transfer_size);
    if (loop->transfer_memory == NULL) return NACRE_ERR_NO_MEMORY;
    return nacre_transfer_init(&loop->transfer, loop->transfer_memory, loop->transfer_size, &on_ours);
}

static size_t max_message_to(void *self, const nacre_address *peer)
{
    const nacre_loop *loop = self;
    bool over_tcp = loop->tcp != NULL && nacre_address_is_reliable(peer);
    return over_tcp ? nacre__tcp_max_message(loop->tcp, peer) : loop->max_message;
}

static nacre_err open_loop(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                           const nacre_transfer_config *transfer, nacre_detail *why)
{
    nacre_endpoint_config with_random = *config;
    if (with_random.random.fill == NULL) with_random.random = nacre_entropy();
    nacre_loop *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a loop");
    if (nacre__store_health_init(&made->local_health) != NACRE_OK) {
        free(made);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a loop");
    }
    made->udp = udp;
    made->persist.lock = config->lock;
    made->persist.health = &made->local_health;
    made->wake_fd = made->extra_fd = -1;
    made->max_message = config->max_message != 0 ? config->max_message : DEFAULT_MAX_MESSAGE;
    made->burst = config->burst != 0 ? config->burst : DEFAULT_BURST;
    if (with_random.limit.max_message == NULL) with_random.limit = (nacre_limit){ max_message_to, made };
    nacre_err err = allocate(made, &with_random);
    if (err == NACRE_OK && transfer != NULL) err = add_transfer(made, transfer);
    if (err != NACRE_OK) {
        nacre_loop_close(made);
        return nacre__fail(why, err, "cannot make an endpoint: %s", nacre_err_text(err));
    }
    nacre__endpoint_on_confirmed(made->ep, nacre__persist_on_confirmed, &made->persist);
    *loop = made;
    return NACRE_OK;
}

nacre_err nacre_loop_open(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                          nacre_on_event on_event, void *user, nacre_detail *why)
{
    const nacre_err err = open_loop(loop, udp, config, NULL, why);
    if (err != NACRE_OK) return err;
    (*loop)->on_event = on_event;
    (*loop)->user = user;
    return NACRE_OK;
}

nacre_err nacre_loop_open_transfer(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                                   const nacre_transfer_config *transfer, nacre_on_transfer_event on_event, void *user,
                                   nacre_detail *why)
{
    const nacre_err err = open_loop(loop, udp, config, transfer, why);
    if (err != NACRE_OK) return err;
    (*loop)->on_transfer_event = on_event;
    (*loop)->user = user;
    return NACRE_OK;
}

static void wipe_and_free(void *memory, size_t len)
{
    if (memory != NULL) nacre_wipe(memory, len);
    free(memory);
}

void nacre_loop_close(nacre_loop *loop)
{
    if (loop == NULL) return;
    nacre_transfer_wipe(loop->transfer);
    free(loop->transfer_memory);
    if (loop->ep != NULL) nacre_endpoint_wipe(loop->ep);
    free(loop->ep_memory);
    wipe_and_free(loop->in_memory, loop->burst * loop->max_message); /* they held plaintext requests and responses */
    wipe_and_free(loop->out_memory, loop->burst * loop->max_message);
    free(loop->in);
    free(loop->out);
    free(loop->fds);
    nacre__persist_free(&loop->persist);
    nacre__store_health_free(&loop->local_health);
    free(loop);
}

nacre_endpoint *nacre_loop_endpoint(nacre_loop *loop)
{
    return loop->ep;
}

nacre_transfer *nacre_loop_transfer(nacre_loop *loop)
{
    return loop->transfer;
}

nacre_err nacre_loop_add_tcp(nacre_loop *loop, nacre_tcp *tcp)
{
    if (loop->tcp != NULL || tcp->config.stream.max_message > loop->max_message) return NACRE_ERR_BAD_ARGUMENT;
    struct pollfd *fds = realloc(loop->fds, (NUM_FDS + nacre__tcp_max_fds(tcp)) * sizeof *fds);
    if (fds == NULL) return NACRE_ERR_NO_MEMORY;
    loop->fds = fds;
    loop->tcp = tcp;
    return NACRE_OK;
}

void nacre_loop_tap(nacre_loop *loop, nacre_on_datagram on_datagram, void *user)
{
    loop->on_datagram = on_datagram;
    loop->datagram_user = user;
}

nacre_err nacre_loop_add_pack(nacre_loop *loop, nacre_pack *pack)
{
    return nacre__persist_add_pack(&loop->persist, pack);
}

nacre_err nacre_loop_add_store(nacre_loop *loop, nacre_context *ctx, nacre_store store)
{
    return nacre__stores_put(&loop->persist.stores, ctx, store);
}

void nacre_loop_remove_store(nacre_loop *loop, nacre_context *ctx)
{
    nacre__persist_forget(&loop->persist, ctx);
}

void nacre_loop_store_failed(nacre_loop *loop, nacre_context *ctx, nacre_err err, const char *text)
{
    nacre__persist_report_failure(&loop->persist, ctx, err, text);
}

void nacre_loop_on_store(nacre_loop *loop, nacre_on_store on_store, void *user)
{
    nacre__store_health_watch(loop->persist.health, on_store, user);
}

nacre_store_health nacre_loop_store_health(const nacre_loop *loop)
{
    return nacre__store_health_get(loop->persist.health);
}

void nacre__loop_name_contexts(nacre_loop *loop, const char *const *(*claims)(void *self, const nacre_context *ctx),
                               void *self)
{
    loop->local_health.claims = claims;
    loop->local_health.claims_self = self;
}

void nacre__loop_share_health(nacre_loop *loop, nacre__store_health *health)
{
    loop->persist.health = health;
}

const char *nacre_loop_store_failure(const nacre_loop *loop)
{
    return loop->persist.failure.text;
}

void nacre__loop_set_wake(nacre_loop *loop, int fd)
{
    loop->wake_fd = fd;
}

bool nacre__loop_woken(const nacre_loop *loop)
{
    return loop->woken;
}

void nacre__loop_set_extra(nacre_loop *loop, int fd, void (*on_readable)(void *user), void *user)
{
    loop->extra_fd = fd;
    loop->on_extra = on_readable;
    loop->extra_user = user;
}

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
        else if (loop->transfer != NULL) loop->on_transfer_event(loop->user, loop->transfer, &event);
        else loop->on_event(loop->user, loop->ep, &event);
    }
    nacre__persist_commit(&loop->persist, loop->ep);
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

static nacre_err receive(nacre_loop *loop)
{
    nacre__udp_buffers buffers = { loop->in_memory, loop->max_message, loop->burst };
    size_t num;
    nacre_err err = nacre__udp_receive(loop->udp, loop->in, &num, &buffers);
    if (err != NACRE_OK) return err;
    loop->busy_steps = num == loop->burst || num == NACRE__UDP_BURST ? loop->busy_steps + 1 : 0;
    deliver(loop, num);
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

uint64_t nacre_loop_deadline(const nacre_loop *loop)
{
    if (loop->unsettled || loop->touched || loop->tcp_has_more || loop->busy_steps > 0 || nacre__udp_pending(loop->udp))
        return 0;
    uint64_t deadline = deadline_of(loop);
    const uint64_t tcp = loop->tcp != NULL ? nacre__tcp_deadline(loop->tcp) : UINT64_MAX;
    const uint64_t retry = nacre__persist_deadline(&loop->persist);
    const uint64_t look = loop->persist.stores.num_waiting > 0 ? nacre_clock_ms() + ASYNC_STORE_MS : UINT64_MAX;
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

static nfds_t prepare(nacre_loop *loop)
{
    loop->fds[AT_UDP] = (struct pollfd){ .fd = nacre_udp_fd(loop->udp), .events = POLLIN };
    loop->fds[AT_WAKE] = (struct pollfd){ .fd = loop->wake_fd, .events = POLLIN };
    loop->fds[AT_EXTRA] = (struct pollfd){ .fd = loop->extra_fd, .events = POLLIN };
    if (loop->tcp == NULL) return NUM_FDS;
    return NUM_FDS + nacre__tcp_prepare(loop->tcp, loop->fds + NUM_FDS, nacre_clock_ms());
}

size_t nacre_loop_fds(nacre_loop *loop, nacre_fd *fds, size_t num)
{
    const nfds_t num_all = prepare(loop);
    size_t used = 0;
    for (nfds_t i = 0; i < num_all; i++) {
        const struct pollfd *fd = &loop->fds[i];
        if (fd->fd < 0 || fd->events == 0) continue;
        if (used < num) fds[used] = (nacre_fd){ fd->fd, (fd->events & POLLIN) != 0, (fd->events & POLLOUT) != 0 };
        used++;
    }
    return used;
}

nacre_err nacre_loop_step(nacre_loop *loop, uint32_t max_wait_ms, nacre_detail *why)
{
    struct pollfd *fds = loop->fds;
    nacre__persist_look(&loop->persist, loop->ep);
    nacre__persist_retry(&loop->persist, loop->ep, nacre_clock_ms());
    loop->touched = false;
    bool worked = settle(loop);
    bool pending = nacre__udp_pending(loop->udp);
    bool busy = loop->busy_steps > 0 && loop->busy_steps % MAX_BUSY_STEPS != 0;
    nfds_t num_fds = prepare(loop);
    if (!busy && poll(fds, num_fds, worked || pending ? 0 : wait_ms(loop, max_wait_ms)) < 0 && errno != EINTR &&
        errno != EAGAIN)
        return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot wait for the socket: %s", strerror(errno));
    loop->woken = fds[AT_WAKE].revents != 0;
    if (fds[AT_UDP].revents & POLLERR) nacre__udp_fetch_errors(loop->udp);
    if ((fds[AT_UDP].revents & POLLNVAL) ||
        ((busy || pending || fds[AT_UDP].revents != 0) && receive(loop) != NACRE_OK))
        return nacre__fail(why, NACRE_ERR_ADDRESS, "the socket failed; open it again");
    if (loop->tcp != NULL) {
        nacre__tcp_ready(loop->tcp, fds + NUM_FDS, num_fds - NUM_FDS, nacre_clock_ms());
        nacre__tcp_expire(loop->tcp, nacre_clock_ms());
        receive_over_tcp(loop);
    }
    if (fds[AT_EXTRA].revents != 0) loop->on_extra(loop->extra_user);
    if (deadline_of(loop) <= nacre_clock_ms()) expire(loop, nacre_clock_ms());
    (void)settle(loop);
    return NACRE_OK;
}

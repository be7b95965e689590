/* SPDX-License-Identifier: MIT */
/* loop: one endpoint with one UDP socket and, optionally, connections: how it is made and what it is told. loop_step.c drives it. */
#include "endpoint/endpoint_driver.h" /* nacre__endpoint_on_confirmed */
#include "io/loop_internal.h"
#include "io/loop_struct.h"
#include "base/hosted/detail.h"
#include "transfer/transfer_internal.h"

#include <nacre/address.h>

#include <stdlib.h>

enum { DEFAULT_MAX_MESSAGE = 1280, DEFAULT_BURST = 32 }; /* as nacre_endpoint_config says */

static nacre_err allocate(nacre_loop *loop, const nacre_endpoint_config *config)
{
    loop->ep_size = nacre_endpoint_size(config);
    if (loop->ep_size == 0) return NACRE_ERR_BAD_ARGUMENT;
    loop->ep_memory = malloc(loop->ep_size);
    loop->in_memory = calloc(loop->burst, loop->max_message);
    loop->out_memory = calloc(loop->burst, loop->max_message);
    loop->in = calloc(loop->burst, sizeof *loop->in);
    loop->out = calloc(loop->burst, sizeof *loop->out);
    loop->fds = calloc(NACRE__LOOP_NUM_FDS, sizeof *loop->fds);
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

static void on_verified(void *self, const nacre_address *peer)
{
    nacre_loop *loop = self;
    if (!nacre_address_is_reliable(peer)) nacre__lanes_verified(loop->lanes, peer);
    else if (loop->tcp != NULL) nacre__tcp_verified(loop->tcp, peer, nacre_clock_ms());
}

static nacre_err open_loop(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                           const nacre_transfer_config *transfer, nacre_detail *why)
{
    nacre_endpoint_config with_random = *config;
    if (with_random.random.fill == NULL) with_random.random = nacre_entropy();
    nacre_loop *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a loop");
    nacre_err started = nacre__store_health_init(&made->local_health);
    if (started == NACRE_OK && nacre__store_threads_init(&made->local_threads) != NACRE_OK) {
        nacre__store_health_free(&made->local_health);
        started = NACRE_ERR_NO_MEMORY;
    }
    if (started != NACRE_OK) {
        free(made);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a loop");
    }
    made->udp = udp;
    made->persist.lock = config->lock;
    made->persist.health = &made->local_health;
    made->persist.threads = &made->local_threads;
    made->wake_fd = made->extra_fd = -1;
    made->max_message = config->max_message != 0 ? config->max_message : DEFAULT_MAX_MESSAGE;
    made->burst = config->burst != 0 ? config->burst : DEFAULT_BURST;
    if (with_random.limit.max_message == NULL) with_random.limit = (nacre_limit){ max_message_to, made };
    if (with_random.admission.origin.part == NULL) with_random.admission.origin.part = nacre_address_part;
    nacre_err err = allocate(made, &with_random);
    if (err == NACRE_OK && transfer != NULL) err = add_transfer(made, transfer);
    if (err != NACRE_OK) {
        nacre_loop_close(made);
        return nacre__fail(why, err, "cannot make an endpoint: %s", nacre_err_text(err));
    }
    nacre__endpoint_on_confirmed(made->ep, nacre__persist_on_confirmed, &made->persist);
    made->lanes = nacre__lanes_open(udp);
    if (made->lanes != NULL) nacre__endpoint_on_verified(made->ep, on_verified, made);
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
    nacre__lanes_close(loop->lanes);
    nacre__persist_free(&loop->persist);
    nacre__store_threads_free(&loop->local_threads);
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
    struct pollfd *fds = realloc(loop->fds, (NACRE__LOOP_NUM_FDS + nacre__tcp_max_fds(tcp)) * sizeof *fds);
    if (fds == NULL) return NACRE_ERR_NO_MEMORY;
    loop->fds = fds;
    loop->tcp = tcp;
    nacre__endpoint_on_verified(loop->ep, on_verified, loop);
    return NACRE_OK;
}

void nacre_loop_tap(nacre_loop *loop, nacre_on_datagram on_datagram, void *user)
{
    loop->on_datagram = on_datagram;
    loop->datagram_user = user;
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

void nacre__loop_find_stores(nacre_loop *loop,
                             bool (*find_store)(void *self, const nacre_context *ctx, nacre_store *store), void *self)
{
    loop->persist.find_store = find_store;
    loop->persist.find_store_self = self;
}

void nacre__loop_on_lookup(nacre_loop *loop,
                           void (*on_lookup)(void *self, nacre_endpoint *ep, const nacre_event *event), void *self)
{
    loop->on_lookup = on_lookup;
    loop->lookup_self = self;
    nacre__endpoint_pause_lookups(loop->ep, on_lookup == NULL);
}

bool nacre__loop_uses_context(nacre_loop *loop, const nacre_context *ctx)
{
    if (nacre__persist_uses(&loop->persist, ctx)) return true;
    return loop->transfer != NULL ? nacre__transfer_uses_context(loop->transfer, ctx)
                                  : nacre__endpoint_uses_context(loop->ep, ctx);
}

void nacre__loop_share_stores(nacre_loop *loop, nacre__store_health *health, nacre__store_threads *threads)
{
    loop->persist.health = health;
    loop->persist.threads = threads;
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

/* SPDX-License-Identifier: MIT */
/* config_test: a configuration that starts from its default is used as it is; in one of size 0, zero fields take their
 * defaults. */
#include "io/server/server_internal.h"
#include "support.h"

#include <nacre/nacre.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static nacre_endpoint *endpoint_of(nacre_endpoint_config config, void **memory)
{
    nacre_endpoint *ep = NULL;
    config.crypto = *test_crypto();
    config.random = nacre_entropy();
    const size_t size = nacre_endpoint_size(&config);
    assert_true(size > 0);
    *memory = malloc(size);
    assert_ok(nacre_endpoint_init(&ep, *memory, size, &config));
    return ep;
}

static void endpoint_default_equals_a_configuration_of_size_0(void **state)
{
    (void)state;
    void *memory;
    nacre_endpoint_config wanted = nacre_endpoint_config_default();
    const nacre_endpoint_config *got =
        nacre_endpoint_get_config(endpoint_of((nacre_endpoint_config){ .observe.num_observers = 0 }, &memory));
    wanted.crypto = got->crypto;
    wanted.random = got->random;
    assert_int_equal(got->size, sizeof *got);
    assert_memory_equal(&wanted, got, sizeof wanted);
    assert_int_equal(wanted.timing.max_retransmit, 4);
    assert_int_equal(wanted.outer_block.num_messages, 4);
    assert_true(wanted.observe.reregister && wanted.admission.amplification_limit);
    free(memory);
}

static void false_is_false_after_the_default(void **state)
{
    (void)state;
    void *memory;
    nacre_endpoint_config config = nacre_endpoint_config_default();
    config.observe.reregister = config.admission.amplification_limit = false;
    const nacre_endpoint_config *got = nacre_endpoint_get_config(endpoint_of(config, &memory));
    assert_true(!got->observe.reregister && !got->admission.amplification_limit);
    free(memory);
}

static void zero_after_the_default_means_none(void **state)
{
    (void)state;
    void *memory;
    nacre_endpoint_config config = nacre_endpoint_config_default();
    config.timing.max_retransmit = 0;
    config.timing.ack_delay_ms = 0;
    config.outer_block.num_messages = 0;
    const nacre_endpoint_config *got = nacre_endpoint_get_config(endpoint_of(config, &memory));
    assert_int_equal(got->timing.max_retransmit, 0);
    assert_int_equal(got->timing.ack_delay_ms, 0);
    assert_int_equal(got->outer_block.num_messages, 0);
    free(memory);
    config.size = 0;
    got = nacre_endpoint_get_config(endpoint_of(config, &memory));
    assert_int_equal(got->timing.max_retransmit, 4);
    assert_int_equal(got->outer_block.num_messages, 4);
    free(memory);
}

static void an_endpoint_without_required_fields_is_refused(void **state)
{
    (void)state;
    for (int row = 0; row <= 13; row++) {
        nacre_endpoint_config c = nacre_endpoint_config_default();
        uint16_t *const numbers[] = { &c.num_client_exchanges,
                                      &c.num_server_exchanges,
                                      &c.num_transmissions,
                                      &c.burst,
                                      &c.admission.num_peers,
                                      &c.congestion.nstart,
                                      &c.admission.challenges_per_second,
                                      &c.admission.context_challenges_per_second };
        if (row > 0 && row <= 8) *numbers[row - 1] = 0;
        if (row == 9) c.timing.ack_timeout_ms = 0;
        if (row == 10) c.timing.exchange_lifetime_ms = 0;
        if (row == 12) c.transmissions_per_peer = 0;
        if (row == 13) c.admission.source_per_second = 0;
        if (row == 11) c.congestion.probing_rate = 0;
        assert_true((nacre_endpoint_size(&c) > 0) == (row == 0));
    }
}

static void a_transfer_and_a_stream_follow_the_same_rule(void **state)
{
    (void)state;
    void *memory;
    nacre_endpoint *ep = endpoint_of(nacre_endpoint_config_default(), &memory);
    nacre_transfer_config transfer = nacre_transfer_config_default(ep);
    assert_int_equal(transfer.num_client_exchanges, 16);
    assert_int_equal(nacre_transfer_size(&transfer), nacre_transfer_size(&(nacre_transfer_config){ .endpoint = ep }));
    const size_t size = nacre_transfer_size(&transfer);
    uint8_t *block = malloc(size);
    nacre_transfer *t = NULL;
    assert_err(nacre_transfer_init(&t, NULL, size, &transfer), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_transfer_init(&t, block + 1, size, &transfer), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_transfer_init(&t, block, size - 1, &transfer), NACRE_ERR_BUFFER_TOO_SMALL);
    transfer.bodies.num_bodies = 0;
    assert_int_equal(nacre_transfer_size(&transfer), 0);
    assert_err(nacre_transfer_init(&t, block, size, &transfer), NACRE_ERR_BAD_ARGUMENT);
    assert_null(t);
    transfer.size = 0;
    assert_true(nacre_transfer_size(&transfer) > 0);
    assert_ok(nacre_transfer_init(&t, block, size, &transfer));
    free(block);
    free(memory);

    nacre_stream_config stream = nacre_stream_config_default();
    nacre_stream s;
    uint8_t in[2048], out[2048];
    assert_int_equal(stream.max_message, 1280);
    assert_ok(nacre_stream_init(&s, NACRE_BUF(in), NACRE_BUF(out), &stream, 0));
    stream.stall_timeout_ms = 0;
    assert_err(nacre_stream_init(&s, NACRE_BUF(in), NACRE_BUF(out), &stream, 0), NACRE_ERR_BAD_ARGUMENT);
}

static void a_client_and_connections_follow_the_same_rule(void **state)
{
    (void)state;
    nacre_tcp *tcp;
    nacre_tcp_config connections = nacre_tcp_config_default();
    assert_int_equal(connections.stream.ping_after_ms, 120000);
    connections.stream.ping_after_ms = 0; /* never */
    assert_ok(nacre_tcp_open(&tcp, &connections, NULL));
    nacre_tcp_close(tcp);
    connections.num_connections = 0;
    assert_err(nacre_tcp_open(&tcp, &connections, NULL), NACRE_ERR_BAD_ARGUMENT);

    nacre_client *client;
    nacre_client_options options = nacre_client_options_default();
    nacre_detail why = { "" };
    options.timing.max_retransmit = 0;
    assert_ok(nacre_client_open(&client, &options, &why));
    assert_ok(nacre_client_close(client, NULL));
    options.limits.max_in_flight = 0;
    assert_err(nacre_client_open(&client, &options, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_true(why.text[0] != '\0');
    options.size = 0;
    assert_ok(nacre_client_open(&client, &options, &why));
    assert_ok(nacre_client_close(client, NULL));
}

/* The `len` bytes of a configuration before memory that cannot be read, as those of a program with an older header may be. */
static const void *at_the_edge(const void *config, size_t len)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    return memcpy(pages + page - len, config, len);
}

/* A copy of `config` that is a pointer shorter than the struct, and says so. */
#define SHORTER(config)                                                                                                \
    ((config).size = sizeof(config) - sizeof(void *), at_the_edge(&(config), sizeof(config) - sizeof(void *)))

static void a_shorter_configuration_is_refused_and_not_read(void **state)
{
    (void)state;
    void *memory;
    nacre_endpoint *ep = endpoint_of(nacre_endpoint_config_default(), &memory);
    nacre_endpoint_config endpoint = nacre_endpoint_config_default();
    nacre_transfer_config transfer = nacre_transfer_config_default(ep);
    nacre_stream_config stream = nacre_stream_config_default();
    nacre_tcp_config connections = nacre_tcp_config_default();
    nacre_server_config limits = nacre_server_config_default();
    nacre_client_options options = nacre_client_options_default();
    nacre_client_request_config get = nacre_client_request_config_default();
    nacre_stream s;
    nacre_tcp *tcp;
    nacre_server *server;
    nacre_client *client;
    nacre_reply reply;
    nacre_detail why = { "" };
    const nacre_observe_options observing = { .duration_ms = 1 };
    uint8_t in[2048], out[2048];
    assert_int_equal(nacre_endpoint_size(SHORTER(endpoint)), 0);
    assert_err(nacre_endpoint_init(&ep, memory, SIZE_MAX, SHORTER(endpoint)), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_transfer_size(SHORTER(transfer)), 0);
    assert_err(nacre_stream_init(&s, NACRE_BUF(in), NACRE_BUF(out), SHORTER(stream), 0), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_tcp_open(&tcp, SHORTER(connections), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_server_open_with(&server, "127.0.0.1:0", SHORTER(limits), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_client_open(&client, SHORTER(options), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "compile the program anew"));
    assert_ok(nacre_client_open(&client, NULL, &why));
    assert_err(nacre_client_request_with(client, &reply, SHORTER(get), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_client_start(client, NULL, SHORTER(get), &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_client_observe(client, &reply, SHORTER(get), &observing, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_client_start_observe(client, NULL, SHORTER(get), &observing, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "compile the program anew"));
    assert_ok(nacre_client_close(client, NULL));
    free(memory);
}

static void a_server_made_by_an_initialiser_has_the_defaults_of_its_endpoints(void **state)
{
    (void)state;
    nacre_server_config got = { .num_workers = 7 };
    const nacre_server_config none = { .num_workers = 0 }, wanted = nacre_server_config_default();
    const nacre_endpoint_config ep = nacre_endpoint_config_default();
    assert_true(nacre__server_config_resolve(&got, &none));
    assert_memory_equal(&got, &wanted, sizeof got);
    assert_true(nacre__server_config_resolve(&got, NULL));
    assert_memory_equal(&got, &wanted, sizeof got);
    assert_int_equal(got.observe.num_observers, 1024);
    assert_int_equal(got.observe.observers_per_peer, 256);
    assert_int_equal(got.outer_block.num_messages, 16);
    assert_int_equal(got.num_requests, 4096);
    assert_int_equal(got.block_size, 1024);
    assert_memory_equal(&got.timing, &ep.timing, sizeof ep.timing);
    assert_memory_equal(&got.congestion, &ep.congestion, sizeof ep.congestion);
    assert_memory_equal(&got.admission, &ep.admission, sizeof ep.admission);
}

static void a_server_refuses_limits_that_are_not_possible(void **state)
{
    (void)state;
    for (int row = 0; row <= 8; row++) {
        nacre_server *server = NULL;
        nacre_detail why = { "" };
        nacre_server_config c = nacre_server_config_default();
        uint16_t *const numbers[] = { &c.num_requests, &c.block_size, &c.admission.num_peers, &c.congestion.nstart };
        if (row > 0 && row <= 4) *numbers[row - 1] = 0;
        if (row == 5) c.block_size = 48;
        if (row == 6) c.tcp_input_bytes = 0;
        if (row == 7) c.tcp_output_bytes = 0;
        if (row == 8) c.timing.ack_timeout_ms = 0;
        c.observe.num_observers = c.outer_block.num_messages = 0; /* none */
        const nacre_err err = nacre_server_open_with(&server, "127.0.0.1:0", &c, &why);
        assert_err(err, row == 0 ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
        if (row == 0) assert_ok(nacre_server_close(server, &why));
    }
}

/* Size 0 makes a request a GET, and a client one of CON. */
static void a_request_made_by_an_initialiser_has_the_defaults(void **state)
{
    (void)state;
    nacre_client *client;
    nacre_reply reply;
    nacre_detail why = { "" };
    const nacre_client_options options = { .timeout_ms = 50 };
    assert_true(nacre_client_options_default().confirmable);
    assert_ok(nacre_client_open(&client, &options, &why));
    const nacre_client_request_config get = { .uri = "coap://127.0.0.1:9/x" }, none = { .method = NACRE_GET };
    const nacre_err err = nacre_client_request_with(client, &reply, &get, &why);
    assert_true(err == NACRE_ERR_TIMEOUT || err == NACRE_ERR_UNREACHABLE);
    assert_err(nacre_client_request_with(client, &reply, &none, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_client_close(client, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoint_default_equals_a_configuration_of_size_0),
        cmocka_unit_test(false_is_false_after_the_default),
        cmocka_unit_test(zero_after_the_default_means_none),
        cmocka_unit_test(an_endpoint_without_required_fields_is_refused),
        cmocka_unit_test(a_transfer_and_a_stream_follow_the_same_rule),
        cmocka_unit_test(a_client_and_connections_follow_the_same_rule),
        cmocka_unit_test(a_shorter_configuration_is_refused_and_not_read),
        cmocka_unit_test(a_server_made_by_an_initialiser_has_the_defaults_of_its_endpoints),
        cmocka_unit_test(a_server_refuses_limits_that_are_not_possible),
        cmocka_unit_test(a_request_made_by_an_initialiser_has_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* transfer_server_test: bodies are assembled and responses split, for scripted clients. */
#include "../scenario/blocks.h"

enum { MAX_BODY = 4000, CLIENTS = 6 };

typedef struct fixture {
    party server, client; /* the client has all contexts, and no transfer */
    nacre_context *ctx[CLIENTS];
    nacre_message got; /* the client's last received message */
    uint64_t now;
    unsigned num_requests; /* REQUEST events */
} fixture;

static void begin_with(fixture *f, const nacre_transfer_config *config)
{
    static const char *const names[CLIENTS] = { "c0", "c1", "c2", "c3", "c4", "c5" };
    const nacre_endpoint_config c = config_unlimited((nacre_endpoint_config){ .congestion.nstart = UINT16_MAX });
    memset(f, 0, sizeof *f);
    party_open(&f->server, "server", 1, &c);
    party_open(&f->client, "client", 2, &c);
    party_add_transfer(&f->server, config);
    for (uint8_t i = 0; i < CLIENTS; i++) {
        const pairing how = { .client_id = names[i], .secret = i };
        f->ctx[i] = party_context(&f->client, &how, false);
        (void)party_context(&f->server, &how, true);
    }
}

static void begin(fixture *f)
{
    begin_with(f, &(nacre_transfer_config){ .bodies.max_body = MAX_BODY });
}

static void end(fixture *f)
{
    party_close(&f->server);
    party_close(&f->client);
}

/* Sends a request of client `client` (-1: plain); its events stay at the server. */
static void send(fixture *f, int client, const said *s)
{
    nacre_exchange exchange;
    const nacre_message m = said_message(s);
    assert_int_equal(nacre_endpoint_request(f->client.ep, &exchange, &f->server.address,
                                            client < 0 ? NULL : f->ctx[client], &m, NULL),
                     NACRE_OK);
    carry(&f->client, &f->server, f->now);
}

static void gets(fixture *f)
{
    carry(&f->server, &f->client, f->now);
    f->got = expect_event(&f->client, NACRE_EVENT_RESPONSE).message;
}

/* A request that the transfer responds to by itself. */
static uint8_t settled(fixture *f, int client, const said *s)
{
    nacre_event event;
    send(f, client, s);
    assert_false(party_next_event(&f->server, &event));
    gets(f);
    return f->got.code;
}

/* A request that reaches the application. */
static nacre_event reaches(fixture *f, int client, const said *s)
{
    send(f, client, s);
    f->num_requests++;
    return expect_event(&f->server, NACRE_EVENT_REQUEST);
}

static void respond(fixture *f, const nacre_event *event, const said *s)
{
    const nacre_message m = said_message(s);
    assert_int_equal(nacre_transfer_respond(f->server.transfer, event->exchange, &m, NULL), NACRE_OK);
    gets(f);
}

#define UP(num, more, szx, tag_)                                                                                       \
    SAID(.code = NACRE_PUT, .path = "x", .tag = (tag_), .block1 = BLOCK(num, more, szx),                               \
         .payload = pattern((size_t)(num) << ((szx) + 4), (more) ? (size_t)16 << (szx) : 7))

#define GET(block_) SAID(.code = NACRE_GET, .path = "x", .block2 = (block_))

static void expect_block1(const fixture *f, int64_t block)
{
    assert_int_equal(option_of(&f->got, NACRE_OPT_BLOCK1) + 1, block);
}

/* ---- Block1 ------------------------------------------------------------------------------------------------------ */

static void bodies_are_assembled(void **state)
{
    (void)state;
    for (int client = -1; client < 1; client++) {
        fixture f;
        begin(&f);
        assert_int_equal(settled(&f, client, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
        expect_block1(&f, BLOCK(0, 1, 6));
        assert_int_equal(settled(&f, client, &UP(1, 1, 6, "t")), NACRE_CONTINUE);
        const nacre_event event = reaches(&f, client, &UP(2, 0, 6, "t"));
        assert_pattern(event.message.payload, 0, 2055);
        assert_null(event.user);
        respond(&f, &event, &SAID(.code = NACRE_CHANGED));
        assert_int_equal(f.got.code, NACRE_CHANGED);
        expect_block1(&f, BLOCK(2, 0, 6));
        assert_int_equal(settled(&f, client, &UP(2, 0, 6, "t")), NACRE_INCOMPLETE); /* it has ended */
        end(&f);
    }
}

/* A body in one block, and a body that starts again. */
static void a_body_may_have_one_block_or_start_again(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    nacre_event event = reaches(&f, 0, &UP(0, 0, 6, "t"));
    assert_pattern(event.message.payload, 0, 7);
    respond(&f, &event, &SAID(.code = NACRE_CHANGED));
    expect_block1(&f, BLOCK(0, 0, 6));
    assert_int_equal(settled(&f, 0, &UP(0, 1, 5, "t")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(1, 1, 5, "t")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
    event = reaches(&f, 0, &UP(1, 0, 6, "t"));
    assert_pattern(event.message.payload, 0, 1031);
    end(&f);
}

static void blocks_out_of_sequence_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        said s;
        uint8_t code;
    } rows[] = {
        { "the next", UP(1, 1, 6, "t"), NACRE_CONTINUE },
        { "the next, in smaller blocks", UP(2, 1, 5, "t"), NACRE_CONTINUE },
        { "one left out", UP(2, 1, 6, "t"), NACRE_INCOMPLETE },
        { "an earlier place", UP(1, 1, 5, "t"), NACRE_INCOMPLETE },
        { "another tag", UP(1, 1, 6, "u"), NACRE_INCOMPLETE },
        { "no tag", UP(1, 1, 6, NULL), NACRE_INCOMPLETE },
        { "another path",
          SAID(.code = NACRE_PUT, .path = "y", .tag = "t", .block1 = BLOCK(1, 1, 6), .payload = pattern(1024, 1024)),
          NACRE_INCOMPLETE },
        { "another method",
          SAID(.code = NACRE_POST, .path = "x", .tag = "t", .block1 = BLOCK(1, 1, 6), .payload = pattern(1024, 1024)),
          NACRE_INCOMPLETE },
        { "short, and more to come",
          SAID(.code = NACRE_PUT, .path = "x", .tag = "t", .block1 = BLOCK(1, 1, 6), .payload = pattern(0, 1023)),
          NACRE_BAD_REQUEST },
        { "longer than its size",
          SAID(.code = NACRE_PUT, .path = "x", .tag = "t", .block1 = BLOCK(2, 0, 5), .payload = pattern(0, 513)),
          NACRE_BAD_REQUEST },
        { "a reserved size",
          SAID(.code = NACRE_PUT, .path = "x", .tag = "t", .block1 = BLOCK(1, 1, 7), .payload = pattern(0, 1024)),
          NACRE_BAD_REQUEST },
        { "with a later block of the response",
          SAID(.code = NACRE_PUT, .path = "x", .tag = "t", .block1 = BLOCK(1, 0, 6), .block2 = BLOCK(1, 0, 6),
               .payload = pattern(0, 4)),
          NACRE_BAD_REQUEST },
        { "a response block that is not cached", SAID(.code = NACRE_PUT, .path = "x", .block2 = BLOCK(1, 0, 6)),
          NACRE_INCOMPLETE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f;
        begin(&f);
        assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
        const uint8_t code = settled(&f, 0, &rows[i].s);
        if (code != rows[i].code) fail_msg("%s: %02x", rows[i].name, code);
        end(&f);
    }
}

/* A block that was held back and is delivered into another operation of the same client on the same resource is refused
 * (RFC 9175 3.5, RFC 8613 4.1.3.4.1). */
static void blocks_of_two_operations_do_not_mix(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    const said b0 =
        SAID(.code = NACRE_PUT, .path = "x", .tag = "b", .block1 = BLOCK(0, 1, 0), .payload = pattern(5000, 16));
    assert_int_equal(settled(&f, 0, &UP(0, 1, 0, "a")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &b0), NACRE_CONTINUE); /* the client believes that the first one was given up */
    const nacre_event event = reaches(&f, 0, &UP(1, 0, 0, "a"));
    assert_pattern(event.message.payload, 0, 23); /* a's blocks only */
    respond(&f, &event, &SAID(.code = NACRE_CHANGED));
    assert_int_equal(settled(&f, 0, &UP(1, 0, 0, "a")), NACRE_INCOMPLETE); /* and not into b */
    /* another client with the same tag and path */
    assert_int_equal(settled(&f, 1, &UP(1, 0, 0, "b")), NACRE_INCOMPLETE);
    assert_int_equal(settled(&f, -1, &UP(1, 0, 0, "b")), NACRE_INCOMPLETE);
    const nacre_bytes b = reaches(&f, 0, &UP(1, 0, 0, "b")).message.payload;
    assert_pattern(nacre_bytes_of(b.ptr, 16), 5000, 16);
    assert_pattern(nacre_bytes_of(b.ptr + 16, b.len - 16), 16, 7);
    end(&f);
}

/* RFC 7959 2.9.3: refused at the first block, or when the limit is reached; a body without end is cut off. */
static void bodies_above_the_limit_are_refused(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    said s = UP(0, 1, 6, "t");
    s.size1 = MAX_BODY + 1;
    assert_int_equal(settled(&f, 0, &s), NACRE_TOO_LARGE);
    assert_int_equal(option_of(&f.got, NACRE_OPT_SIZE1), MAX_BODY);
    s.size1 = MAX_BODY;
    assert_int_equal(settled(&f, 0, &s), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(1, 1, 6, "t")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(2, 1, 6, "t")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(3, 1, 6, "t")), NACRE_TOO_LARGE);
    assert_int_equal(option_of(&f.got, NACRE_OPT_SIZE1), MAX_BODY);
    assert_int_equal(settled(&f, 0, &UP(4, 1, 6, "t")), NACRE_INCOMPLETE); /* nothing is left of it */
    end(&f);
}

/* RFC 7959 2.3: the client follows the server's smaller size. */
static void smaller_blocks_are_requested(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .block_size = 64 });
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
    expect_block1(&f, BLOCK(0, 1, 2));
    assert_pattern(reaches(&f, 0, &UP(16, 0, 2, "t")).message.payload, 0, 1031);
    end(&f);
}

static void unfinished_bodies_expire(void **state)
{
    (void)state;
    const struct {
        uint64_t wait;
        uint8_t code;
    } rows[] = { { 92999, NACRE_CONTINUE }, { 93000, NACRE_INCOMPLETE } };
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        begin(&f);
        assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
        assert_true(party_deadline(&f.server) <= 93000);
        f.now = rows[i].wait;
        party_expire(&f.server, f.now);
        assert_int_equal(settled(&f, 0, &UP(1, 1, 6, "t")), rows[i].code);
        end(&f);
    }
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

static bool goes_on(fixture *f, int client, const char *tag)
{
    return settled(f, client, &UP(1, 1, 0, tag)) == NACRE_CONTINUE;
}

static uint8_t starts(fixture *f, int client, const char *tag)
{
    f->now++;
    return settled(f, client, &UP(0, 1, 0, tag));
}

/* Four entries, two for each client. */
static void entries_are_shared(void **state)
{
    (void)state;
    const nacre_transfer_config config = { .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 };
    fixture f;
    begin_with(&f, &config);
    for (int i = 0; i < 3; i++) /* its own oldest is evicted */
        assert_int_equal(starts(&f, 0, i == 0 ? "a" : i == 1 ? "b" : "c"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 1, "a"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 1, "b"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 2, "a"), NACRE_CONTINUE); /* the oldest entry of a client with two is evicted: 0's b */
    assert_int_equal(starts(&f, 2, "b"), NACRE_CONTINUE); /* its second evicts its own first: no client has three */
    assert_false(goes_on(&f, 0, "a"));
    assert_false(goes_on(&f, 0, "b"));
    assert_true(goes_on(&f, 0, "c"));
    assert_true(goes_on(&f, 1, "a"));
    assert_true(goes_on(&f, 1, "b"));
    assert_true(goes_on(&f, 2, "b"));
    end(&f);
}

static bool goes_further(fixture *f, int client, unsigned block)
{
    return settled(f, client, &UP(block, 1, 0, "a")) == NACRE_CONTINUE;
}

/* RFC 7959 2.9.3 */
static void expect_no_entry(fixture *f, int client)
{
    assert_int_equal(starts(f, client, "a"), NACRE_TOO_LARGE);
    assert_int_equal(option_of(&f->got, NACRE_OPT_SIZE1), NACRE_MAX_BLOCK);
}

static void vanished_uploaders_give_way_to_a_verified_newcomer(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 });
    for (int i = 0; i < 5; i++) assert_int_equal(starts(&f, i, "a"), NACRE_CONTINUE);
    assert_false(goes_further(&f, 0, 1)); /* only its first block had come: 4 has the entry */
    for (int i = 1; i < 5; i++) assert_true(goes_further(&f, i, 1));
    end(&f);
}

static void bodies_in_progress_are_not_evicted_until_they_are_idle(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 });
    for (int i = 0; i < 4; i++) assert_int_equal(starts(&f, i, "a"), NACRE_CONTINUE);
    for (int i = 0; i < 4; i++) assert_true(goes_further(&f, i, 1));
    expect_no_entry(&f, 4);
    f.now += 2990;
    expect_no_entry(&f, 4);
    for (int i = 1; i < 4; i++) assert_true(goes_further(&f, i, 2));
    f.now += 20; /* 0 is idle for 3 seconds */
    expect_no_entry(&f, -1);
    assert_int_equal(starts(&f, 4, "a"), NACRE_CONTINUE);
    assert_true(goes_further(&f, 4, 1));
    expect_no_entry(&f, 5);
    assert_false(goes_further(&f, 0, 2));
    for (int i = 1; i < 4; i++) assert_true(goes_further(&f, i, 3));
    end(&f);
}

/* Responses kept for later blocks are in the same pool. */
static void vanished_downloaders_give_way_to_a_verified_upload(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 });
    for (int i = 0; i < 4; i++) {
        const nacre_event event = reaches(&f, i, &GET(NO_BLOCK));
        respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 2000)));
    }
    f.now++;
    assert_int_equal(starts(&f, 4, "a"), NACRE_CONTINUE);
    assert_true(goes_further(&f, 4, 1));
    expect_no_entry(&f, -1);
    end(&f);
}

static void from(fixture *f, const char *address)
{
    f->client.address = address_named(address);
}

/* Addresses cost nothing: plain bodies fill at most half, give way to protected ones, and never take from them. */
static void plain_bodies_fill_half_and_give_way(void **state)
{
    (void)state;
    fixture f;
    static const char *const addresses[] = { "client", "p1", "p2", "p3", "p4" };
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 6, .bodies.bodies_per_peer = 2 });
    for (size_t i = 0; i < 4; i++) {
        from(&f, addresses[i]);
        assert_int_equal(starts(&f, -1, "a"), NACRE_CONTINUE);
    }
    from(&f, addresses[0]);
    assert_false(goes_further(&f, -1, 1)); /* it gave way to the fourth, of the plain half */
    for (size_t i = 1; i < 4; i++) {
        from(&f, addresses[i]);
        assert_true(goes_further(&f, -1, 1));
    }
    from(&f, addresses[4]);
    expect_no_entry(&f, -1);
    from(&f, "client");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(starts(&f, i, "a"), NACRE_CONTINUE);
        assert_true(goes_further(&f, i, 1));
    }
    expect_no_entry(&f, -1);
    f.now += 5000;
    expect_no_entry(&f, -1); /* protected ones are idle, and stay */
    for (int i = 0; i < 6; i++) assert_true(goes_further(&f, i, 2));
    end(&f);
}

static void plain_address_at_its_share_leaves_other_addresses_theirs(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 8, .bodies.bodies_per_peer = 2 });
    from(&f, "p1");
    assert_int_equal(starts(&f, -1, "a"), NACRE_CONTINUE);
    from(&f, "client");
    for (int i = 0; i < 9; i++)
        assert_int_equal(starts(&f, -1, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c"), NACRE_CONTINUE);
    from(&f, "p1");
    assert_true(goes_on(&f, -1, "a"));
    end(&f);
}

static void removing_a_context_frees_its_bodies(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 2 });
    assert_int_equal(starts(&f, 0, "a"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 1, "a"), NACRE_CONTINUE);
    nacre_table_remove(&f.server.table, &f.server.contexts[0]);
    nacre_transfer_remove_context(f.server.transfer, &f.server.contexts[0]);
    assert_int_equal(starts(&f, 2, "a"), NACRE_CONTINUE); /* its entry is free */
    assert_true(goes_on(&f, 1, "a"));
    end(&f);
}

/* ---- Uploads in pieces ------------------------------------------------------------------------------------------- */

typedef struct pieces {
    nacre_upload say;
    uint64_t len;
    unsigned begun, done;
    nacre_err err;
} pieces;

static nacre_err take_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    pieces *p = user;
    (void)total;
    assert_int_equal(offset, p->len);
    assert_pattern(piece, (size_t)offset, piece.len);
    p->len += piece.len;
    return p->err;
}

static void count_done(void *user)
{
    ((pieces *)user)->done++;
}

static void on_upload(void *user, const nacre_event *event, nacre_upload *upload)
{
    pieces *p = user;
    assert_int_equal(event->kind, NACRE_EVENT_REQUEST);
    *upload = p->say;
    upload->sink = (nacre_sink){ take_piece, p };
    upload->done = count_done;
    p->len = 0;
    p->begun++;
}

static void bodies_arrive_in_pieces(void **state)
{
    (void)state;
    fixture f;
    pieces p = { 0 };
    begin(&f);
    nacre_transfer_on_upload(f.server.transfer, on_upload, &p);
    for (uint32_t i = 0; i < 20; i++) assert_int_equal(settled(&f, 0, &UP(i, 1, 6, "t")), NACRE_CONTINUE);
    nacre_event event = reaches(&f, 0, &UP(20, 0, 6, "t"));
    assert_ptr_equal(event.user, &p);
    assert_int_equal(event.message.payload.len, 0);
    assert_int_equal(p.len, 20487); /* more than max_body */
    assert_int_equal(p.done, 0);
    respond(&f, &event, &SAID(.code = NACRE_CREATED));
    assert_int_equal(p.done, 1);

    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE); /* started again: the first has ended */
    assert_int_equal(p.done, 2);
    p.say.max_body = 1500;
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "u")), NACRE_CONTINUE);
    assert_int_equal(settled(&f, 0, &UP(1, 1, 6, "u")), NACRE_TOO_LARGE);
    assert_int_equal(p.done, 3);
    p.say.max_body = 0;
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "v")), NACRE_CONTINUE);
    p.err = NACRE_ERR_FILE;
    assert_int_equal(settled(&f, 0, &UP(1, 1, 6, "v")), NACRE_SERVER_ERROR);
    assert_int_equal(p.done, 4);
    p.err = NACRE_OK;
    p.say = (nacre_upload){ .code = NACRE_FORBIDDEN, .text = "no" };
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "w")), NACRE_FORBIDDEN); /* `done` is not called for a refused one */
    assert_payload(f.got, "no");
    assert_int_equal(p.done, 4);
    p.say = (nacre_upload){ 0 };
    event = reaches(&f, 0, &SAID(.code = NACRE_PUT, .path = "x", .payload = pattern(0, 9))); /* no blocks: no sink */
    assert_null(event.user);
    assert_pattern(event.message.payload, 0, 9);
    end(&f); /* the upload that is still open ends with the transfer */
    assert_int_equal(p.begun, 6);
    assert_int_equal(p.done, 5);
}

/* RFC 7959 2.9: with the sink's own code and text, at the block that failed, be it the first, one between, or the last;
 * plain and protected. The body's entry is then free: later blocks belong to no body. */
static void failing_sink_reports_the_reason_at_its_block(void **state)
{
    (void)state;
    for (int client = -1; client < 1; client++) {
        for (uint32_t failing = 0; failing < 3; failing++) {
            fixture f;
            nacre_upload_error error = { 0 };
            pieces p = { .say = { .error = &error } };
            begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 2 });
            nacre_transfer_on_upload(f.server.transfer, on_upload, &p);
            for (uint32_t i = 0; i < failing; i++) {
                assert_int_equal(settled(&f, client, &UP(i, 1, 6, "t")), NACRE_CONTINUE);
            }
            p.err = NACRE_ERR_FILE;
            error = (nacre_upload_error){ NACRE_TOO_LARGE, "no space left" };
            assert_int_equal(settled(&f, client, &UP(failing, failing < 2, 6, "t")), NACRE_TOO_LARGE);
            assert_payload(f.got, "no space left");
            assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK1) + 1, BLOCK(failing, failing < 2, 6));
            assert_int_equal(p.done, 1);
            p.err = NACRE_OK;
            assert_int_equal(settled(&f, client, &UP(failing + 1, 1, 6, "t")), NACRE_INCOMPLETE);
            error.code = 0; /* no reason */
            assert_int_equal(settled(&f, client, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
            p.err = NACRE_ERR_FILE;
            assert_int_equal(settled(&f, client, &UP(1, 1, 6, "t")), NACRE_SERVER_ERROR);
            assert_payload(f.got, "that cannot be kept");
            assert_int_equal(p.done, 2);
            end(&f);
        }
    }
}

/* ---- Block2 ------------------------------------------------------------------------------------------------------ */

/* Kept, and cut: the application is asked once. */
static void responses_are_split(void **state)
{
    (void)state;
    for (int client = -1; client < 1; client++) {
        fixture f;
        begin(&f);
        const nacre_event event = reaches(&f, client, &GET(NO_BLOCK));
        respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 2500)));
        assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 1, 6));
        assert_int_equal(option_of(&f.got, NACRE_OPT_SIZE2), 2500);
        assert_pattern(f.got.payload, 0, 1024);
        const int64_t etag = option_of(&f.got, NACRE_OPT_ETAG);
        assert_true(etag != -1);
        assert_int_equal(settled(&f, client, &GET(BLOCK(2, 0, 5))), NACRE_CONTENT); /* smaller ones from here on */
        assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(2, 1, 5));
        assert_pattern(f.got.payload, 1024, 512);
        assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
        assert_int_equal(settled(&f, client, &GET(BLOCK(5, 0, 5))), NACRE_BAD_REQUEST); /* there is no such block */
        assert_int_equal(settled(&f, client, &GET(BLOCK(4, 0, 5))), NACRE_CONTENT);
        assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(4, 0, 5));
        assert_pattern(f.got.payload, 2048, 452);
        assert_int_equal(f.num_requests, 1);
        end(&f);
    }
}

static void responses_that_fit_are_unchanged(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    nacre_event event = reaches(&f, 0, &GET(NO_BLOCK));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1024)));
    assert_int_equal(f.got.options.len, 0);
    event = reaches(&f, 0, &GET(BLOCK(0, 0, 6))); /* an early Block2 is returned */
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1024)));
    assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 0, 6));
    assert_int_equal(option_of(&f.got, NACRE_OPT_ETAG), -1);
    event = reaches(&f, 0, &GET(BLOCK(0, 0, 2)));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 65)));
    assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 1, 2));
    event = reaches(&f, 0, &GET(BLOCK(0, 0, 2))); /* an error's text is truncated, not sent in blocks */
    respond(&f, &event, &SAID(.code = NACRE_NOT_FOUND, .payload = pattern(0, 65)));
    assert_int_equal(f.got.options.len, 0);
    assert_pattern(f.got.payload, 0, 64);
    end(&f);
}

/* RFC 9175 3.8: the same content has the same ETag; other content, or another transfer, has another. */
static void etag_depends_on_content_and_transfer(void **state)
{
    (void)state;
    fixture f;
    int64_t seen[4];
    for (int i = 0; i < 2; i++) {
        begin(&f);
        f.server.chance.state += (uint64_t)i;
        if (i == 1) {
            nacre_transfer_wipe(f.server.transfer);
            free(f.server.transfer_memory);
            party_add_transfer(&f.server, NULL);
        }
        for (int j = 0; j < 2; j++) {
            const nacre_event event = reaches(&f, 0, &GET(NO_BLOCK));
            respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern((size_t)j, 1100)));
            seen[2 * i + j] = option_of(&f.got, NACRE_OPT_ETAG);
        }
        const nacre_event event = reaches(&f, 1, &GET(NO_BLOCK));
        respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1100)));
        assert_true(option_of(&f.got, NACRE_OPT_ETAG) == seen[2 * i]);
        const nacre_event second = reaches(&f, 2, &GET(NO_BLOCK));
        respond(&f, &second, &SAID(.code = NACRE_CONTENT, .etag = "mine", .payload = pattern(0, 1100)));
        assert_true(nacre_bytes_equal(nacre_option_find(f.got.options, NACRE_OPT_ETAG), NACRE_STR("mine")));
        end(&f);
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) assert_true(seen[i] != seen[j]);
}

/* A block that is not cached is requested again from the application, for GET and FETCH; another client's cache is not
 * used. */
static void uncached_blocks_are_requested_again(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    nacre_event event = reaches(&f, 0, &GET(NO_BLOCK));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, MAX_BODY + 1)));
    const int64_t etag = option_of(&f.got, NACRE_OPT_ETAG);
    event = reaches(&f, 0, &GET(BLOCK(1, 0, 6)));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, MAX_BODY + 1)));
    assert_pattern(f.got.payload, 1024, 1024);
    assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
    event = reaches(&f, 0, &GET(BLOCK(9, 0, 6)));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, MAX_BODY + 1)));
    assert_int_equal(f.got.code, NACRE_BAD_REQUEST);
    event = reaches(&f, 0, &GET(NO_BLOCK));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 2000)));
    event = reaches(&f, 1, &GET(BLOCK(1, 0, 6))); /* another client */
    respond(&f, &event, &SAID(.code = NACRE_FORBIDDEN));
    assert_int_equal(f.got.code, NACRE_FORBIDDEN);
    assert_int_equal(settled(&f, 0, &GET(BLOCK(1, 0, 6))), NACRE_CONTENT);
    /* with POST it would be another operation */
    const said post = SAID(.code = NACRE_POST, .path = "x");
    event = reaches(&f, 0, &post);
    const nacre_message longer = { .code = NACRE_CHANGED, .payload = pattern(0, MAX_BODY + 1) };
    assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &longer, NULL), NACRE_ERR_TOO_LONG);
    respond(&f, &event, &SAID(.code = NACRE_CHANGED, .payload = pattern(0, MAX_BODY)));
    assert_int_equal(settled(&f, 0, &SAID(.code = NACRE_POST, .path = "x", .block2 = BLOCK(1, 0, 6))), NACRE_CHANGED);
    assert_pattern(f.got.payload, 1024, 1024);
    f.now += 93000;
    party_expire(&f.server, f.now);
    assert_int_equal(settled(&f, 0, &SAID(.code = NACRE_POST, .path = "x", .block2 = BLOCK(2, 0, 6))),
                     NACRE_INCOMPLETE);
    end(&f);
}

/* RFC 8132 2.1: two FETCH payloads of one client at one resource. */
static void fetches_with_other_payloads_are_cached_apart(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    said q = SAID(.code = NACRE_FETCH, .path = "x", .payload = pattern(0, 5));
    nacre_event event = reaches(&f, 0, &q);
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1500)));
    q.block2 = BLOCK(1, 0, 6);
    q.payload = pattern(1, 5);
    event = reaches(&f, 0, &q); /* not from the body cached for the other */
    nacre_transfer_ignore(f.server.transfer, event.exchange);
    q.payload = NACRE_ABSENT;
    carry(&f.server, &f.client, 0); /* the empty ACK */
    assert_int_equal(settled(&f, 0, &q), NACRE_CONTENT);
    assert_pattern(f.got.payload, 1024, 476);
    end(&f);
}

static nacre_err read_pattern(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const size_t size = *(const size_t *)user;
    const size_t left = offset < size ? size - (size_t)offset : 0;
    *len = left < buf.cap ? left : buf.cap;
    memcpy(buf.ptr, pattern((size_t)offset, *len).ptr, *len);
    return size == 99999 ? NACRE_ERR_FILE : NACRE_OK;
}

static void responses_come_from_a_source(void **state)
{
    (void)state;
    const bool is_known[] = { true, false };
    for (int k = 0; k < 2; k++) {
        fixture f;
        begin(&f);
        size_t size = 2500;
        nacre_response_options how = { .source = { read_pattern, &size, is_known[k] ? size : NACRE_SIZE_UNKNOWN } };
        for (uint32_t i = 0; i < 3; i++) {
            const nacre_event event = reaches(&f, 0, &GET(i == 0 ? NO_BLOCK : BLOCK(i, 0, 6)));
            const nacre_message with = said_message(&SAID(.code = NACRE_CONTENT, .etag = "e"));
            assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &with, &how), NACRE_OK);
            gets(&f);
            assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(i, i < 2, 6));
            assert_int_equal(option_of(&f.got, NACRE_OPT_SIZE2), is_known[k] && i == 0 ? 2500 : -1);
            assert_pattern(f.got.payload, 1024 * i, i < 2 ? 1024 : 452);
        }
        nacre_event event = reaches(&f, 0, &GET(BLOCK(3, 0, 6))); /* there is no such block, known or not */
        const nacre_message behind = said_message(&SAID(.code = NACRE_CONTENT, .etag = "e"));
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &behind, &how), NACRE_OK);
        gets(&f);
        assert_int_equal(f.got.code, NACRE_BAD_REQUEST);
        event = reaches(&f, 0, &GET(NO_BLOCK));
        const nacre_message without = { .code = NACRE_CONTENT };
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &without, &how),
                         NACRE_ERR_BAD_ARGUMENT); /* blocks without an ETag */
        size = 1024;
        if (is_known[k]) how.source.size = size;
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &without, &how), NACRE_OK);
        gets(&f);
        assert_int_equal(f.got.options.len, 0);
        event = reaches(&f, 0, &GET(NO_BLOCK));
        size = 99999;
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &without, &how), NACRE_ERR_FILE);
        end(&f);
    }
}

/* A short source without an ETag, in blocks that the client chose: 16 bytes, and as many as there are. They have one
 * ETag, the same as that of the body given whole. */
static void short_sources_in_small_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 16, 17, 60, 1024 };
    for (int is_known = 0; is_known < 2; is_known++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (uint8_t szx = 0; szx < 7; szx++) {
                fixture f;
                begin(&f);
                size_t size = sizes[i];
                const uint32_t block = UINT32_C(16) << szx, last = size == 0 ? 0 : ((uint32_t)size - 1) / block;
                const nacre_response_options how = { .source = { read_pattern, &size,
                                                                 is_known ? size : NACRE_SIZE_UNKNOWN } };
                const nacre_message plain = { .code = NACRE_CONTENT };
                nacre_event event = reaches(&f, 0, &GET(BLOCK(0, 0, szx)));
                assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &plain, &how), NACRE_OK);
                gets(&f);
                assert_int_equal(f.got.code, NACRE_CONTENT);
                assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, last > 0, szx));
                assert_pattern(f.got.payload, 0, last > 0 ? block : size);
                const int64_t etag = option_of(&f.got, NACRE_OPT_ETAG);
                assert_true((etag != -1) == (last > 0));
                if (last > 0) assert_int_equal(settled(&f, 0, &GET(BLOCK(last, 0, szx))), NACRE_CONTENT);
                assert_pattern(f.got.payload, (size_t)last * block, size - (size_t)last * block);
                assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
                event = reaches(&f, 1, &GET(BLOCK(0, 0, szx)));
                respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, size)));
                assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
                end(&f);
            }
}

/* The response to a body in blocks is deferred, and sent in blocks. */
static void deferred_response_to_blocks_is_sent_in_blocks(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
    const nacre_event event = reaches(&f, 0, &UP(1, 0, 6, "t"));
    assert_int_equal(nacre_transfer_defer_response(f.server.transfer, event.exchange), NACRE_OK);
    assert_int_equal(nacre_transfer_defer_response(f.server.transfer, event.exchange), NACRE_ERR_STALE);
    const nacre_event other = reaches(&f, 1, &GET(NO_BLOCK)); /* another burst */
    assert_pattern(event.message.payload, 0, 1031);           /* its memory stays valid */
    respond(&f, &other, &SAID(.code = NACRE_CONTENT));
    respond(&f, &event, &SAID(.code = NACRE_CHANGED, .payload = event.message.payload));
    expect_block1(&f, BLOCK(1, 0, 6));
    assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 1, 6));
    const said rest = SAID(.code = NACRE_PUT, .path = "x", .tag = "t", .block2 = BLOCK(1, 0, 6));
    assert_int_equal(settled(&f, 0, &rest), NACRE_CHANGED);
    assert_pattern(f.got.payload, 1024, 7);
    const nacre_message again = { .code = NACRE_CHANGED };
    assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &again, NULL), NACRE_ERR_STALE);
    end(&f);
}

/* A request without a response before the next burst ends, and its body with it. */
static void a_request_without_a_response_ends(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 1 });
    for (int i = 0; i < 3; i++) {
        assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
        const nacre_event event = reaches(&f, 0, &UP(1, 0, 6, "t"));
        if (i == 2) break;
        if (i == 0) nacre_transfer_ignore(f.server.transfer, event.exchange);
        else nacre_transfer_ignore(f.server.transfer, reaches(&f, 1, &GET(NO_BLOCK)).exchange);
        const nacre_message m = { .code = NACRE_CHANGED };
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &m, NULL), NACRE_ERR_STALE);
        datagram d;
        while (party_take(&f.server, &d, 0)) party_give(&f.client, &f.server, &d, 0);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_assembled),
        cmocka_unit_test(a_body_may_have_one_block_or_start_again),
        cmocka_unit_test(blocks_out_of_sequence_are_refused),
        cmocka_unit_test(blocks_of_two_operations_do_not_mix),
        cmocka_unit_test(bodies_above_the_limit_are_refused),
        cmocka_unit_test(smaller_blocks_are_requested),
        cmocka_unit_test(unfinished_bodies_expire),
        cmocka_unit_test(entries_are_shared),
        cmocka_unit_test(vanished_uploaders_give_way_to_a_verified_newcomer),
        cmocka_unit_test(bodies_in_progress_are_not_evicted_until_they_are_idle),
        cmocka_unit_test(vanished_downloaders_give_way_to_a_verified_upload),
        cmocka_unit_test(plain_bodies_fill_half_and_give_way),
        cmocka_unit_test(plain_address_at_its_share_leaves_other_addresses_theirs),
        cmocka_unit_test(removing_a_context_frees_its_bodies),
        cmocka_unit_test(bodies_arrive_in_pieces),
        cmocka_unit_test(failing_sink_reports_the_reason_at_its_block),
        cmocka_unit_test(responses_are_split),
        cmocka_unit_test(responses_that_fit_are_unchanged),
        cmocka_unit_test(etag_depends_on_content_and_transfer),
        cmocka_unit_test(uncached_blocks_are_requested_again),
        cmocka_unit_test(fetches_with_other_payloads_are_cached_apart),
        cmocka_unit_test(responses_come_from_a_source),
        cmocka_unit_test(short_sources_in_small_blocks),
        cmocka_unit_test(deferred_response_to_blocks_is_sent_in_blocks),
        cmocka_unit_test(a_request_without_a_response_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

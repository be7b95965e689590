/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* transfer_server_test: request bodies are assembled, or handed on in pieces, for scripted clients (RFC 7959 2.5). */
#include "../scenario/transfer_serving.h"

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
        cmocka_unit_test(bodies_arrive_in_pieces),
        cmocka_unit_test(failing_sink_reports_the_reason_at_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* edhoc_session: copies, foreign messages, errors, failures of this endpoint, and what a session gives once. */
#include "edhoc_ends.h"
#include "support.h"

#define SEND     NACRE_EDHOC_SEND
#define COMPLETE NACRE_EDHOC_COMPLETE
#define IGNORED  NACRE_EDHOC_IGNORED
#define ABORTED  NACRE_EDHOC_ABORTED
#define NO_FAULT NACRE_EDHOC_FAULT_NONE

/* RFC 9528 5.1, 7: a message is processed once in a session. */
static void copies_of_each_message_change_nothing(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    nacre_bytes m1 = edhoc_begin(p);
    nacre_bytes m2 = edhoc_step(p, &p->r, m1, SEND, NO_FAULT);
    (void)edhoc_step(p, &p->r, m1, IGNORED, NACRE_EDHOC_FAULT_TYPE); /* begins as an error message would */
    (void)edhoc_step(p, &p->r, m2, IGNORED, NACRE_EDHOC_FAULT_DECRYPTION);
    nacre_bytes m3 = edhoc_step(p, &p->i, m2, SEND, NO_FAULT);
    (void)edhoc_step(p, &p->i, m2, IGNORED, NACRE_EDHOC_FAULT_DECRYPTION);
    (void)edhoc_step(p, &p->i, m1, IGNORED, NACRE_EDHOC_FAULT_TYPE);
    (void)edhoc_step(p, &p->i, m3, IGNORED, NACRE_EDHOC_FAULT_DECRYPTION);
    nacre_bytes m4 = edhoc_step(p, &p->r, m3, SEND, NO_FAULT);
    (void)edhoc_step(p, &p->i, m4, COMPLETE, NO_FAULT);
    const nacre_bytes all[] = { m1, m2, m3, m4 };
    for (size_t i = 0; i < COUNT(all); i++) {
        (void)edhoc_step(p, &p->r, all[i], IGNORED, NO_FAULT);
        (void)edhoc_step(p, &p->i, all[i], IGNORED, NO_FAULT);
    }
    edhoc_agree(p);
}

static void messages_of_another_session_change_nothing_or_end_it(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(0, 0, BY_KID), *other = edhoc_pair_of(0, 0, BY_KID);
    nacre_bytes m2 = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
    nacre_bytes o2 = edhoc_step(other, &other->r, edhoc_begin(other), SEND, NO_FAULT);
    nacre_bytes o3 = edhoc_step(other, &other->i, o2, SEND, NO_FAULT);
    (void)edhoc_step(p, &p->r, o3, IGNORED, NACRE_EDHOC_FAULT_DECRYPTION);
    nacre_bytes m3 = edhoc_step(p, &p->i, m2, SEND, NO_FAULT);
    nacre_bytes o4 = edhoc_step(other, &other->r, o3, SEND, NO_FAULT);
    (void)edhoc_step(p, &p->i, o4, IGNORED, NACRE_EDHOC_FAULT_DECRYPTION);
    (void)edhoc_step(p, &p->i, edhoc_step(p, &p->r, m3, SEND, NO_FAULT), COMPLETE, NO_FAULT);
    edhoc_agree(p);
    /* message_2 is encrypted without authentication: a foreign one ends the session (RFC 9528 5.3.3) */
    (void)edhoc_begin(p);
    assert_int_equal(edhoc_receive(p, &p->i, o2).verdict, ABORTED);
}

static const struct {
    const char *name, *message;
    nacre_edhoc_verdict verdict;
    int code;
} errors[] = {
    { "unspecified", "016161", ABORTED, 1 },
    { "unknown credential", "03f5", ABORTED, 3 },
    { "unknown credential, false", "03f4", IGNORED, 0 },
    { "another code", "18646161", ABORTED, 100 },
    { "a code of 0, which is success", "006161", IGNORED, 0 },
    { "a negative code", "206161", ABORTED, -1 },
    { "no text", "0141ff", IGNORED, 0 },
    { "an item more", "01616100", IGNORED, 0 },
    { "an item less", "01", IGNORED, 0 },
    { "suites that are a text", "026161", IGNORED, 0 },
};

/* RFC 9528 6: errors are not authenticated; what is no error message is ignored. After the end they change nothing. */
static void an_error_message_ends_a_session_that_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++)
        for (int waits_for = 2; waits_for <= 5; waits_for++) {
            edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
            edhoc_end *to = waits_for == 3 ? &p->r : &p->i;
            nacre_bytes m = edhoc_begin(p);
            if (waits_for > 2) m = edhoc_step(p, &p->r, m, SEND, NO_FAULT);
            if (waits_for > 3) m = edhoc_step(p, &p->i, m, SEND, NO_FAULT);
            if (waits_for > 4) (void)edhoc_step(p, &p->i, edhoc_step(p, &p->r, m, SEND, NO_FAULT), COMPLETE, NO_FAULT);
            nacre_edhoc_result result = edhoc_receive(p, to, test_hex(errors[i].message));
            assert_true(nacre_is_absent(result.message)); /* an error is not responded to */
            if (waits_for == 5) {
                assert_int_equal(result.verdict, IGNORED);
                edhoc_agree(p);
                continue;
            }
            assert_int_equal(result.verdict, errors[i].verdict);
            if (result.verdict != ABORTED) continue;
            assert_int_equal(result.fault, NACRE_EDHOC_FAULT_PEER_ERROR);
            assert_int_equal(result.peer_code, errors[i].code);
            static const nacre_edhoc none;
            assert_memory_equal(&to->session, &none, sizeof none);
            assert_err(nacre_edhoc_receive(&to->session, &result, NACRE_BUF(p->i_buf), m), NACRE_ERR_STALE);
        }
}

/* Every failing session says so in a message that its peer understands. */
static void a_refusal_is_an_error_message_for_the_peer(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    p->r.config.methods = 1 << 0;
    nacre_bytes error = edhoc_step(p, &p->r, edhoc_begin(p), ABORTED, NACRE_EDHOC_FAULT_METHOD);
    nacre_edhoc_result result = edhoc_receive(p, &p->i, error);
    assert_int_equal(result.verdict, ABORTED);
    assert_int_equal(result.peer_code, 1);
    const char *text = nacre_edhoc_fault_text(NACRE_EDHOC_FAULT_METHOD);
    assert_memory_equal(result.peer_info.ptr + 1, text, strlen(text));
    /* RFC 9528 6.4: a reference that is not known is error 3; a credential by value that is not trusted error 1 */
    for (int style = BY_KID; style <= BY_VALUE; style++) {
        p = edhoc_pair_of(3, 2, (edhoc_style)style);
        p->r.peers.num = 0;
        nacre_bytes m3 = edhoc_step(p, &p->i, edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT), SEND, NO_FAULT);
        error = edhoc_step(p, &p->r, m3, ABORTED,
                           style == BY_KID ? NACRE_EDHOC_FAULT_CREDENTIAL : NACRE_EDHOC_FAULT_NOT_TRUSTED);
        assert_int_equal(edhoc_receive(p, &p->i, error).peer_code, style == BY_KID ? 3 : 1);
    }
}

/* RFC 9528 6: an error message replies to a message that is none. It differs from message_1 by its number of items. */
static void a_responder_does_not_reply_to_an_error_with_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        (void)edhoc_begin(p);
        nacre_edhoc_result result = edhoc_receive(p, &p->r, test_hex(errors[i].message));
        assert_int_equal(result.verdict, ABORTED);
        assert_int_equal(result.fault == NACRE_EDHOC_FAULT_PEER_ERROR, errors[i].verdict == ABORTED);
        assert_int_equal(nacre_is_absent(result.message), errors[i].verdict == ABORTED);
        assert_int_equal(result.peer_code, errors[i].code);
    }
}

/* After a refusal the buffer has the error message and zeros, no plaintext that was not verified. */
static void a_refused_message_leaves_no_plaintext(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_VALUE);
    nacre_bytes m2 = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
    p->i.peers.num = 0;
    nacre_edhoc_result result = edhoc_receive(p, &p->i, m2);
    assert_int_equal(result.verdict, ABORTED);
    for (size_t i = result.message.len; i < sizeof p->i_buf; i++) assert_int_equal(p->i_buf[i], 0);
    p = edhoc_pair_of(3, 2, BY_VALUE);
    p->r.peers.num = 0;
    m2 = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
    result = edhoc_receive(p, &p->r, edhoc_step(p, &p->i, m2, SEND, NO_FAULT));
    assert_int_equal(result.verdict, ABORTED);
    for (size_t i = result.message.len; i < sizeof p->r_buf; i++) assert_int_equal(p->r_buf[i], 0);
}

/* A buffer that is too small by any number of bytes leaves the session as it is. */
static void a_small_buffer_leaves_the_session_unchanged(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(0, 2, BY_VALUE);
    nacre_bytes m = edhoc_begin(p);
    for (int number = 1; number <= 4; number++) {
        edhoc_end *to = number % 2 == 1 ? &p->r : &p->i;
        nacre_edhoc_result result;
        size_t cap = 0;
        nacre_err err = NACRE_ERR_BUFFER_TOO_SMALL;
        for (; cap < 600; cap += cap < 100 ? 1 : 7) {
            nacre_buf buf = test_buf(cap);
            uint8_t was = to->session.state;
            err = nacre_edhoc_receive(&to->session, &result, buf, m);
            if (err == NACRE_OK) break;
            assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
            assert_int_equal(to->session.state, was);
        }
        assert_ok(err);
        assert_int_equal(result.verdict, number == 4 ? COMPLETE : SEND);
        m = nacre_is_absent(result.message) ? NACRE_ABSENT : test_copy(result.message);
    }
    edhoc_agree(p);
}

/* ---- A provider that fails at one call ---- */
static int calls_left;
static nacre_pk_ops failing_pk_ops;
static nacre_crypto_ops failing_ops;

static bool fails(void)
{
    return calls_left-- == 0;
}
static nacre_err fail_hash(const nacre_pk *pk, nacre_hash hash, const nacre_bytes *parts, size_t num, uint8_t *out)
{
    return fails() ? NACRE_ERR_CRYPTO : edhoc_pk()->ops->hash(pk, hash, parts, num, out);
}
static nacre_err fail_generate(const nacre_pk *pk, nacre_curve curve, nacre_ephemeral *key, uint8_t *x)
{
    return fails() ? NACRE_ERR_CRYPTO : edhoc_pk()->ops->generate(pk, curve, key, x);
}
static nacre_err fail_agree(const nacre_pk *pk, const nacre_private_key *key, nacre_bytes peer, uint8_t *secret)
{
    return fails() ? NACRE_ERR_CRYPTO : edhoc_pk()->ops->agree(pk, key, peer, secret);
}
static nacre_err fail_sign(const nacre_pk *pk, const nacre_private_key *key, const nacre_bytes *parts, size_t num,
                           uint8_t *signature)
{
    return fails() ? NACRE_ERR_CRYPTO : edhoc_pk()->ops->sign(pk, key, parts, num, signature);
}
static nacre_err fail_verify(const nacre_pk *pk, const nacre_public_key *key, const nacre_bytes *parts, size_t num,
                             nacre_bytes signature)
{
    return fails() ? NACRE_ERR_CRYPTO : edhoc_pk()->ops->verify(pk, key, parts, num, signature);
}
static nacre_err fail_hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                           size_t num, uint8_t *mac)
{
    (void)crypto;
    return fails() ? NACRE_ERR_CRYPTO : test_crypto()->ops->hmac(test_crypto(), hash, key, parts, num, mac);
}

/* The call fails at each of its operations in turn, and then succeeds. */
static nacre_bytes step_with_failures(edhoc_pair *p, edhoc_end *to, nacre_bytes in, bool last)
{
    nacre_edhoc_result result;
    nacre_buf buf = to == &p->i ? NACRE_BUF(p->i_buf) : NACRE_BUF(p->r_buf);
    for (int call = 0; call < 60; call++) {
        calls_left = call;
        nacre_err err = nacre_edhoc_receive(&to->session, &result, buf, in);
        if (err == NACRE_OK) {
            assert_true(call >= 2);
            assert_int_equal(result.verdict, last ? COMPLETE : SEND);
            return last ? NACRE_ABSENT : test_copy(result.message);
        }
        assert_err(err, NACRE_ERR_CRYPTO);
        for (size_t i = 0; i < buf.cap; i++) assert_int_equal(buf.ptr[i], 0); /* nothing of a plaintext stays */
    }
    fail();
    return NACRE_ABSENT;
}

static void a_failing_provider_leaves_the_session_unchanged(void **state)
{
    (void)state;
    for (unsigned method = 0; method < 4; method++) {
        edhoc_pair *p = edhoc_pair_of(method, 2, BY_KID);
        nacre_bytes m = edhoc_begin(p);
        failing_pk_ops = *edhoc_pk()->ops;
        failing_pk_ops.hash = fail_hash;
        failing_pk_ops.generate = fail_generate;
        failing_pk_ops.agree = fail_agree;
        failing_pk_ops.sign = fail_sign;
        failing_pk_ops.verify = fail_verify;
        failing_ops = *test_crypto()->ops;
        failing_ops.hmac = fail_hmac;
        const nacre_pk pk = { &failing_pk_ops, edhoc_pk()->instance };
        const nacre_crypto crypto = { &failing_ops, test_crypto()->instance };
        p->i.config.pk = p->r.config.pk = &pk;
        p->i.config.crypto = p->r.config.crypto = &crypto;
        m = step_with_failures(p, &p->r, m, false);
        m = step_with_failures(p, &p->i, m, false);
        m = step_with_failures(p, &p->r, m, false);
        (void)step_with_failures(p, &p->i, m, true);
        calls_left = -1;
        edhoc_agree(p);
    }
}

/* RFC 9528 H, 4.2.1 */
static void keys_are_given_once_and_again_after_an_update(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    nacre_context_params params;
    nacre_edhoc_secrets first, second;
    uint8_t out[32], other[32];
    (void)edhoc_begin(p);
    assert_err(nacre_edhoc_context(&p->i.session, &params, &first), NACRE_ERR_STALE);
    assert_err(nacre_edhoc_key_update(&p->i.session, NACRE_ABSENT), NACRE_ERR_STALE);
    assert_err(nacre_edhoc_export(&p->i.session, 9, NACRE_ABSENT, out, 32), NACRE_ERR_STALE);
    edhoc_complete(p);
    assert_ok(nacre_edhoc_context(&p->i.session, &params, &first));
    assert_err(nacre_edhoc_context(&p->i.session, &params, &second), NACRE_ERR_STALE);
    assert_ok(nacre_edhoc_export(&p->i.session, 32768, NACRE_STR("a"), out, 32));
    assert_ok(nacre_edhoc_export(&p->r.session, 32768, NACRE_STR("a"), other, 32));
    assert_memory_equal(out, other, 32);
    assert_ok(nacre_edhoc_export(&p->r.session, 32768, NACRE_STR("b"), other, 32));
    assert_memory_not_equal(out, other, 32);
    for (uint32_t label = 0; label < 2; label++) /* OSCORE's */
        assert_err(nacre_edhoc_export(&p->i.session, label, NACRE_ABSENT, out, 16), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_edhoc_export(&p->i.session, 65536, NACRE_ABSENT, out, 16), NACRE_ERR_BAD_ARGUMENT);
    nacre_buf large = test_buf(255 * 32 + 1);
    assert_ok(nacre_edhoc_export(&p->i.session, 2, NACRE_ABSENT, large.ptr, large.cap - 1));
    assert_err(nacre_edhoc_export(&p->i.session, 2, NACRE_ABSENT, large.ptr, large.cap), NACRE_ERR_TOO_LONG);
    assert_ok(nacre_edhoc_key_update(&p->i.session, NACRE_STR("1")));
    assert_ok(nacre_edhoc_context(&p->i.session, &params, &second));
    assert_memory_not_equal(first.master_secret, second.master_secret, 16);
    assert_err(nacre_edhoc_context(&p->i.session, &params, &second), NACRE_ERR_STALE);
    nacre_edhoc_wipe(&p->i.session);
    nacre_edhoc_wipe(&p->i.session);
    assert_null(nacre_edhoc_peer(&p->i.session));
    assert_err(nacre_edhoc_context(&p->i.session, &params, &second), NACRE_ERR_STALE);
}

/* The keys protect and unprotect: the parameters are those of a context. */
static void the_context_carries_a_request(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(0, 24, BY_X5CHAIN);
    nacre_edhoc_secrets at_i, at_r;
    nacre_context_params params_i, params_r;
    edhoc_complete(p);
    assert_ok(nacre_edhoc_context(&p->i.session, &params_i, &at_i));
    assert_ok(nacre_edhoc_context(&p->r.session, &params_r, &at_r));
    nacre_context *client = test_context(&params_i), *server = test_context(&params_r);
    nacre_request_id sent, received;
    nacre_message plain = test_request(NACRE_GET, test_options(0), NACRE_ABSENT);
    nacre_bytes datagram = test_protect_request(client, &sent, &plain);
    assert_int_equal(test_unprotect_request(server, &received, datagram).code, NACRE_GET);
}

static void sessions_are_small(void **state)
{
    (void)state;
    assert_in_range(sizeof(nacre_edhoc), 1, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_of_each_message_change_nothing),
        TEST(messages_of_another_session_change_nothing_or_end_it),
        TEST(an_error_message_ends_a_session_that_waits),
        TEST(a_refusal_is_an_error_message_for_the_peer),
        TEST(a_responder_does_not_reply_to_an_error_with_another),
        TEST(a_refused_message_leaves_no_plaintext),
        TEST(a_small_buffer_leaves_the_session_unchanged),
        TEST(a_failing_provider_leaves_the_session_unchanged),
        TEST(keys_are_given_once_and_again_after_an_update),
        TEST(the_context_carries_a_request),
        TEST(sessions_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

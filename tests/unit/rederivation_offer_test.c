/* SPDX-License-Identifier: MIT */
/* rederivation_offer_test: an R2 is recognised only by the server object that made it, within its lifetime and its
 * generation. */
#include "oscore/offer.h"
#include "support.h"

enum { LIFETIME = 247000 };

typedef struct r2 {
    uint8_t bytes[NACRE_REDERIVE_R2];
} r2;

static nacre_rederive_server a_server(uint8_t key, uint32_t lifetime_ms)
{
    nacre_rederive_server server;
    nacre_rederive_server_init(&server, test_fill(key, NACRE_REDERIVE_KEY).ptr, lifetime_ms);
    return server;
}

static r2 made(const nacre_rederive_server *server, uint8_t s2, uint64_t now_ms)
{
    r2 made;
    assert_ok(nacre__offer_make(server, test_crypto(), made.bytes, test_fill(s2, NACRE_REDERIVE_S2).ptr, now_ms));
    return made;
}

static nacre_err check(const nacre_rederive_server *server, const r2 *offer, uint64_t now_ms)
{
    return nacre__offer_check(server, test_crypto(), offer->bytes, now_ms);
}

/* RFC 7252 4.8.2: an offer is valid for EXCHANGE_LIFETIME, the time that request #2 may take. It is made at any time
 * within a step. */
static void an_offer_is_valid_for_its_lifetime(void **unused)
{
    (void)unused;
    static const uint32_t lifetimes[] = { 1, 100, 255, 256, 1000, LIFETIME, UINT32_MAX };
    for (size_t i = 0; i < COUNT(lifetimes); i++) {
        const uint64_t lifetime = lifetimes[i], least = lifetime - lifetime * 2 / 256 - (lifetime > 1 ? 2 : 1);
        const nacre_rederive_server server = a_server(1, lifetimes[i]);
        for (uint64_t made_at = 0; made_at < 3 * lifetime; made_at += lifetime / 7 + 1) {
            const r2 offer = made(&server, 1, made_at);
            assert_ok(check(&server, &offer, made_at));
            assert_ok(check(&server, &offer, made_at + least));
            assert_err(check(&server, &offer, made_at + lifetime), NACRE_ERR_NO_CONTEXT);
            assert_err(check(&server, &offer, made_at + lifetime + 1), NACRE_ERR_NO_CONTEXT);
            for (uint64_t age = 2; age < 1000; age++) /* also when its byte of time has wrapped */
                assert_err(check(&server, &offer, made_at + age * lifetime), NACRE_ERR_NO_CONTEXT);
        }
    }
}

static void an_offer_from_the_future_is_refused(void **unused)
{
    (void)unused;
    const nacre_rederive_server server = a_server(1, LIFETIME);
    const r2 offer = made(&server, 1, 5000);
    assert_err(check(&server, &offer, 0), NACRE_ERR_NO_CONTEXT);
    assert_ok(check(&server, &offer, 5000));
}

static void a_changed_offer_is_refused(void **unused)
{
    (void)unused;
    const nacre_rederive_server server = a_server(1, LIFETIME);
    const r2 good = made(&server, 1, 100000);
    for (size_t bit = 0; bit < sizeof good.bytes * 8; bit++) {
        r2 bad = good;
        bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_err(check(&server, &bad, 100000), NACRE_ERR_NO_CONTEXT);
    }
    assert_ok(check(&server, &good, 100000));
}

static void voiding_ends_all_offers_made_before(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server(1, LIFETIME);
    const r2 before = made(&server, 1, 0);
    assert_ok(check(&server, &before, 0));
    nacre_rederive_void_offers(&server);
    const r2 after = made(&server, 1, 0); /* S2 and time are the same: the generation differs */
    assert_err(check(&server, &before, 0), NACRE_ERR_NO_CONTEXT);
    assert_ok(check(&server, &after, 0));
    nacre_rederive_void_offers(&server);
    assert_err(check(&server, &before, 0), NACRE_ERR_NO_CONTEXT);
    assert_err(check(&server, &after, 0), NACRE_ERR_NO_CONTEXT);
}

/* A restart makes a new key, and each peer has its own. */
static void an_offer_under_another_key_is_refused(void **unused)
{
    (void)unused;
    const nacre_rederive_server one = a_server(1, LIFETIME), other = a_server(2, LIFETIME);
    const r2 of_one = made(&one, 1, 0), of_other = made(&other, 1, 0);
    assert_err(check(&other, &of_one, 0), NACRE_ERR_NO_CONTEXT);
    assert_err(check(&one, &of_other, 0), NACRE_ERR_NO_CONTEXT);
    assert_ok(check(&one, &of_one, 0));
}

/* The key of context 2 derives from R2, which therefore must not repeat. */
static void each_s2_makes_another_offer(void **unused)
{
    (void)unused;
    const nacre_rederive_server server = a_server(1, LIFETIME);
    const r2 one = made(&server, 1, 0), other = made(&server, 2, 0);
    assert_memory_not_equal(one.bytes, other.bytes, sizeof one.bytes);
    assert_ok(check(&server, &one, 0));
    assert_ok(check(&server, &other, 0));
}

/* A key of zeros is public: an object that was never initialised, or was wiped, neither makes nor accepts offers. */
static void an_object_of_zeros_makes_and_accepts_no_offer(void **unused)
{
    (void)unused;
    const nacre_rederive_server zeros = { 0 };
    nacre_rederive_server known = { .lifetime_ms = LIFETIME };
    const r2 forged = made(&known, 1, 0);
    r2 none;
    assert_err(nacre__offer_make(&zeros, test_crypto(), none.bytes, test_fill(1, NACRE_REDERIVE_S2).ptr, 0),
               NACRE_ERR_BAD_ARGUMENT);
    assert_err(check(&zeros, &forged, 0), NACRE_ERR_NO_CONTEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_offer_is_valid_for_its_lifetime),
        TEST(an_offer_from_the_future_is_refused),
        TEST(a_changed_offer_is_refused),
        TEST(voiding_ends_all_offers_made_before),
        TEST(an_offer_under_another_key_is_refused),
        TEST(each_s2_makes_another_offer),
        TEST(an_object_of_zeros_makes_and_accepts_no_offer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* derivation_wipe: nothing that keys are made of stays on the stack: PRK, blocks of HKDF, keys. The calls run on a stack that
 * the test made, with a provider whose HMACs give bytes that the test can look for there afterwards. */
#include "context/identify.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>

enum { STACK = 256 * 1024, MAX_MACS = 16, PROBE = 8 /* bytes of a secret that must not be found */ };

static uint8_t secrets[MAX_MACS][NACRE_MAX_HASH]; /* what the HMACs gave, on the heap of the test */
static size_t num_macs, failing_at;
static bool key_fails;

/* A secret is copied from memory to memory, byte by byte, so that none of it is left by the provider. */
static nacre_err hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                      size_t num_parts, uint8_t *mac)
{
    (void)crypto, (void)key, (void)parts, (void)num_parts;
    if (num_macs == failing_at || num_macs == MAX_MACS) return NACRE_ERR_CRYPTO;
    for (size_t i = 0; i < nacre_hash_len(hash); i++) ((volatile uint8_t *)mac)[i] = secrets[num_macs][i];
    num_macs++;
    return NACRE_OK;
}

static bool key_layout(const nacre_aead *aead, size_t *size, size_t *align)
{
    (void)aead;
    *size = 16;
    *align = 1;
    return true;
}

static nacre_err key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                          const uint8_t *bytes)
{
    (void)crypto, (void)aead, (void)key, (void)bytes;
    return key_fails && direction == NACRE_OPEN ? NACRE_ERR_CRYPTO : NACRE_OK;
}

static void key_release(const nacre_aead *aead, void *key, size_t size)
{
    (void)aead, (void)key, (void)size;
}

static nacre_crypto_ops ops;
static const nacre_crypto crypto = { &ops, NULL };

static void set_up(size_t fails_at)
{
    uint64_t state = 1;
    for (size_t i = 0; i < MAX_MACS; i++)
        for (size_t k = 0; k < NACRE_MAX_HASH; k++) secrets[i][k] = (uint8_t)(test_random(&state) | 1);
    ops = *test_crypto()->ops;
    ops.hmac = hmac;
    ops.derive = NULL;
    ops.key_derive = NULL;
    ops.key_layout = key_layout;
    ops.key_init = key_init;
    ops.key_release = key_release;
    num_macs = 0;
    failing_at = fails_at;
}

/* ---- The stack ---------------------------------------------------------------------------------------------------------- */

typedef struct task {
    void (*call)(void *arg);
    void *arg;
} task;

/* The end of a thread uses the beginning of its stack again. */
static void *call_deeper(void *arg)
{
    volatile uint8_t beginning[16 * 1024];
    const task *t = arg;
    beginning[0] = 0;
    t->call(t->arg);
    return beginning[0] == 0 ? NULL : arg;
}

static bool leaves_secrets(void (*call)(void *arg), void *arg)
{
    task t = { call, arg };
    void *stack = NULL;
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(posix_memalign(&stack, 4096, STACK), 0);
    memset(stack, 0, STACK);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, call_deeper, &t), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)pthread_attr_destroy(&attributes);
    bool found = false;
    for (size_t i = 0; i < num_macs; i++)
        for (size_t k = 0; k + PROBE <= NACRE_MAX_HASH; k++)
            for (size_t at = 0; at + PROBE <= STACK && !found; at++)
                found = ((uint8_t *)stack)[at] == secrets[i][k] &&
                        memcmp((uint8_t *)stack + at, &secrets[i][k], PROBE) == 0;
    free(stack);
    return found;
}

static nacre_err result;

static void leave_one(void *arg)
{
    uint8_t mac[NACRE_MAX_HASH];
    (void)arg;
    result = crypto.ops->hmac(&crypto, NACRE_SHA256, NACRE_ABSENT, NULL, 0, mac);
}

/* What all the others rest on; not so where a sanitizer keeps variables elsewhere. */
static void a_secret_on_the_stack_is_found(void **state)
{
    (void)state;
    set_up(SIZE_MAX);
    if (!leaves_secrets(leave_one, NULL)) skip();
}

/* ---- Derivations -------------------------------------------------------------------------------------------------------- */

static void derive(void *arg)
{
    static uint8_t out[100];
    (void)arg;
    const nacre_err err = nacre_hkdf(&crypto, NACRE_SHA256, NACRE_STR("secret"), NACRE_ABSENT, NACRE_ABSENT, out, 100);
    result = err;
}

static void hkdf_leaves_neither_prk_nor_blocks_on_the_stack(void **state)
{
    (void)state;
    for (size_t fails_at = 1; fails_at <= 5; fails_at++) { /* the extraction, and four blocks; the last row succeeds */
        set_up(fails_at);
        assert_false(leaves_secrets(derive, NULL));
        assert_err(result, fails_at == 5 ? NACRE_OK : NACRE_ERR_CRYPTO);
        assert_int_equal(num_macs, fails_at);
    }
}

static void make_context(void *arg)
{
    static nacre_context ctx;
    static uint8_t keys[32];
    result = nacre_context_init(&ctx, &crypto, arg, NACRE_BUF(keys));
}

static void identify(void *arg)
{
    static nacre_context ctx;
    result = nacre__context_identify(&ctx, &crypto, arg);
}

/* PRK, Common IV and two keys: four HMACs. */
static void a_context_leaves_neither_prk_nor_keys_on_the_stack(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    for (size_t fails_at = 1; fails_at <= 4; fails_at++) {
        set_up(fails_at);
        assert_false(leaves_secrets(make_context, &params));
        assert_err(result, fails_at == 4 ? NACRE_OK : NACRE_ERR_CRYPTO);
    }
    set_up(SIZE_MAX);
    key_fails = true;
    assert_false(leaves_secrets(make_context, &params));
    assert_err(result, NACRE_ERR_CRYPTO);
    key_fails = false;
    set_up(SIZE_MAX);
    params.cose_aead = NACRE_AES_CCM_16_64_128;
    assert_false(leaves_secrets(identify, &params));
    assert_ok(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_secret_on_the_stack_is_found),
        TEST(hkdf_leaves_neither_prk_nor_blocks_on_the_stack),
        TEST(a_context_leaves_neither_prk_nor_keys_on_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* store_memory_test: every allocation of opening, loading and generating fails in turn: each is an error without a leak
 * or a lock left, and the next attempt succeeds. The allocator is replaced, so the test is skipped under sanitizers,
 * which bring their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <nacre/nacre.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scratch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OTHER_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OTHER_ALLOCATOR
#endif

#ifdef OTHER_ALLOCATOR
int main(void)
{
    printf("skipped: the allocator cannot be replaced in this build\n");
    return 77; /* ctest then says Skipped */
}
#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t num, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *old);

static struct {
    bool counting;
    unsigned calls, fail_at;
    long live;
} heap;

static bool heap_gives(void)
{
    if (!heap.counting || ++heap.calls != heap.fail_at) return true;
    errno = ENOMEM;
    return false;
}

static void *gave(void *piece)
{
    if (heap.counting && piece != NULL) heap.live++;
    return piece;
}

void *malloc(size_t size)
{
    return heap_gives() ? gave(__libc_malloc(size)) : NULL;
}

void *calloc(size_t num, size_t size)
{
    return heap_gives() ? gave(__libc_calloc(num, size)) : NULL;
}

void *realloc(void *old, size_t size)
{
    if (!heap_gives()) return NULL;
    return old == NULL ? gave(__libc_malloc(size)) : __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return heap_gives() ? gave(__libc_memalign(align, size)) : NULL;
}

void free(void *old)
{
    if (heap.counting && old != NULL) heap.live--;
    __libc_free(old);
}

struct fixture {
    char *dir;
    nacre_crypto crypto;
    char a[4200], b[4200], credentials[4200];
    uint8_t common_iv[NACRE_MAX_NONCE]; /* the values when no allocation fails */
    bool has_common_iv;
};

/* One attempt: true when it succeeded, after which it is undone. */
typedef bool attempt_fn(struct fixture *f);

/* The cryptography library tolerates some failed allocations; the result must still be right. */
static void check_keys(struct fixture *f, nacre_directory *dir)
{
    nacre_bytes common_iv = nacre_context_common_iv(nacre_directory_context(dir));
    assert_int_equal(common_iv.len, sizeof f->common_iv);
    if (!f->has_common_iv) memcpy(f->common_iv, common_iv.ptr, common_iv.len);
    f->has_common_iv = true;
    assert_memory_equal(f->common_iv, common_iv.ptr, common_iv.len);
}

static bool open_and_close(struct fixture *f)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    nacre_err err = nacre_directory_open(&dir, f->a, &f->crypto, &why);
    if (err != NACRE_OK) {
        assert_true(why.text[0] != '\0');
        assert_null(dir);
        return false;
    }
    check_keys(f, dir);
    assert_int_equal(nacre_directory_close(dir, &why), NACRE_OK);
    return true;
}

/* Converts to the legacy layout, opens it with a state of both sides, writes, and converts back. */
static bool convert_and_back(struct fixture *f)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    nacre_store store;
    nacre_err err = nacre_directory_convert(f->a, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, &why);
    if (err == NACRE_OK) err = nacre_directory_open_as(&dir, f->a, NACRE_ROLE_CLIENT, &f->crypto, &why);
    if (err == NACRE_OK) {
        store = nacre_directory_store(dir);
        err = store.ops->reserve(store.self, nacre_context_next_seq(nacre_directory_context(dir)) + 10, &why);
        if (nacre_directory_close(dir, &why) != NACRE_OK) err = NACRE_ERR_NO_MEMORY;
    }
    if (err == NACRE_OK) err = nacre_directory_convert(f->a, NACRE_LAYOUT_NEWEST, NACRE_ROLE_CLIENT, &why);
    if (err != NACRE_OK) assert_true(why.text[0] != '\0');
    return err == NACRE_OK;
}

static bool create_again(struct fixture *f)
{
    char x[4200];
    nacre_detail why = { "" };
    nacre_directory_info info = {
        .aead = nacre_aead_by_number(10), .window = 32, .sender_id_len = 1, .secret_len = 16
    };
    snprintf(x, sizeof x, "%s/z", f->dir);
    nacre_err err = nacre_directory_create(x, &info, &why);
    if (err != NACRE_OK) assert_true(why.text[0] != '\0');
    if (err != NACRE_OK) assert_false(scratch_exists(f->dir, "z"));
    return err == NACRE_OK;
}

static bool load_and_free(struct fixture *f)
{
    nacre_credentials *c = NULL;
    nacre_detail why = { "" };
    nacre_err err = nacre_credentials_load(&c, f->credentials, &why);
    if (err != NACRE_OK) {
        assert_int_equal(err, NACRE_ERR_NO_MEMORY);
        assert_true(why.text[0] != '\0');
        assert_null(c);
        return false;
    }
    nacre_credential found;
    err = nacre_credentials_find(c, &found, "coap://i/", &why);
    nacre_credentials_free(c);
    assert_true(err == NACRE_OK || err == NACRE_ERR_NO_MEMORY);
    return err == NACRE_OK;
}

static bool generate_again(struct fixture *f)
{
    char x[4200], y[4200];
    nacre_detail why = { "" };
    snprintf(x, sizeof x, "%s/x", f->dir);
    snprintf(y, sizeof y, "%s/y", f->dir);
    return nacre_directory_generate(x, y, NULL, &why) == NACRE_OK;
}

/* Fails allocation 1, 2, … until the attempt needs no further one. Returns the number of allocations. */
static unsigned fail_each(struct fixture *f, attempt_fn *attempt)
{
    for (unsigned n = 1;; n++) {
        heap.calls = 0;
        heap.live = 0;
        heap.fail_at = n;
        heap.counting = true;
        bool done = attempt(f);
        ERR_clear_error(); /* errors queued by the library */
        heap.counting = false;
        if (heap.live != 0) fail_msg("allocation %u: %ld pieces leaked", n, heap.live);
        if (heap.calls < n) {
            assert_true(done);
            return n - 1;
        }
        assert_true(n < 10000);
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = scratch_make();
    snprintf(f->a, sizeof f->a, "%s/a", f->dir);
    snprintf(f->b, sizeof f->b, "%s/b", f->dir);
    snprintf(f->credentials, sizeof f->credentials, "%s/c.json", f->dir);
    assert_int_equal(nacre_openssl_open(&f->crypto), NACRE_OK);
    assert_int_equal(nacre_directory_generate(f->a, f->b, NULL, NULL), NACRE_OK);
    scratch_write(f->dir, "c.json",
                  "{\"coap://h/*\": \":a\", \":a\": {\"oscore\": {\"basedir\": \"a\"}}, \"coap://i\": \":a\"}");
    assert_true(open_and_close(f)); /* the cryptography library has allocated what it keeps */
    ERR_raise(ERR_LIB_USER, 1);
    ERR_clear_error();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    nacre_openssl_close(&f->crypto);
    scratch_remove(f->dir);
    free(f);
    return 0;
}

static void opening_survives_each_failed_allocation(void **state)
{
    assert_true(fail_each(*state, open_and_close) >= 5);
}

/* Each attempt continues from what the one before left. */
static void converting_survives_each_failed_allocation(void **state)
{
    struct fixture *f = *state;
    assert_true(fail_each(f, convert_and_back) >= 5);
    assert_true(convert_and_back(f));
    assert_true(open_and_close(f));
}

static void creating_survives_each_failed_allocation(void **state)
{
    assert_true(fail_each(*state, create_again) >= 3);
}

static void loading_credentials_survives_each_failed_allocation(void **state)
{
    assert_true(fail_each(*state, load_and_free) >= 5);
}

static void generating_survives_each_failed_allocation(void **state)
{
    struct fixture *f = *state;
    for (unsigned n = 1;; n++) {
        heap.calls = 0;
        heap.fail_at = n;
        heap.counting = true;
        bool done = generate_again(f);
        heap.counting = false;
        if (done) {
            assert_true(heap.calls < n && n > 1);
            break;
        }
        assert_false(scratch_exists(f->dir, "x"));
        assert_false(scratch_exists(f->dir, "y"));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Valgrind replaces our allocator. */
static bool allocator_is_ours(void)
{
    heap.counting = true;
    void *volatile piece = malloc(1);
    free(piece);
    heap.counting = false;
    return heap.calls > 0;
}

int main(void)
{
    if (!allocator_is_ours()) {
        printf("skipped: the allocator cannot be replaced here\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        TEST(opening_survives_each_failed_allocation),    TEST(converting_survives_each_failed_allocation),
        TEST(creating_survives_each_failed_allocation),   TEST(loading_credentials_survives_each_failed_allocation),
        TEST(generating_survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif

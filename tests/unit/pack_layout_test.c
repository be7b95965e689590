/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* pack_layout_test: the bytes of a pack are those shown in docs/pack.md, whatever the byte order of the machine. */
#include <nacre/pack.h>

#include "packs.h"
#include "scratch.h"

enum { PAGE = 4096, SUM_AT = PAGE - 8 };

static uint64_t little(const uint8_t *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* As docs/pack.md specifies: over identity, page number and the bytes before it. */
static uint64_t checksum(const uint8_t identity[16], uint64_t page_number, const uint8_t *page)
{
    uint64_t words[3 + SUM_AT / 8] = { little(identity, 8), little(identity + 8, 8), page_number };
    for (size_t i = 0; i < SUM_AT / 8; i++) words[3 + i] = little(page + 8 * i, 8);
    uint64_t h = UINT64_C(0x6e61637265706b31);
    for (size_t i = 0; i < COUNT(words); i++) {
        h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return h;
}

static void head_extent_and_segment_are_little_endian(void **state)
{
    (void)state;
    char *scratch = scratch_make();
    const char *path = scratch_path(scratch, "fleet.pack");
    pack_make(path, 3);
    const nacre_bytes file = pack_file(path);
    assert_true(file.len > 4 * PAGE && file.len % PAGE == 0);

    static const uint8_t head[] = { 'N', 'A', 'C', 'R', 'E', 'P', 'C', 'K', 1, 0, 0, 0, 0x00, 0x10, 0, 0 };
    static const uint8_t zeros[16];
    const uint8_t *identity = file.ptr + 16;
    assert_memory_equal(file.ptr, head, sizeof head);
    assert_int_equal(little(file.ptr + SUM_AT, 8), checksum(zeros, 0, file.ptr));

    const uint8_t *extent = file.ptr + PAGE;
    assert_memory_equal(extent, "NACREEXT", 8);
    assert_int_equal(little(extent + SUM_AT, 8), checksum(identity, 1, extent));
    if (little(file.ptr + 2 * PAGE + 8, 8) > little(extent + 8, 8)) extent += PAGE; /* the newer copy */
    assert_int_equal(little(extent + 16, 8), file.len / PAGE);
    assert_int_equal(little(extent + 32, 4), 1);

    const uint8_t *segment = file.ptr + 3 * PAGE;
    assert_memory_equal(segment, "NACRESEG", 8);
    assert_int_equal(little(segment + 8, 4), 0);
    assert_int_equal(little(segment + 12, 4), little(extent + 24, 8));
    assert_int_equal(little(segment + SUM_AT, 8), checksum(identity, 3, segment));
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(head_extent_and_segment_are_little_endian, test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

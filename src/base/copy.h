/* SPDX-License-Identifier: MIT */
/* copy: short copies of the message path. A freestanding compiler calls memcpy even for eight bytes, which costs more than
 * the copy; so copies of fixed size use the builtin, and short ones of any size a few loads and stores. With -Os they are
 * calls. */
#ifndef NACRE_BASE_COPY_H
#define NACRE_BASE_COPY_H

#include <nacre/base.h>
#include <string.h>

#if defined(__GNUC__)
#define NACRE__COPY_FIXED(to, from, size) ((void)__builtin_memcpy((to), (from), (size)))
#else
#define NACRE__COPY_FIXED(to, from, size) ((void)memcpy((to), (from), (size)))
#endif

/* For header functions called many times per message: inline; with -Os, functions of one file. */
#if defined(__OPTIMIZE_SIZE__)
#define NACRE__CODEC
#else
#define NACRE__CODEC static inline
#endif

/* For functions used twice on the message path: always inline; with -Os, left to the compiler. */
#if defined(__OPTIMIZE_SIZE__)
#define NACRE__INLINE
#else
#define NACRE__INLINE inline
#endif

#if defined(__GNUC__)
#define NACRE__NOT_INLINE __attribute__((noinline))
#else
#define NACRE__NOT_INLINE
#endif

/* For functions used often that are not small: inline; with -Os, one copy in each file. */
#if defined(__OPTIMIZE_SIZE__)
#define NACRE__ONE_COPY NACRE__NOT_INLINE static inline
#else
#define NACRE__ONE_COPY static inline
#endif

/* Prefetches memory; has no other effect. */
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define NACRE__PREFETCH(ptr) __builtin_prefetch(ptr)
#else
#define NACRE__PREFETCH(ptr) ((void)(ptr))
#endif

/* As memmove; `from` may be NULL when `len` is 0. */
static inline void nacre__move(uint8_t *to, const uint8_t *from, size_t len)
{
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
    if (len <= 16) { /* reads everything before writing */
        if (len >= 8) {
            uint64_t first, last;
            NACRE__COPY_FIXED(&first, from, 8);
            NACRE__COPY_FIXED(&last, from + len - 8, 8);
            NACRE__COPY_FIXED(to, &first, 8);
            NACRE__COPY_FIXED(to + len - 8, &last, 8);
        } else if (len >= 4) {
            uint32_t first, last;
            NACRE__COPY_FIXED(&first, from, 4);
            NACRE__COPY_FIXED(&last, from + len - 4, 4);
            NACRE__COPY_FIXED(to, &first, 4);
            NACRE__COPY_FIXED(to + len - 4, &last, 4);
        } else if (len > 0) {
            uint8_t first = from[0], middle = from[len >> 1], last = from[len - 1];
            to[0] = first;
            to[len >> 1] = middle;
            to[len - 1] = last;
        }
        return;
    }
#endif
    if (len > 0) memmove(to, from, len);
}

/* A number of four bytes, big-endian. */
static inline uint32_t nacre__get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static inline void nacre__put_u32(uint8_t *to, uint32_t number)
{
    to[0] = (uint8_t)(number >> 24);
    to[1] = (uint8_t)(number >> 16);
    to[2] = (uint8_t)(number >> 8);
    to[3] = (uint8_t)number;
}

/* Copies a few bytes without overlap: IDs and Partial IVs. Returns the end. */
static inline uint8_t *nacre__put(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) to[i] = from[i];
    return to + len;
}

/* Whether the bytes equal an ID. Not constant-time: IDs are public. */
static inline bool nacre__same_id(nacre_bytes bytes, const uint8_t *id, size_t id_len)
{
    if (bytes.len != id_len) return false;
    for (size_t i = 0; i < id_len; i++)
        if (bytes.ptr[i] != id[i]) return false;
    return true;
}

#endif

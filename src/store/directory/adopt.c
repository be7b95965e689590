/* SPDX-License-Identifier: MIT */
/* adopt: rewrites a state that was copied, restored or lost, because its owner declares it valid. What was received since is
 * not known, so the replay window becomes unknown (RFC 8613 B.1.2). */
#include <nacre/store.h>

#include <unistd.h>

#include "store/directory/directory_read.h"
#include "base/hosted/detail.h"
#include "store/lock/generation.h"
#include "store/directory/locked.h"
#include "store/random.h"
#include "store/directory/legacy_sequence.h"

static nacre_err write_state(const nacre__dirfd *dirfd, const nacre_directory_info *info, const nacre__json *rest,
                             int lock_fd, const nacre__sequence *state, nacre_detail *why)
{
    bool uncertain;
    nacre__generation_writer writer = { .fd = lock_fd, .number = info->generation };
    if (info->layout == NACRE_LAYOUT_NEWEST) return nacre__sequence_write_next(dirfd, state, &writer, &uncertain, why);
    const nacre__legacy_form form = { .sender_id = nacre_bytes_of(info->sender_id, info->sender_id_len),
                                      .recipient_id = nacre_bytes_of(info->recipient_id, info->recipient_id_len),
                                      .rest = rest,
                                      .writer = &writer };
    return nacre__legacy_write(dirfd, state, &form, &uncertain, why);
}

/* How many numbers to skip for a state of unknown age: NACRE_ADOPT_SKIP plus a random part of up to as much, so that one
 * backup restored twice continues at different numbers. The result is at most `left`, which is at least NACRE_ADOPT_SKIP. */
static nacre_err skip(uint64_t *numbers, uint64_t left, const nacre__dirfd *dirfd, nacre_detail *why)
{
    uint32_t more;
    if (!nacre__store_random((uint8_t *)&more, sizeof more))
        return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", dirfd->path);
    *numbers = NACRE_ADOPT_SKIP + more < left ? NACRE_ADOPT_SKIP + more : left;
    return NACRE_OK;
}

/* `floor`: the higher of the next numbers in the state and DIR/lock. */
static nacre_err choose_next(uint64_t *next_to_send, uint64_t floor, const nacre__dirfd *dirfd, nacre_detail *why)
{
    uint64_t numbers = 0;
    if (*next_to_send > NACRE_SEQ_MAX)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: the next number to send is above 2^40-1, the last that is used; make new keys "
                           "(nacre keygen)",
                           dirfd->path);
    if (*next_to_send != 0 && *next_to_send < floor)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: the next number to send must be at least %llu, the highest that sequence.json or "
                           "lock names",
                           dirfd->path, (unsigned long long)floor);
    if (*next_to_send != 0) return NACRE_OK;
    if (floor > NACRE_SEQ_MAX - NACRE_ADOPT_SKIP)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: too few numbers are left to skip 2^32; make new keys (nacre keygen), or give the "
                           "first number that was never used (--next-to-send)",
                           dirfd->path);
    const nacre_err err = skip(&numbers, NACRE_SEQ_MAX - floor, dirfd, why);
    *next_to_send = floor + numbers;
    return err;
}

static nacre_err adopt_loaded(const nacre__dirfd *dirfd, const nacre_directory_info *info, const nacre__json *rest,
                              int lock_fd, uint64_t next_to_send, nacre_detail *why)
{
    nacre__generation count;
    if (!info->has_state && next_to_send == 0)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s/sequence.json: is missing; give the first number that was never used "
                           "(--next-to-send)",
                           dirfd->path);
    nacre_err err = nacre__generation_read(&count, dirfd, why);
    if (err != NACRE_OK) return err;
    const uint64_t floor = count.next_to_send > info->next_to_send ? count.next_to_send : info->next_to_send;
    err = choose_next(&next_to_send, floor, dirfd, why);
    const nacre__sequence state = { .next_to_send = next_to_send };
    return err == NACRE_OK ? write_state(dirfd, info, rest, lock_fd, &state, why) : err;
}

static nacre_err adopt_locked(const nacre__dirfd *dirfd, nacre_role role, int lock_fd, uint64_t next_to_send,
                              nacre_detail *why)
{
    nacre_directory_info info;
    nacre__json_doc rest;
    nacre_err err = nacre__directory_load(&info, &rest, dirfd, role, why);
    if (err != NACRE_OK) return err;
    err = adopt_loaded(dirfd, &info, rest.root, lock_fd, next_to_send, why);
    nacre__json_free(&rest);
    nacre_wipe(&info, sizeof info);
    return err;
}

nacre_err nacre_directory_adopt(const char *path, nacre_role role, uint64_t next_to_send, nacre_detail *why)
{
    nacre__dirfd dirfd;
    nacre__guard guard;
    nacre_err err = nacre__locked_open(&dirfd, &guard, path, why);
    if (err != NACRE_OK) return err;
    err = adopt_locked(&dirfd, role, guard.lock_fd, next_to_send, why);
    nacre__locked_close(&dirfd, &guard);
    return err;
}

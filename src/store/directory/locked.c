/* SPDX-License-Identifier: MIT */
#include "store/directory/locked.h"
#include "store/directory/moved.h"
#include "store/lock/lock.h"

nacre_err nacre__locked_open(nacre__dirfd *dirfd, nacre__guard *guard, const char *path, nacre_detail *why)
{
    nacre_err err = nacre__dirfd_open(dirfd, path, why);
    if (err != NACRE_OK) return err;
    *guard = NACRE__GUARD_NONE;
    err = nacre__lock_take(dirfd, guard, why);
    if (err == NACRE_OK) err = nacre__moved_check(dirfd, why);
    if (err != NACRE_OK) nacre__locked_close(dirfd, guard);
    return err;
}

void nacre__locked_close(nacre__dirfd *dirfd, nacre__guard *guard)
{
    nacre__guard_release(guard);
    nacre__dirfd_close(dirfd);
}

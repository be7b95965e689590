/* SPDX-License-Identifier: MIT */
/* random: the system's generator. */
#include "store/random.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

bool nacre__store_random(uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t got = getrandom(out + at, len - at, 0);
        if (got > 0) at += (size_t)got;
        if (got < 0 && errno != EINTR) return false;
    }
    return true;
}

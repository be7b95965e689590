/* SPDX-License-Identifier: MIT */
/* entropy: randomness from the system. Message IDs, tokens and Echo values must be unpredictable, so there is no fallback:
 * the process aborts when the system has none. */
#include <nacre/system.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#endif

/* One call of the system, up to 256 bytes; returns the number of bytes, or -1. */
static ssize_t draw(uint8_t *out, size_t len)
{
#ifdef __linux__
    return getrandom(out, len, 0);
#else
    return getentropy(out, len) == 0 ? (ssize_t)len : -1;
#endif
}

static void fill(void *self, uint8_t *out, size_t len)
{
    (void)self;
    while (len > 0) {
        ssize_t got = draw(out, len < 256 ? len : 256);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) abort();
        out += got;
        len -= (size_t)got;
    }
}

nacre_random nacre_entropy(void)
{
    return (nacre_random){ fill, NULL };
}

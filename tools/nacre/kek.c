/* SPDX-License-Identifier: MIT */
/* kek: reads the file of a key-encryption key. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "tool.h"

nacre_err tool_kek(nacre_bytes *out, uint8_t kek[NACRE_SQLITE_KEK], const char *path, nacre_detail *why)
{
    struct stat st;
    uint8_t more;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO would block */
    if (fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open: %s", path, strerror(errno));
    const bool is_known = fstat(fd, &st) == 0, is_file = is_known && S_ISREG(st.st_mode);
    ssize_t got = -1, rest = -1;
    if (is_file) got = read(fd, kek, NACRE_SQLITE_KEK);
    if (is_file) rest = read(fd, &more, 1);
    close(fd);
    if (is_known && !is_file)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: is not a regular file, which a key-encryption key is in", path);
    if (!is_known || (st.st_mode & 077) != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: other users can read it; run chmod 600 on it", path);
    if (got != NACRE_SQLITE_KEK || rest != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: a key-encryption key has exactly %d bytes", path,
                           (int)NACRE_SQLITE_KEK);
    *out = nacre_bytes_of(kek, NACRE_SQLITE_KEK);
    return NACRE_OK;
}

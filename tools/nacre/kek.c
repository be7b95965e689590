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
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open: %s", path, strerror(errno));
    const bool is_private = fstat(fd, &st) == 0 && (st.st_mode & 077) == 0;
    const ssize_t got = read(fd, kek, NACRE_SQLITE_KEK), rest = read(fd, &more, 1);
    close(fd);
    if (!is_private) return nacre__fail(why, NACRE_ERR_FILE, "%s: other users can read it; run chmod 600 on it", path);
    if (got != NACRE_SQLITE_KEK || rest != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: a key-encryption key has exactly %d bytes", path,
                           (int)NACRE_SQLITE_KEK);
    *out = nacre_bytes_of(kek, NACRE_SQLITE_KEK);
    return NACRE_OK;
}

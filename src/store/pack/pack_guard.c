/* SPDX-License-Identifier: MIT */
/* pack_guard: checks that the path of an open pack still leads to its file. Another file there may be in use by another
 * process, with the same numbers. After the first such failure, as with directories (guard.h), the pack is not written again,
 * and its contexts are stopped. */
#include "store/pack/pack_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"

nacre_err nacre__pack_lose(nacre_pack *pack, const char *what, nacre_detail *why)
{
    if (!atomic_load_explicit(&pack->is_lost, memory_order_acquire)) {
        (void)nacre__fail(&pack->lost, NACRE_ERR_LOCKED,
                          "%s: was %s while it was open, so that other programs may use its numbers: nothing is "
                          "written any more and its contexts are stopped; find the program that did it, and open "
                          "the pack again",
                          pack->path, what);
        atomic_store_explicit(&pack->is_lost, true, memory_order_release);
    }
    return nacre__pack_check_lost(pack, why);
}

nacre_err nacre__pack_check_lost(const nacre_pack *pack, nacre_detail *why)
{
    if (!atomic_load_explicit(&pack->is_lost, memory_order_acquire)) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s", pack->lost.text);
}

/* After a fork two processes would use the same numbers, and write to one file. */
nacre_err nacre__pack_check_owner(const nacre_pack *pack, nacre_detail *why)
{
    if (pack->owner == getpid()) return nacre__pack_check_lost(pack, why);
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s: opened by process %ld before a fork; open it after forking",
                       pack->path, (long)pack->owner);
}

nacre_err nacre__pack_check_file(nacre_pack *pack, nacre_detail *why)
{
    struct stat held, named;
    const nacre__pack_file *file = &pack->file;
    const char *slash = strrchr(file->path, '/'), *name = slash != NULL ? slash + 1 : file->path;
    nacre_err err = nacre__pack_check_lost(pack, why);
    if (err != NACRE_OK) return err;
    const bool is_seen = fstatat(file->dir_fd, name, &named, 0) == 0; /* follows a link, as open does */
    if (!is_seen && errno == ENOENT) return nacre__pack_lose(pack, "moved or removed", why);
    if (!is_seen || fstat(file->fd, &held) != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot look at it before writing: %s", pack->path,
                           strerror(errno));
    if (held.st_dev == named.st_dev && held.st_ino == named.st_ino) return NACRE_OK;
    return nacre__pack_lose(pack, "replaced", why);
}

void nacre__pack_stop_if_lost(nacre__packed *packed)
{
    if (packed->segment == NULL) return; /* wiped in the child of a fork */
    const nacre_pack *pack = packed->segment->pack;
    if (pack->owner == getpid() && nacre__pack_check_lost(pack, NULL) != NACRE_OK) nacre_context_stop(&packed->ctx);
}

void nacre__pack_stop_all_if_lost(nacre_pack *pack)
{
    if (pack->all_stopped || pack->owner != getpid() || nacre__pack_check_lost(pack, NULL) == NACRE_OK) return;
    for (size_t i = 0; i < nacre_pack_num(pack); i++) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx != NULL) nacre_context_stop(ctx);
    }
    pack->all_stopped = true;
}

nacre_err nacre__pack_check_alone(nacre_pack *pack, nacre_detail *why)
{
    nacre_err err = nacre__pack_check_owner(pack, why);
    if (err == NACRE_OK) err = nacre__pack_check_file(pack, why);
    nacre__pack_stop_all_if_lost(pack);
    return err;
}

/* SPDX-License-Identifier: MIT */
/* pack_unpack: moves a context from a pack into a directory, so that its numbers are never usable in both.
 *
 *     1  a complete directory is made beside DIR, under a hidden name
 *     2  the context is removed from the pack
 *     3  the directory is renamed to DIR
 *
 * After an interruption before 2 is durable, the pack has the context, and the hidden directory is made again. After that, only
 * the hidden directory has it, and the same call renames it. */
#include "store/pack/pack_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/directory/create.h"
#include "base/hosted/detail.h"
#include "store/file/files.h"

typedef struct moving {
    nacre_pack *pack;
    size_t index;
    const char *dir;
    char hidden[PATH_MAX]; /* "directory/.name.unpacked" */
    nacre_detail *why;
} moving;

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 || errno != ENOENT;
}

static nacre_err name_hidden(moving *m)
{
    size_t len = strlen(m->dir);
    while (len > 1 && m->dir[len - 1] == '/') len--;
    size_t start = len;
    while (start > 0 && m->dir[start - 1] != '/') start--;
    const char *name = m->dir + start;
    size_t name_len = len - start;
    bool none = name_len == 0 || (name_len <= 2 && strspn(name, ".") >= name_len) || name[0] == '/';
    if (none) return nacre__fail(m->why, NACRE_ERR_BAD_ARGUMENT, "'%s' is no name for a new directory", m->dir);
    int made = snprintf(m->hidden, sizeof m->hidden, "%.*s.%.*s.unpacked", (int)start, m->dir, (int)name_len, name);
    if (made > 0 && (size_t)made < sizeof m->hidden) return NACRE_OK;
    return nacre__fail(m->why, NACRE_ERR_BAD_ARGUMENT, "%.200s: the path is too long", m->dir);
}

/* ---- 1 ---- */

static nacre_err describe(const moving *m, nacre_directory_info *info, nacre_context *ctx)
{
    const nacre__packed *packed = nacre__pack_find(m->pack, ctx);
    const nacre__segment *s = packed->segment;
    const uint32_t at = (uint32_t)(packed - s->contexts);
    uint8_t bytes[NACRE__RECORD_MAX];
    const char *problem = NULL;
    nacre__pack_entry entry = { .cell = nacre__cell_of(ctx), .has_record = true };
    nacre_err err = nacre__pack_get(&m->pack->file, bytes, nacre__record_at(&s->shape, s->first_page, at),
                                    s->shape.record_size, m->why);
    if (err == NACRE_OK &&
        !nacre__record_read(&entry.record, &problem, bytes, s->shape.record_size, &m->pack->id, s->shape.number, at))
        err = nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT, "%s: context %zu: its record is damaged: %s", m->pack->path,
                          m->index, problem);
    if (err == NACRE_OK) nacre__pack_entry_describe(info, &entry, false, true);
    nacre_wipe(bytes, sizeof bytes);
    return err;
}

/* If the move fails, the context may be used in the pack, or later from the hidden directory. So it has to request again
 * everything beyond the state in that directory. */
static nacre_err make_hidden(const moving *m, nacre_context *ctx)
{
    nacre_directory_info info;
    nacre_context_before_save(ctx);
    nacre_err err = describe(m, &info, ctx);
    if (err != NACRE_OK) return err;
    err = nacre_directory_create(m->hidden, &info, m->why);
    nacre_wipe(&info, sizeof info);
    return err;
}

/* ---- 2 and 3 ---- */

/* If it is removed but its secret could not be overwritten, the next opening overwrites it. */
static nacre_err take_out(const moving *m, nacre_context *ctx)
{
    nacre_err err = nacre__pack_remove(m->pack, ctx, m->why);
    return nacre_pack_context_at(m->pack, m->index) == NULL ? NACRE_OK : err;
}

static nacre_err give_name(const moving *m)
{
    if (is_there(m->dir) || rename(m->hidden, m->dir) != 0)
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s: cannot give it its name, it is in %s: %s", m->dir, m->hidden,
                           strerror(errno));
    return nacre__dirfd_sync_parent(m->dir, m->why);
}

/* ---- Interrupted ---- */

/* The secret is written last. */
static bool is_half_made(const char *hidden)
{
    nacre__dirfd dirfd;
    if (nacre__dirfd_open(&dirfd, hidden, NULL) != NACRE_OK) return false;
    bool half = faccessat(dirfd.fd, "secret.json", F_OK, 0) != 0 && errno == ENOENT;
    nacre__dirfd_close(&dirfd);
    return half;
}

/* The result of an interrupted attempt; `left_alone`: only the hidden directory has the context. */
static nacre_err look_at_hidden(const moving *m, bool *left_alone)
{
    nacre_directory_info info;
    bool has_it = false, had_it = false;
    *left_alone = false;
    if (!is_there(m->hidden)) return NACRE_OK;
    if (is_half_made(m->hidden)) nacre__directory_take_away(m->hidden); /* the pack has the context */
    if (!is_there(m->hidden)) return NACRE_OK;
    nacre_err err = nacre_directory_read(&info, m->hidden, true, NULL);
    if (err != NACRE_OK)
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s: is in the way; look what it is, and remove it", m->hidden);
    err = nacre__pack_knows(&has_it, &had_it, m->pack, &info, m->hidden, m->why);
    nacre_wipe(&info, sizeof info);
    if (err != NACRE_OK) return err;
    if (!has_it && !had_it)
        return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT,
                           "%s: is in the way: a context on its way out of another pack; finish that first", m->hidden);
    if (has_it) nacre__directory_take_away(m->hidden);
    *left_alone = !has_it;
    if (has_it || nacre_pack_context_at(m->pack, m->index) == NULL) return NACRE_OK;
    /* An index is not reused: this is not the context of the hidden directory. */
    return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT,
                       "%s: is in the way: another context of this pack on its way out; finish that first, by the "
                       "place that it had",
                       m->hidden);
}

nacre_err nacre__pack_move_out(nacre_pack *pack, size_t index, const char *dir, nacre_detail *why)
{
    moving m = { .pack = pack, .index = index, .dir = dir, .why = why };
    bool left_alone = false;
    nacre_err err = nacre__pack_check_alone(pack, why);
    if (err == NACRE_OK) err = name_hidden(&m);
    if (err != NACRE_OK) return err;
    if (is_there(dir)) return nacre__fail(why, NACRE_ERR_FILE, "%s: is there already; give a name that is free", dir);
    err = look_at_hidden(&m, &left_alone);
    if (err != NACRE_OK || left_alone) return err == NACRE_OK ? give_name(&m) : err;
    nacre_context *ctx = nacre_pack_context_at(pack, index);
    if (ctx == NULL)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: there is no context %zu (nacre show counts them)",
                           pack->path, index);
    err = make_hidden(&m, ctx);
    if (err == NACRE_OK) err = take_out(&m, ctx);
    return err == NACRE_OK ? give_name(&m) : err;
}

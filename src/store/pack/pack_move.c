/* SPDX-License-Identifier: MIT */
/* pack_move: moves a directory's context into a pack, so that its numbers are never usable in both.
 *
 *     1  DIR/moved.json: the pack, the next number          nacre refuses DIR
 *     2  DIR/sequence.json: numbers used up, window unknown  other programs fail too
 *     3  the pack has the context
 *     4  DIR/moved.json: completed
 *
 * After an interruption before 2, the state in DIR is valid and the move begins again. After 2, the number in moved.json is
 * valid, because DIR cannot be used any more. After 3 the pack has the context. */
#include "store/directory/moved.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/directory/directory_read.h"
#include "store/pack/pack_internal.h"
#include "store/pack/pack_move.h"
#include "store/lock/lock.h"

_Static_assert(NACRE__MOVED_IDENTITY == 2 * NACRE__PACK_IDENTITY, "a pack's identity in hex");

/* ---- DIR/moved.json ---- */

static nacre_err write_moved(const nacre_pack *pack, const nacre__dirfd *dirfd, uint64_t next, bool completed,
                             nacre_detail *why)
{
    char identity[NACRE__MOVED_IDENTITY + 1];
    nacre_hex_encode(identity, nacre_bytes_of(pack->id.bytes, sizeof pack->id.bytes));
    return nacre__moved_write(dirfd, pack->path, identity, next, completed, why);
}

/* ---- The move ---- */

typedef struct move {
    nacre_pack *pack;
    nacre__dirfd dirfd;
    nacre_role role;
    nacre_directory_info info; /* with secrets */
    nacre_detail *why;
} move;

/* Writes numbers used up and window unknown, by closing the directory. */
static nacre_err exhaust(nacre_directory *dir, nacre_detail *why)
{
    nacre_context *ctx = nacre_directory_context(dir);
    ctx->next = NACRE_SEQ_MAX + 1;
    ctx->in_hand = 0;
    nacre_err err = nacre_context_set_replay(ctx, false, 0, NULL, 0);
    nacre_err closed = nacre_directory_close(dir, why);
    return err == NACRE_OK ? closed : err;
}

/* Steps 1 and 2. */
static nacre_err disarm(move *m)
{
    nacre_directory *dir;
    const char *path = m->dirfd.path;
    nacre_err err = nacre_directory_open_as(&dir, path, m->role, m->pack->crypto, m->why);
    if (err != NACRE_OK) return err;
    err = nacre_directory_read_as(&m->info, path, m->role, true, m->why); /* under the lock of the open directory */
    if (err == NACRE_OK) err = write_moved(m->pack, &m->dirfd, m->info.next_to_send, false, m->why);
    if (err == NACRE_OK) return exhaust(dir, m->why);
    (void)nacre_directory_close(dir, NULL); /* unchanged */
    return err;
}

/* Whether the pack has this context, from an attempt interrupted after step 3; or has, or had, one with the same nonces or the
 * same Recipient Key. */
nacre_err nacre__pack_knows(bool *has_it, bool *had_it, nacre_pack *pack, const nacre_directory_info *info,
                            const char *path, nacre_detail *why)
{
    nacre__derived derived;
    nacre__record record;
    nacre_err err = nacre__record_of(&record, &derived, pack->crypto, info);
    if (err != NACRE_OK) return nacre__fail(why, err, "%s: cannot derive its keys: %s", path, nacre_err_text(err));
    const uint64_t nonces = nacre__nonce_mark(record.aead, record.sender_id, record.common_iv);
    const uint64_t window = nacre__window_mark(record.aead, record.recipient_id, record.common_iv);
    nacre_wipe(&derived, sizeof derived);
    *has_it = *had_it = false;
    for (size_t i = 0; i < pack->num_removed; i++)
        *had_it = *had_it || pack->removed[i] == nonces || pack->removed[i] == window;
    for (size_t i = 0; !*has_it && i < nacre_pack_num(pack); i++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx == NULL) continue;
        const nacre_aead *aead = nacre_context_aead(ctx);
        const nacre_bytes iv = nacre_context_common_iv(ctx);
        *has_it = nonces == nacre__nonce_mark(aead, nacre_context_sender_id(ctx), iv);
        *had_it = *had_it || window == nacre__window_mark(aead, nacre_context_recipient_id(ctx), iv);
    }
    return NACRE_OK;
}

static nacre_err look(bool *has_it, bool *had_it, const move *m)
{
    return nacre__pack_knows(has_it, had_it, m->pack, &m->info, m->dirfd.path, m->why);
}

static nacre_err refuse(const move *m)
{
    return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT,
                       "%s: the pack has, or had, a context with its keys: both would use the same nonces, or "
                       "accept the same messages",
                       m->dirfd.path);
}

/* Checks before any change that the pack can add it. */
static nacre_err check_start(move *m)
{
    bool has_it = false, had_it = false;
    nacre_err err = nacre_directory_read_as(&m->info, m->dirfd.path, m->role, true, m->why);
    if (err == NACRE_OK) err = look(&has_it, &had_it, m);
    if (err != NACRE_OK) return err;
    return has_it || had_it ? refuse(m) : NACRE_OK;
}

static nacre_err start(move *m)
{
    const nacre_err err = check_start(m);
    return err == NACRE_OK ? disarm(m) : err;
}

/* An interrupted move: sets `info` to its state, or the move begins again. `in` is set if the pack has the context. */
static nacre_err resume(move *m, const nacre__moved *found, bool *in)
{
    bool had_it = false;
    nacre_err err = nacre__lock_probe(&m->dirfd, m->why);
    if (err == NACRE_OK) err = nacre_directory_read_as(&m->info, m->dirfd.path, m->role, true, m->why);
    if (err == NACRE_OK) err = look(in, &had_it, m);
    if (err != NACRE_OK || *in || found->completed) return err;
    if (had_it) return refuse(m);
    if (m->info.next_to_send > NACRE_SEQ_MAX) {
        m->info.next_to_send = found->next_to_send;
        m->info.window_known = false; /* RFC 8613 B.1.2 */
        return NACRE_OK;
    }
    if (unlinkat(m->dirfd.fd, "moved.json", 0) != 0)
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s/moved.json: cannot remove", m->dirfd.path);
    return start(m);
}

static bool is_into(const nacre__moved *found, const nacre_pack *pack)
{
    char identity[NACRE__MOVED_IDENTITY + 1];
    nacre_hex_encode(identity, nacre_bytes_of(pack->id.bytes, sizeof pack->id.bytes));
    return strcmp(identity, found->pack) == 0;
}

static nacre_err refuse_moved(const move *m, const nacre__moved *found)
{
    return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT,
                       found->completed ? "%s: was moved into another pack, or removed from this one (moved.json)"
                                        : "%s: its move into another pack was interrupted (moved.json says "
                                          "which); finish that",
                       m->dirfd.path);
}

/* The remaining ones of steps 1 and 2. */
static nacre_err take(move *m, const nacre__moved *found, bool *in)
{
    *in = false;
    if (!found->found) return start(m);
    if (!is_into(found, m->pack)) return refuse_moved(m, found);
    const nacre_err err = resume(m, found, in);
    return err != NACRE_OK || *in || !found->completed ? err : refuse_moved(m, found);
}

static nacre_err check_take(move *m, const nacre__moved *found)
{
    bool in = false, had_it = false;
    nacre_err err = nacre__lock_probe(&m->dirfd, m->why);
    if (err == NACRE_OK && !found->found) err = check_start(m);
    if (err == NACRE_OK && !found->found) return nacre__directory_check_identity(&m->info, &m->dirfd, m->why);
    if (err != NACRE_OK) return err;
    if (!is_into(found, m->pack)) return refuse_moved(m, found);
    err = nacre_directory_read_as(&m->info, m->dirfd.path, m->role, true, m->why);
    if (err == NACRE_OK) err = look(&in, &had_it, m);
    if (err != NACRE_OK || in) return err;
    if (found->completed) return refuse_moved(m, found);
    return had_it ? refuse(m) : NACRE_OK;
}

nacre_err nacre__pack_check_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why)
{
    move m = { .pack = pack, .role = role, .why = why };
    nacre__moved found;
    nacre_err err = nacre__dirfd_open(&m.dirfd, dir, why);
    if (err != NACRE_OK) return err;
    err = nacre__moved_read(&found, &m.dirfd, why);
    if (err == NACRE_OK) err = check_take(&m, &found);
    nacre__dirfd_close(&m.dirfd);
    nacre_wipe(&m.info, sizeof m.info);
    return err;
}

static nacre_err give_one(void *user, nacre_directory_info *info, size_t index, nacre_detail *why)
{
    const move *m = user;
    (void)index;
    (void)why;
    *info = m->info;
    return NACRE_OK;
}

nacre_err nacre__pack_move_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why)
{
    move m = { .pack = pack, .role = role, .why = why };
    nacre__moved found;
    bool in = false;
    nacre_err err = nacre__pack_check_alone(pack, why);
    if (err != NACRE_OK) return err;
    err = nacre__dirfd_open(&m.dirfd, dir, why);
    if (err != NACRE_OK) return err;
    err = nacre__moved_read(&found, &m.dirfd, why);
    if (err == NACRE_OK) err = take(&m, &found, &in);
    /* Steps 3 and 4 */
    if (err == NACRE_OK && !in) err = nacre__pack_add(pack, NULL, 1, give_one, &m, why);
    if (err == NACRE_OK && !found.completed) err = write_moved(pack, &m.dirfd, NACRE_SEQ_MAX + 1, true, why);
    nacre__dirfd_close(&m.dirfd);
    nacre_wipe(&m.info, sizeof m.info);
    return err;
}

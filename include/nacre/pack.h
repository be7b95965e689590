/* SPDX-License-Identifier: MIT */
/* pack: many contexts in one file, with one lock, for more contexts than one directory each is practical for. Hosted, as
 * store.h.
 *
 *     nacre_pack_create     makes an empty file
 *     nacre_pack_open       locks the file, reads it and prepares every context
 *     nacre_pack_add        adds contexts
 *     nacre_pack_move_in    moves a context from its directory into the pack
 *     nacre_pack_move_out   moves a context into a new directory
 *     nacre_pack_remove     ends a context
 *     nacre_pack_table      the table of all contexts, for an endpoint
 *     nacre_pack_close      writes the states and frees
 *
 * Durability, as with directories: numbers are written as used before their use (RFC 8613 B.1.1; chunks of 10 doubling to
 * 10000), and a replay window as unknown before the first request moves it (B.1.2). After a crash each context continues above
 * the numbers that it may have used, and requires Echo if its window was in use. State is kept twice, in pages with checksums
 * that are written alternately, never the page with the last durable state, so that a partial write is detected. The contexts
 * of a damaged page skip 65536 numbers and their windows count as unknown. A file with any other damage is refused as a whole,
 * and not changed. (docs/pack.md shows the file.)
 *
 * A used pack contains the identity of its file. A copy, also one restored from a backup, and a pack moved to another file
 * system are refused until nacre_pack_adopt. This works on ext4, XFS, Btrfs, F2FS and tmpfs. It does not detect copies of a
 * pack that was never used, an old one written over the file in place ("cp backup fleet.pack"), and images and snapshots of a
 * whole file system. All of these use numbers twice. Never keep a second copy.
 *
 * While it is open, its path must lead to the file, and no other program may write to it. Both are checked before each write.
 * If the file was moved, removed or replaced, or a page of states was overwritten, that write and every later one fail with
 * NACRE_ERR_LOCKED and the same text, nacre_pack_close too; nothing is written, and the contexts are stopped
 * (nacre_context_stop): all at once, or, if only nacre_pack_store is used, each at its next need. End the other program, close
 * the pack and open it again.
 *
 * The file has mode 0600 and contains secrets and derived keys, so that opening derives nothing. Keys are in memory while the
 * pack is open; master secrets and salts are only read from the file and wiped.
 *
 * A pack belongs to one thread at a time, except that several threads may use the stores of its contexts (nacre_pack_store),
 * each context under its lock, while no other function of the pack runs. It belongs to the process that opened it: in the child
 * of a fork the contexts are wiped, as those of a directory (store.h), and every write fails with NACRE_ERR_LOCKED. Close it
 * in the child too.
 *
 * Memory per context: sizeof(nacre_context) + 8 bytes, the keys (nacre_context_key_layout, and what the provider allocates
 * itself, as OpenSSL does), the ID Context and a window above 64 (the largest of each in its segment), and 11 to 22 bytes of
 * the table after nacre_pack_table; in the file about 104 bytes and twice 24. Opening reads the file once and prepares two
 * keys per context. docs/pack.md has measurements with a million contexts. */
#ifndef NACRE_PACK_H
#define NACRE_PACK_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/crypto.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NACRE_PACK_MAX = 1 << 24 }; /* contexts in one pack, removed ones included */

typedef struct nacre_pack nacre_pack;

/* nacre_pack_create makes an empty pack, durably, mode 0600.
 * NACRE_OK; NACRE_ERR_FILE (it exists already, or cannot be made; nothing remains); NACRE_ERR_CRYPTO (the system gives
 * no random bytes); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_pack_create(const char *path, nacre_detail *why);

/* nacre_pack_open locks the file, reads it and prepares the keys with `crypto`, whose instance must outlive the pack.
 * NACRE_OK               `*pack` is open; close it with nacre_pack_close
 * NACRE_ERR_BAD_CONTEXT  not a pack, damaged, truncated, or a copy; `why` has the position, what was found and what is
 *                        allowed
 * NACRE_ERR_UNSUPPORTED  an unknown version of the format, or algorithm
 * NACRE_ERR_LOCKED       another process has it open (after one second), or this one
 * NACRE_ERR_FILE         no such file, no permission, an I/O error
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY
 * On failure the file is unchanged. (The remains of an interrupted write are repaired only if everything else is valid;
 * NACRE_ERR_FILE if that fails.) */
NACRE_MUST_USE nacre_err nacre_pack_open(nacre_pack **pack, const char *path, const nacre_crypto *crypto,
                                         nacre_detail *why);

/* nacre_pack_close writes the true states (numbers used, replay windows) with one sync, unlocks, wipes the keys and frees.
 * It frees also when it fails: NACRE_ERR_FILE, the file keeps its earlier states, which is safe; or NACRE_ERR_LOCKED, the file
 * is no longer this pack's (see above). NULL is allowed. */
nacre_err nacre_pack_close(nacre_pack *pack, nacre_detail *why);

/* nacre_pack_adopt permits the use of a pack in its present file. Call it only if the pack was moved, or restored, and not used
 * in between; when in doubt, make new keys. Each context continues 65536 numbers above its state, and its replay window becomes
 * unknown (B.1.2). Errors as nacre_pack_open; if interrupted, the pack is still refused. */
NACRE_MUST_USE nacre_err nacre_pack_adopt(const char *path, const nacre_crypto *crypto, nacre_detail *why);

/* ---- Contents ----
 * Each context has an index, from 0 in the order of addition; an index is never reused. */
size_t nacre_pack_num(const nacre_pack *pack); /* indices, of removed contexts and free entries too */
nacre_context *nacre_pack_context_at(nacre_pack *pack, size_t index);    /* NULL: none, or removed */
bool nacre_pack_holds(const nacre_pack *pack, const nacre_context *ctx); /* whether `ctx` is a context of this pack */

/* nacre_pack_table gives the table of all contexts, for an endpoint. It is made at the first call, kept up to date by
 * nacre_pack_add and nacre_pack_remove, and lives as long as the pack.
 * NACRE_OK; NACRE_ERR_NO_MEMORY; NACRE_ERR_DUPLICATE_CONTEXT: two with one Recipient Key, which nacre_pack_add refuses but
 * earlier versions accepted; NACRE_ERR_UNSUPPORTED: more than NACRE_MAX_CANDIDATES contexts match one request (same Recipient
 * ID, same ID Context or none); an endpoint tries no more. */
NACRE_MUST_USE nacre_err nacre_pack_table(nacre_pack *pack, nacre_table **table, nacre_detail *why);

/* ---- Durable before use: one context ----
 * The store of one context of this pack. Each call costs one sync. */
nacre_store nacre_pack_store(nacre_pack *pack, nacre_context *ctx);

/* ---- Durable before use: many contexts ----
 * A server requests what its contexts need, and then commits all requests with one sync. */

/* nacre_pack_request records what `ctx` needs (nacre_context_needs); nothing is written yet.
 * NACRE_OK           it needs nothing
 * NACRE_ERR_NOT_YET  the next commit confirms it
 * NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY, NACRE_ERR_LOCKED (after a fork): no commit confirms it */
NACRE_MUST_USE nacre_err nacre_pack_request(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);

/* Called once for each request, in their order. NACRE_OK: the context was confirmed. The only function of this pack that it may
 * call is nacre_pack_request. */
typedef void (*nacre_pack_on_commit)(void *user, nacre_context *ctx, nacre_err err);

/* nacre_pack_commit makes all requests durable, with one sync, confirms them to the contexts and calls `on_commit` (which may
 * be NULL). Without requests it does nothing.
 * NACRE_OK; NACRE_ERR_FILE, NACRE_ERR_LOCKED: nothing was confirmed; the contexts still wait, and may request again */
NACRE_MUST_USE nacre_err nacre_pack_commit(nacre_pack *pack, nacre_pack_on_commit on_commit, void *user,
                                           nacre_detail *why);

/* ---- Adding, removing, moving ----
 * A context to add is described by a nacre_directory_info: parameters, secret and salt, and state (next_to_send and window;
 * layout, role and has_state are ignored). A window of 0 means 32. New keys: next_to_send is 0, and window_known is true. */

/* Sets `info`, which is all zero, to context `index` of those to add; called once for each, in order. `info` is wiped
 * afterwards. nacre_pack_add stops at an error and returns it. */
typedef nacre_err (*nacre_pack_source)(void *user, nacre_directory_info *info, size_t index, nacre_detail *why);

/* nacre_pack_add adds `num` contexts and makes them durable; they can be used at once. `num_added` (may be NULL) is set to the
 * number of contexts that were added, the first ones; all without an error. (After a failed write and a crash, more may be in
 * the file; adding them again is NACRE_ERR_BAD_CONTEXT.) Contexts of the pack keep their addresses.
 * NACRE_OK
 * NACRE_ERR_BAD_CONTEXT  invalid parameters, or the Sender Key or Recipient Key of a context that is, or was, in the pack: the
 *                        two would use the same nonces, or accept the same messages (RFC 8613 3.3); `why` names it
 * NACRE_ERR_TOO_LONG     more than NACRE_PACK_MAX contexts
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY, NACRE_ERR_LOCKED (after a fork), and what
 * `source` returns */
NACRE_MUST_USE nacre_err nacre_pack_add(nacre_pack *pack, size_t *num_added, size_t num, nacre_pack_source source,
                                        void *user, nacre_detail *why);

/* nacre_pack_remove ends a context durably: it leaves the table, its keys are wiped, and its secret is overwritten in the file.
 * Its memory stays, all zero. Remove it from other tables and from endpoints (nacre_endpoint_remove_context) first.
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  not a context of this pack
 * NACRE_ERR_FILE          if nacre_pack_context_at is NULL now: it is removed, and the next opening overwrites its secret
 * NACRE_ERR_FILE, NACRE_ERR_LOCKED, NACRE_ERR_NO_MEMORY: it is still in the pack, perhaps only until a restart; try again */
NACRE_MUST_USE nacre_err nacre_pack_remove(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);

/* nacre_pack_move_in moves a directory's context, with its present state, into the pack. The directory must not be open. It
 * cannot be used afterwards: nacre refuses to open it, and for other programs its numbers are used up and its window is
 * unknown. After an interruption the directory cannot be used either; the same call completes the move.
 * `role` as in nacre_directory_open_as.
 * NACRE_OK               the context is in the pack, now or already
 * NACRE_ERR_BAD_CONTEXT  the directory cannot be read, or was moved to another pack, or the pack has (or had) this context
 *                        from another directory
 * others as nacre_directory_open and nacre_pack_add */
NACRE_MUST_USE nacre_err nacre_pack_move_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why);

/* nacre_pack_move_out moves the context with that index, with its present state, into a new directory `dir` (as
 * nacre_directory_create makes it; it may be moved to another machine), and ends it in the pack: it can be added to another
 * pack, but not to this one again. As with nacre_pack_remove, remove it from tables and endpoints first. After an interruption
 * or a failure its keys are in the pack, in a hidden directory beside `dir`, or in both, and then those of the pack are valid.
 * Never open or move the hidden directory; the same call completes the move.
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  no context with that index, or `dir` is not a name
 * NACRE_ERR_FILE          `dir` exists, or cannot be made, or the pack cannot be written
 * NACRE_ERR_BAD_CONTEXT   its record is damaged, or another move was interrupted at `dir`
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY, NACRE_ERR_LOCKED (after a fork) */
NACRE_MUST_USE nacre_err nacre_pack_move_out(nacre_pack *pack, size_t index, const char *dir, nacre_detail *why);

/* ---- Reading without opening ----
 * nacre_pack_read calls `visit` for each context of a file, in the order of their indices, without locking or changing it. An
 * error of `visit` ends the reading. `reveal` includes secret and salt, which are wiped afterwards. `elsewhere` is set in a
 * copy. Errors as nacre_pack_open, except NACRE_ERR_LOCKED. */
typedef nacre_err (*nacre_pack_visit)(void *user, size_t index, const nacre_directory_info *info, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_pack_read(const char *path, bool reveal, nacre_pack_visit visit, void *user,
                                         nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif

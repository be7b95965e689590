/* SPDX-License-Identifier: MIT */
/* pack: many contexts in one file, with one lock: for fleets, where a directory each stops being sensible. Hosted, as
 * store.h.
 *
 * The life of a pack: nacre_pack_create makes an empty file. nacre_pack_open locks it, reads all of it and prepares every
 * context. nacre_pack_add takes contexts in, nacre_pack_move_in takes them out of their directories, and
 * nacre_pack_move_out puts one into a directory again; nacre_pack_remove ends one for good. nacre_pack_table is ready
 * for an endpoint. nacre_pack_close writes the true states, and frees.
 *
 * What is durable when. As with directories: numbers are written as used before they are (RFC 8613 B.1.1; chunks of 10
 * doubling to 10000), and a replay window as unknown before the first request moves it (B.1.2). After a crash each context
 * goes on above what it may have used, and asks for an Echo where its window was in use. Nothing half-written is believed:
 * state is kept twice, in pages with checksums that are written in turn, never the one that holds the last durable state.
 * When a page was damaged while it was written (or later), its contexts skip 65536 numbers and their windows count as
 * unknown. A file that is damaged in any other way is refused as a whole, and not changed. (docs/pack.md draws the file.)
 *
 * A pack that is used names the very file that it is in. A copy of it, also one put back from a backup, and one that was
 * moved to another file system, is refused then; nacre_pack_adopt says that it is right. On ext4, XFS, Btrfs, F2FS and tmpfs
 * only; and what cannot be seen: copies of a pack that was never used, an old one written over the file in place ("cp
 * backup fleet.pack"), images and snapshots of a whole file system. All of them use numbers twice. Never keep a second one.
 *
 * While it is open, its path must lead to it, and no other program may write to it: before each write that is looked at, and so
 * is each page of states that is about to be replaced. When the file was moved, removed or replaced, or such a page written
 * over, that write and every later one is NACRE_ERR_LOCKED with the same text, nacre_pack_close among them; nothing is
 * written, and the contexts are stopped (nacre_context_stop): all at once, or, where only nacre_pack_store is used, each at
 * its next need. End the other program, close the pack and open it again.
 *
 * The file is mode 0600 and holds secrets and derived keys, so that opening derives nothing. Keys are in memory as long as
 * the pack is open; master secrets and salts are not, they are only read from the file and wiped.
 *
 * A pack belongs to one thread at a time; but the stores of its contexts (nacre_pack_store) may be used by several, each
 * context under its lock, while nothing else is done with the pack. And it belongs to the process that opened it: after a
 * fork the child finds its contexts wiped, as those of a directory (store.h), and whatever would be written is
 * NACRE_ERR_LOCKED. Close it there all the same.
 *
 * Cost. A context takes sizeof(nacre_context) + 8 bytes, its keys as nacre_context_key_layout says (and what the provider
 * allocates for them itself: OpenSSL does), its ID Context and a window above 64 (the largest of each in its segment), and 11
 * to 22 bytes of the table, once that was asked for; in the file some 104 bytes and twice 24. Opening reads the file once and
 * prepares two keys per context. docs/pack.md has figures for a million. */
#ifndef NACRE_PACK_H
#define NACRE_PACK_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/crypto.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NACRE_PACK_MAX = 1 << 24 }; /* places in one pack, removed contexts' too */

typedef struct nacre_pack nacre_pack;

/* nacre_pack_create makes an empty pack, durably, mode 0600.
 * NACRE_OK; NACRE_ERR_FILE (it exists already, or cannot be made; nothing is left behind); NACRE_ERR_CRYPTO (the system gives
 * no random bytes); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_pack_create(const char *path, nacre_detail *why);

/* nacre_pack_open locks the file, reads it and prepares the keys with `crypto`, whose instance must outlive the pack.
 * NACRE_OK               `*pack` is open; close it with nacre_pack_close
 * NACRE_ERR_BAD_CONTEXT  it is no pack, or damaged, or cut short, or a copy; `why` says where, what was found and what is
 *                        allowed
 * NACRE_ERR_UNSUPPORTED  a version of the format, or an algorithm, that is not known here
 * NACRE_ERR_LOCKED       another process has it open (waited one second), or this one
 * NACRE_ERR_FILE         no such file, no permission, an I/O error
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY
 * On failure the file has not changed. (What a write that was cut short left behind is put right only when all else holds,
 * and NACRE_ERR_FILE is returned when that fails.) */
NACRE_MUST_USE nacre_err nacre_pack_open(nacre_pack **pack, const char *path, const nacre_crypto *crypto,
                                         nacre_detail *why);

/* nacre_pack_close writes the true states (numbers used, replay windows) with one sync, unlocks, wipes the keys and frees.
 * It frees also when it fails: NACRE_ERR_FILE, and the pessimistic states in the file stand, which is safe; or
 * NACRE_ERR_LOCKED, the file is another program's by now. NULL is allowed. */
nacre_err nacre_pack_close(nacre_pack *pack, nacre_detail *why);

/* nacre_pack_adopt says that a pack may be used where it is, after it was moved, or put back with nothing using it in between:
 * each context goes on 65536 numbers above its state, and its replay window becomes unknown (B.1.2). When in doubt, make new
 * keys. Errors as nacre_pack_open; interrupted, it is still refused. */
NACRE_MUST_USE nacre_err nacre_pack_adopt(const char *path, const nacre_crypto *crypto, nacre_detail *why);

/* ---- What is in it ----
 * Contexts have places, counted from 0 in the order in which they were added; a place is never used again. */
size_t nacre_pack_num(const nacre_pack *pack);                           /* places, empty and removed ones too */
nacre_context *nacre_pack_context_at(nacre_pack *pack, size_t index);    /* NULL: nothing is there */
bool nacre_pack_holds(const nacre_pack *pack, const nacre_context *ctx); /* whether `ctx` is one of this pack's */

/* nacre_pack_table gives the table of all contexts, for an endpoint. It is made at the first call, kept up to date by
 * nacre_pack_add and nacre_pack_remove, and lives as long as the pack.
 * NACRE_OK; NACRE_ERR_NO_MEMORY; NACRE_ERR_DUPLICATE_CONTEXT: two with one Recipient Key, which nacre_pack_add refuses but
 * earlier versions took; NACRE_ERR_UNSUPPORTED: more than NACRE_MAX_CANDIDATES contexts that one request could mean (one
 * Recipient ID, and one ID Context or none); an endpoint tries no more. */
NACRE_MUST_USE nacre_err nacre_pack_table(nacre_pack *pack, nacre_table **table, nacre_detail *why);

/* ---- Durable before use: one by one ----
 * The store of one context of this pack, for whoever serves contexts one at a time: each call costs one sync. */
nacre_store nacre_pack_store(nacre_pack *pack, nacre_context *ctx);

/* ---- Durable before use: many at once ----
 * A server asks for what its contexts need as they need it, and then commits: that costs one sync, however many asked. */

/* nacre_pack_request takes down what `ctx` needs (nacre_context_needs); nothing is written yet.
 * NACRE_OK           it needs nothing
 * NACRE_ERR_NOT_YET  the next commit confirms it
 * NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY, NACRE_ERR_LOCKED (after a fork): nothing will be confirmed */
NACRE_MUST_USE nacre_err nacre_pack_request(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);

/* Called once for each ask, in their order: NACRE_OK, and the context was confirmed; or why not. It may call nothing of this
 * pack but nacre_pack_request. */
typedef void (*nacre_pack_on_commit)(void *user, nacre_context *ctx, nacre_err err);

/* nacre_pack_commit makes all that was asked for durable, with one sync, confirms it to the contexts and tells
 * `on_commit` (which may be NULL). With nothing asked it does nothing.
 * NACRE_OK; NACRE_ERR_FILE, NACRE_ERR_LOCKED: nothing was confirmed, the contexts stay blocked as they were and may ask
 * again */
NACRE_MUST_USE nacre_err nacre_pack_commit(nacre_pack *pack, nacre_pack_on_commit on_commit, void *user,
                                           nacre_detail *why);

/* ---- Taking in, taking out ----
 * What is added is described as a directory is (nacre_directory_info): parameters, secret and salt, and state (next_to_send
 * and window; layout, role and has_state are not read). A window of 0 means 32. New keys: next_to_send is 0, and
 * window_known is true. */

/* Gives the context number `index` of those to be added; called once for each, in order. `info` is all zero before, and
 * wiped afterwards. An error ends the adding and is returned. */
typedef nacre_err (*nacre_pack_source)(void *user, nacre_directory_info *info, size_t index, nacre_detail *why);

/* nacre_pack_add adds `num` contexts and makes them durable; they can be used at once. `num_added` (may be NULL) tells how
 * many of them, from the first on, are in when it returns; all but with an error. (After a failed write and a crash some more
 * may be there. Adding them again says so.) Contexts that are in the pack keep their addresses.
 * NACRE_OK
 * NACRE_ERR_BAD_CONTEXT  one cannot be, or its Sender Key or its Recipient Key is that of one that is, or was, in the pack: the
 *                        two would use the same nonces, or accept the same messages (RFC 8613 3.3); `why` names it
 * NACRE_ERR_TOO_LONG     more than NACRE_PACK_MAX places
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY, NACRE_ERR_LOCKED (after a fork), and what
 * `source` returns */
NACRE_MUST_USE nacre_err nacre_pack_add(nacre_pack *pack, size_t *num_added, size_t num, nacre_pack_source source,
                                        void *user, nacre_detail *why);

/* nacre_pack_remove ends a context durably: it is out of the table, its keys are wiped, and its secret is overwritten in the
 * file. Its memory stays, all zero. Take it out of other tables, and forget what an endpoint has going on with it, before.
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (none of this pack's); NACRE_ERR_FILE, NACRE_ERR_LOCKED, NACRE_ERR_NO_MEMORY: it is still
 * there (or is gone after a restart); ask again. NACRE_ERR_FILE with NULL from nacre_pack_context_at: it is gone, but its
 * secret could not be overwritten, which the next opening will do */
NACRE_MUST_USE nacre_err nacre_pack_remove(nacre_pack *pack, nacre_context *ctx, nacre_detail *why);

/* nacre_pack_move_in moves a directory's context, with its present state, into the pack. The directory must not be open. It
 * is useless afterwards, for nacre (which refuses to open it and says why) as for others: its numbers are used up and its
 * window is unknown. When it is interrupted, the directory is not usable either; the same call finishes the move.
 * `role` as in nacre_directory_open_as.
 * NACRE_OK               it is in the pack, now or already
 * NACRE_ERR_BAD_CONTEXT  the directory cannot be read, or was moved to another pack, or the pack has (or had) this context
 *                        from elsewhere
 * others as nacre_directory_open and nacre_pack_add */
NACRE_MUST_USE nacre_err nacre_pack_move_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why);

/* nacre_pack_move_out moves the context at a place, with its present state, into a new directory `dir` (as
 * nacre_directory_create makes them, which can be carried to where it is used), and ends it in the pack for good: it can go
 * into another pack, and not into this one again. As with nacre_pack_remove, nothing may be going on with it. When it is
 * interrupted, or fails half-way, its keys are in the pack or in a hidden directory beside `dir`, or in both: then the pack's
 * count. Never open or carry away what has the hidden name; the same call, with the same place, finishes the move.
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  nothing is at that place, or `dir` is no name
 * NACRE_ERR_FILE          `dir` is there already, or cannot be made, or the pack cannot be written
 * NACRE_ERR_BAD_CONTEXT   its record is damaged, or another move was interrupted there
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY, NACRE_ERR_LOCKED (after a fork) */
NACRE_MUST_USE nacre_err nacre_pack_move_out(nacre_pack *pack, size_t index, const char *dir, nacre_detail *why);

/* ---- Looking at it ----
 * nacre_pack_read tells what a file says, without locking it and without changing it, context by context, in the order of
 * their places. `visit` is called with what is there; an error that it returns ends the reading. `reveal` fills in secret
 * and salt; they are wiped afterwards. `elsewhere` is set in a copy. Errors as nacre_pack_open, but for the lock. */
typedef nacre_err (*nacre_pack_visit)(void *user, size_t index, const nacre_directory_info *info, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_pack_read(const char *path, bool reveal, nacre_pack_visit visit, void *user,
                                         nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif

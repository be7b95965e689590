/* SPDX-License-Identifier: MIT */
/* store: where contexts live between runs. Hosted: allocates, and touches files.
 *
 * nacre_store is the interface that nacre_context's needs are served through; a flash driver or a database can fill it.
 * nacre_directory fills it with a directory in aiocoap's layout (secret.json, settings.json, sequence.json, lock). */
#ifndef NACRE_STORE_H
#define NACRE_STORE_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The interface ------------------------------------------------------------------------------------------------ */

/* What a store holds of one context. New keys: all 0, and window_known true. */
typedef struct nacre_stored {
    uint64_t next_seq; /* numbers below may have been used */
    bool window_known;
    uint64_t window_index;
    uint8_t window_bits[NACRE_REPLAY_MAX / 8]; /* bit i of byte i/8: index + i was seen */
} nacre_stored;

enum { NACRE_STORE_OPS_VERSION = 1 };

typedef struct nacre_store_ops {
    size_t size;      /* sizeof(nacre_store_ops), and … */
    uint32_t version; /* … NACRE_STORE_OPS_VERSION: CONVENTIONS.md, "Tables of functions" */

    /* Make durable that numbers below `ceiling` may be used. NACRE_OK: it is, now. NACRE_ERR_NOT_YET: it will be; the store
     * calls nacre_context_confirm_reserved itself, later, from the context's thread; when it fails later,
     * nacre_endpoint_confirmed with its error, nacre_loop_store_failed or nacre_server_store_failed ends what waits. Anything
     * else: it is not. */
    nacre_err (*reserve)(void *self, uint64_t ceiling, nacre_detail *why);
    /* Make durable that the replay window is unknown. Returns alike (nacre_context_confirm_window_lost). */
    nacre_err (*window_lost)(void *self, nacre_detail *why);
    /* Make the true state durable, as it is now: `ctx` says it all. Called by nacre_store_save. It may say less than what
     * was reserved before; so calls take effect in the order in which they were made, and what was asked for before a save
     * is not confirmed behind it. NACRE_ERR_NOT_YET: it will be; nothing is to be confirmed. */
    nacre_err (*save)(void *self, const nacre_context *ctx, nacre_detail *why);
    /* Give what is durable now. `state` is all zero before. NULL: the store cannot tell (nacre_store_load fails). */
    nacre_err (*load)(void *self, nacre_stored *state, nacre_detail *why);
} nacre_store_ops;
typedef struct nacre_store {
    const nacre_store_ops *ops;
    void *self;
} nacre_store;

/* nacre_store_serve does what `ctx` needs now and confirms it.
 * NACRE_OK          nothing is open any more
 * NACRE_ERR_NOT_YET the store will confirm later
 * NACRE_ERR_BAD_ARGUMENT  its table is of another version, and is not called; also from save and load below
 * other             the store's error: the context stays blocked when it was, and nothing is reused */
NACRE_MUST_USE nacre_err nacre_store_serve(const nacre_store *store, nacre_context *ctx, nacre_detail *why);

/* nacre_store_save makes the true state durable, at a clean end or in between: afterwards a crash loses no numbers and
 * asks for no Echo, until the context is used again. It can be: its numbers and its window wait for the store anew, whether
 * this succeeds or not.
 * NACRE_OK, or what the store answers: then what it held before may stand, which is safe */
NACRE_MUST_USE nacre_err nacre_store_save(const nacre_store *store, nacre_context *ctx, nacre_detail *why);

/* nacre_store_load tells what the store holds. A context begins with it: next_seq of nacre_context_params, with `persistent`,
 * and after nacre_context_init nacre_context_set_replay with the window, or it stays unknown (context.h gives the order of
 * calls). Those of directories and packs have it already.
 * NACRE_OK; NACRE_ERR_UNSUPPORTED (it has no `load`); NACRE_ERR_BAD_CONTEXT (it gave what cannot be: never begin with less); or
 * what the store answers. On failure `state` is untouched. */
NACRE_MUST_USE nacre_err nacre_store_load(const nacre_store *store, nacre_stored *state, nacre_detail *why);

/* ---- In memory -------------------------------------------------------------------------------------------------------
 * nacre_memory fills the interface without any storage: for keys that die with the process, and for tests. All zero is
 * ready to use, stands for keys that were never used (nacre_stored), and holds nothing to release. It remembers what it was
 * asked; `answer` makes it fail, or answer NACRE_ERR_NOT_YET: then the caller confirms to the context when it likes. */
typedef struct nacre_memory {
    nacre_err answer; /* what every call returns; anything but NACRE_OK leaves the "durable" part below unchanged */
    unsigned num_reserve, num_window_lost, num_save; /* calls, failed ones too */
    uint64_t asked;                                  /* the last ceiling asked for */
    uint64_t next_seq;                               /* durable: numbers below may have been used */
    bool window_lost;                                /* durable: the window is not known */
    uint64_t window_index;
    uint8_t window_bits[NACRE_REPLAY_MAX / 8]; /* after save, unless window_lost */
} nacre_memory;
nacre_store nacre_memory_store(nacre_memory *memory);

/* ---- A directory, aiocoap's layout ----------------------------------------------------------------------------------
 * DIR/secret.json (also secrets.json) and DIR/settings.json hold the input material, DIR/sequence.json the state, DIR/lock
 * is locked while the directory is open, and so is DIR itself. State is replaced as a whole: temporary file, fsync, rename,
 * fsync of DIR. So the user must be able to make files in DIR and to replace sequence.json; secrets and settings are only
 * read, and may be another user's (in a directory with the sticky bit, where users cannot replace each other's files).
 *
 * secret.json, secrets.json and settings.json may be symbolic links, as Kubernetes mounts them: they are read, and never
 * written; nacre_directory_convert, which would have to, refuses. sequence.json must be the file itself, or its target would
 * keep the old numbers: NACRE_ERR_BAD_CONTEXT, wherever it is read. DIR may be a link; it is followed once.
 *
 * A file is at most 64 KiB, a secret or salt at most 256 bytes. A directory belongs to the process that opened it: after
 * a fork the child's context is wiped, so that it protects and unprotects nothing, and whatever would be written is
 * NACRE_ERR_LOCKED. Close it there all the same, for the lock is held as long as one of the two has it. The kernel wipes
 * (Linux from 4.14 on), or else a pthread_atfork handler, which _Fork and a raw clone do not call; where there is neither,
 * opening is NACRE_ERR_NO_MEMORY. Contexts in the program's own memory are not wiped: see context.h.
 *
 * Without sequence.json a directory counts as new: aiocoap's rule. With "sequence-required": true in its settings, as all
 * have that are made or converted here, it is refused instead, for a lost state would use numbers twice.
 *
 * A state in use names the file that it was written to, and DIR/lock counts the writes: in place, so that a snapshot made of
 * hard links shares the count. A directory that was copied while it was in use, or a state or snapshot that was put
 * back, is refused then; nacre_directory_adopt says that it is right. How much of that is noticed depends on the file
 * system: see nacre_mark. Nowhere noticed: copies of a directory that was never used, images and snapshots of a whole file
 * system or machine (but for Btrfs subvolumes), and a state last written by another program, or by hand without the
 * "nacre" member. */
typedef struct nacre_directory nacre_directory;

/* What is noticed of copies where a directory or a pack lies. Anything but the first is a weakness that an operator should
 * know of; nothing is refused for it.
 * NACRE_MARK_FULL           copies, snapshots and old states put back are refused: ext4, XFS, Btrfs (its snapshots as
 *                           well), F2FS, tmpfs, overlayfs above one of these
 * NACRE_MARK_NO_BIRTH       inode numbers only: NFS, ext4 with inodes of 128 bytes. A backup that is put back as a whole may
 *                           get the numbers of the files that it replaces
 * NACRE_MARK_NO_GENERATION  DIR/lock is another user's or read-only: a snapshot of hard links may not be told
 * NACRE_MARK_NONE           FAT, FUSE and others, and systems other than Linux: only an old sequence.json beside a newer
 *                           DIR/lock is told */
typedef enum nacre_mark {
    NACRE_MARK_FULL = 0,
    NACRE_MARK_NO_BIRTH = 1,
    NACRE_MARK_NO_GENERATION = 2,
    NACRE_MARK_NONE = 3,
} nacre_mark;

/* nacre_mark_at looks at a directory, or at a pack; NACRE_MARK_NONE when it cannot. nacre_mark_text says in one line what
 * goes unnoticed; NULL for NACRE_MARK_FULL. */
nacre_mark nacre_mark_at(const char *path);
const char *nacre_mark_text(nacre_mark mark);

/* nacre_directory_open locks the directory, reads it and derives its context with `crypto`, whose instance must outlive
 * it.
 * NACRE_OK               `*dir` is open; close it with nacre_directory_close
 * NACRE_ERR_BAD_CONTEXT  a file is missing, malformed or says something that cannot be; `why` names file and key
 * NACRE_ERR_LOCKED       another process has it open (waited one second)
 * NACRE_ERR_FILE         no such directory, no permission, an I/O error
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY
 * On failure nothing in the directory has changed, but that the empty file DIR/lock may be there. */
NACRE_MUST_USE nacre_err nacre_directory_open(nacre_directory **dir, const char *path, const nacre_crypto *crypto,
                                              nacre_detail *why);

/* Two layouts are read and written. The newest names sender-id and recipient-id, and holds one side of a context. The
 * older one, which aiocoap had before 2020, names client-sender-id and server-sender-id (or client-id and server-id), so
 * that one directory can serve both sides; which one it is to be is told by a role. Both sides may keep their state in
 * it, one at a time. Its default algorithm is AES-CCM-64-64-128, its only hash SHA-256. */
typedef enum nacre_layout { NACRE_LAYOUT_NEWEST = 0, NACRE_LAYOUT_LEGACY = 1 } nacre_layout;
typedef enum nacre_role { NACRE_ROLE_NONE = 0, NACRE_ROLE_CLIENT = 1, NACRE_ROLE_SERVER = 2 } nacre_role;

/* nacre_directory_open_as opens a directory in a role: needed for the older layout, refused for the newest
 * (NACRE_ERR_BAD_CONTEXT both ways). nacre_directory_open gives none. */
NACRE_MUST_USE nacre_err nacre_directory_open_as(nacre_directory **dir, const char *path, nacre_role role,
                                                 const nacre_crypto *crypto, nacre_detail *why);

/* nacre_directory_open_with, with all that can be said. Numbers are reserved in chunks (RFC 8613 B.1.1): a crash loses what
 * is left of one, and each costs a write. They double from the first to the largest. What is 0 here is taken from
 * "sequence-chunk-start" and "sequence-chunk-limit" of the settings, and is 10 and 10000 without.
 * Errors as nacre_directory_open; NACRE_ERR_BAD_ARGUMENT for a chunk above 10000, or a first above the largest. */
typedef struct nacre_directory_options {
    nacre_role role;
    uint16_t first_chunk, max_chunk;
} nacre_directory_options;
NACRE_MUST_USE nacre_err nacre_directory_open_with(nacre_directory **dir, const char *path,
                                                   const nacre_directory_options *options, const nacre_crypto *crypto,
                                                   nacre_detail *why);

/* The context of an open directory, and its store. Both live until the directory is closed. While it is open, no other
 * program may change its state: before each write DIR/lock and DIR/sequence.json are compared with what is held open. When
 * DIR/lock was removed or replaced, or DIR/sequence.json was removed, replaced or edited, then
 *   that write and every later one  NACRE_ERR_LOCKED with the same text, nacre_directory_close among them
 *   the files                       stay as the other program left them
 *   the context                     is stopped (nacre_context_stop): numbers in hand are dropped
 *   the caller                      ends the other program, closes this directory, and opens it again
 * A directory that is moved while it is open goes on under its new name; one that is removed takes no more writes
 * (NACRE_ERR_FILE). Between the comparison and the rename that follows it at once, only the two locks protect. */
nacre_context *nacre_directory_context(nacre_directory *dir);
nacre_store nacre_directory_store(nacre_directory *dir);
const char *nacre_directory_path(const nacre_directory *dir);

/* nacre_directory_close writes the true state (numbers used, replay window), unlocks, wipes the keys and frees. It frees
 * also when it fails: NACRE_ERR_FILE, and the pessimistic state on disk stands, which is safe; or NACRE_ERR_LOCKED, the state
 * is another program's by now. NULL is allowed. */
nacre_err nacre_directory_close(nacre_directory *dir, nacre_detail *why);

/* What a directory says, without locking it and without keeping keys. */
typedef struct nacre_directory_info {
    nacre_layout layout;
    nacre_role role; /* as asked for */
    const nacre_aead *aead;
    nacre_hash hash;
    uint16_t window;
    bool has_id_context;
    uint8_t id_context[255];
    size_t id_context_len;
    uint8_t sender_id[NACRE_MAX_ID], recipient_id[NACRE_MAX_ID];
    size_t sender_id_len, recipient_id_len;
    uint64_t next_to_send; /* numbers below may have been used */
    bool window_known;
    uint64_t window_index;
    uint8_t window_bits[NACRE_REPLAY_MAX / 8]; /* bit i of byte i/8: index + i was seen */
    bool has_state;                            /* sequence.json exists */
    bool sequence_required;                    /* "sequence-required": without it the directory is not opened */
    bool elsewhere;                            /* sequence.json is a copy, or an old one put back; see above */
    uint64_t generation;                       /* of the state: how often it was written; 0: it does not say */
    nacre_mark mark;                           /* what is noticed here */
    uint16_t first_chunk, max_chunk;           /* as in nacre_directory_options; 0: not said */
    uint8_t secret[256], salt[256];            /* set only when asked for: wipe them */
    size_t secret_len, salt_len;
} nacre_directory_info;
/* nacre_directory_read: errors as nacre_directory_open, but for the lock. `reveal` fills in secret and salt. */
NACRE_MUST_USE nacre_err nacre_directory_read(nacre_directory_info *info, const char *path, bool reveal,
                                              nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_directory_read_as(nacre_directory_info *info, const char *path, nacre_role role,
                                                 bool reveal, nacre_detail *why);

/* nacre_directory_create makes a directory of the newest layout (mode 0700, files 0600) that says what `info` says, secret
 * and salt included; its layout and role are not read. With `has_state`, next_to_send and the window are written,
 * otherwise a fresh state; and it is required from then on. It may be carried to where it is used, until it is.
 * NACRE_OK               it is complete and durable, and can be opened
 * NACRE_ERR_BAD_CONTEXT  `info` says what no directory may: equal IDs, an empty secret …
 * NACRE_ERR_FILE         it exists already, or cannot be made;  NACRE_ERR_NO_MEMORY
 * On failure nothing is left behind. */
NACRE_MUST_USE nacre_err nacre_directory_create(const char *path, const nacre_directory_info *info, nacre_detail *why);

/* nacre_directory_convert rewrites a directory, under its lock, from one layout to the other. `role` says which side it is:
 * the role that it is read in (to the newest), or will have (to the older one). What an older directory knows of the
 * other side's state is not taken along. A power loss at any moment leaves a directory that can be opened in one of the
 * two layouts, with its true state.
 * NACRE_OK               it is of that layout, now or already
 * NACRE_ERR_BAD_CONTEXT  it cannot be read; its IDs are in two files; what would be rewritten or renamed is a symbolic link;
 *                        or, to the older layout: its replay window is unknown, which that form cannot say to the
 *                        programs of its time
 * NACRE_ERR_UNSUPPORTED  to the older layout: a hash other than SHA-256
 * NACRE_ERR_BAD_ARGUMENT no role;  NACRE_ERR_LOCKED;  NACRE_ERR_FILE;  NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_directory_convert(const char *path, nacre_layout to, nacre_role role, nacre_detail *why);

/* nacre_directory_adopt says that a directory may be used where it is, and with the state that it has: after it was moved, or
 * put back from a backup, with nothing using it in between; or after its state was lost. The replay window becomes unknown
 * (B.1.2). `role` as in nacre_directory_open_as. A number too low breaks the encryption: when in doubt, make new keys.
 *
 * next_to_send 0: the state may be old, and how old is not known; so numbers go on NACRE_ADOPT_SKIP above the highest that it or
 * DIR/lock names, which a year at 136 messages a second does not reach, and up to as much again at random: one backup that is
 * put back twice goes on at two places, which meet by chance only. Partial IVs have five bytes from then on, where they had
 * one to four; and some 170 adoptions use all numbers up. Otherwise numbers go on from next_to_send exactly.
 * NACRE_OK, and errors as nacre_directory_open;
 * NACRE_ERR_BAD_ARGUMENT  nothing has changed: next_to_send is below the highest that the state or DIR/lock names, or above
 *                         NACRE_SEQ_MAX; or it is 0, and there is no state, or less than NACRE_ADOPT_SKIP is left: make
 *                         new keys */
#define NACRE_ADOPT_SKIP (UINT64_C(1) << 32)
NACRE_MUST_USE nacre_err nacre_directory_adopt(const char *path, nacre_role role, uint64_t next_to_send,
                                               nacre_detail *why);

/* nacre_directory_generate makes a fresh pair of directories (mode 0700, files 0600) for the two sides of a new context:
 * random secret (16 bytes for 128-bit keys, 32 for longer ones) and 8-byte salt, Sender IDs as given or random, crossed.
 * When it returns, both are complete and durable, or neither is there. (A power loss before that may leave one of them, or
 * a part that cannot be opened: remove what is there.) nacre_directory_read tells the IDs.
 *
 * A Sender ID has up to the algorithm's nonce length - 6 bytes, 7 for most (RFC 8613 3.3). A random one has two bytes for
 * the client and one for the server, or one each where no more are allowed. One server tells its clients apart by theirs:
 * random ones are seldom the same (of 300 clients, two in every other case), and then both contexts are tried, up to
 * NACRE_MAX_CANDIDATES.
 * Who hands IDs out gives each client its own.
 * NACRE_OK
 * NACRE_ERR_FILE         one exists already, or cannot be made; nothing is left behind
 * NACRE_ERR_BAD_ARGUMENT an algorithm that is not in the table, an ID Context above 255 bytes, a Sender ID that is too
 *                        long, the same one for both, one path given twice; `why` says which
 * NACRE_ERR_CRYPTO       the system gives no random bytes; NACRE_ERR_NO_MEMORY */
typedef struct nacre_generate_options {
    const nacre_aead *aead; /* NULL: AES-CCM-16-64-128 */
    nacre_bytes id_context; /* absent: none */
    nacre_bytes client_id;  /* their Sender IDs, at most one of them empty; absent: random */
    nacre_bytes server_id;
} nacre_generate_options;
NACRE_MUST_USE nacre_err nacre_directory_generate(const char *client_path, const char *server_path,
                                                  const nacre_generate_options *options, nacre_detail *why);

/* ---- Hex --------------------------------------------------------------------------------------------------------------- */

/* nacre_hex_decode: hex digit pairs, upper or lower, without separators. NACRE_OK, NACRE_ERR_BAD_HEX, NACRE_ERR_BUFFER_TOO_SMALL;
 * nacre_hex_encode: `text` has room for 2 * len + 1 characters. */
NACRE_MUST_USE nacre_err nacre_hex_decode(nacre_bytes *out, nacre_buf room, const char *text, size_t text_len);
void nacre_hex_encode(char *text, nacre_bytes bytes);

#ifdef __cplusplus
}
#endif

#endif

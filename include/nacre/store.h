/* SPDX-License-Identifier: MIT */
/* store: persistence of contexts. Hosted: allocates memory and uses files.
 *
 * nacre_store is the interface that serves nacre_context_needs; a flash driver or a database can implement it.
 * nacre_directory implements it over a directory in aiocoap's layout (secret.json, settings.json, sequence.json, lock). */
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

/* One context's part of a batch: what nacre_context_needs named, or the true state that replaces what is stored. The bytes are
 * the request's until nacre_store_done; the context itself is not the store's to use. */
typedef struct nacre_store_request nacre_store_request;
struct nacre_store_request {
    void *self;                /* of the context's nacre_store */
    uint64_t ceiling;          /* numbers below may be used from now on; 0: not requested */
    bool window_lost;          /* the replay window becomes unknown */
    const nacre_stored *state; /* NULL, or a save: the state to store; then the two above are not set */
    void (*on_done)(nacre_store_request *request, nacre_err err, const char *text); /* private: nacre_store_done */
};

enum { NACRE_STORE_OPS_VERSION = 1 };

typedef struct nacre_store_ops {
    size_t size;      /* sizeof(nacre_store_ops), and … */
    uint32_t version; /* … NACRE_STORE_OPS_VERSION: CONVENTIONS.md, "Tables of functions" */

    /* Make durable that numbers below `ceiling` may be used. NACRE_OK: it is durable. NACRE_ERR_NOT_YET: in progress; the
     * store later calls nacre_context_confirm_reserved from the context's thread, or, when it fails,
     * nacre_endpoint_confirmed with the error, nacre_loop_store_failed or nacre_server_store_failed. Other errors: it is
     * not durable. */
    nacre_err (*reserve)(void *self, uint64_t ceiling, nacre_detail *why);
    /* Make durable that the replay window is unknown. Returns as `reserve` (nacre_context_confirm_window_lost). */
    nacre_err (*window_lost)(void *self, nacre_detail *why);
    /* Make the present state of `ctx` durable. Called by nacre_store_save. Its next number may be lower than a ceiling
     * reserved before; so calls take effect in their order, and a `reserve` made before a save is not confirmed after
     * it. NACRE_ERR_NOT_YET: in progress; needs no confirmation. */
    nacre_err (*save)(void *self, const nacre_context *ctx, nacre_detail *why);
    /* Read the durable state. `state` is all zero before. NULL: not supported (nacre_store_load fails). */
    nacre_err (*load)(void *self, nacre_stored *state, nacre_detail *why);

    /* The batched form; NULL: none. A loop, client or server that has it calls none of the three writing functions above, and
     * they may be NULL.
     *
     * Make durable what the requests name, and call nacre_store_done once for each: before `submit` returns, or later
     * from any thread. A store thread calls it, never the loop's: it may block. Calls with one result of `batch` never
     * overlap, and take effect in their order: a ceiling is never lowered, and a known window is never restored, but by
     * a save that was submitted later. */
    void (*submit)(nacre_store_request *const *requests, size_t num);
    /* Identifies the database of `self`: requests with one result share a call of `submit`. Called by any thread, at any time.
     * NULL: each context has its own. */
    const void *(*batch)(void *self);
} nacre_store_ops;
typedef struct nacre_store {
    const nacre_store_ops *ops;
    void *self;
} nacre_store;

/* nacre_store_done ends a request of `submit`, which must not be used afterwards. Any thread may call it, holding no lock that
 * `submit` waits for. `err` is NACRE_OK (it is durable), NACRE_ERR_LOCKED (another program has taken over the state: the context
 * is stopped), or any other error but NACRE_ERR_NOT_YET: it is not durable, and is requested again. `text`: one line for people,
 * copied; NULL: the error's. */
void nacre_store_done(nacre_store_request *request, nacre_err err, const char *text);

/* nacre_store_serve does what nacre_context_needs names, and confirms it.
 * NACRE_OK                the context needs nothing more
 * NACRE_ERR_NOT_YET       the store confirms later
 * NACRE_ERR_BAD_ARGUMENT  the ops table has another version, and is not called; also from save and load below
 * other                   the store's error: a blocked context stays blocked, and no number is reused */
NACRE_MUST_USE nacre_err nacre_store_serve(const nacre_store *store, nacre_context *ctx, nacre_detail *why);

/* nacre_store_save makes the true state durable, at a clean end or in between: until the context is used again, a crash loses
 * no numbers and requires no Echo. The context can be used afterwards: numbers and window then wait for the store again,
 * also after a failure.
 * NACRE_OK, or the store's error: the state before may remain, which is safe */
NACRE_MUST_USE nacre_err nacre_store_save(const nacre_store *store, nacre_context *ctx, nacre_detail *why);

/* nacre_store_save_many is nacre_store_save for `num` contexts, context i with store i: those with one database are written by
 * one call of its `submit`. It waits for all. NACRE_OK, or the first error; the others are saved all the same.
 * NACRE_ERR_NO_MEMORY: none is */
NACRE_MUST_USE nacre_err nacre_store_save_many(const nacre_store *stores, nacre_context *const *contexts, size_t num,
                                               nacre_detail *why);

/* nacre_store_load reads the stored state, with which a context starts: next_seq of nacre_context_params, with `persistent`, and
 * the window in nacre_context_set_replay (context.h has the order of calls). Contexts of directories and databases are loaded
 * already.
 * NACRE_OK; NACRE_ERR_UNSUPPORTED (no `load`); NACRE_ERR_BAD_CONTEXT (the state is impossible: do not start with a lower
 * number); or the store's error. On failure `state` is untouched. */
NACRE_MUST_USE nacre_err nacre_store_load(const nacre_store *store, nacre_stored *state, nacre_detail *why);

/* ---- In memory -------------------------------------------------------------------------------------------------------
 * nacre_memory implements the interface without storage: for keys that end with the process, and for tests. All zero is ready
 * to use: keys that were never used, nothing to release. It records its calls. `result` is what they return; with
 * NACRE_ERR_NOT_YET the caller confirms to the context at any time. */
typedef struct nacre_memory {
    nacre_err result; /* what every call returns; anything but NACRE_OK leaves the "durable" part below unchanged */
    unsigned num_reserve, num_window_lost, num_save; /* calls, failed ones too */
    uint64_t requested;                              /* the last ceiling requested */
    uint64_t next_seq;                               /* durable: numbers below may have been used */
    bool window_lost;                                /* durable: the window is not known */
    uint64_t window_index;
    uint8_t window_bits[NACRE_REPLAY_MAX / 8]; /* after save, unless window_lost */
} nacre_memory;
nacre_store nacre_memory_store(nacre_memory *memory);

/* ---- A directory, aiocoap's layout ----------------------------------------------------------------------------------
 *   DIR/secret.json (or secrets.json), DIR/settings.json   the input material; only read, may belong to another user
 *   DIR/sequence.json                                      the state, replaced as a whole: temporary file, fsync, rename,
 *                                                          fsync of DIR
 *   DIR/lock, DIR                                          locked while the directory is open
 *
 * So the user must be able to create files in DIR and to replace sequence.json (in a directory with the sticky bit users
 * cannot replace each other's files).
 *
 * secret.json, secrets.json and settings.json may be symbolic links, as Kubernetes mounts them; nacre_directory_convert, which
 * would write through them, refuses. sequence.json must not be a link (NACRE_ERR_BAD_CONTEXT): its target would keep the
 * old numbers. DIR may be a link; it is resolved once.
 *
 * A file is at most 64 KiB, a secret or salt at most 256 bytes. A directory belongs to the process that opened it; its store may be
 * used by several threads. In a child
 * of fork the context is wiped, and writes are NACRE_ERR_LOCKED; close the directory there too, because the lock is held
 * until both processes have closed it. The kernel wipes (Linux 4.14 or later), or else a pthread_atfork handler, which
 * _Fork and clone do not call; without either, opening is NACRE_ERR_NO_MEMORY. Contexts in the program's own memory are
 * not wiped: see context.h.
 *
 * Without sequence.json a directory counts as new, as in aiocoap. With "sequence-required": true in its settings, which
 * directories made or converted here have, it is refused instead, because a lost state would use numbers twice.
 *
 * A state in use names the identity of its file, and DIR/lock counts the writes, in place, so that a snapshot made of hard
 * links shares the count. A copy of a directory in use, or a restored state or snapshot, is therefore refused;
 * nacre_directory_adopt accepts it. How much is detected depends on the file system: see nacre_mark. Never detected:
 * copies of a directory that was never used, images of a whole file system or machine (except Btrfs subvolumes), a state
 * last written by another program, or by hand without the "nacre" member. */
typedef struct nacre_directory nacre_directory;

/* Which copies are detected on the file system of a directory or database. Anything but the first is a weakness to report to the
 * operator; nothing is refused because of it.
 * NACRE_MARK_FULL           copies, snapshots and old states put back are refused: ext4, XFS, Btrfs (its snapshots as
 *                           well), F2FS, tmpfs, overlayfs above one of these
 * NACRE_MARK_NO_BIRTH       inode numbers only: NFS, ext4 with inodes of 128 bytes. A backup that is put back as a whole may
 *                           get the numbers of the files that it replaces
 * NACRE_MARK_NO_GENERATION  DIR/lock is another user's or read-only: a snapshot of hard links may not be detected
 * NACRE_MARK_NONE           FAT, FUSE and others, and systems other than Linux: only an old sequence.json beside a newer
 *                           DIR/lock is detected */
typedef enum nacre_mark {
    NACRE_MARK_FULL = 0,
    NACRE_MARK_NO_BIRTH = 1,
    NACRE_MARK_NO_GENERATION = 2,
    NACRE_MARK_NONE = 3,
} nacre_mark;

/* nacre_mark_at examines a directory or a database; NACRE_MARK_NONE when it cannot. nacre_mark_text: one line that names what is
 * not detected; NULL for NACRE_MARK_FULL. */
nacre_mark nacre_mark_at(const char *path);
const char *nacre_mark_text(nacre_mark mark);

/* nacre_directory_open locks the directory, reads it and derives its context with `crypto`, whose instance must outlive
 * it.
 * NACRE_OK               `*dir` is open; close it with nacre_directory_close
 * NACRE_ERR_BAD_CONTEXT  a file is missing, malformed or has an impossible value; `why` names file and key
 * NACRE_ERR_LOCKED       another process has it open (waited one second)
 * NACRE_ERR_FILE         no such directory, no permission, an I/O error
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY
 * On failure the directory is unchanged, except that the empty file DIR/lock may exist. */
NACRE_MUST_USE nacre_err nacre_directory_open(nacre_directory **dir, const char *path, const nacre_crypto *crypto,
                                              nacre_detail *why);

/* The two layouts:
 *   NEWEST  sender-id and recipient-id: one side of a context
 *   LEGACY  client-sender-id and server-sender-id (or client-id and server-id), of aiocoap before 2020: one directory for both
 *           sides, selected by a role; both keep their state in it, one at a time. The default algorithm is
 *           AES-CCM-64-64-128, the only hash SHA-256 */
typedef enum nacre_layout { NACRE_LAYOUT_NEWEST = 0, NACRE_LAYOUT_LEGACY = 1 } nacre_layout;
typedef enum nacre_role { NACRE_ROLE_NONE = 0, NACRE_ROLE_CLIENT = 1, NACRE_ROLE_SERVER = 2 } nacre_role;

/* nacre_directory_open_as opens a directory in a role: required for the legacy layout, refused for the newest
 * (NACRE_ERR_BAD_CONTEXT). nacre_directory_open uses no role. */
NACRE_MUST_USE nacre_err nacre_directory_open_as(nacre_directory **dir, const char *path, nacre_role role,
                                                 const nacre_crypto *crypto, nacre_detail *why);

/* nacre_directory_open_with opens with all options. Numbers are reserved in chunks (RFC 8613 B.1.1): a crash loses the rest of a
 * chunk, and each chunk costs a write. They double from the first to the largest. A value of 0 means
 * "sequence-chunk-start" and "sequence-chunk-limit" of the settings, whose defaults are 10 and 10000.
 * Errors as nacre_directory_open; NACRE_ERR_BAD_ARGUMENT for a chunk above 10000, or a first above the largest, or
 * another `size`. */
typedef struct nacre_directory_options {
    size_t size; /* sizeof the struct, or 0; see CONVENTIONS.md, "Options" */
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
 * A directory that is renamed while open continues to work; writes to a removed one fail (NACRE_ERR_FILE). Between the
 * comparison and the rename that follows it, only the two locks protect. */
nacre_context *nacre_directory_context(nacre_directory *dir);
nacre_store nacre_directory_store(nacre_directory *dir);
const char *nacre_directory_path(const nacre_directory *dir);

/* nacre_directory_close writes the true state (numbers used, replay window), unlocks, wipes the keys and frees, also on failure:
 * NACRE_ERR_FILE (the reserved state stays on disk, which is safe) or NACRE_ERR_LOCKED (another program has taken over the
 * state). NULL is allowed. */
nacre_err nacre_directory_close(nacre_directory *dir, nacre_detail *why);

/* The contents of a directory, read without locking it and without keeping keys. */
typedef struct nacre_directory_info {
    nacre_layout layout;
    nacre_role role; /* as requested */
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
    bool elsewhere;                            /* sequence.json is a copy, or was restored; see above */
    uint64_t generation;                       /* of the state: how often it was written; 0: unknown */
    nacre_mark mark;                           /* which copies are detected here */
    uint16_t first_chunk, max_chunk;           /* as in nacre_directory_options; 0: not set */
    uint8_t secret[256], salt[256];            /* set only with `reveal`: wipe them */
    size_t secret_len, salt_len;
} nacre_directory_info;
/* nacre_directory_read: errors as nacre_directory_open, but for the lock. `reveal` fills in secret and salt. */
NACRE_MUST_USE nacre_err nacre_directory_read(nacre_directory_info *info, const char *path, bool reveal,
                                              nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_directory_read_as(nacre_directory_info *info, const char *path, nacre_role role,
                                                 bool reveal, nacre_detail *why);

/* nacre_directory_create makes a directory of the newest layout (mode 0700, files 0600) from `info`, including secret and salt;
 * layout and role are not read. With `has_state`, next_to_send and the window are written, otherwise a fresh state. The
 * state is required from then on. The directory may be moved or copied until its first use.
 * NACRE_OK               it is complete and durable, and can be opened
 * NACRE_ERR_BAD_CONTEXT  invalid `info`: equal IDs, an empty secret …
 * NACRE_ERR_FILE         it exists already, or cannot be created;  NACRE_ERR_NO_MEMORY
 * On failure nothing remains. */
NACRE_MUST_USE nacre_err nacre_directory_create(const char *path, const nacre_directory_info *info, nacre_detail *why);

/* nacre_directory_convert rewrites a directory, under its lock, from one layout to the other. `role` is the side: the role in
 * which it is read (to NEWEST), or that it will have (to LEGACY). The other side's state in a legacy directory is dropped.
 * After a power loss at any moment the directory can be opened in one of the two layouts, with its true state.
 * NACRE_OK               it has that layout, now or already
 * NACRE_ERR_BAD_CONTEXT  it cannot be read; it was moved into a database; its IDs are in two files; a file to be rewritten or renamed
 *                        is a symbolic link; or, to LEGACY: its replay window is unknown, which older programs cannot read from
 *                        that form
 * NACRE_ERR_UNSUPPORTED  to LEGACY: a hash other than SHA-256
 * NACRE_ERR_BAD_ARGUMENT no role;  NACRE_ERR_LOCKED;  NACRE_ERR_FILE;  NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_directory_convert(const char *path, nacre_layout to, nacre_role role, nacre_detail *why);

/* nacre_directory_adopt accepts a directory where it is, with its present state: after it was moved or restored from a backup
 * without being used in between, or after its state was lost. The replay window becomes unknown (B.1.2). `role` as in
 * nacre_directory_open_as. A number too low breaks the encryption: when in doubt, make new keys.
 *
 *   next_to_send 0   the age of the state is unknown: numbers continue NACRE_ADOPT_SKIP (a year at 136 messages a second)
 *                    above the highest that it or DIR/lock names, plus a random number of the same size, so that a
 *                    backup restored twice continues at two different numbers. Partial IVs then have five bytes;
 *                    about 170 adoptions use up all numbers
 *   otherwise        numbers continue at next_to_send
 * NACRE_OK, and errors as nacre_directory_open;
 * NACRE_ERR_BAD_ARGUMENT  nothing has changed: next_to_send is below the highest that the state or DIR/lock names, or above
 *                         NACRE_SEQ_MAX; or it is 0, and there is no state, or fewer than NACRE_ADOPT_SKIP numbers are
 *                         left: make new keys */
#define NACRE_ADOPT_SKIP (UINT64_C(1) << 32)
NACRE_MUST_USE nacre_err nacre_directory_adopt(const char *path, nacre_role role, uint64_t next_to_send,
                                               nacre_detail *why);

/* nacre_directory_generate makes a fresh pair of directories (mode 0700, files 0600) for the two sides of a new context:
 * random secret (16 bytes for 128-bit keys, 32 for longer ones) and 8-byte salt, Sender IDs as given or random, crossed.
 * When it returns, both are complete and durable, or neither exists. (A power loss before that may leave one, or a part that
 * cannot be opened: remove it.) nacre_directory_read reads the IDs.
 *
 * A Sender ID has up to the algorithm's nonce length - 6 bytes, 7 for most (RFC 8613 3.3). A random one has two bytes for
 * the client and one for the server, or one each where no more are allowed. A server finds its clients by their IDs. Random
 * ones rarely collide (among 300 clients, two do with a probability of one half); both contexts are then tried, up to
 * NACRE_MAX_CANDIDATES. Assign IDs to avoid that.
 * NACRE_OK
 * NACRE_ERR_FILE         one exists already, or cannot be created; nothing remains
 * NACRE_ERR_BAD_ARGUMENT an unknown algorithm, an ID Context above 255 bytes, a Sender ID that is too long, equal Sender
 *                        IDs, equal paths, another `size`; `why` names which
 * NACRE_ERR_CRYPTO       the system has no random bytes; NACRE_ERR_NO_MEMORY */
typedef struct nacre_generate_options {
    size_t size;            /* sizeof the struct, or 0; see CONVENTIONS.md, "Options" */
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
NACRE_MUST_USE nacre_err nacre_hex_decode(nacre_bytes *out, nacre_buf buf, const char *text, size_t text_len);
void nacre_hex_encode(char *text, nacre_bytes bytes);

#ifdef __cplusplus
}
#endif

#endif

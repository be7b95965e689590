/* SPDX-License-Identifier: MIT */
/* context: the security context of RFC 8613 3 (keys, IDs, sender sequence numbers, replay window), and the table that finds
 * the context of a message.
 *
 * nacre_context_init derives a context from a master secret; nacre_context_wipe ends it. Two kinds:
 *
 *              | volatile (the default)                 | persistent
 *  keys        | made in this process, end with it      | the same after each start
 *  numbers     | from next_seq on, not stored           | from next_seq on, each confirmed by a store before its use
 *  window      | known and empty: every number is fresh | unknown, except with `never_used` or nacre_context_set_replay
 *
 * A volatile context that is made twice from the same secret and IDs uses its numbers twice, which breaks the encryption,
 * and accepts old requests again; nacre cannot detect this. So use fresh keys for volatile contexts: keys established in
 * this run (such as by RFC 8613 B.2), or test keys.
 *
 * Fork. The child has a copy of every context in the program's own memory, and would use the same numbers as the parent.
 * The library wipes only the contexts of directories and databases in the child. Make other contexts after fork, wipe them
 * (nacre_context_wipe) in a child handler of pthread_atfork, or put them into memory with MADV_WIPEONFORK, which zeroes
 * them. The same holds for nacre_memory, nacre_rederivation and nacre_rederive_server.
 *
 * nacre_context_needs returns what must be durable before a persistent context can continue; the store makes it durable
 * and confirms it. The order of calls, the same at the first start and after every reboot:
 *   1. nacre_store_load            what the store holds: next_seq and the replay window
 *   2. nacre_context_init          with `persistent`, and that next_seq. The window is unknown now
 *   3. nacre_context_set_replay    with the loaded window, known or not. Without this call the window stays unknown, and
 *                                  a server requires Echo before it accepts a request (RFC 8613 B.1.2)
 *   4. nacre_table_add, or the first request
 *   5. nacre_store_serve           whenever nacre_context_needs names something (the endpoint requests it by an event)
 *   6. nacre_store_save, nacre_context_wipe   at a clean end */
#ifndef NACRE_CONTEXT_H
#define NACRE_CONTEXT_H

#include <nacre/base.h>
#include <nacre/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/* RFC 8613 7.2.1: the largest Partial IV. */
#define NACRE_SEQ_MAX ((UINT64_C(1) << 40) - 1)

/* ---- Replay window (RFC 8613 7.4) ---------------------------------------------------------------------------------
 * `size` numbers from `index` on are tracked by one bit each; all numbers below count as seen. The window moves up only as
 * far as needed for the highest number seen. */
enum { NACRE_REPLAY_DEFAULT = 32, NACRE_REPLAY_MAX = 1024 };

typedef struct nacre_replay {
    uint32_t index_low; /* private: the lowest number tracked, its lower bits … */
    uint16_t index_high;
    uint16_t size : 15;
    uint16_t known : 1; /* 0: uninitialised, nothing is accepted before Echo proves freshness (RFC 8613 B.1.2) */
    union {
        uint64_t bits;   /* the bitmap of windows up to 64; number n has bit n mod 64 */
        uint64_t *words; /* larger windows: the caller's memory */
    };
} nacre_replay;

/* nacre_replay_words: how many uint64_t the caller provides for a window of `size`: 0 up to 64. */
size_t nacre_replay_words(uint16_t size);

/* nacre_replay_init makes an empty window: every number is fresh. `words` has nacre_replay_words(size) elements, and
 * lives as long as `w`.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (size 0 or above NACRE_REPLAY_MAX, words missing) */
NACRE_MUST_USE nacre_err nacre_replay_init(nacre_replay *w, uint16_t size, uint64_t *words);

/* nacre_replay_forget makes the window uninitialised: nothing is accepted before nacre_replay_set_fresh. */
void nacre_replay_forget(nacre_replay *w);

/* nacre_replay_set_fresh initialises the window: `seq` and all numbers below count as seen, and of higher ones those that
 * nacre_protect_echo has challenged since the window became uninitialised. `seq` is at most NACRE_SEQ_MAX. */
void nacre_replay_set_fresh(nacre_replay *w, uint64_t seq);

/* nacre_replay_check: whether `seq` would be accepted; changes nothing (RFC 8613 8.2 step 3).
 * NACRE_OK, NACRE_ERR_REPLAY (seen, left of the window, or above NACRE_SEQ_MAX), NACRE_ERR_REPLAY_ECHO (uninitialised) */
NACRE_MUST_USE nacre_err nacre_replay_check(const nacre_replay *w, uint64_t seq);

/* nacre_replay_accept checks and records `seq` in one step (RFC 8613 7.4: validation and update are atomic). Call it after
 * the AEAD has verified the message.
 * NACRE_OK recorded; the others as nacre_replay_check, with `w` unchanged */
NACRE_MUST_USE nacre_err nacre_replay_accept(nacre_replay *w, uint64_t seq);

/* nacre_replay_export writes the state as {index, bitfield}: bit i of bitfield (bit i%8 of byte i/8) represents the
 * number index + i. `bitfield` has (size + 7) / 8 bytes. False when uninitialised: nothing is written. */
bool nacre_replay_export(const nacre_replay *w, uint64_t *index, uint8_t *bitfield);

/* nacre_replay_import is the reverse, on an initialised window; `bitfield` has `len` bytes.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (a bit at or above size, an index above NACRE_SEQ_MAX + 1); `w` unchanged then */
NACRE_MUST_USE nacre_err nacre_replay_import(nacre_replay *w, uint64_t index, const uint8_t *bitfield, size_t len);

/* nacre_replay_import_seen reads a window from an ascending list of numbers seen: the listed numbers and all below the first
 * are seen; in an empty list, or one that begins with -1, nothing is below. The result accepts nothing that the list
 * excludes; when the list is longer than the window, numbers left of the window count as seen.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (not ascending, below -1, above NACRE_SEQ_MAX); `w` unchanged then */
NACRE_MUST_USE nacre_err nacre_replay_import_seen(nacre_replay *w, const int64_t *seen, size_t num_seen);

/* ---- Security context (RFC 8613 3.1) ------------------------------------------------------------------------------ */
enum { NACRE_ECHO_LEN = 8 };

typedef struct nacre_context { /* 112 bytes, because a server may have a million */
    const nacre_aead *aead;    /* private; see the queries below */
    const nacre_crypto_ops *ops;
    void *keys;                /* the sender key; the recipient key is key_stride bytes after it; NULL: none */
    const uint8_t *id_context; /* the caller's memory */
    nacre_replay replay;
    uint64_t next;                       /* the next sender sequence number to use */
    uint32_t in_hand;                    /* persistent: how many numbers from `next` on the store has reserved */
    uint32_t sealed;                     /* messages protected with the sender key, saturating */
    uint32_t failed;                     /* decryptions whose tag did not match, saturating */
    uint32_t chunk : 14, max_chunk : 14; /* how many numbers to reserve next, and at most; 0: stopped */
    uint32_t has_echo : 1, persistent : 1, window_on_disk : 1, window_lost_wanted : 1;
    uint32_t peer_sent_echo : 1; /* in a verified request: the peer supports Echo */
    uint32_t num_saves : 15;     /* calls of nacre_context_before_save, modulo 2^15 */
    uint16_t key_stride;
    uint8_t id_context_len, sender_id_len : 4, recipient_id_len : 4;
    uint8_t sender_id[NACRE_MAX_ID], recipient_id[NACRE_MAX_ID];
    uint8_t common_iv[NACRE_MAX_NONCE];
    uint8_t echo[NACRE_ECHO_LEN];
} nacre_context;

typedef struct nacre_context_params {
    int cose_aead;   /* COSE number; 0 means 10, AES-CCM-16-64-128 */
    nacre_hash hash; /* NACRE_SHA256 is the default */
    nacre_secret master_secret;
    nacre_bytes master_salt; /* absent and empty are the same (RFC 8613 3.2.1) */
    nacre_bytes id_context;  /* absent and empty differ; at most 255 bytes; must live as long as the context */
    nacre_bytes sender_id, recipient_id; /* 0 to nonce length - 6 bytes; must differ; absent counts as empty */
    uint16_t window;                     /* 0 means 32; at most 1024 */
    uint64_t *window_words;              /* nacre_replay_words(window) elements, or NULL up to 64 */
    uint64_t next_seq;                   /* the first sender sequence number to use, 0 for new keys */
    bool persistent;                     /* a store confirms numbers before they are used (RFC 8613 B.1.1) */
    bool never_used;                     /* these keys have never been used, by any process: next_seq is
                                            0, and the window starts known and empty, of a persistent context too */
    uint16_t first_chunk;                /* persistent: how many numbers to reserve first; 0 means 10 … */
    uint16_t max_chunk;                  /* … doubled each time up to this; 0 means 10000, the maximum */
    nacre_bytes echo; /* 8 random bytes: on a server, lets an uninitialised window recover, once (B.1.2);
                                    absent: it stays uninitialised, and every request is REPLAY */
} nacre_context_params;

/* nacre_context_key_layout gives size and alignment of a context's two prepared keys with this provider.
 * NACRE_OK, NACRE_ERR_UNSUPPORTED (the table or the provider lacks the algorithm, one key takes 64 KiB, or the provider's
 * ops table has another version) */
NACRE_MUST_USE nacre_err nacre_context_key_layout(const nacre_crypto *crypto, int cose_aead, size_t *size,
                                                  size_t *align);

/* nacre_context_init derives Sender Key, Recipient Key and Common IV (RFC 8613 3.2) and prepares the keys in `keys`,
 * which must have the size and alignment of nacre_context_key_layout and live as long as the context. `params` is
 * not needed afterwards, but the memory of its id_context and window_words is.
 * NACRE_OK                `ctx` is ready; end it with nacre_context_wipe
 * NACRE_ERR_UNSUPPORTED   algorithm or hash not in the table or not with this provider (nacre_context_key_layout)
 * NACRE_ERR_BAD_ARGUMENT  an ID too long for the nonce, IDs equal, an ID Context above 255 bytes, a window above 1024 or
 *                         without its words, next_seq above NACRE_SEQ_MAX + 1 (with never_used: above 0), first_chunk above
 *                         max_chunk, a chunk above 10000, echo neither absent nor 8 bytes, key memory missing or misaligned
 * NACRE_ERR_BUFFER_TOO_SMALL       `keys` too small
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY  from the provider
 * On failure `ctx` is all zero and needs no release. */
NACRE_MUST_USE nacre_err nacre_context_init(nacre_context *ctx, const nacre_crypto *crypto,
                                            const nacre_context_params *params, nacre_buf keys);

/* nacre_context_init_derived makes a context from derived keys, for stores that keep those instead of the master secret.
 * master_secret and master_salt of `params` are not read. The provider's key_init prepares the keys.
 * NACRE_OK, and the errors of nacre_context_init; NACRE_ERR_BAD_ARGUMENT also for a key or Common IV of the wrong length. */
typedef struct nacre_derived_keys {
    nacre_bytes sender_key, recipient_key, common_iv; /* not needed afterwards */
} nacre_derived_keys;
NACRE_MUST_USE nacre_err nacre_context_init_derived(nacre_context *ctx, const nacre_crypto *crypto,
                                                    const nacre_context_params *params,
                                                    const nacre_derived_keys *derived, nacre_buf keys);

/* nacre_context_wipe releases and wipes keys and state. An all-zero context may be wiped, and wiped again. */
void nacre_context_wipe(nacre_context *ctx);

/* nacre_context_stop permanently ends the use of a context, for a store whose state was taken over by another program: its
 * numbers and window may then be used by both. Tables, endpoints and servers may keep the context until
 * nacre_context_wipe.
 *   protect          NACRE_ERR_CONTEXT_UNAVAILABLE, numbers in hand and the nonces of requests included
 *   a request        NACRE_ERR_CONTEXT_UNAVAILABLE, response 5.03; the Echo value is wiped
 *   a response       is verified as before
 *   needs, confirm   it needs nothing, and later confirmations change nothing
 * nacre_context_is_stopped: stopped, and not wiped since. */
void nacre_context_stop(nacre_context *ctx);
bool nacre_context_is_stopped(const nacre_context *ctx);

/* Queries. */
nacre_bytes nacre_context_sender_id(const nacre_context *ctx);
nacre_bytes nacre_context_recipient_id(const nacre_context *ctx);
nacre_bytes nacre_context_id_context(const nacre_context *ctx); /* absent without one */
nacre_bytes nacre_context_common_iv(const nacre_context *ctx);
const nacre_aead *nacre_context_aead(const nacre_context *ctx);
const nacre_replay *nacre_context_replay(const nacre_context *ctx);
uint64_t nacre_context_next_seq(const nacre_context *ctx);
uint32_t nacre_context_failed_decryptions(const nacre_context *ctx);

/* RFC 8613 3.3: (Master Secret, Master Salt, ID Context, Sender ID) is unique. Path, name or address of a context do not
 * matter, only its keys:
 *   nacre_context_same_sender_key     both protect with one key: equal secret, salt, ID Context, algorithm, hash, Sender ID.
 *                                     Never use both: messages would share key and nonce, which reveals plaintexts
 *   nacre_context_same_recipient_key  both verify with one key, likewise with the Recipient ID. Each would accept requests
 *                                     that the other has seen
 * True for a context and itself; false for one without keys (all zero, wiped), and for the two sides of one context. Compares
 * algorithm, IDs and Common IV (in constant time), which is derived from the same input as the keys; so the result does not
 * depend on the provider. With the shortest nonces, two different contexts compare equal with a probability of 2^-56.
 *
 * Tables, servers, clients and databases check each context that is added. A program that keeps contexts elsewhere
 * (nacre_endpoint_request takes any) checks them itself. */
bool nacre_context_same_sender_key(const nacre_context *a, const nacre_context *b);
bool nacre_context_same_recipient_key(const nacre_context *a, const nacre_context *b);

/* Key usage, and the limits of draft-ietf-core-oscore-key-limits: above them, new keys are due. nacre only reports this: if it
 * stopped the context, a forger could stop it. Counted since nacre_context_init; protected_messages also includes the
 * sequence numbers used before, and is then a lower bound, because responses may use the request's nonce. */
typedef struct nacre_usage {
    uint64_t protected_messages, max_protected_messages; /* of the sender key */
    uint64_t failed_decryptions, max_failed_decryptions; /* of the recipient key */
    uint32_t max_message;                                /* plaintext bytes of one message that the limits assume */
    bool due;                                            /* one of the limits is reached */
} nacre_usage;
nacre_usage nacre_context_usage(const nacre_context *ctx);

/* What a persistent context needs from its store:
 * reserve      0, or the ceiling that must be durable before numbers below it are used. Set early, while numbers are left,
 *              unless `blocked`
 * window_lost  a verified request waits until the store has durably dropped its replay window (B.1.2) */
typedef struct nacre_needs {
    uint64_t reserve;
    bool window_lost;
    bool blocked; /* the next protect that needs a number returns NACRE_ERR_NOT_YET */
} nacre_needs;
nacre_needs nacre_context_needs(const nacre_context *ctx);

/* nacre_context_confirm_reserved: it is durable that numbers below `ceiling` may have been used. Values below what was
 * confirmed before change nothing. */
void nacre_context_confirm_reserved(nacre_context *ctx, uint64_t ceiling);

/* nacre_context_confirm_window_lost: the store has durably dropped its replay window. */
void nacre_context_confirm_window_lost(nacre_context *ctx);

/* nacre_context_before_save: the true state (numbers used so far, the window) is about to be written over what was confirmed
 * before. From now on numbers and window wait for the store again. nacre_store_save calls it. */
void nacre_context_before_save(nacre_context *ctx);

/* nacre_context_set_replay sets the persisted window, after nacre_context_init and before the first request. `known` false: the
 * store holds none; the window is uninitialised, and `bitfield` is not read. Otherwise the store holds a known window until
 * nacre_context_confirm_window_lost; until then the first request that would be accepted waits for window_lost
 * (NACRE_ERR_NOT_YET).
 * NACRE_OK, or as nacre_replay_import with the context unchanged */
NACRE_MUST_USE nacre_err nacre_context_set_replay(nacre_context *ctx, bool known, uint64_t index,
                                                  const uint8_t *bitfield, size_t len);

/* ---- Finding a context (RFC 8613 3.3, 8.2 step 2) -----------------------------------------------------------------
 * An open-addressing hash table over slots that the caller provides. Several contexts may have one Recipient ID: the search
 * yields each, and the caller tries them in turn.
 *
 *   constant time   adding, removing, the first result of a search, a search without result; however many contexts share a
 *                   Recipient ID
 *   linear          further results: without a kid context, all contexts with that kid (limit: NACRE_MAX_CANDIDATES);
 *                   adding to contexts with equal Recipient ID and equal (or no) ID Context compares with each */
enum { NACRE_TABLE_MAX_SLOTS = (1 << 26) - 1, NACRE_TABLE_HASH_KEY = 16 /* bytes */ };

typedef struct nacre_table_slot { /* private */
    nacre_context *context;
    uint64_t next : 26, previous : 26; /* list of slots with the same Recipient ID */
    uint64_t tag : 12;                 /* of the hash; contexts are read only when it matches */
} nacre_table_slot;

typedef struct nacre_table {
    nacre_table_slot *slots; /* private */
    size_t num_slots;
    size_t num_contexts;
    uint8_t hash_key[NACRE_TABLE_HASH_KEY]; /* of SipHash-1-3 */
    uint32_t num_changes;                   /* private */
} nacre_table;

/* How many contexts an endpoint tries for one request, of those with its kid and, if present, its kid context. Requests under
 * further ones would never verify, so servers and databases refuse to add those. */
enum { NACRE_MAX_CANDIDATES = 8 };

/* nacre_table_num_slots: the slots needed for `num_contexts`, a third more than that. */
size_t nacre_table_num_slots(size_t num_contexts);

/* nacre_table_init takes `num_slots` slots, the caller's memory: any number from 2 to NACRE_TABLE_MAX_SLOTS.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT */
NACRE_MUST_USE nacre_err nacre_table_init(nacre_table *table, nacre_table_slot *slots, size_t num_slots);

/* nacre_table_set_hash_key sets the key of the table's hash (SipHash-1-3): NACRE_TABLE_HASH_KEY random bytes, so that a peer that
 * chooses its Recipient ID or ID Context cannot make contexts collide. Without it the key is zero, which suits IDs that only the
 * operator chooses. At most 12 slots (nine contexts) are searched without SipHash, as collisions of so few cost nothing.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (the table has contexts; nothing has changed) */
NACRE_MUST_USE nacre_err nacre_table_set_hash_key(nacre_table *table, const uint8_t key[NACRE_TABLE_HASH_KEY]);

/* nacre_table_add puts a context in.
 * NACRE_OK
 * NACRE_ERR_BUFFER_TOO_SMALL            fuller than three quarters: give it more slots
 * NACRE_ERR_BAD_ARGUMENT       it is in already
 * NACRE_ERR_DUPLICATE_CONTEXT  the table has one with the same Recipient Key: each would accept what the other has seen. Use
 *                              the existing one
 * On failure the table is unchanged. Equal Sender Keys are not checked (nacre_context_same_sender_key).
 * The table borrows the context and its ID Context: do not wipe or change them before nacre_table_remove. */
NACRE_MUST_USE nacre_err nacre_table_add(nacre_table *table, nacre_context *ctx);

/* nacre_table_remove removes a context; does nothing when the table does not have it. */
void nacre_table_remove(nacre_table *table, const nacre_context *ctx);

/* nacre_table_find yields the contexts whose Recipient ID is `kid` and that `kid_context` allows: present, it must be
 * the ID Context; absent, any will do (RFC 8613 5.1: a kid context may be left out), first those without one. An absent kid
 * finds nothing. Start with *cursor = 0, call until NULL; the table must not change in between. */
nacre_context *nacre_table_find(const nacre_table *table, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor);

/* nacre_table_find_many is nacre_table_find for many queries: the same results, but slots, contexts and keys of all queries are
 * prefetched in parallel, because a search in a large table mostly waits for memory. Start with each cursor 0; further
 * calls continue each query. */
typedef struct nacre_table_query {
    nacre_bytes kid, kid_context;
    size_t cursor;
    nacre_context *context; /* set; NULL: none, or no more */
} nacre_table_query;
void nacre_table_find_many(const nacre_table *table, nacre_table_query *queries, size_t num);

#ifdef __cplusplus
}
#endif

#endif

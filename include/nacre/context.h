/* SPDX-License-Identifier: MIT */
/* context: the security context of RFC 8613 3: keys and IDs, sender sequence numbers, the replay window; and the table
 * in which a server finds the context for a message.
 *
 * The life of a context: nacre_context_init derives it from a master secret; nacre_context_wipe ends it. Two kinds:
 *
 *              | volatile (the default)                 | persistent
 *  keys        | made in this process, and end with it  | the same ones again after each start
 *  numbers     | from next_seq on, stored nowhere       | from next_seq on, each confirmed by a store before its use
 *  window      | known and empty: every number is fresh | unknown, unless `never_used` or nacre_context_set_replay says
 *              |                                        | otherwise
 *
 * A volatile context made a second time from the same secret and IDs uses its numbers again, which breaks the encryption,
 * and accepts old requests again: nothing here can see that. So volatile keys are fresh ones: agreed on in this run
 * (RFC 8613 B.2 gives such), or of a test.
 *
 * Fork. A child of fork has a copy of every context in the program's own memory, and would use the same numbers as its
 * parent. The library wipes those of directories and packs in the child, no others: make contexts after fork, or wipe each
 * (nacre_context_wipe) in a handler of pthread_atfork for the child, or put them in memory with MADV_WIPEONFORK, which
 * makes them all zero. That holds for nacre_memory, too, and for nacre_rederivation and nacre_rederive_server (their headers).
 *
 * A persistent context says by nacre_context_needs what must be durable before it goes on; the store makes it so and
 * confirms. The order of calls, at the first start and after every reboot alike:
 *   1. nacre_store_load            what the store holds: next_seq and the replay window
 *   2. nacre_context_init          with `persistent`, and that next_seq. The window is unknown now
 *   3. nacre_context_set_replay    with the window that was loaded, known or not. Left out, the window stays unknown, and
 *                                  a server asks for Echo before it accepts anything (RFC 8613 B.1.2)
 *   4. nacre_table_add, or the first request
 *   5. nacre_store_serve           whenever nacre_context_needs names something (the endpoint asks by an event)
 *   6. nacre_store_save, nacre_context_wipe   at a clean end */
#ifndef NACRE_CONTEXT_H
#define NACRE_CONTEXT_H

#include <nacre/base.h>
#include <nacre/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/* RFC 8613 7.2.1: the largest Partial IV, and the last that is used. */
#define NACRE_SEQ_MAX ((UINT64_C(1) << 40) - 1)

/* ---- Replay window (RFC 8613 7.4) ---------------------------------------------------------------------------------
 * `size` numbers from `index` on are tracked by one bit each; below are only seen ones. The window moves up just so far
 * that the highest number seen stays its last. */
enum { NACRE_REPLAY_DEFAULT = 32, NACRE_REPLAY_MAX = 1024 };

typedef struct nacre_replay {
    uint32_t index_low; /* private: the lowest number tracked, its lower bits … */
    uint16_t index_high;
    uint16_t size : 15;
    uint16_t known : 1; /* 0: uninitialised, nothing is accepted before Echo says what is fresh (RFC 8613 B.1.2) */
    union {
        uint64_t bits;   /* the bitmap of windows up to 64; number n has bit n mod 64 */
        uint64_t *words; /* larger windows: the caller's memory */
    };
} nacre_replay;

/* nacre_replay_words tells how many uint64_t a window of that size needs from the caller: 0 up to 64. */
size_t nacre_replay_words(uint16_t size);

/* nacre_replay_init makes an empty window: every number is fresh. `words` has nacre_replay_words(size) elements, and
 * lives as long as `w`.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (size 0 or above NACRE_REPLAY_MAX, words missing) */
NACRE_MUST_USE nacre_err nacre_replay_init(nacre_replay *w, uint16_t size, uint64_t *words);

/* nacre_replay_forget: what was seen is not known any more; nothing is accepted before nacre_replay_set_fresh. */
void nacre_replay_forget(nacre_replay *w);

/* nacre_replay_set_fresh: `seq` was just seen and is known to be fresh; it and all below count as seen. `seq` is at
 * most NACRE_SEQ_MAX. */
void nacre_replay_set_fresh(nacre_replay *w, uint64_t seq);

/* nacre_replay_check says whether `seq` would be accepted, and changes nothing (RFC 8613 8.2 step 3).
 * NACRE_OK, NACRE_ERR_REPLAY (seen, left of the window, or above NACRE_SEQ_MAX), NACRE_ERR_REPLAY_ECHO (uninitialised) */
NACRE_MUST_USE nacre_err nacre_replay_check(const nacre_replay *w, uint64_t seq);

/* nacre_replay_accept records `seq` if it is fresh, in one step (RFC 8613 7.4: validating and updating are atomic).
 * Call it once the AEAD has verified.
 * NACRE_OK recorded; the others as nacre_replay_check, with `w` unchanged */
NACRE_MUST_USE nacre_err nacre_replay_accept(nacre_replay *w, uint64_t seq);

/* nacre_replay_export writes the state as {index, bitfield}: bit i of bitfield (bit i%8 of byte i/8) stands for the
 * number index + i. `bitfield` has (size + 7) / 8 bytes. False when uninitialised: nothing is written. */
bool nacre_replay_export(const nacre_replay *w, uint64_t *index, uint8_t *bitfield);

/* nacre_replay_import is the reverse, on an initialised window; `bitfield` has `len` bytes, as many as there are.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (a bit at or above size, an index above NACRE_SEQ_MAX + 1); `w` unchanged then */
NACRE_MUST_USE nacre_err nacre_replay_import(nacre_replay *w, uint64_t index, const uint8_t *bitfield, size_t len);

/* nacre_replay_import_seen takes a window as a list of the numbers seen, in ascending order: all that are listed and all
 * below the first of them are seen; an empty list, or one that begins with -1, has nothing below. The result never accepts
 * what the list would not; where the list reaches back further than the window, what lies left of it counts as seen.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (not ascending, below -1, above NACRE_SEQ_MAX); `w` unchanged then */
NACRE_MUST_USE nacre_err nacre_replay_import_seen(nacre_replay *w, const int64_t *seen, size_t num_seen);

/* ---- Security context (RFC 8613 3.1) ------------------------------------------------------------------------------ */
enum { NACRE_ECHO_LEN = 8 };

typedef struct nacre_context { /* 112 bytes, for there may be a million of them */
    const nacre_aead *aead;    /* private; see the queries below */
    const nacre_crypto_ops *ops;
    void *keys;                /* the sender key, and key_stride bytes behind it the recipient key; NULL: none */
    const uint8_t *id_context; /* the caller's memory */
    nacre_replay replay;
    uint64_t next;                       /* the next sender sequence number to use */
    uint32_t in_hand;                    /* persistent: so many from `next` on are durable as possibly used */
    uint32_t sealed;                     /* messages protected with the sender key, saturating */
    uint32_t failed;                     /* decryptions whose tag did not match, saturating */
    uint32_t chunk : 14, max_chunk : 14; /* how many numbers to ask for next, and at most; 0: stopped */
    uint32_t has_echo : 1, persistent : 1, window_on_disk : 1, window_lost_wanted : 1;
    uint32_t peer_sent_echo : 1; /* in a request that verified: it knows the option */
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
    bool never_used;      /* these keys have not been used before, by this or another process: next_seq is
                                            0, and the window starts known and empty, of a persistent context too */
    uint16_t first_chunk; /* persistent: how many numbers to ask for first; 0 means 10 … */
    uint16_t max_chunk;   /* … which doubles up to that many; 0 means 10000, which is the most */
    nacre_bytes echo;     /* 8 random bytes: on a server, lets an uninitialised window recover, once (B.1.2);
                                    absent: it stays uninitialised, and every request is REPLAY */
} nacre_context_params;

/* nacre_context_key_layout tells the room that a context's two prepared keys take with this provider.
 * NACRE_OK, NACRE_ERR_UNSUPPORTED (the table or the provider does not have the algorithm, one key takes 64 KiB, or the
 * provider's table of functions is of another version) */
NACRE_MUST_USE nacre_err nacre_context_key_layout(const nacre_crypto *crypto, int cose_aead, size_t *size,
                                                  size_t *align);

/* nacre_context_init derives Sender Key, Recipient Key and Common IV (RFC 8613 3.2) and prepares the keys in `keys`,
 * which must be as large and as aligned as nacre_context_key_layout says and live as long as the context. `params` is
 * not needed afterwards (but what its id_context and window_words point to is).
 * NACRE_OK                `ctx` is ready; end it with nacre_context_wipe
 * NACRE_ERR_UNSUPPORTED   algorithm or hash not in the table or not with this provider (nacre_context_key_layout)
 * NACRE_ERR_BAD_ARGUMENT  an ID too long for the nonce, IDs equal, an ID Context above 255 bytes, a window above 1024 or
 *                         without its words, next_seq above NACRE_SEQ_MAX + 1 (with never_used: above 0), first_chunk above
 *                         max_chunk, a chunk above 10000, echo neither absent nor 8 bytes, key room missing or misaligned
 * NACRE_ERR_BUFFER_TOO_SMALL       `keys` too small
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY  from the provider
 * On failure `ctx` is all zero and nothing is left to release. */
NACRE_MUST_USE nacre_err nacre_context_init(nacre_context *ctx, const nacre_crypto *crypto,
                                            const nacre_context_params *params, nacre_buf keys);

/* nacre_context_init_derived takes keys that were derived before, and kept: for stores that hold derived keys and not the
 * master secret. Of `params` master_secret and master_salt are not read. The provider's key_init prepares the keys.
 * NACRE_OK, and the errors of nacre_context_init; NACRE_ERR_BAD_ARGUMENT also for a key or a Common IV that is not as long as
 * the algorithm's. */
typedef struct nacre_derived_keys {
    nacre_bytes sender_key, recipient_key, common_iv; /* not needed afterwards */
} nacre_derived_keys;
NACRE_MUST_USE nacre_err nacre_context_init_derived(nacre_context *ctx, const nacre_crypto *crypto,
                                                    const nacre_context_params *params,
                                                    const nacre_derived_keys *derived, nacre_buf keys);

/* nacre_context_wipe releases and wipes keys and state. An all-zero context may be wiped, and wiped again. */
void nacre_context_wipe(nacre_context *ctx);

/* nacre_context_stop ends the use of a context for good: for a store whose state another program has taken over, so that the
 * numbers and the window in memory are not this context's alone any more. It stays where it is, and a table, an endpoint or
 * a server may go on holding it, until nacre_context_wipe.
 *   protect          NACRE_ERR_CONTEXT_UNAVAILABLE, numbers in hand and the nonces of requests included
 *   a request        NACRE_ERR_CONTEXT_UNAVAILABLE, answered 5.03; the Echo value is wiped
 *   a response       is verified as before
 *   needs, confirm   it needs nothing, and what is confirmed later changes nothing
 * nacre_context_is_stopped: it was stopped, and not wiped since. */
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

/* RFC 8613 3.3: (Master Secret, Master Salt, ID Context, Sender ID) is unique. Two contexts with one Sender Key count its
 * numbers twice, so that two messages share key and nonce, and their plaintexts can be computed; two with one Recipient Key
 * have two replay windows, and each accepts what the other has seen. It is not the path, the name or the address of a context
 * that tells them apart, but the keys alone:
 * nacre_context_same_sender_key     whether both protect with one key: equal secret, salt, ID Context, algorithm, hash and
 *                                   Sender ID. Never use both, at whatever time
 * nacre_context_same_recipient_key  whether both verify with one key; likewise, with the Recipient ID
 * A context is the same as itself, and one without keys (all zero, wiped) the same as none. The two sides of one context in
 * one process are neither: what is the Sender Key of one is the Recipient Key of the other. The answer is taken from algorithm,
 * IDs and Common IV, which is derived from the same input as the keys (compared in constant time), so it needs no keys and is
 * the same with any provider. With the shortest nonces two different contexts compare equal with a probability of 2^-56.
 *
 * Tables, servers, clients and packs ask this about each context that they are given. A program that keeps contexts elsewhere
 * (nacre_endpoint_request takes any) asks before it uses one. */
bool nacre_context_same_sender_key(const nacre_context *a, const nacre_context *b);
bool nacre_context_same_recipient_key(const nacre_context *a, const nacre_context *b);

/* How much the keys have been used, beside what draft-ietf-core-oscore-key-limits advises: after that many messages, or
 * that many forgeries, new keys are due. Only reported: nothing stops, or a forger could stop it.
 * `protected_messages` counts this object's life, and numbers used before it (a response may have no number of its own,
 * so of a context loaded from a store it is the least that it can be); the others count this object's life. */
typedef struct nacre_usage {
    uint64_t protected_messages, max_protected_messages; /* of the sender key */
    uint64_t failed_decryptions, max_failed_decryptions; /* of the recipient key */
    uint32_t max_message; /* plaintext bytes in one message that these figures hold for */
    bool due;             /* one of them is reached */
} nacre_usage;
nacre_usage nacre_context_usage(const nacre_context *ctx);

/* What a persistent context needs from its store, to go on:
 * reserve      0, or the ceiling that must be durable before numbers below it are used. It is asked for early: the
 *              context still has numbers left for a while, unless `blocked`
 * window_lost  a verified request waits: the store must durably forget the replay window it holds (B.1.2) */
typedef struct nacre_needs {
    uint64_t reserve;
    bool window_lost;
    bool blocked; /* the next protect that needs a number returns NACRE_ERR_NOT_YET */
} nacre_needs;
nacre_needs nacre_context_needs(const nacre_context *ctx);

/* nacre_context_confirm_reserved: it is durable that numbers below `ceiling` may have been used. Values below what was
 * confirmed before change nothing. */
void nacre_context_confirm_reserved(nacre_context *ctx, uint64_t ceiling);

/* nacre_context_confirm_window_lost: the store does not claim any more to know this context's replay window. */
void nacre_context_confirm_window_lost(nacre_context *ctx);

/* nacre_context_before_save: the store is about to be given the true state (numbers used so far, the window as it is), and
 * the context may be used on afterwards. From now on numbers and window wait for the store again, for what was confirmed
 * before is about to be written over. nacre_store_save does this. */
void nacre_context_before_save(nacre_context *ctx);

/* nacre_context_set_replay gives the window as persisted, after nacre_context_init and before the first request; `known`
 * false means that the store holds none: it is uninitialised, and `bitfield` is not read. Otherwise the store is taken to
 * hold a known window, from nacre_context_init on, and until nacre_context_confirm_window_lost says that it is gone: so long
 * the first request that would be accepted waits for window_lost (NACRE_ERR_NOT_YET).
 * NACRE_OK, or as nacre_replay_import with the context unchanged */
NACRE_MUST_USE nacre_err nacre_context_set_replay(nacre_context *ctx, bool known, uint64_t index,
                                                  const uint8_t *bitfield, size_t len);

/* ---- Finding a context (RFC 8613 3.3, 8.2 step 2) -----------------------------------------------------------------
 * An open-addressing table over slots that the caller gives. Several contexts may have one Recipient ID: the search
 * yields each, and the caller tries them in turn.
 *
 * Adding, removing, the first context that a search yields, and a search that finds none take the same time however many
 * contexts there are, and however many of them share a Recipient ID. What grows: a search that is gone on with yields what
 * it has to yield one by one, so without a kid context all that share the kid, which is for the caller to bound
 * (NACRE_MAX_CANDIDATES); and contexts with the same Recipient ID and the same ID Context, or both without one, are told apart
 * by nothing, so that adding one looks at all of them. */
enum { NACRE_TABLE_MAX_SLOTS = (1 << 26) - 1, NACRE_TABLE_HASH_KEY = 16 /* bytes */ };

typedef struct nacre_table_slot { /* private */
    nacre_context *context;
    uint64_t next : 26, previous : 26; /* slots of others with the same Recipient ID */
    uint64_t tag : 12;                 /* of a hash, so that other contexts need not be read */
} nacre_table_slot;

typedef struct nacre_table {
    nacre_table_slot *slots; /* private */
    size_t num_slots;
    size_t num_contexts;
    uint8_t hash_key[NACRE_TABLE_HASH_KEY]; /* of SipHash-1-3 */
} nacre_table;

/* The contexts that an endpoint tries for one request, at most: those of its kid, and of its kid context where it has one. A
 * request under any further one is never answered, so servers and packs refuse it when it is added. */
enum { NACRE_MAX_CANDIDATES = 8 };

/* nacre_table_num_slots tells how many slots are enough for so many contexts: a third more than those. */
size_t nacre_table_num_slots(size_t num_contexts);

/* nacre_table_init takes `num_slots` slots, the caller's memory: any number from 2 to NACRE_TABLE_MAX_SLOTS.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT */
NACRE_MUST_USE nacre_err nacre_table_init(nacre_table *table, nacre_table_slot *slots, size_t num_slots);

/* nacre_table_set_hash_key sets the key of the table's hash (SipHash-1-3): NACRE_TABLE_HASH_KEY random bytes, so that a peer that
 * chooses its Recipient ID or ID Context cannot make contexts collide. Without it the key is zero, which suits IDs that only the
 * operator chooses.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (the table has contexts; nothing has changed) */
NACRE_MUST_USE nacre_err nacre_table_set_hash_key(nacre_table *table, const uint8_t key[NACRE_TABLE_HASH_KEY]);

/* nacre_table_add puts a context in.
 * NACRE_OK
 * NACRE_ERR_BUFFER_TOO_SMALL            fuller than three quarters: give it more slots
 * NACRE_ERR_BAD_ARGUMENT       it is in already
 * NACRE_ERR_DUPLICATE_CONTEXT  one with the same Recipient Key is in: what one of the two has seen, the other would accept
 *                              again. Use the one that is in
 * On failure the table is unchanged. Equal Sender Keys are not looked for: nacre_context_same_sender_key tells.
 * The table borrows the context until it is removed, and its ID Context too: wipe or change neither before. */
NACRE_MUST_USE nacre_err nacre_table_add(nacre_table *table, nacre_context *ctx);

/* nacre_table_remove takes a context out; one that is not in changes nothing. */
void nacre_table_remove(nacre_table *table, const nacre_context *ctx);

/* nacre_table_find yields the contexts whose Recipient ID is `kid` and that `kid_context` allows: present, it must be
 * the ID Context; absent, any will do (RFC 8613 5.1: a kid context may be left out), first those without one. An absent kid
 * finds nothing. Start with *cursor = 0, call until NULL; the table must not change in between. */
nacre_context *nacre_table_find(const nacre_table *table, nacre_bytes kid, nacre_bytes kid_context, size_t *cursor);

/* nacre_table_find_many is nacre_table_find for each of many queries: the same contexts, with memory fetched for all at once
 * instead of one after the other, and that of their keys too. With many contexts most of a search is waiting for memory.
 * Start with each cursor 0; further calls go on in each query. */
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

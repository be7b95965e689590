/* SPDX-License-Identifier: MIT */
/* edhoc: EDHOC (RFC 9528), the authenticated key exchange that gives OSCORE its keys. Sans-I/O, without allocation: the
 * caller moves the messages.
 *
 *      Initiator                                   Responder
 *   nacre_edhoc_initiate -> message_1 ->        nacre_edhoc_respond, then nacre_edhoc_receive
 *   nacre_edhoc_receive  <- message_2 <-          SEND
 *      SEND              -> message_3 ->        nacre_edhoc_receive: COMPLETE, or SEND and complete with message_4
 *   nacre_edhoc_context                         nacre_edhoc_context
 *
 * A session is one struct of the caller, moved and never copied: its keys become a context once. nacre_edhoc_wipe ends it at
 * any time; a session that failed is wiped already. The caller decides how long a session waits for the next message.
 *
 * EDHOC does not deduplicate (RFC 9528 7): the transport sends its stored message again for a copy, as a CoAP endpoint does.
 * What reaches a session in spite of that does not harm it: see NACRE_EDHOC_IGNORED.
 *
 * The application decides which peers to trust, by nacre_edhoc_trust; edhoc_credentials.h makes one of a table of peers,
 * edhoc_hosted.h one of certificate authorities. */
#ifndef NACRE_EDHOC_H
#define NACRE_EDHOC_H

#include <nacre/context.h>
#include <nacre/public_key.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NACRE_EDHOC_MAX_ID = NACRE_MAX_ID, /* bytes of a connection identifier: what OSCORE takes with its longest nonce */
    NACRE_EDHOC_MAX_SUITES = 8, /* number of suites of a configuration, and of a SUITES_I or SUITES_R that is read */
};

/* ---- Cipher suites (RFC 9528 3.6) -------------------------------------------------------------------------------- */
typedef struct nacre_edhoc_suite {
    int8_t number;
    uint8_t mac_len; /* of a static Diffie-Hellman key: 8 or 16 bytes */
    uint8_t curve;   /* a nacre_curve: of ephemeral and static Diffie-Hellman keys */
    uint8_t signs;   /* a nacre_curve: of signature keys */
    uint8_t hash;    /* a nacre_hash, also the application's */
    int8_t aead;     /* COSE numbers of the two AEADs */
    int8_t app_aead;
} nacre_edhoc_suite;

/* Suites 0 to 6 and 24; NULL for others. 25 (SHAKE256, X448) is not supported. */
const nacre_edhoc_suite *nacre_edhoc_suite_by_number(int number);

/* ---- Credentials (RFC 9528 3.5) ---------------------------------------------------------------------------------- */
/* CRED_x: a CCS (RFC 8392) as its CBOR map, or a certificate as its DER bytes; and the public key in it. */
typedef struct nacre_edhoc_credential {
    nacre_bytes bytes;
    bool is_certificate;
    nacre_public_key key;
} nacre_edhoc_credential;

/* What a private key is used for: a bit mask. */
enum { NACRE_EDHOC_SIGNS = 1, NACRE_EDHOC_AGREES = 2 };

/* One identity of this endpoint. `id_cred` is ID_CRED_x as a CBOR map, {4: h'2b'} say (edhoc_credentials.h writes them);
 * a single kid is sent in its compact form (RFC 9528 3.5.3.2). */
typedef struct nacre_edhoc_identity {
    nacre_bytes id_cred;
    nacre_edhoc_credential credential; /* its key is not needed */
    nacre_private_key private_key;
    uint8_t uses;
} nacre_edhoc_identity;

/* ID_CRED_x of the peer, as received. */
typedef enum nacre_edhoc_id_kind {
    NACRE_EDHOC_ID_OTHER,   /* a header parameter that nacre does not know, or several of them */
    NACRE_EDHOC_ID_KID,     /* `value`: the kid */
    NACRE_EDHOC_ID_KCCS,    /* `value`: a CCS, as its CBOR map: the credential by value */
    NACRE_EDHOC_ID_X5CHAIN, /* `value`: the DER certificate of the peer, `more` the CBOR items of those after it */
    NACRE_EDHOC_ID_X5T,     /* `value`: hash of the DER certificate, `hash_alg` its COSE number */
    NACRE_EDHOC_ID_X5U,     /* `value`: a URI, UTF-8, as the peer wrote it */
} nacre_edhoc_id_kind;

typedef struct nacre_edhoc_id {
    nacre_edhoc_id_kind kind;
    nacre_bytes map; /* the whole CBOR map; absent for a kid, which is sent without */
    nacre_bytes value;
    nacre_bytes more;
    int32_t hash_alg;
} nacre_edhoc_id;

typedef enum nacre_edhoc_role { NACRE_EDHOC_INITIATOR, NACRE_EDHOC_RESPONDER } nacre_edhoc_role;

/* What the application gets to know of a peer that is not authenticated yet. */
typedef struct nacre_edhoc_query {
    nacre_edhoc_role role; /* of this endpoint */
    uint8_t method;
    const nacre_edhoc_suite *suite;
    nacre_curve curve;        /* of the key that the peer must have */
    const nacre_edhoc_id *id; /* its ID_CRED_x */
    nacre_bytes ead;          /* EAD_2 or EAD_3, a CBOR sequence */
    unsigned attempt;         /* 0, then 1 …: a kid need not be unique (RFC 9528 3.5.3) */
    const struct nacre_pk *pk;
} nacre_edhoc_query;

typedef enum nacre_edhoc_found {
    NACRE_EDHOC_FOUND,        /* `found` and `peer` are set: verify with this credential */
    NACRE_EDHOC_UNKNOWN,      /* no (other) credential for this reference: error 3 to the peer */
    NACRE_EDHOC_NOT_TRUSTED,  /* a credential that is not accepted: error 1 */
    NACRE_EDHOC_NO_SUCH_KIND, /* this kind of ID_CRED_x is not supported: error 1 */
} nacre_edhoc_found;

/* The most credentials that are tried for one message. */
enum { NACRE_EDHOC_MAX_ATTEMPTS = 4 };

/* find gives the credential for an ID_CRED_x, after all checks of the application (RFC 9528 D): that it trusts it, that it
 * is valid now, and that it may take this role. One with the bytes of an identity of this endpoint is refused after it
 * (RFC 9528 9.2). `found` borrows until nacre_edhoc_receive returns; *peer is given back by nacre_edhoc_peer once the session
 * is complete. */
typedef struct nacre_edhoc_trust {
    void *self;
    nacre_edhoc_found (*find)(void *self, const nacre_edhoc_query *query, nacre_edhoc_credential *found, void **peer);
} nacre_edhoc_trust;

/* ---- External authorization data (RFC 9528 3.8) ------------------------------------------------------------------ */
/* Called for each EAD item of a message but padding, in order, before the peer is authenticated: keep a copy until the
 * session is complete, as `value` borrows until the call returns. A message that is tried again is read again. `label` is without the sign that makes it critical; `value` may be absent.
 * true: understood. false: ignored, or, if it is critical, the session is refused. NULL: none is understood */
typedef struct nacre_edhoc_ead_reader {
    void *self;
    bool (*read)(void *self, unsigned message, int32_t label, bool is_critical, nacre_bytes value);
} nacre_edhoc_ead_reader;

/* nacre_edhoc_ead_add appends an EAD item to the sequence in `buf`, of which `used` has the first bytes; an absent `value`
 * is left out. nacre_edhoc_ead_pad appends `len` bytes of padding (RFC 9528 3.8.1), with the bytes of `filler` (at least
 * `len`, pseudo-random) in it.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT (a label that is not 1 to 65535, as registered; more than 65535
 * bytes of value or padding; a short filler): `used` is unchanged */
NACRE_MUST_USE nacre_err nacre_edhoc_ead_add(nacre_bytes *used, nacre_buf buf, int32_t label, bool is_critical,
                                             nacre_bytes value);
NACRE_MUST_USE nacre_err nacre_edhoc_ead_pad(nacre_bytes *used, nacre_buf buf, size_t len, nacre_bytes filler);

/* ---- Configuration ----------------------------------------------------------------------------------------------- */
/* Read during each call, and not changed by sessions: many may share it. It lives as long as its sessions. */
typedef struct nacre_edhoc_config {
    size_t size;                /* CONVENTIONS.md, "Configurations" */
    const nacre_crypto *crypto; /* AEAD and HMAC */
    const nacre_pk *pk;
    const int8_t *suites; /* numbers, in order of preference */
    size_t num_suites;
    uint8_t method;  /* of an Initiator */
    uint8_t methods; /* that a Responder accepts: bit n for method n */
    bool message_4;  /* by agreement of both (RFC 9528 5.5) */
    const nacre_edhoc_identity *identities;
    size_t num_identities;
    nacre_edhoc_trust trust;
    nacre_edhoc_ead_reader ead;
    nacre_bytes send_ead[4]; /* EAD_1 to EAD_4, CBOR sequences; absent: none */
    /* for providers whose prepared AEAD key has more than 256 bytes (IPsec-MB's GCM); not shared by threads; or absent */
    nacre_buf key_buf;
} nacre_edhoc_config;

/* No suites, methods or identities: set them. */
nacre_edhoc_config nacre_edhoc_config_default(void);

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */
/* Why a message was refused: X(NAME, text). The text is the ERR_INFO of error 1. */
#define NACRE_EDHOC_FAULT_MAP(X)                                                                                       \
    X(NONE, "none")                                                                                                    \
    X(CBOR, "not deterministic CBOR")                                                                                  \
    X(TYPE, "an element of another type")                                                                              \
    X(ELEMENTS, "wrong number of elements")                                                                            \
    X(METHOD, "method not supported")                                                                                  \
    X(SUITES, "cipher suites not formatted as a list")                                                                 \
    X(SUITE, "selected cipher suite not supported or not preferred")                                                   \
    X(KEY_LENGTH, "ephemeral key of wrong length")                                                                     \
    X(KEY, "ephemeral key not a point of its curve")                                                                   \
    X(LOW_ORDER, "ephemeral key of low order")                                                                         \
    X(CONNECTION_ID, "connection identifier not in its short form")                                                    \
    X(CONNECTION_ID_LENGTH, "connection identifier too long for OSCORE")                                               \
    X(SAME_CONNECTION_ID, "both connection identifiers are equal")                                                     \
    X(ID_CRED, "ID_CRED not in its short form")                                                                        \
    X(MAC_LENGTH, "Signature_or_MAC of wrong length")                                                                  \
    X(TOO_LONG, "message too long")                                                                                    \
    X(EAD, "critical EAD item not understood")                                                                         \
    X(ID_KIND, "kind of ID_CRED not supported")                                                                        \
    X(CREDENTIAL, "credential not known")                                                                              \
    X(NOT_TRUSTED, "credential not trusted")                                                                           \
    X(CREDENTIAL_KEY, "credential without a key for this method and suite")                                            \
    X(AUTHENTICATION, "Signature_or_MAC not verified")                                                                 \
    X(DECRYPTION, "ciphertext not verified")                                                                           \
    X(PEER_ERROR, "the peer sent an error message")                                                                    \
    X(NO_COMMON_SUITE, "no cipher suite in common")

typedef enum nacre_edhoc_fault {
#define NACRE_EDHOC_FAULT_ENUM(name, text) NACRE_EDHOC_FAULT_##name,
    NACRE_EDHOC_FAULT_MAP(NACRE_EDHOC_FAULT_ENUM)
#undef NACRE_EDHOC_FAULT_ENUM
} nacre_edhoc_fault;

/* The text of a fault; "unknown fault" for other values. */
const char *nacre_edhoc_fault_text(nacre_edhoc_fault fault);

typedef struct nacre_edhoc {
    const nacre_edhoc_config *config; /* private, all of it */
    const nacre_edhoc_suite *suite;
    void *peer;
    uint8_t state, role, method, selected;
    bool retried, context_made;
    uint8_t c_i_len, c_r_len, spare_len;
    uint8_t c_i[NACRE_EDHOC_MAX_ID], c_r[NACRE_EDHOC_MAX_ID], spare[NACRE_EDHOC_MAX_ID];
    nacre_ephemeral ephemeral;
    uint8_t th[NACRE_MAX_COORDINATE];      /* Initiator: H(message_1), later TH_4. Responder: TH_3 */
    uint8_t prk[NACRE_MAX_COORDINATE];     /* Initiator: PRK_4e3m. Responder: PRK_3e2m */
    uint8_t prk_out[NACRE_MAX_COORDINATE]; /* of a complete session */
} nacre_edhoc;

/* nacre_edhoc_initiate begins as the Initiator: message_1 is in `buf`. `c_i` is the connection identifier by which this
 * endpoint wants to be found, and its OSCORE Recipient ID: unused by its contexts (RFC 9528 3.3.3).
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT      the configuration: size, suites, no identity for the method and the most preferred suite; c_i
 * NACRE_ERR_UNSUPPORTED       a suite or curve that the providers lack
 * NACRE_ERR_BUFFER_TOO_SMALL  130 bytes and EAD_1 always suffice
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_edhoc_initiate(nacre_edhoc *s, nacre_bytes *message_1, nacre_buf buf,
                                              const nacre_edhoc_config *config, nacre_bytes c_i);

/* nacre_edhoc_respond begins as the Responder, before message_1 is passed to nacre_edhoc_receive. `c_r` is the identifier by
 * which this endpoint wants to be found, `spare` another one, which is taken if the Initiator has chosen the first.
 * NACRE_OK, NACRE_ERR_BAD_ARGUMENT (the configuration, an identifier, or both are equal) */
NACRE_MUST_USE nacre_err nacre_edhoc_respond(nacre_edhoc *s, const nacre_edhoc_config *config, nacre_bytes c_r,
                                             nacre_bytes spare);

/* What a received message leads to:
 *
 *  verdict   | session afterwards   | what the caller does next
 *  SEND      | waits, or is         | sends `message`, which is message_`number`; number 1: a first message with another
 *            | complete             | cipher suite. If `complete`, the context can be made
 *  COMPLETE  | complete             | makes the context
 *  IGNORED   | unchanged            | nothing: a copy, a foreign or a forged message (RFC 9528 9.7)
 *  ABORTED   | wiped                | sends `message`, an error message, if it is not absent; `fault` is the reason. What
 *            |                      | else was in the buffer is wiped */
typedef enum nacre_edhoc_verdict {
    NACRE_EDHOC_SEND,
    NACRE_EDHOC_COMPLETE,
    NACRE_EDHOC_IGNORED,
    NACRE_EDHOC_ABORTED
} nacre_edhoc_verdict;

typedef struct nacre_edhoc_result {
    nacre_edhoc_verdict verdict;
    uint8_t number; /* of `message`: 1 to 4, 0 for an error message */
    bool complete;
    nacre_edhoc_fault fault;
    nacre_bytes message; /* in the caller's buffer */
    int32_t peer_code;   /* fault PEER_ERROR: ERR_CODE, and ERR_INFO as its CBOR item in the received message */
    nacre_bytes peer_info;
} nacre_edhoc_result;

/* nacre_edhoc_receive processes a message from the peer. `in` and `buf` do not overlap; `buf` is the plaintext's before it is
 * the next message's, so it is as large as the longer of the two: 256 bytes, the credentials that are sent by value, and EAD.
 * After completion every message is IGNORED.
 * NACRE_OK                    see `result`
 * NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY, NACRE_ERR_UNSUPPORTED
 *                             of this endpoint; the session is unchanged, and the same message may be tried again
 * NACRE_ERR_TOO_LONG          the next message would have more than 65535 bytes
 * NACRE_ERR_STALE             the session has ended */
NACRE_MUST_USE nacre_err nacre_edhoc_receive(nacre_edhoc *s, nacre_edhoc_result *result, nacre_buf buf, nacre_bytes in);

/* Of a complete session: what find set as *peer; the suite; the identifiers of both, which live in `s`. */
void *nacre_edhoc_peer(const nacre_edhoc *s);
bool nacre_edhoc_is_complete(const nacre_edhoc *s);
const nacre_edhoc_suite *nacre_edhoc_selected_suite(const nacre_edhoc *s);
nacre_bytes nacre_edhoc_c_i(const nacre_edhoc *s);
nacre_bytes nacre_edhoc_c_r(const nacre_edhoc *s);

/* nacre_edhoc_context gives the parameters of the OSCORE context (RFC 9528 A.1), once for a session and once more after each
 * nacre_edhoc_key_update: a context that is made twice uses its nonces twice. `params` points into `secrets` and `s`; wipe
 * `secrets` after nacre_context_init. The context is volatile; an Initiator without message_4 has no proof yet that the
 * Responder completed (RFC 9528 5.4.2).
 * NACRE_OK, NACRE_ERR_STALE (not complete, or given before), what the provider's hmac returns */
typedef struct nacre_edhoc_secrets {
    uint8_t master_secret[NACRE_MAX_KEY], master_salt[8];
} nacre_edhoc_secrets;
NACRE_MUST_USE nacre_err nacre_edhoc_context(nacre_edhoc *s, nacre_context_params *params,
                                             nacre_edhoc_secrets *secrets);

/* nacre_edhoc_export derives keys of other applications (RFC 9528 4.2.1). Labels 0 and 1 are OSCORE's.
 * NACRE_OK, NACRE_ERR_STALE (not complete), NACRE_ERR_BAD_ARGUMENT (label 0 or 1, or above 65535, which is what the
 * registry has), NACRE_ERR_TOO_LONG (`len` above 255 hashes, or a context above 65535 bytes), what the provider's hmac
 * returns. On failure nothing of a key is in `out` */
NACRE_MUST_USE nacre_err nacre_edhoc_export(const nacre_edhoc *s, uint32_t label, nacre_bytes context, uint8_t *out,
                                            size_t len);

/* nacre_edhoc_key_update replaces the session's key (RFC 9528 H). Both ends do it with the same `context`. A new OSCORE
 * context can be made after it; make it in place of the old one.
 * NACRE_OK, NACRE_ERR_STALE (not complete), NACRE_ERR_TOO_LONG (a context above 65535 bytes), what the provider's hmac
 * returns; the session is unchanged */
NACRE_MUST_USE nacre_err nacre_edhoc_key_update(nacre_edhoc *s, nacre_bytes context);

/* nacre_edhoc_wipe ends a session in any state. */
void nacre_edhoc_wipe(nacre_edhoc *s);

#ifdef __cplusplus
}
#endif

#endif

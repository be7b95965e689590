/* SPDX-License-Identifier: MIT */
/* sqlite_keys: derives the keys of a row, identifies them by a fingerprint, and encrypts them with a key-encryption key.
 *
 *     keys    secret length, salt length (2 bytes each), secret, salt, Sender Key, Recipient Key, Common IV
 *     kek     nonce (12 bytes), AES-256-GCM of that; AAD: "nacre", schema version, database, fingerprint of the row
 *
 * The AAD binds the keys to their row: those of another row, database or version do not verify. */
#include "store/sqlite/sqlite_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "context/derive.h"
#include "store/random.h"

enum {
    KEK_AEAD = 3 /* A256GCM */,
    KEK_NONCE = 12,
    KEK_TAG = 16,
    AAD = 6 + NACRE__SQLITE_ID + NACRE__SQLITE_FINGERPRINT
};

/* ---- The key-encryption key ---- */

static nacre_err crypto_fails(const nacre_sqlite *db, nacre_err err, const char *what, nacre_detail *why)
{
    return nacre__fail(why, err, "%s: cannot %s with %s: %s", db->paths.path, what, db->crypto->ops->name,
                       nacre_err_text(err));
}

nacre_err nacre__sqlite_kek_set(nacre_sqlite *db, nacre_bytes kek, nacre_detail *why)
{
    const nacre_aead *aead = nacre_aead_by_number(KEK_AEAD);
    size_t align = 1;
    if (aead == NULL || !db->crypto->ops->key_layout(aead, &db->kek_size, &align))
        return crypto_fails(db, NACRE_ERR_UNSUPPORTED, "use AES-256-GCM", why);
    if (align < sizeof(void *)) align = sizeof(void *);
    for (int i = 0; i < 2; i++) {
        const nacre_direction direction = i == 0 ? NACRE_SEAL : NACRE_OPEN;
        void *key = aligned_alloc(align, (db->kek_size + align - 1) / align * align);
        if (key == NULL) return crypto_fails(db, NACRE_ERR_NO_MEMORY, "prepare the key-encryption key", why);
        memset(key, 0, db->kek_size);
        const nacre_err err = db->crypto->ops->key_init(db->crypto, aead, direction, key, kek.ptr);
        if (err != NACRE_OK) {
            free(key);
            return crypto_fails(db, err, "prepare the key-encryption key", why);
        }
        db->kek[i] = key;
    }
    return NACRE_OK;
}

void nacre__sqlite_kek_free(nacre_sqlite *db)
{
    for (int i = 0; i < 2; i++) {
        if (db->kek[i] == NULL) continue;
        db->crypto->ops->key_release(nacre_aead_by_number(KEK_AEAD), db->kek[i], db->kek_size);
        free(db->kek[i]);
        db->kek[i] = NULL;
    }
}

static void make_aad(uint8_t aad[AAD], const nacre_sqlite *db, const uint8_t *fingerprint)
{
    memcpy(aad, "nacre", 5);
    aad[5] = NACRE__SQLITE_SCHEMA_VERSION;
    memcpy(aad + 6, db->database, NACRE__SQLITE_ID);
    memcpy(aad + 6 + NACRE__SQLITE_ID, fingerprint, NACRE__SQLITE_FINGERPRINT);
}

/* Writes nonce, ciphertext and tag to `out`. */
static nacre_err encrypt(const nacre_sqlite *db, uint8_t *out, const uint8_t *plain, size_t len,
                         const uint8_t *fingerprint, nacre_detail *why)
{
    uint8_t aad[AAD];
    if (!nacre__store_random(out, KEK_NONCE)) return crypto_fails(db, NACRE_ERR_CRYPTO, "get random bytes", why);
    make_aad(aad, db, fingerprint);
    nacre_aead_job job = { .aead = nacre_aead_by_number(KEK_AEAD),
                           .key = db->kek[0],
                           .nonce = out,
                           .aad = NACRE_ARRAY(aad),
                           .in = plain,
                           .in_len = len,
                           .out = out + KEK_NONCE };
    return nacre_seal(db->crypto, &job) ? NACRE_OK : crypto_fails(db, NACRE_ERR_CRYPTO, "encrypt keys", why);
}

static bool decrypt(const nacre_sqlite *db, uint8_t *out, nacre_bytes blob, const uint8_t *fingerprint)
{
    uint8_t aad[AAD];
    if (blob.len < KEK_NONCE + KEK_TAG) return false;
    make_aad(aad, db, fingerprint);
    nacre_aead_job job = { .aead = nacre_aead_by_number(KEK_AEAD),
                           .key = db->kek[1],
                           .nonce = blob.ptr,
                           .aad = NACRE_ARRAY(aad),
                           .in = blob.ptr + KEK_NONCE,
                           .in_len = blob.len - KEK_NONCE,
                           .out = out };
    return nacre_open(db->crypto, &job);
}

static const uint8_t no_row[NACRE__SQLITE_FINGERPRINT]; /* in the AAD of the proof */

nacre_err nacre__sqlite_kek_proof(nacre_sqlite *db, uint8_t proof[64], size_t *len, nacre_detail *why)
{
    static const uint8_t text[] = "key-encryption key";
    *len = KEK_NONCE + sizeof text + KEK_TAG;
    return encrypt(db, proof, text, sizeof text, no_row, why);
}

nacre_err nacre__sqlite_kek_check(nacre_sqlite *db, nacre_bytes proof, nacre_detail *why)
{
    uint8_t text[64];
    if (decrypt(db, text, proof, no_row)) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: that is not its key-encryption key", db->paths.path);
}

/* ---- Keys of a context ---- */

static nacre_err derive(nacre__sqlite_keys *keys, const nacre_sqlite *db, const nacre_directory_info *i)
{
    const nacre_context_params params = {
        .cose_aead = i->aead->cose,
        .hash = i->hash,
        .master_secret = { .bytes = nacre_bytes_of(i->secret, i->secret_len) },
        .master_salt = nacre_bytes_of(i->salt, i->salt_len),
        .id_context = i->has_id_context ? nacre_bytes_of(i->id_context, i->id_context_len) : NACRE_ABSENT,
    };
    const nacre_bytes salt = nacre_bytes_of(i->salt, i->salt_len);
    const struct {
        nacre_bytes id;
        const char *type;
        uint8_t *out;
        size_t len;
    } wanted[] = {
        { nacre_bytes_of(i->sender_id, i->sender_id_len), "Key", keys->sender_key, i->aead->key_len },
        { nacre_bytes_of(i->recipient_id, i->recipient_id_len), "Key", keys->recipient_key, i->aead->key_len },
        { nacre_bytes_of(i->sender_id, 0), "IV", keys->common_iv, i->aead->nonce_len },
    };
    nacre_err err = NACRE_OK;
    for (size_t n = 0; err == NACRE_OK && n < sizeof wanted / sizeof wanted[0]; n++) {
        uint8_t info[NACRE_MAX_INFO];
        const size_t len =
            nacre__info(info, wanted[n].id, params.id_context, i->aead->cose, wanted[n].type, wanted[n].len);
        err = nacre_hkdf(db->crypto, i->hash, params.master_secret.bytes, salt, nacre_bytes_of(info, len),
                         wanted[n].out, wanted[n].len);
    }
    return err;
}

nacre_err nacre__sqlite_keys_of(nacre__sqlite_keys *keys, const nacre_sqlite *db, const nacre_sqlite_context *context,
                                nacre_detail *why)
{
    const nacre_directory_info *i = &context->info;
    memset(keys, 0, sizeof *keys);
    if (i->secret_len == 0) {
        memcpy(keys->sender_key, context->sender_key, sizeof keys->sender_key);
        memcpy(keys->recipient_key, context->recipient_key, sizeof keys->recipient_key);
        memcpy(keys->common_iv, context->common_iv, sizeof keys->common_iv);
        return NACRE_OK;
    }
    memcpy(keys->secret, i->secret, i->secret_len);
    memcpy(keys->salt, i->salt, i->salt_len);
    keys->secret_len = i->secret_len;
    keys->salt_len = i->salt_len;
    const nacre_err err = derive(keys, db, i);
    return err == NACRE_OK ? NACRE_OK : crypto_fails(db, err, "derive keys", why);
}

nacre_err nacre__sqlite_fingerprint(uint8_t out[NACRE__SQLITE_FINGERPRINT], const nacre_sqlite *db,
                                    const nacre_aead *aead, nacre_bytes key, nacre_detail *why)
{
    uint8_t mac[NACRE_MAX_HASH], cose[2] = { (uint8_t)((uint16_t)aead->cose >> 8), (uint8_t)aead->cose };
    const nacre_bytes parts[] = { NACRE_ARRAY(cose), key };
    const nacre_err err =
        db->crypto->ops->hmac(db->crypto, NACRE_SHA256, NACRE_ARRAY(db->fingerprint_key), parts, 2, mac);
    if (err != NACRE_OK) return crypto_fails(db, err, "hash a key", why);
    memcpy(out, mac, NACRE__SQLITE_FINGERPRINT);
    nacre_wipe(mac, sizeof mac);
    return NACRE_OK;
}

/* ---- The column ---- */

static size_t put(uint8_t *to, size_t at, const uint8_t *from, size_t len)
{
    if (len > 0) memcpy(to + at, from, len);
    return at + len;
}

static size_t put_length(uint8_t *to, size_t at, size_t len)
{
    to[at] = (uint8_t)(len >> 8);
    to[at + 1] = (uint8_t)len;
    return at + 2;
}

nacre_err nacre__sqlite_keys_encode(const nacre_sqlite *db, uint8_t blob[NACRE__SQLITE_MAX_BLOB], size_t *len,
                                    const nacre__sqlite_keys *keys, const nacre_aead *aead, const uint8_t *fingerprint,
                                    nacre_detail *why)
{
    uint8_t plain[NACRE__SQLITE_MAX_KEYS];
    size_t at = put_length(plain, 0, keys->secret_len);
    at = put_length(plain, at, keys->salt_len);
    at = put(plain, at, keys->secret, keys->secret_len);
    at = put(plain, at, keys->salt, keys->salt_len);
    at = put(plain, at, keys->sender_key, aead->key_len);
    at = put(plain, at, keys->recipient_key, aead->key_len);
    at = put(plain, at, keys->common_iv, aead->nonce_len);
    nacre_err err = NACRE_OK;
    *len = at;
    if (!db->is_encrypted) memcpy(blob, plain, at);
    else {
        *len = KEK_NONCE + at + KEK_TAG;
        err = encrypt(db, blob, plain, at, fingerprint, why);
    }
    nacre_wipe(plain, sizeof plain);
    return err;
}

static bool decode(nacre__sqlite_keys *keys, const uint8_t *plain, size_t len, const nacre_aead *aead)
{
    if (len < 4) return false;
    keys->secret_len = (size_t)plain[0] << 8 | plain[1];
    keys->salt_len = (size_t)plain[2] << 8 | plain[3];
    if (keys->secret_len > sizeof keys->secret || keys->salt_len > sizeof keys->salt) return false;
    if (len != 4 + keys->secret_len + keys->salt_len + 2u * aead->key_len + aead->nonce_len) return false;
    const uint8_t *at = plain + 4;
    memcpy(keys->secret, at, keys->secret_len);
    memcpy(keys->salt, at += keys->secret_len, keys->salt_len);
    memcpy(keys->sender_key, at += keys->salt_len, aead->key_len);
    memcpy(keys->recipient_key, at += aead->key_len, aead->key_len);
    memcpy(keys->common_iv, at + aead->key_len, aead->nonce_len);
    return true;
}

nacre_err nacre__sqlite_keys_decode(const nacre_sqlite *db, nacre__sqlite_keys *keys, nacre_bytes blob,
                                    const nacre_aead *aead, const uint8_t *fingerprint, int64_t id, nacre_detail *why)
{
    uint8_t plain[NACRE__SQLITE_MAX_BLOB], found[NACRE__SQLITE_FINGERPRINT];
    size_t len = blob.len;
    bool ok = !db->is_encrypted;
    memset(keys, 0, sizeof *keys);
    if (db->is_encrypted && db->kek[1] == NULL)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: its keys are encrypted; give the key-encryption key (--kek)", db->paths.path);
    if (db->is_encrypted) {
        ok = decrypt(db, plain, blob, fingerprint);
        len = ok ? blob.len - KEK_NONCE - KEK_TAG : 0;
    } else memcpy(plain, blob.ptr, blob.len);
    ok = ok && decode(keys, plain, len, aead);
    nacre_wipe(plain, sizeof plain);
    nacre_err err = NACRE_OK;
    if (ok) {
        err = nacre__sqlite_fingerprint(found, db, aead, nacre_bytes_of(keys->sender_key, aead->key_len), why);
        ok = err == NACRE_OK && memcmp(found, fingerprint, sizeof found) == 0;
    }
    if (!ok) nacre_wipe(keys, sizeof *keys);
    if (err != NACRE_OK || ok) return err;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s: context %lld: its keys are damaged, or those of another row; revoke it and make new keys",
                       db->paths.path, (long long)id);
}

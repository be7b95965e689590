/* SPDX-License-Identifier: MIT */
/* initiator: message_1 out; message_2 in, message_3 out; message_4 in (RFC 9528 5.2.2, 5.3.3, 5.4.2, 5.5.3). */
#include "base/copy.h"
#include "edhoc/encrypt0.h"
#include "edhoc/message_1.h"
#include "edhoc/method.h"
#include "edhoc/plaintext.h"
#include "edhoc/roles.h"
#include "edhoc/schedule.h"

nacre_err nacre_edhoc_initiate(nacre_edhoc *s, nacre_bytes *message_1, nacre_buf buf, const nacre_edhoc_config *config,
                               nacre_bytes c_i)
{
    nacre_err err = nacre__edhoc_check_config(config);
    if (err != NACRE_OK) return err;
    const nacre_edhoc_suite *suite = nacre_edhoc_suite_by_number(config->suites[0]);
    if (config->method > 3 || !nacre__edhoc_id_fits(config, c_i) ||
        nacre__edhoc_identity(config, NACRE_EDHOC_INITIATOR, config->method, suite) == NULL)
        return NACRE_ERR_BAD_ARGUMENT;
    nacre_edhoc begun = { .config = config, .role = NACRE_EDHOC_INITIATOR, .method = config->method };
    begun.c_i_len = (uint8_t)c_i.len;
    (void)nacre__edhoc_put(begun.c_i, c_i);
    err = nacre__edhoc_write_message_1(&begun, message_1, buf, 0);
    if (err == NACRE_OK) *s = begun;
    nacre_wipe(&begun, sizeof begun);
    return err;
}

/* What an Initiator has of message_2. */
typedef struct verified {
    uint8_t th_3[NACRE__EDHOC_MAX_HASH], prk_3e2m[NACRE__EDHOC_MAX_HASH];
    uint8_t c_r[NACRE_EDHOC_MAX_ID], c_r_len;
    void *peer;
} verified;

/* C_R of PLAINTEXT_2: as OSCORE takes it, and not C_I (RFC 9528 3.3.3). */
static nacre_edhoc_fault read_c_r(const nacre_edhoc *s, verified *v, nacre__reader *r)
{
    nacre_bytes c_r;
    nacre_edhoc_fault fault = nacre__edhoc_read_id(r, &c_r, NACRE_EDHOC_FAULT_CONNECTION_ID);
    if (fault != NACRE_EDHOC_FAULT_NONE) return fault;
    if (c_r.len > nacre__edhoc_max_id(s->suite)) return NACRE_EDHOC_FAULT_CONNECTION_ID_LENGTH;
    if (nacre_bytes_equal(c_r, nacre_bytes_of(s->c_i, s->c_i_len))) return NACRE_EDHOC_FAULT_SAME_CONNECTION_ID;
    (void)nacre__edhoc_put(v->c_r, c_r);
    v->c_r_len = (uint8_t)c_r.len;
    return NACRE_EDHOC_FAULT_NONE;
}

/* RFC 9528 5.3.3: PLAINTEXT_2 is decrypted to the start of the buffer. */
static nacre_err decrypt_2(const nacre_edhoc *s, nacre__edhoc_call *call, nacre_bytes g_y, nacre_bytes ciphertext,
                           uint8_t *th_2, uint8_t *prk_2e)
{
    const nacre_pk *pk = s->config->pk;
    uint8_t secret[NACRE_MAX_COORDINATE];
    if (call->buf.cap < ciphertext.len) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre_private_key key = nacre_ephemeral_key(&s->ephemeral);
    nacre_err err = nacre__edhoc_refuse_key(&call->fault, pk->ops->agree(pk, &key, g_y, secret), s->suite);
    if (err == NACRE_OK) err = nacre__edhoc_begin(s, s->th, g_y, secret, th_2, prk_2e);
    nacre_wipe(secret, sizeof secret);
    if (err != NACRE_OK) return err;
    (void)nacre__edhoc_put(call->buf.ptr, ciphertext);
    err = nacre__edhoc_keystream_2(s, prk_2e, th_2, call->buf.ptr, ciphertext.len);
    return err == NACRE_ERR_TOO_LONG ? nacre__edhoc_refuse(&call->fault, NACRE_EDHOC_FAULT_TOO_LONG) : err;
}

NACRE__NOT_INLINE static nacre_err read_message_2(const nacre_edhoc *s, verified *v, nacre__edhoc_call *call,
                                                  nacre_bytes g_y, nacre_bytes ciphertext)
{
    uint8_t th_2[NACRE__EDHOC_MAX_HASH], prk_2e[NACRE__EDHOC_MAX_HASH];
    nacre_edhoc_credential credential;
    nacre_err err = decrypt_2(s, call, g_y, ciphertext, th_2, prk_2e);
    nacre_bytes plaintext = nacre_bytes_of(call->buf.ptr, ciphertext.len);
    nacre__reader r = nacre__reader_of(plaintext);
    if (err == NACRE_OK) {
        nacre_edhoc_fault fault = read_c_r(s, v, &r);
        if (fault != NACRE_EDHOC_FAULT_NONE) err = nacre__edhoc_refuse(&call->fault, fault);
    }
    if (err == NACRE_OK) {
        nacre__edhoc_claim claim = { .role = NACRE_EDHOC_RESPONDER,
                                     .c_r = { plaintext.ptr, (size_t)(r.at - plaintext.ptr) },
                                     .th = th_2 };
        err = nacre__edhoc_read_plaintext(s, &claim, &r, &s->ephemeral, prk_2e, v->prk_3e2m, &credential, &v->peer,
                                          &call->fault);
    }
    if (err == NACRE_OK) err = nacre__edhoc_next_th(s, th_2, plaintext, &credential, v->th_3);
    nacre_wipe(prk_2e, sizeof prk_2e);
    return err;
}

/* RFC 9528 5.4.2. On success the session has all that it keeps. */
NACRE__NOT_INLINE static nacre_err write_message_3(nacre_edhoc *s, const verified *v, nacre__edhoc_call *call,
                                                   nacre_bytes g_y)
{
    const nacre_edhoc_identity *identity = nacre__edhoc_identity(s->config, NACRE_EDHOC_INITIATOR, s->method, s->suite);
    if (identity == NULL) return NACRE_ERR_BAD_ARGUMENT; /* taken from the configuration since message_1 */
    size_t hash_len = nacre__edhoc_hash_len(s);
    size_t text_len = nacre__edhoc_plaintext_len(s, NACRE_EDHOC_INITIATOR, identity);
    size_t len = nacre__edhoc_sealed_len(s, text_len);
    if (len > UINT16_MAX) return NACRE_ERR_TOO_LONG;
    if (call->buf.cap < len) return NACRE_ERR_BUFFER_TOO_SMALL;
    uint8_t *text = call->buf.ptr + nacre__edhoc_sealed_offset(s, text_len);
    uint8_t th_4[NACRE__EDHOC_MAX_HASH], prk_4e3m[NACRE__EDHOC_MAX_HASH], prk_out[NACRE__EDHOC_MAX_HASH];
    nacre__edhoc_claim claim = { .role = NACRE_EDHOC_INITIATOR, .c_r = NACRE_ABSENT, .th = v->th_3 };
    nacre_err err = nacre__edhoc_write_plaintext(s, &claim, identity, g_y, v->prk_3e2m, prk_4e3m, text);
    if (err == NACRE_OK)
        err = nacre__edhoc_next_th(s, v->th_3, nacre_bytes_of(text, text_len), &identity->credential, th_4);
    if (err == NACRE_OK) err = nacre__edhoc_seal(s, 3, v->prk_3e2m, v->th_3, call->buf.ptr, text_len);
    if (err == NACRE_OK) err = nacre__edhoc_kdf_th(s, prk_4e3m, NACRE__EDHOC_PRK_OUT, th_4, prk_out, hash_len);
    if (err == NACRE_OK) {
        memcpy(s->th, th_4, hash_len);
        memcpy(s->prk, prk_4e3m, hash_len);
        memcpy(s->prk_out, prk_out, hash_len);
        call->next = nacre_bytes_of(call->buf.ptr, len);
        call->next_number = 3;
    }
    nacre_wipe(prk_4e3m, sizeof prk_4e3m);
    nacre_wipe(prk_out, sizeof prk_out);
    return err;
}

nacre_err nacre__edhoc_receive_2(nacre_edhoc *s, nacre__edhoc_call *call)
{
    nacre_bytes content;
    size_t g_len = nacre_curve_len((nacre_curve)s->suite->curve);
    nacre_edhoc_fault fault = nacre__edhoc_read_only_string(call->in, &content);
    if (fault == NACRE_EDHOC_FAULT_NONE && content.len < g_len) fault = NACRE_EDHOC_FAULT_KEY_LENGTH;
    if (fault != NACRE_EDHOC_FAULT_NONE) return nacre__edhoc_refuse(&call->fault, fault);
    nacre_bytes g_y = nacre_bytes_of(content.ptr, g_len);
    verified v = { .peer = NULL };
    nacre_err err = read_message_2(s, &v, call, g_y, nacre_bytes_of(content.ptr + g_len, content.len - g_len));
    if (err == NACRE_OK) err = write_message_3(s, &v, call, g_y);
    if (err == NACRE_OK) {
        (void)nacre__edhoc_put(s->c_r, nacre_bytes_of(v.c_r, v.c_r_len));
        s->c_r_len = v.c_r_len;
        s->peer = v.peer;
        nacre__edhoc_end_ephemeral(s);
        s->state = s->config->message_4 ? NACRE__EDHOC_WAIT_4 : NACRE__EDHOC_COMPLETED;
        if (!s->config->message_4) nacre_wipe(s->prk, sizeof s->prk);
    }
    nacre_wipe(&v, sizeof v);
    return err;
}

/* RFC 9528 5.5.3 */
nacre_err nacre__edhoc_receive_4(nacre_edhoc *s, nacre__edhoc_call *call)
{
    nacre_bytes sealed, ead;
    call->is_likely_forged = true;
    nacre_edhoc_fault fault = nacre__edhoc_read_only_string(call->in, &sealed);
    if (fault != NACRE_EDHOC_FAULT_NONE) return nacre__edhoc_refuse(&call->fault, fault);
    if (call->buf.cap < sealed.len) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre_err err = nacre__edhoc_open(s, 4, s->prk, s->th, &ead, call->buf.ptr, sealed);
    if (err == NACRE_ERR_PROTECTION_INVALID) return nacre__edhoc_refuse(&call->fault, NACRE_EDHOC_FAULT_DECRYPTION);
    if (err != NACRE_OK) return err;
    call->is_likely_forged = false;
    if (!nacre__edhoc_is_ead(ead)) return nacre__edhoc_refuse(&call->fault, NACRE_EDHOC_FAULT_CBOR);
    if (!nacre__edhoc_read_ead(s->config, 4, ead)) return nacre__edhoc_refuse(&call->fault, NACRE_EDHOC_FAULT_EAD);
    s->state = NACRE__EDHOC_COMPLETED;
    nacre_wipe(s->prk, sizeof s->prk);
    return NACRE_OK;
}

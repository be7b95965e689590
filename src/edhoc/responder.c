/* SPDX-License-Identifier: MIT */
/* responder: message_1 in, message_2 out; message_3 in, message_4 out (RFC 9528 5.2.3, 5.3.2, 5.4.3, 5.5.2). */
#include "base/copy.h"
#include "edhoc/encrypt0.h"
#include "edhoc/message_1.h"
#include "edhoc/method.h"
#include "edhoc/plaintext.h"
#include "edhoc/roles.h"
#include "edhoc/schedule.h"

nacre_err nacre_edhoc_respond(nacre_edhoc *s, const nacre_edhoc_config *config, nacre_bytes c_r, nacre_bytes spare)
{
    nacre_err err = nacre__edhoc_check_config(config);
    if (err != NACRE_OK) return err;
    if (!nacre__edhoc_id_fits(config, c_r) || !nacre__edhoc_id_fits(config, spare) || nacre_bytes_equal(c_r, spare))
        return NACRE_ERR_BAD_ARGUMENT;
    memset(s, 0, sizeof *s);
    s->config = config;
    s->role = NACRE_EDHOC_RESPONDER;
    s->state = NACRE__EDHOC_WAIT_1;
    s->c_r_len = (uint8_t)c_r.len;
    s->spare_len = (uint8_t)spare.len;
    (void)nacre__edhoc_put(s->c_r, c_r);
    (void)nacre__edhoc_put(s->spare, spare);
    return NACRE_OK;
}

/* RFC 9528 5.2.3 and 6.3: the selected suite is the first of SUITES_I that is supported. */
NACRE__NOT_INLINE static nacre_err choose(nacre_edhoc *s, const nacre__edhoc_message_1 *m,
                                          const nacre_edhoc_identity **identity, nacre_edhoc_fault *fault)
{
    const nacre_edhoc_config *config = s->config;
    uint8_t first = m->suites.first;
    if (m->method < 0 || m->method > 3 || (config->methods >> m->method & 1) == 0)
        return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_METHOD);
    if (first == NACRE__EDHOC_NO_INDEX || config->suites[first] != m->suites.last)
        return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_SUITE);
    s->suite = nacre_edhoc_suite_by_number(config->suites[first]);
    s->method = (uint8_t)m->method;
    *identity = nacre__edhoc_identity(config, NACRE_EDHOC_RESPONDER, s->method, s->suite);
    if (*identity == NULL) return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_METHOD);
    if (m->g_x.len != nacre_curve_len((nacre_curve)s->suite->curve))
        return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_KEY_LENGTH);
    if (m->c_i.len > nacre__edhoc_max_id(s->suite))
        return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_CONNECTION_ID_LENGTH);
    if (!nacre__edhoc_read_ead(config, 1, m->ead)) return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_EAD);
    return NACRE_OK;
}

/* What a Responder has once message_2 is written. */
typedef struct begun {
    nacre_ephemeral ephemeral;
    uint8_t th_2[NACRE__EDHOC_MAX_HASH], prk_2e[NACRE__EDHOC_MAX_HASH];
    uint8_t th_3[NACRE__EDHOC_MAX_HASH], prk_3e2m[NACRE__EDHOC_MAX_HASH];
} begun;

/* G_Y at `g_y`; TH_2 and PRK_2e. */
static nacre_err begin(const nacre_edhoc *s, begun *b, nacre_bytes g_x, nacre_bytes message_1, uint8_t *g_y,
                       nacre_edhoc_fault *fault)
{
    const nacre_pk *pk = s->config->pk;
    uint8_t secret[NACRE_MAX_COORDINATE], hash[NACRE_MAX_HASH];
    nacre_err err = pk->ops->generate(pk, (nacre_curve)s->suite->curve, &b->ephemeral, g_y);
    if (err == NACRE_OK) {
        nacre_private_key key = nacre_ephemeral_key(&b->ephemeral);
        err = nacre__edhoc_refuse_key(fault, pk->ops->agree(pk, &key, g_x, secret), s->suite);
    }
    if (err == NACRE_OK) err = pk->ops->hash(pk, (nacre_hash)s->suite->hash, &message_1, 1, hash);
    if (err == NACRE_OK) err = nacre__edhoc_begin(s, hash, nacre_bytes_of(g_y, g_x.len), secret, b->th_2, b->prk_2e);
    nacre_wipe(secret, sizeof secret);
    return err;
}

/* RFC 9528 5.3.2 */
NACRE__NOT_INLINE static nacre_err write_message_2(const nacre_edhoc *s, begun *b, nacre__edhoc_call *call,
                                                   nacre_bytes g_x, nacre_bytes c_r,
                                                   const nacre_edhoc_identity *identity)
{
    size_t c_r_len = nacre__edhoc_id_len(c_r);
    size_t text_len = c_r_len + nacre__edhoc_plaintext_len(s, NACRE_EDHOC_RESPONDER, identity);
    size_t len = g_x.len + text_len;
    if (len > UINT16_MAX) return NACRE_ERR_TOO_LONG;
    if (call->buf.cap < nacre__edhoc_head_len(len) + len) return NACRE_ERR_BUFFER_TOO_SMALL;
    uint8_t *g_y = nacre__edhoc_put_head(call->buf.ptr, NACRE__CBOR_BYTES, len), *text = g_y + g_x.len;
    nacre_err err = begin(s, b, g_x, call->in, g_y, &call->fault);
    if (err != NACRE_OK) return err;
    nacre__edhoc_claim claim = { .role = NACRE_EDHOC_RESPONDER, .c_r = { text, c_r_len }, .th = b->th_2 };
    uint8_t *rest = nacre__edhoc_put_id(text, c_r);
    err = nacre__edhoc_write_plaintext(s, &claim, identity, g_x, b->prk_2e, b->prk_3e2m, rest);
    nacre_bytes plaintext = nacre_bytes_of(text, text_len);
    if (err == NACRE_OK) err = nacre__edhoc_next_th(s, b->th_2, plaintext, &identity->credential, b->th_3);
    if (err == NACRE_OK) err = nacre__edhoc_keystream_2(s, b->prk_2e, b->th_2, text, text_len);
    if (err == NACRE_OK) call->next = nacre_bytes_of(call->buf.ptr, (size_t)(text - call->buf.ptr) + text_len);
    return err;
}

nacre_err nacre__edhoc_receive_1(nacre_edhoc *s, nacre__edhoc_call *call)
{
    nacre__edhoc_message_1 m;
    const nacre_edhoc_identity *identity = NULL;
    nacre_edhoc_fault fault = nacre__edhoc_read_message_1(&m, s->config, call->in);
    if (fault != NACRE_EDHOC_FAULT_NONE) return nacre__edhoc_refuse(&call->fault, fault);
    nacre_err err = choose(s, &m, &identity, &call->fault);
    if (err != NACRE_OK) return err;
    /* RFC 9528 3.3.3: the two differ. */
    nacre_bytes c_r = nacre_bytes_of(s->c_r, s->c_r_len);
    if (nacre_bytes_equal(c_r, m.c_i)) c_r = nacre_bytes_of(s->spare, s->spare_len);
    begun b = { .ephemeral = { .len = 0 } };
    err = write_message_2(s, &b, call, m.g_x, c_r, identity);
    s->ephemeral = b.ephemeral;
    if (err == NACRE_OK) {
        memmove(s->c_r, c_r.ptr, c_r.len);
        s->c_r_len = (uint8_t)c_r.len;
        (void)nacre__edhoc_put(s->c_i, m.c_i);
        s->c_i_len = (uint8_t)m.c_i.len;
        memcpy(s->th, b.th_3, sizeof s->th);
        memcpy(s->prk, b.prk_3e2m, sizeof s->prk);
        s->state = NACRE__EDHOC_WAIT_3;
        call->next_number = 2;
    } else nacre__edhoc_end_ephemeral(s);
    nacre_wipe(&b, sizeof b);
    return err;
}

/* RFC 9528 5.5.2, in the buffer that had PLAINTEXT_3. */
static nacre_err write_message_4(const nacre_edhoc *s, nacre__edhoc_call *call, const uint8_t *prk_4e3m,
                                 const uint8_t *th_4)
{
    nacre_bytes ead = s->config->send_ead[3];
    size_t len = nacre__edhoc_sealed_len(s, ead.len);
    if (len > UINT16_MAX) return NACRE_ERR_TOO_LONG;
    if (call->buf.cap < len) return NACRE_ERR_BUFFER_TOO_SMALL;
    (void)nacre__edhoc_put(call->buf.ptr + nacre__edhoc_sealed_offset(s, ead.len), ead);
    nacre_err err = nacre__edhoc_seal(s, 4, prk_4e3m, th_4, call->buf.ptr, ead.len);
    if (err == NACRE_OK) call->next = nacre_bytes_of(call->buf.ptr, len), call->next_number = 4;
    return err;
}

/* RFC 9528 5.4.3 */
nacre_err nacre__edhoc_receive_3(nacre_edhoc *s, nacre__edhoc_call *call)
{
    nacre_bytes sealed, plaintext;
    nacre_edhoc_credential credential;
    void *peer;
    uint8_t th_4[NACRE__EDHOC_MAX_HASH], prk_4e3m[NACRE__EDHOC_MAX_HASH], prk_out[NACRE__EDHOC_MAX_HASH];
    call->is_likely_forged = true;
    nacre_edhoc_fault fault = nacre__edhoc_read_only_string(call->in, &sealed);
    if (fault != NACRE_EDHOC_FAULT_NONE) return nacre__edhoc_refuse(&call->fault, fault);
    if (call->buf.cap < sealed.len) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre_err err = nacre__edhoc_open(s, 3, s->prk, s->th, &plaintext, call->buf.ptr, sealed);
    if (err == NACRE_ERR_PROTECTION_INVALID) return nacre__edhoc_refuse(&call->fault, NACRE_EDHOC_FAULT_DECRYPTION);
    if (err != NACRE_OK) return err;
    call->is_likely_forged = false;
    nacre__edhoc_claim claim = { .role = NACRE_EDHOC_INITIATOR, .c_r = NACRE_ABSENT, .th = s->th };
    nacre__reader r = nacre__reader_of(plaintext);
    err = nacre__edhoc_read_plaintext(s, &claim, &r, &s->ephemeral, s->prk, prk_4e3m, &credential, &peer, &call->fault);
    if (err == NACRE_OK) err = nacre__edhoc_next_th(s, s->th, plaintext, &credential, th_4);
    if (err == NACRE_OK)
        err = nacre__edhoc_kdf_th(s, prk_4e3m, NACRE__EDHOC_PRK_OUT, th_4, prk_out, nacre__edhoc_hash_len(s));
    if (err == NACRE_OK && s->config->message_4) err = write_message_4(s, call, prk_4e3m, th_4);
    if (err == NACRE_OK) {
        memcpy(s->prk_out, prk_out, nacre__edhoc_hash_len(s));
        s->peer = peer;
        s->state = NACRE__EDHOC_COMPLETED;
        nacre__edhoc_end_ephemeral(s);
        nacre_wipe(s->prk, sizeof s->prk);
        nacre_wipe(s->th, sizeof s->th);
    }
    nacre_wipe(prk_4e3m, sizeof prk_4e3m);
    nacre_wipe(prk_out, sizeof prk_out);
    return err;
}

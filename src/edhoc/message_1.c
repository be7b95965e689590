/* SPDX-License-Identifier: MIT */
/* message_1: METHOD, SUITES_I, G_X, C_I, ? EAD_1 (RFC 9528 5.2). */
#include "edhoc/message_1.h"

/* RFC 9528 5.2.3: decode. A message that is not deterministic CBOR, or not as the CDDL says, is refused (RFC 9528 9.8). */
nacre_edhoc_fault nacre__edhoc_read_message_1(nacre__edhoc_message_1 *m, const nacre_edhoc_config *config,
                                              nacre_bytes in)
{
    nacre__reader r = nacre__reader_of(in);
    unsigned major = nacre__cbor_peek(&r);
    if (major > NACRE__CBOR_NEGATIVE) return major == 8 ? NACRE_EDHOC_FAULT_ELEMENTS : NACRE_EDHOC_FAULT_TYPE;
    m->method = nacre__cbor_read_int(&r);
    if (r.bad) return NACRE_EDHOC_FAULT_CBOR;
    nacre_edhoc_fault fault = nacre__edhoc_read_suites(&r, &m->suites, config);
    if (fault != NACRE_EDHOC_FAULT_NONE) return fault;
    major = nacre__cbor_peek(&r);
    if (major != NACRE__CBOR_BYTES) return major == 8 ? NACRE_EDHOC_FAULT_ELEMENTS : NACRE_EDHOC_FAULT_TYPE;
    m->g_x = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    if (r.bad) return NACRE_EDHOC_FAULT_CBOR;
    fault = nacre__edhoc_read_id(&r, &m->c_i, NACRE_EDHOC_FAULT_CONNECTION_ID);
    if (fault != NACRE_EDHOC_FAULT_NONE) return fault;
    m->ead = nacre__read(&r, nacre__left(&r));
    return nacre__edhoc_is_ead(m->ead) ? NACRE_EDHOC_FAULT_NONE : NACRE_EDHOC_FAULT_CBOR;
}

/* RFC 9528 5.2.2: the suites up to the selected one, in the order of preference, which never changes. */
nacre_err nacre__edhoc_write_message_1(nacre_edhoc *s, nacre_bytes *out, nacre_buf buf, unsigned selected)
{
    const nacre_edhoc_config *config = s->config;
    const nacre_edhoc_suite *suite = nacre_edhoc_suite_by_number(config->suites[selected]);
    uint8_t start[2 + 2 * NACRE_EDHOC_MAX_SUITES], g_x[NACRE_MAX_COORDINATE], hash[NACRE_MAX_HASH];
    size_t g_len = nacre_curve_len((nacre_curve)suite->curve);
    nacre_bytes c_i = nacre_bytes_of(s->c_i, s->c_i_len), ead = config->send_ead[0];
    uint8_t *at = nacre__edhoc_put_int(start, config->method);
    at = nacre__edhoc_put_suites(at, config, selected + 1u);
    nacre_bytes head = nacre_bytes_of(start, (size_t)(at - start));
    size_t len = head.len + nacre__edhoc_head_len(g_len) + g_len + nacre__edhoc_id_len(c_i) + ead.len;
    if (buf.cap < len) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre_ephemeral key = { .len = 0 };
    nacre_err err = config->pk->ops->generate(config->pk, (nacre_curve)suite->curve, &key, g_x);
    if (err != NACRE_OK) return err;
    at = nacre__edhoc_put(buf.ptr, head);
    at = nacre__edhoc_put_head(at, NACRE__CBOR_BYTES, g_len);
    at = nacre__edhoc_put(at, nacre_bytes_of(g_x, g_len));
    at = nacre__edhoc_put_id(at, c_i);
    (void)nacre__edhoc_put(at, ead);
    nacre_bytes message = nacre_bytes_of(buf.ptr, len);
    err = config->pk->ops->hash(config->pk, (nacre_hash)suite->hash, &message, 1, hash);
    if (err == NACRE_OK) {
        s->suite = suite;
        s->selected = (uint8_t)selected;
        s->ephemeral = key;
        memcpy(s->th, hash, nacre__edhoc_hash_len(s));
        s->state = NACRE__EDHOC_WAIT_2;
        *out = message;
    } else if (config->pk->ops->discard != NULL) config->pk->ops->discard(config->pk, &key);
    nacre_wipe(&key, sizeof key);
    return err;
}

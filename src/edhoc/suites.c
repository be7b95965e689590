/* SPDX-License-Identifier: MIT */
/* suites: the cipher suites of RFC 9528 10.2, and lists of them in messages. */
#include "edhoc/suites.h"
#include "base/config_size.h"

/* Each suite's application AEAD has the key length that its row of the AEAD table says; the application hash is the hash. */
static const nacre_edhoc_suite suites[] = {
    { 0, 8, NACRE_X25519, NACRE_ED25519, NACRE_SHA256, 10, 10 },
    { 1, 16, NACRE_X25519, NACRE_ED25519, NACRE_SHA256, 30, 10 },
    { 2, 8, NACRE_P256, NACRE_P256, NACRE_SHA256, 10, 10 },
    { 3, 16, NACRE_P256, NACRE_P256, NACRE_SHA256, 30, 10 },
    { 4, 16, NACRE_X25519, NACRE_ED25519, NACRE_SHA256, 24, 24 },
    { 5, 16, NACRE_P256, NACRE_P256, NACRE_SHA256, 24, 24 },
    { 6, 16, NACRE_X25519, NACRE_P256, NACRE_SHA256, 1, 1 },
    { 24, 16, NACRE_P384, NACRE_P384, NACRE_SHA384, 3, 3 },
};

const nacre_edhoc_suite *nacre_edhoc_suite_by_number(int number)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (suites[i].number == number) return &suites[i];
    return NULL;
}

static uint8_t index_of(const nacre_edhoc_config *config, int32_t number)
{
    for (size_t i = 0; i < config->num_suites; i++)
        if (config->suites[i] == number) return (uint8_t)i;
    return NACRE__EDHOC_NO_INDEX;
}

/* RFC 9528 5.2.1, 6.3.1: a single suite is an integer, several an array. */
nacre_edhoc_fault nacre__edhoc_read_suites(nacre__reader *r, nacre__edhoc_suites *list,
                                           const nacre_edhoc_config *config)
{
    unsigned major = nacre__cbor_peek(r);
    size_t num = 1;
    if (major == 8) return NACRE_EDHOC_FAULT_ELEMENTS;
    if (major == NACRE__CBOR_ARRAY) {
        num = nacre__cbor_read_size(r, NACRE__CBOR_ARRAY);
        if (r->bad) return NACRE_EDHOC_FAULT_CBOR;
        if (num < 2) return NACRE_EDHOC_FAULT_SUITES;
    }
    list->first = list->best = NACRE__EDHOC_NO_INDEX;
    for (size_t i = 0; i < num && !r->bad; i++) {
        if (nacre__cbor_peek(r) > NACRE__CBOR_NEGATIVE) return NACRE_EDHOC_FAULT_TYPE;
        list->last = nacre__cbor_read_int(r);
        uint8_t index = index_of(config, list->last);
        if (list->first == NACRE__EDHOC_NO_INDEX) list->first = index;
        if (index < list->best) list->best = index;
    }
    return r->bad ? NACRE_EDHOC_FAULT_CBOR : NACRE_EDHOC_FAULT_NONE;
}

uint8_t *nacre__edhoc_put_suites(uint8_t *to, const nacre_edhoc_config *config, size_t num)
{
    if (num > 1) to = nacre__edhoc_put_head(to, NACRE__CBOR_ARRAY, num);
    for (size_t i = 0; i < num; i++) to = nacre__edhoc_put_int(to, config->suites[i]);
    return to;
}

nacre_err nacre__edhoc_check_config(const nacre_edhoc_config *config)
{
    if (!nacre__config_size_fits(config->size, sizeof *config)) return NACRE_ERR_BAD_ARGUMENT;
    if (config->crypto == NULL || config->pk == NULL || config->trust.find == NULL) return NACRE_ERR_BAD_ARGUMENT;
    const nacre_pk_ops *ops = config->pk->ops;
    if (ops->version != NACRE_PK_OPS_VERSION || ops->size < sizeof *ops) return NACRE_ERR_UNSUPPORTED;
    if (config->num_suites < 1 || config->num_suites > NACRE_EDHOC_MAX_SUITES) return NACRE_ERR_BAD_ARGUMENT;
    for (size_t i = 0; i < config->num_suites; i++) {
        const nacre_edhoc_suite *suite = nacre_edhoc_suite_by_number(config->suites[i]);
        if (suite == NULL || index_of(config, suite->number) != i) return NACRE_ERR_BAD_ARGUMENT;
        size_t size, align;
        if (!ops->has(config->pk, (nacre_curve)suite->curve) ||
            !config->crypto->ops->key_layout(nacre_aead_by_number(suite->aead), &size, &align))
            return NACRE_ERR_UNSUPPORTED;
    }
    for (size_t i = 0; i < 4; i++)
        if (!nacre__edhoc_is_ead(config->send_ead[i])) return NACRE_ERR_BAD_ARGUMENT;
    return NACRE_OK;
}

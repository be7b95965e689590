/* SPDX-License-Identifier: MIT */
/* id_cred: ID_CRED_x (RFC 9528 3.5.3), with header parameters of RFC 9052 3.1, RFC 9360 2 and RFC 9528 3.5.3.1. */
#include "edhoc/id_cred.h"

enum { LABEL_KID = 4, LABEL_KCCS = 14, LABEL_X5CHAIN = 33, LABEL_X5T = 34, LABEL_X5U = 35, TAG_URI = 32 };
enum { MAX_PARAMETERS = 4 };

nacre_bytes nacre__edhoc_only_kid(nacre_bytes map)
{
    nacre__reader r = nacre__reader_of(map);
    bool one = nacre__cbor_read_size(&r, NACRE__CBOR_MAP) == 1 && nacre__cbor_read_int(&r) == LABEL_KID;
    nacre_bytes kid = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    return one && !r.bad && nacre__left(&r) == 0 ? kid : NACRE_ABSENT;
}

size_t nacre__edhoc_id_cred_len(nacre_bytes map)
{
    nacre_bytes kid = nacre__edhoc_only_kid(map);
    return nacre_is_absent(kid) ? map.len : nacre__edhoc_id_len(kid);
}

uint8_t *nacre__edhoc_put_id_cred(uint8_t *to, nacre_bytes map)
{
    nacre_bytes kid = nacre__edhoc_only_kid(map);
    return nacre_is_absent(kid) ? nacre__edhoc_put(to, map) : nacre__edhoc_put_id(to, kid);
}

#if !defined(NACRE_EDHOC_SMALL)
/* The values of parameters. Each is one well-formed item already; false leaves the kind as it is: not known. */
static bool read_chain(nacre_bytes value, nacre_edhoc_id *id)
{
    nacre__reader r = nacre__reader_of(value);
    if (nacre__cbor_peek(&r) == NACRE__CBOR_ARRAY && nacre__cbor_read_size(&r, NACRE__CBOR_ARRAY) < 2) return false;
    nacre_bytes first = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    nacre_bytes more = nacre_bytes_of(r.at, nacre__left(&r));
    while (!r.bad && nacre__left(&r) > 0) (void)nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    if (r.bad) return false;
    id->value = first;
    id->more = more;
    return true;
}

static bool read_hash(nacre_bytes value, nacre_edhoc_id *id)
{
    nacre__reader r = nacre__reader_of(value);
    bool two = nacre__cbor_read_size(&r, NACRE__CBOR_ARRAY) == 2;
    int32_t alg = nacre__cbor_read_int(&r);
    nacre_bytes hash = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    if (!two || r.bad) return false;
    id->hash_alg = alg;
    id->value = hash;
    return true;
}

static bool read_uri(nacre_bytes value, nacre_edhoc_id *id)
{
    nacre__reader r = nacre__reader_of(value);
    nacre__cbor_item tag;
    if (!nacre__cbor_read_head(&r, &tag) || tag.major != NACRE__CBOR_TAG || tag.value != TAG_URI) return false;
    nacre_bytes uri = nacre__cbor_read_string(&r, NACRE__CBOR_TEXT);
    if (r.bad) return false;
    id->value = uri;
    return true;
}

static void read_parameter(int32_t label, nacre_bytes value, nacre_edhoc_id *id)
{
    nacre_edhoc_id read = { .kind = NACRE_EDHOC_ID_OTHER };
    bool known = false;
    if (label == LABEL_X5CHAIN) known = read_chain(value, &read), read.kind = NACRE_EDHOC_ID_X5CHAIN;
    else if (label == LABEL_X5T) known = read_hash(value, &read), read.kind = NACRE_EDHOC_ID_X5T;
    else if (label == LABEL_X5U) known = read_uri(value, &read), read.kind = NACRE_EDHOC_ID_X5U;
    else if (label == LABEL_KCCS && value.ptr[0] >> 5 == NACRE__CBOR_MAP) {
        known = true;
        read.kind = NACRE_EDHOC_ID_KCCS;
        read.value = value;
    }
    if (known) *id = read;
}

/* RFC 9528 3.5.3: labels of ID_CRED need not be sorted, so they are read here and not as any other map; they differ. */
static nacre_edhoc_fault read_map(nacre__reader *r, nacre_edhoc_id *id)
{
    int32_t labels[MAX_PARAMETERS];
    size_t num = nacre__cbor_read_size(r, NACRE__CBOR_MAP);
    if (r->bad) return NACRE_EDHOC_FAULT_CBOR;
    if (num < 1 || num > MAX_PARAMETERS) return NACRE_EDHOC_FAULT_ID_KIND;
    for (size_t i = 0; i < num; i++) {
        if (nacre__cbor_peek(r) > NACRE__CBOR_NEGATIVE)
            return nacre__cbor_peek(r) == 8 ? NACRE_EDHOC_FAULT_CBOR : NACRE_EDHOC_FAULT_ID_KIND;
        labels[i] = nacre__cbor_read_int(r);
        nacre_bytes value = nacre__cbor_read_item(r);
        for (size_t j = 0; j < i; j++)
            if (labels[j] == labels[i]) return NACRE_EDHOC_FAULT_CBOR;
        if (r->bad) return NACRE_EDHOC_FAULT_CBOR;
        if (num > 1) continue;
        if (labels[i] == LABEL_KID) return NACRE_EDHOC_FAULT_ID_CRED; /* RFC 9528 3.5.3.2: always compact */
        read_parameter(labels[i], value, id);
    }
    return NACRE_EDHOC_FAULT_NONE;
}
#endif

nacre_edhoc_fault nacre__edhoc_read_id_cred(nacre__reader *r, nacre_edhoc_id *id, nacre__edhoc_map *map)
{
    *id = (nacre_edhoc_id){ .kind = NACRE_EDHOC_ID_OTHER };
    map->head_len = 0;
    if (nacre__cbor_peek(r) == NACRE__CBOR_MAP) {
#if defined(NACRE_EDHOC_SMALL)
        return NACRE_EDHOC_FAULT_ID_KIND;
#else
        const uint8_t *start = r->at;
        nacre_edhoc_fault fault = read_map(r, id);
        map->rest = nacre_bytes_of(start, (size_t)(r->at - start));
        id->map = map->rest;
        return fault;
#endif
    }
    nacre_bytes kid;
    nacre_edhoc_fault fault = nacre__edhoc_read_id(r, &kid, NACRE_EDHOC_FAULT_ID_CRED);
    if (fault != NACRE_EDHOC_FAULT_NONE) return fault;
    if (kid.len > UINT16_MAX) return NACRE_EDHOC_FAULT_TOO_LONG;
    uint8_t *end = nacre__edhoc_put_head(map->head, NACRE__CBOR_MAP, 1);
    *end++ = LABEL_KID;
    end = nacre__edhoc_put_head(end, NACRE__CBOR_BYTES, kid.len);
    map->head_len = (uint8_t)(end - map->head);
    map->rest = kid;
    id->kind = NACRE_EDHOC_ID_KID;
    id->value = kid;
    return NACRE_EDHOC_FAULT_NONE;
}

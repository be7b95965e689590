/* SPDX-License-Identifier: MIT */
/* aad: [ "Encrypt0", h'', bstr .cbor [ 1, [ alg ], request_kid, request_piv, h'' ] ]. The last member would hold Class I
 * options, of which there are none (RFC 8613 4.1). */
#include "oscore/aad.h"
#include "base/cbor_write.h"

enum { OSCORE_VERSION = 1 };

size_t nacre__aad(uint8_t out[NACRE_MAX_AAD], int cose_alg, nacre_bytes request_kid, nacre_bytes request_piv)
{
    static const uint8_t encrypt0[] = { 0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', 0x40 };
    memcpy(out, encrypt0, sizeof encrypt0);
    uint8_t *array = out + sizeof encrypt0 + 1; /* its length is below 24, so the head of the byte string is one byte */
    uint8_t *at = nacre__cbor_head(array, NACRE__CBOR_ARRAY, 5);
    at = nacre__cbor_int(at, OSCORE_VERSION);
    at = nacre__cbor_head(at, NACRE__CBOR_ARRAY, 1);
    at = nacre__cbor_int(at, cose_alg);
    at = nacre__cbor_bytes(at, request_kid);
    at = nacre__cbor_bytes(at, request_piv);
    at = nacre__cbor_bytes(at, NACRE_ABSENT);
    nacre__cbor_head(array - 1, NACRE__CBOR_BYTES, (unsigned)(at - array));
    return (size_t)(at - out);
}

/* SPDX-License-Identifier: MIT */
/* aad: [ "Encrypt0", h'', bstr .cbor [ 1, [ alg ], request_kid, request_piv, h'' ] ]. The last member would hold Class I
 * options, of which there are none (RFC 8613 4.1). Only three members vary. All heads are one byte, except that of an
 * algorithm above 23, because kid, Partial IV and the byte string are below 24 bytes. */
#include "oscore/aad.h"
#include "base/copy.h"

enum { BSTR = 0x40, UINT8_FOLLOWS = 0x18, OSCORE_VERSION = 1 };

size_t nacre__aad_of(uint8_t out[NACRE_MAX_AAD], int cose_alg, const nacre_request_id *request)
{
    static const uint8_t fixed[] = { 0x83, 0x68,           'E',  'n',          'c', 'r', 'y', 'p', 't', '0', BSTR, BSTR,
                                     0x85, OSCORE_VERSION, 0x81, UINT8_FOLLOWS };
    NACRE__COPY_FIXED(out, fixed, sizeof fixed);
    uint8_t *array = out + 12,
            *at = out + (cose_alg < UINT8_FOLLOWS ? 15 : 16); /* numbers of the table are below 256 */
    *at++ = (uint8_t)cose_alg;
    *at++ = (uint8_t)(BSTR | request->kid_len);
    NACRE__COPY_FIXED(at, request->kid, sizeof request->kid); /* the maximum; the next member overwrites the excess */
    at += request->kid_len;
    *at++ = (uint8_t)(BSTR | request->partial_iv_len);
    NACRE__COPY_FIXED(at, request->partial_iv, sizeof request->partial_iv);
    at += request->partial_iv_len;
    *at++ = BSTR;
    array[-1] = (uint8_t)(BSTR | (at - array));
    return (size_t)(at - out);
}

/* SPDX-License-Identifier: MIT */
/* edhoc_credentials: CBOR items, CCSs, COSE_Keys and ID_CRED of any bytes. What is accepted is in its one encoding: an item is not
 * the start of itself, and a CCS that is made of what was read is read as the same. */
#include "fuzz.h"

#include "edhoc/cose_key.h"
#include "edhoc/id_cred.h"

static void read_item(nacre_bytes in)
{
    nacre__reader r = nacre__reader_of(in);
    nacre_bytes item = nacre__cbor_read_item(&r);
    if (r.bad) {
        CHECK(item.len == 0);
        return;
    }
    CHECK(item.len > 0 && item.len + nacre__left(&r) == in.len && item.ptr == in.ptr);
    for (size_t len = item.len > 40 ? item.len - 40 : 0; len < item.len; len++) {
        nacre__reader cut = nacre__reader_of(fuzz_copy(nacre_bytes_of(item.ptr, len)));
        (void)nacre__cbor_read_item(&cut);
        CHECK(cut.bad);
    }
}

static void check_key(const nacre_public_key *key)
{
    size_t len = nacre_curve_len(key->curve);
    CHECK(len > 0 && (key->x.len == len || key->x.len == 0));
    CHECK(key->y_form != NACRE_Y_WHOLE || key->y.len == len);
}

static void read_ccs(nacre_bytes in)
{
    nacre_edhoc_credential c, again;
    nacre_bytes kid, kid_again, out;
    nacre_err err = nacre_edhoc_read_ccs(&c, &kid, in);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BAD_CREDENTIALS);
    if (err != NACRE_OK) return;
    CHECK(fuzz_same(c.bytes, in) && !c.is_certificate && c.key.x.len > 0);
    check_key(&c.key);
    if (kid.len > 65535) return;
    CHECK(nacre_edhoc_write_ccs(&out, fuzz_buf(in.len + 8), NACRE_ABSENT, kid, &c.key) == NACRE_OK);
    CHECK(nacre_edhoc_read_ccs(&again, &kid_again, out) == NACRE_OK);
    CHECK(again.key.curve == c.key.curve && again.key.y_form == c.key.y_form && fuzz_same(again.key.x, c.key.x));
    CHECK(nacre_is_absent(kid) == nacre_is_absent(kid_again) && fuzz_same(kid, kid_again));
}

static void read_key(nacre_bytes in)
{
    nacre__cose_key key;
    if (!nacre__read_cose_key(&key, in)) return;
    check_key(&key.public_key);
    CHECK(nacre_is_absent(key.d) || key.d.len == nacre_curve_len(key.public_key.curve));
    CHECK(!nacre_is_absent(key.d) || key.public_key.x.len > 0);
}

/* What is read is in its short form: written again it has the same bytes. */
static void read_id_cred(nacre_bytes in)
{
    nacre__reader r = nacre__reader_of(in);
    nacre_edhoc_id id;
    nacre__edhoc_map map;
    if (nacre__edhoc_read_id_cred(&r, &id, &map) != NACRE_EDHOC_FAULT_NONE) return;
    size_t len = (size_t)(r.at - in.ptr), map_len = map.head_len + map.rest.len;
    nacre_buf whole = fuzz_buf(map_len), out = fuzz_buf(len);
    uint8_t *at = nacre__edhoc_put(whole.ptr, nacre_bytes_of(map.head, map.head_len));
    (void)nacre__edhoc_put(at, map.rest);
    nacre_bytes bytes = nacre_bytes_of(whole.ptr, map_len);
    CHECK(nacre__edhoc_id_cred_len(bytes) == len);
    (void)nacre__edhoc_put_id_cred(out.ptr, bytes);
    CHECK(fuzz_same(nacre_bytes_of(out.ptr, len), nacre_bytes_of(in.ptr, len)));
    CHECK((id.kind == NACRE_EDHOC_ID_KID) == (map.head_len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_bytes in = fuzz_copy(nacre_bytes_of(data, size));
    read_item(in);
    read_ccs(in);
    read_key(in);
    read_id_cred(in);
    fuzz_release();
    return 0;
}

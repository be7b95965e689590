#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# A core compiled with NACRE_NO_PROXY_URI refuses a request with a Proxy-Uri option and writes nothing, so that no path
# is sent in clear; a request without one is protected.
# Usage: no_proxy_uri_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
source_dir=${2:?usage: no_proxy_uri_test.sh BUILD_DIR SOURCE_DIR}
: "${CC:=cc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/main.c" <<'C'
#include <nacre/nacre.h>
static void seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num)
{
    (void)crypto;
    for (size_t i = 0; i < num; i++) jobs[i]->ok = true; /* no cipher: nobody looks at what comes out */
}
int main(void)
{
    const nacre_crypto_ops ops = { .name = "none", .seal_many = seal_many };
    const nacre_crypto crypto = { &ops, 0 };
    nacre_context ctx = { .aead = nacre_aead_by_number(10), .ops = &ops };
    nacre_message plain = { .code = NACRE_GET, .type = NACRE_CON };
    uint8_t options[64], room[256] = { 0 };
    for (int with = 0; with < 2; with++) {
        nacre_options o;
        nacre_request_id id;
        nacre_bytes out;
        nacre_options_init(&o, NACRE_BUF(options));
        nacre_options_add(&o, with ? NACRE_OPT_PROXY_URI : NACRE_OPT_URI_HOST, NACRE_STR("coap://h/secret"));
        if (nacre_options_finish(&o, &plain.options) != NACRE_OK) return 10;
        nacre_err err = nacre_protect_request(&ctx, &crypto, &id, &out, NACRE_BUF(room), &plain, 0);
        if (err != (with ? NACRE_ERR_UNSUPPORTED : NACRE_OK)) return 11 + with;
        if (ctx.next != 1) return 13;
        for (size_t i = 0; with && i < sizeof room; i++)
            if (room[i] != 0) return 14;
        nacre_wipe(room, sizeof room);
    }
    return 0;
}
C
sources=()
for room in base coap crypto context oscore; do
    for source in "$source_dir/src/$room"/*.c; do
        case ${source##*/} in provider_*) ;; *) sources+=("$source") ;; esac
    done
done
"$CC" -std=c11 -Os -DNACRE_NO_PROXY_URI -I"$source_dir/include" -I"$source_dir/src" -o "$work/main" "$work/main.c" \
    "${sources[@]}"
"$work/main"

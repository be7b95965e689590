#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow
# Every vector, and every test of the core that needs a cipher, once more over IPsec-MB: the results are OpenSSL's.
# Usage: ipsec_mb_everything_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
tests=${1:?usage: ipsec_mb_everything_test.sh BUILD_DIR SOURCE_DIR}/tests
source_dir=$2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "$tests/vectors" --provider ipsec_mb "$source_dir/tests/vectors/rfc8613-appendix-c.json" >/dev/null; then
    "$tests/ipsec_mb_test" || code=$?
    [ "${code:-0}" -ne 77 ] || { echo "no IPsec-MB here: skipped" && exit 77; }
fi
for file in "$source_dir"/tests/vectors/*.json; do
    echo "== vectors ${file##*/}"
    "$tests/vectors" --provider ipsec_mb "$file"
done
export NACRE_TEST_PROVIDER=ipsec_mb
for name in openssl aead hkdf context protect unprotect in_place burst echo rederive regressions key_usage table; do
    echo "== $name"
    "$tests/${name}_test" >"$log" 2>&1 || { cat "$log" && exit 1; }
done

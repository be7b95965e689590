#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nacre bench: its table and its JSON, and what it refuses. How fast anything is, is not asked. Arguments: the build
# directory, the source directory.
set -euo pipefail
nacre=$1/nacre
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() {
    echo "tool_bench_test: $*" >&2
    exit 1
}
# refused TEXT OPTION…: exit code 2 and one line that has TEXT in it.
refused() {
    local text=$1 got=0
    shift
    "$nacre" bench "$@" >out 2>err || got=$?
    [ "$got" = 2 ] || fail "$*: exit code $got: $(cat err)"
    [ ! -s out ] || fail "$*: says $(cat out) on stdout"
    [ "$(wc -l <err)" = 1 ] || fail "$*: not one line: $(cat err)"
    grep -q -- "$text" err || fail "$*: says $(cat err), not $text"
}

refused 'unknown option --fast' --fast
refused '--seconds needs a value' --seconds
for seconds in 0 -1 3601 1.5 1s '' ten; do refused 'give a number from 1 to 3600' --seconds "$seconds"; done
for provider in mbedtls open OpenSSL ''; do refused 'give openssl or ipsec_mb' --provider "$provider"; done
refused 'takes options only' ten
"$nacre" bench --help >out
grep -q -- '--seconds N' out || fail "--help says: $(cat out)"

# The table: for each payload and each burst a row of four numbers, each with its ratio.
"$nacre" bench --seconds 1 --provider openssl >out
grep -q '^nacre .* (openssl) on .*AES-CCM-16-64-128' out || fail "the first line is $(head -1 out)"
number='  *[1-9][0-9]* ns  *[0-9][0-9]*\.[0-9][0-9] x'
for row in '0 B' '16 B' '64 B' '256 B' '1024 B' 'burst of 1' 'burst of 2' 'burst of 4' 'burst of 8' 'burst of 16' \
    'burst of 32' 'burst of 64'; do
    [ "$(grep -c "^$row$number$number$number$number\$" out)" = 1 ] || fail "row $row: $(cat out)"
done

# JSON, of the provider in use and of one asked for.
check_json() {
    python3 - out "$1" <<'PYTHON' || fail "JSON with $1"
import json, sys
results, provider = json.load(open(sys.argv[1]))["results"], sys.argv[2]
operations = ["protect request", "unprotect request", "protect response", "unprotect response"]
rows = ["%d B" % n for n in (0, 16, 64, 256, 1024)] + ["burst of %d" % 2**n for n in range(7)]
by_label = {}
for r in results:
    assert r["value"] > 0 and r["low"] <= r["value"] <= r["high"] and r["rounds"] >= 3, r
    by_label.setdefault(r["label"], []).append(r)
assert sorted(by_label) == sorted("%s, %s, %s" % (provider, o, row) for o in operations for row in rows), list(by_label)
for label, cases in by_label.items():
    wanted = ["bare burst", "nacre burst", "bare one by one", "nacre one by one"] if "burst" in label else ["bare cipher", "nacre"]
    assert [c["name"] for c in cases] == wanted, cases
    assert "ratio" not in cases[0] and all(c["ratio"] > 0 for c in cases[1:]), cases
PYTHON
}
default=$("$nacre" --version | sed -n 's/.*(\(.*\))$/\1/p')
"$nacre" bench --seconds 1 --json >out
check_json "$default"
"$nacre" bench --json --provider openssl --seconds 1 >out
check_json openssl
if [ "$default" != ipsec_mb ]; then # then it is not here, which is no usage error
    code=0
    "$nacre" bench --provider ipsec_mb >out 2>err || code=$?
    [ "$code" = 5 ] && grep -q 'cannot use ipsec_mb' err || fail "without ipsec_mb: exit code $code, $(cat err)"
fi
code=0
"$nacre" bench --seconds 1 >/dev/full 2>err || code=$?
[ "$code" = 5 ] || fail "a full disk: exit code $code"
echo "tool_bench_test: ok"

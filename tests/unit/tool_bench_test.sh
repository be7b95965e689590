#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_bench_test: nacre bench: its table and its JSON, and what it refuses. Speed is not tested. Arguments: build
# directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

# refused TEXT OPTION…: exit code 2 and one line that contains TEXT.
refused() {
    local text=$1
    shift
    run 2 bench "$@"
    says err "$text"
}

refused 'unknown option --fast' --fast
refused '--seconds needs a value' --seconds
for seconds in 0 -1 3601 1.5 1s '' ten; do refused 'give a number from 1 to 3600' --seconds "$seconds"; done
for provider in mbedtls open OpenSSL ''; do refused 'give openssl or ipsec_mb' --provider "$provider"; done
refused 'takes options only' ten
run 0 bench --help
says out '--seconds N'

# The table: for each payload and each burst a row of four numbers, each with its ratio.
run 0 bench --seconds 1 --provider openssl
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
run 0 bench --seconds 1 --json
check_json "$default"
run 0 bench --json --provider openssl --seconds 1
check_json openssl
if [ "$default" != ipsec_mb ]; then # then it is not here, which is no usage error
    run 5 bench --provider ipsec_mb
    says err 'cannot use ipsec_mb'
fi
"$nacre" bench --seconds 1 >/dev/full 2>err
code=$?
[ $code = 5 ] || fail "a full disk: exit code $code"
finish

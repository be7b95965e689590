#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# EDHOC compiled with NACRE_EDHOC_SMALL speaks with EDHOC in full, both ways, and refuses methods and credentials that it lacks.
# Usage: edhoc_small_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$(realpath "${1:?usage: edhoc_small_test.sh BUILD_DIR SOURCE_DIR}")
cd "${2:?usage: edhoc_small_test.sh BUILD_DIR SOURCE_DIR}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The program has all of EDHOC itself, so the linker takes none of it from the library.
for source in src/edhoc/*.c tests/support/edhoc_peer.c; do
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wshadow -Werror -DNACRE_EDHOC_SMALL -Iinclude -Isrc -c "$source" \
        -o "$work/$(basename "$source" .c).o"
done
libraries=$(pkg-config --libs libcrypto yajl)
if grep -qs nacre_sqlite_schema "$build/generated/nacre_sqlite_schema.h" || [ -f "$build/generated/nacre_sqlite_schema.h" ]; then
    libraries+=" $(pkg-config --libs sqlite3)"
fi
# shellcheck disable=SC2086 — words
"${CC:-cc}" -o "$work/small" "$work"/*.o "$build/libnacre.a" $libraries $(grep -qs 'IPSEC_MB_LIBRARY:FILEPATH=/' "$build/CMakeCache.txt" && echo -lIPSec_MB) -lpthread

x=bbc34960526ea4d32e940cad2a234148ddc21791a12afbcbac93622046dd44f0 y=4519e257236b2a0ce2023f0931f1f386ca7afda64fcde0108c224c51eabf6072
r_ccs=a2026b6578616d706c652e65647508a101a501020241322001215820${x}225820$y
r_key=72cc4761dbd4c78f758931aa589d348d1ef874a7e303ede2f140dcf3e6aa4aac
i_ccs=a2027734322d35302d33312d46462d45462d33372d33322d333908a101a5010202412b2001215820ac75e9ece3e50bfc8ed60399889522405c47bf16df96660a41298cb4307f7eb62258206e5de611388a4b8a8211334ac7d37ecb52a387d257e6db3c2a93df21ff3affc8
i_key=fb13adeb6518cee5f88417660841142e830a81fe334380a953406a1305e8706b

# INITIATOR RESPONDER STYLE: the last lines of both
talk() {
    rm -f "$work/to_r" "$work/to_i"
    mkfifo "$work/to_r" "$work/to_i"
    timeout 20 "$2" responder "$3" 4 "$r_ccs" "$r_key" "$i_ccs" <"$work/to_r" 2>&1 | tee "$work/to_i" | tail -n 1 >"$work/r" &
    timeout 20 "$1" initiator "$3" 4 "$i_ccs" "$i_key" "$r_ccs" <"$work/to_i" 2>&1 | tee "$work/to_r" | tail -n 1 >"$work/i"
    wait
    cat "$work/i" "$work/r"
}
full=$build/tests/edhoc_peer
for ends in "$work/small $full" "$full $work/small" "$work/small $work/small"; do
    # shellcheck disable=SC2086 — two words
    said=$(talk $ends kid)
    [ "$(grep -c '^keys ' <<<"$said")" = 2 ] && [ "$(cut -d' ' -f2,3 <<<"$said" | sort -u | wc -l)" = 1 ] || { echo "not ok - $ends: $said"; exit 1; }
    echo "ok - $ends"
done
said=$(talk "$full" "$work/small" value)
grep -q '^aborted' <<<"$said" || { echo "not ok - a credential by value is refused: $said"; exit 1; }
echo "ok - a credential by value is refused"

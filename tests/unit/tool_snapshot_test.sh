#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_snapshot_test: snapshots of a context directory that are put back are reported by check, protect and adopt.
# Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

plain=420100016162b161
"$nacre" keygen d e >/dev/null || fail keygen
run 0 protect --context d $plain
run 0 check d
grep -q '^d: ok$' out || exit 77 # this file system lets copies go unnoticed, and check says which

# ---- hard links: put back in place of the directory, or file by file into it; no number is spent
refused() { # DIR
    cp -a "$1" before
    run 5 check "$1"
    says out 'copied, edited or put back'
    run 5 protect --context "$1" $plain
    says err 'nacre adopt'
    diff -r before "$1" || fail 'a refused directory was changed'
    rm -r before
}
for writes in 1 2 20; do
    cp -al d snapshot
    for _ in $(seq $writes); do run 0 protect --context d $plain; done
    mv d newest && mv snapshot d
    refused d
    cp -alf d/. newest
    refused newest
    rm -r d && mv newest d
    run 0 adopt --next-to-send $((writes * 1000)) d
    run 0 check d
    says out 'd: ok'
done

# ---- the numbers that adopt skips
"$nacre" keygen a b >/dev/null || fail keygen
run 0 protect --context a $plain
cp -a a copy
run 2 adopt --next-to-send 0 copy
run 2 adopt --next-to-send 2000000000000 copy
run 0 adopt copy
next=$(sed -n 's/.*goes on with sequence number \([0-9]*\);.*/\1/p' out)
[ "${next:-0}" -ge 4294967297 ] && [ "$next" -le 8589934592 ] || fail "adopt went on at '$next'"
for number in 1 $((next - 1)); do
    "$nacre" adopt --next-to-send "$number" copy >out 2>err && fail "adopt went down to $number"
    says err "the next number to send must be at least $next"
done
run 0 adopt --next-to-send "$next" copy
says out "goes on with sequence number $next;"
run 0 protect --context copy $plain

finish

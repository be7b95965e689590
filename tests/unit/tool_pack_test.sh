#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nacre pack: directories into one file, a server that uses it, and what is said about both. Arguments: the build directory,
# the source directory.
set -euo pipefail
nacre=$1/nacre
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
cd "$scratch"

fail() {
    echo "tool_pack_test: $*" >&2
    exit 1
}
# refused CODE TEXT COMMAND…: it ends with that code and one line that has TEXT in it.
refused() {
    local code=$1 text=$2 got=0
    shift 2
    "$@" >out 2>err || got=$?
    [ "$got" = "$code" ] || fail "$*: exit code $got, expected $code: $(cat err)"
    [ "$(wc -l <err)" = 1 ] || fail "$*: not one line: $(cat err)"
    grep -q -- "$text" err || fail "$*: says $(cat err), not $text"
}

for i in 1 2 3; do
    "$nacre" keygen --client-id 00 --server-id 01 --id-context "0$i" "client$i" "server$i"
done
"$nacre" protect --context client1 4001000100 >/dev/null # so that it has a state

refused 2 'at least one directory' "$nacre" pack fleet.pack
refused 5 'cannot open directory' "$nacre" pack fleet.pack no-such-directory
"$nacre" pack fleet.pack server1 server2 >out
[ "$(wc -l <out)" = 2 ] || fail "pack says: $(cat out)"
[ "$(stat -c %a fleet.pack)" = 600 ] || fail "mode $(stat -c %a fleet.pack)"
"$nacre" pack fleet.pack server1 server2 server3 >out # the first two are there already
[ "$("$nacre" show fleet.pack | wc -l)" = 3 ] || fail "show: $("$nacre" show fleet.pack)"
"$nacre" show fleet.pack | grep -q 'sender id 01, recipient id 00, id context 02, next to send 0, received from 0' ||
    fail "show: $("$nacre" show fleet.pack)"
"$nacre" show --json fleet.pack | python3 -c '
import json, sys
shown = json.load(sys.stdin)
assert [c["id-context_hex"] for c in shown] == ["01", "02", "03"], shown
assert not any("secret_hex" in c for c in shown)' || fail "show --json"
secret=$(sed -n 's/.*"secret_hex": "\([0-9a-f]*\)".*/\1/p' client2/secret.json)
"$nacre" show fleet.pack | grep -q "$secret" && fail "show tells a secret"
"$nacre" show --reveal fleet.pack | grep -q "$secret" || fail "show --reveal tells none"

refused 5 'moved into a pack' "$nacre" serve --bind 127.0.0.1:0 --context server1
refused 5 'was moved into another pack' "$nacre" pack other.pack server1
refused 2 'without one nobody' "$nacre" serve --bind 127.0.0.1:0

mkdir root
head -c 1000 fleet.pack >root/a-pack
head -c 1000 fleet.pack | tail -c 999 >root/no-pack
start() {
    : >listening # what an earlier server said
    "$nacre" serve --bind 127.0.0.1:0 --pack fleet.pack --root root --writable >listening 2>errors &
    server=$!
    for _ in $(seq 100); do
        grep -q listening listening && break
        sleep 0.05
    done
    uri=$(sed -n 's/^listening //p' listening)
    [ -n "$uri" ] || fail "the server does not start: $(cat errors)"
}
stop() {
    kill "-$1" "$server"
    wait "$server" 2>/dev/null || true
    server=
}
for ending in TERM KILL TERM; do
    start
    for i in 1 2 3 2; do
        timeout 20 "$nacre" get "$uri/hello" --context "client$i" >out || fail "get with client$i after $ending"
    done
    timeout 20 "$nacre" get "$uri/no-pack" --context client1 >out || fail 'a file is not served'
    refused 1 '4.04' "$nacre" get "$uri/a-pack" --context client1 # it would hold secrets
    refused 1 '4.0' "$nacre" put "$uri/a-pack" --payload x --context client1
    refused 1 '4.04' "$nacre" delete "$uri/a-pack" --context client1
    [ "$(stat -c %s root/a-pack)" = 1000 ] || fail 'a pack was written over'
    timeout 20 "$nacre" put "$uri/new" --payload x --context client1 >out || fail 'a file is not written'
    refused 5 'open already' "$nacre" pack fleet.pack client1
    refused 5 'open already' "$nacre" serve --bind 127.0.0.1:0 --pack fleet.pack
    stop "$ending"
done
"$nacre" show fleet.pack | grep -q unknown && fail "a window is unknown after a clean end"

head -c 20000 fleet.pack >short.pack
refused 5 'cut short' "$nacre" show short.pack
refused 5 'cut short' "$nacre" serve --bind 127.0.0.1:0 --pack short.pack
refused 5 'cannot open the pack' "$nacre" serve --bind 127.0.0.1:0 --pack client1
echo "tool_pack_test: ok"

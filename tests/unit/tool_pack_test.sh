#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: cross linux slow
# tool_pack_test: nacre pack: directories into one file, a server that uses it, and what show and check report about
# both. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

for i in 1 2 3; do
    run 0 keygen --client-id 00 --server-id 01 --id-context "0$i" "client$i" "server$i"
done
run 0 protect --context client1 4001000100 # so that it has a state

run 2 pack fleet.pack
says err 'at least one directory'
run 5 pack fleet.pack no-such-directory
says err 'cannot open directory'
run 0 pack fleet.pack server1 server2
[ "$(wc -l <out)" = 2 ] || fail "pack says: $(cat out)"
[ "$(stat -c %a fleet.pack)" = 600 ] || fail "mode $(stat -c %a fleet.pack)"
run 0 pack fleet.pack server1 server2 server3 # the first two are there already
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

run 5 serve --bind 127.0.0.1:0 --context server1
says err 'moved to fleet.pack'
run 5 pack other.pack server1
says err 'was moved into another pack'
run 2 serve --bind 127.0.0.1:0
says err 'without one no client could be served'

# ---- check of a moved directory names its pack; beside its pack it is not reported as a twin
run 5 check server1
[ "$(wc -l <out)" = 1 ] || fail "check of a moved one: $(cat out)"
says out 'moved to fleet.pack'
run 5 check fleet.pack server1
lacks out 'Sender Key'

# ---- of several directories all are moved, or none
for i in 4 5; do run 0 keygen --client-id 00 --server-id 01 --id-context "0$i" "client$i" "server$i"; done
cp -r server4 copy4
for bad in no-such-directory root server1 copy4; do # the last two: elsewhere already, and a copy of one that is given
    mkdir -p root
    run 5 pack several.pack server4 server5 $bad
    says err 'no directory was moved'
    says err $bad
    [ ! -e several.pack ] || fail "$bad: a pack is left behind"
    run 0 check server4 server5 # still of use
done
rm -r copy4
before=$("$nacre" show fleet.pack)
run 5 pack fleet.pack server4 no-such-directory
[ "$("$nacre" show fleet.pack)" = "$before" ] || fail 'the pack took the first of two'
run 0 protect --context server4 4001000100
run 0 pack several.pack server4 server4 server5

head -c 1000 fleet.pack >root/a-pack
head -c 1000 fleet.pack | tail -c 999 >root/no-pack
for ending in "stop TERM" crash "stop TERM"; do
    start serve server --bind 127.0.0.1:0 --pack fleet.pack --root root --demo --writable
    for i in 1 2 3 2; do
        run 0 get "$url/hello" --context "client$i"
    done
    run 0 get "$url/no-pack" --context client1
    run 1 get "$url/a-pack" --context client1 # it would hold secrets
    says err '4.04'
    run 1 put "$url/a-pack" --payload x --context client1
    says err '4.0'
    run 1 delete "$url/a-pack" --context client1
    says err '4.04'
    [ "$(stat -c %s root/a-pack)" = 1000 ] || fail 'a pack was written over'
    run 0 put "$url/new" --payload x --context client1
    run 5 pack fleet.pack client1
    says err 'open already'
    run 5 serve --bind 127.0.0.1:0 --pack fleet.pack
    says err 'open already'
    $ending
done
"$nacre" show fleet.pack | grep -q unknown && fail "a window is unknown after a clean end"

"$nacre" check fleet.pack >out || fail "check: $(cat out)"
grep -qx 'fleet.pack: ok' out || fail "check says: $(cat out)"
[ "$("$nacre" check --json fleet.pack)" = '[{"path": "fleet.pack", "ok": true, "errors": [], "warnings": [], "notes": []}]' ] ||
    fail "check --json: $("$nacre" check --json fleet.pack)"
chmod 644 fleet.pack
"$nacre" check fleet.pack | grep -q 'fleet.pack: holds secrets, and has mode 644.*(warning)' || fail 'check: mode'
chmod 600 fleet.pack

# out of the pack again, and the client continues with it
run 2 unpack fleet.pack 1
says err 'found 2 arguments'
run 2 unpack fleet.pack 1x out1
says err 'a place is a number'
run 2 unpack fleet.pack 99 out1
says err 'there is no context 99'
run 2 unpack fleet.pack 18446744073709551615 out1
says err 'there is no context ' # and the largest number that a size_t has
run 5 unpack fleet.pack 1 root
says err 'is there already'
"$nacre" show fleet.pack | sed -n 's/^1: .*id context 02, next to send \([0-9]*\),.*/\1/p' >number
"$nacre" unpack fleet.pack 1 out1 | grep -qx 'out1: context 1 of fleet.pack' || fail unpack
[ "$("$nacre" show out1 | sed -n 's/^next to send *\([0-9]*\).*/\1/p')" = "$(cat number)" ] || fail "$("$nacre" show out1)"
[ "$(stat -c %a out1 out1/secret.json | xargs)" = '700 600' ] || fail 'modes of what was unpacked'
"$nacre" show fleet.pack | grep -q '^1:' && fail 'it is still in the pack'
run 2 unpack fleet.pack 1 out2
says err 'there is no context 1'
run 5 pack fleet.pack out1
says err 'has, or had'
"$nacre" protect --context client2 4001000100 | xargs "$nacre" unprotect --context out1 >out || fail 'what was unpacked'

# a copy is detected: only if the file system distinguishes files
cp fleet.pack copy.pack
if "$nacre" check copy.pack >out 2>err; then
    echo "tool_pack_test: copies cannot be told here"
else
    grep -q 'copy.pack: was copied' out || fail "check of a copy: $(cat out)"
    run 5 serve --bind 127.0.0.1:0 --pack copy.pack
    says err 'nacre adopt'
    run 5 pack copy.pack client1
    says err 'nacre adopt'
    "$nacre" show copy.pack >out || fail 'a copy is not shown'
    run 2 adopt --next-to-send 5 copy.pack
    says err 'for directories'
    "$nacre" adopt copy.pack | grep -q '65536 numbers higher' || fail 'adopt'
    "$nacre" show copy.pack | grep -q 'next to send 655[0-9]*, received unknown' || fail "$("$nacre" show copy.pack)"
    "$nacre" check copy.pack >out || fail "check of an adopted one: $(cat out)"
    grep -q '2 of 2 replay windows are unknown.*(note)' out || fail "check of an adopted one: $(cat out)"
fi
head -c 20000 fleet.pack >short.pack
run 5 check short.pack
says out 'short.pack'
says out 'cut short'
run 5 show short.pack
says err 'cut short'
run 5 serve --bind 127.0.0.1:0 --pack short.pack
says err 'cut short'
run 5 serve --bind 127.0.0.1:0 --pack client1
says err 'cannot open the pack'
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_twins_test: contexts with one Sender Key or one Recipient Key (RFC 8613 3.3) are refused if one command uses
# both, and both are named. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

names() { # FILE NAME OTHER KEY: a line names both, and the key
    grep -F -- "$2" "$1" | grep -F -- "$3" | grep -qF -- "$4" || fail "$1 does not name $2, $3 and the $4: $(cat "$1")"
}

"$nacre" keygen --client-id 00 --server-id 01 client server >/dev/null || fail keygen
"$nacre" keygen --client-id 00 --server-id 01 client2 server2 >/dev/null || fail keygen
cp -r server copy
cp -r client client_copy

# One sender and two recipients from one libcoap file: two counters under one key. Also one recipient of two senders.
for i in 1 2; do
    printf 'master_secret,hex,"0102030405060708"\nsender_id,ascii,"s"\nrecipient_id,ascii,"%s"\n' $i >group.conf
    run 0 import group.conf group$i
done
printf 'master_secret,hex,"0102030405060708"\nsender_id,ascii,"t"\nrecipient_id,ascii,"1"\n' >group.conf
run 0 import group.conf group3

# ---- check: each is reported with its twin; a pair, and one directory by two paths, share no key
run 0 check server client server2 client2
ln -s server link
run 0 check server ./server link server/
run 5 check server client copy
names out 'server: has' copy 'Sender Key'
lacks out 'copy: has' # once for the two
lacks out 'copy: ok'
says out 'client: ok'
says err '2 of 3 directories have errors'
cp -r server copy2
run 5 check server copy copy2 # none of three goes unnamed
for name in server copy copy2; do says out "$name"; done
[ "$(grep -c 'Sender Key' out)" -le 3 ] || fail "check of three: $(cat out)"
says err '3 of 3 directories have errors'
run 5 check group1 group2
names out group1 group2 'Sender Key'
run 5 check group1 group3
names out group1 group3 'Recipient Key'
run 0 check group2 group3 2>/dev/null
run 5 check --json server client copy
python3 -c '
import json
server, client, copy = json.load(open("out"))
assert client["ok"] and not client["errors"], client
for one, other in (server, "copy"), (copy, "server"):
    assert not one["ok"] and len(one["errors"]) == 1 and other in one["errors"][0], one' || fail 'check --json'

# The legacy layout: without --role the role of a directory is unknown.
mkdir older
echo '{"secret_hex": "00112233445566778899aabbccddeeff"}' >older/secret.json
echo '{"client-sender-id_hex": "63", "server-sender-id_hex": "73"}' >older/settings.json
cp -r older older_copy
run 0 check older older_copy
grep -q 'older as the client: has the same Sender Key as older_copy as the client.*(warning)' out || fail "older: $(cat out)"
run 5 check --role server older older_copy
names out 'older: has' older_copy 'Sender Key'

# ---- serve: in any combination; the server does not start
run 5 serve --bind '127.0.0.1:0' --context server --context copy
names err server copy 'Sender Key'
run 5 serve --bind '127.0.0.1:0' --context group1 --context group3
names err group1 group3 'Recipient Key'
echo '{":one": {"oscore": {"basedir": "copy"}}, ":two": {"oscore": {"basedir": "server"}}}' >server.json
run 5 serve --bind '127.0.0.1:0' --credentials server.json
names err 'copy (:one)' 'server (:two)' 'Sender Key'
start serve both --bind '127.0.0.1:0' --context server --context server2
run 0 get "$url/hello" --context client

# ---- credentials: two directories with one key, for two servers, are refused whichever server the request is for
echo "{\"$url/*\": {\"oscore\": {\"basedir\": \"client\"}}, \"coap://127.0.0.1:9/*\": {\"oscore\": {\"basedir\": \"client2\"}}}" >good.json
run 0 get "$url/hello" --credentials good.json
sed 's/client2/client_copy/' good.json >bad.json
run 5 get "$url/hello" --credentials bad.json
names err 'client (' client_copy 'Sender Key'
run 5 get coap://127.0.0.1:9/hello --credentials bad.json
names err 'client (' client_copy 'Sender Key'
stop TERM

# ---- databases: with a directory, with a copy, and with another database
if "$nacre" fleet create fleet.db 2>err; then
    "$nacre" keygen --client-id 05 --server-id 01 client5 server5 >/dev/null || fail keygen
    "$nacre" keygen --client-id 06 --server-id 01 client6 server6 >/dev/null || fail keygen
    cp -r server5 before
    cp -r server6 before6
    run 0 fleet import fleet.db server5
    run 0 fleet import fleet.db server6
    run 0 check fleet.db client5
    run 5 check fleet.db client5 server5 # which was moved, and is no twin
    says out 'moved to'
    lacks out 'Sender Key'
    cp fleet.db second.db
    run 5 check fleet.db second.db
    names out 'fleet.db, context 2' 'second.db, context 2' 'Sender Key'
    run 5 check before fleet.db
    names out 'before: has' 'fleet.db, context 1' 'Sender Key'
    run 5 fleet import fleet.db before6
    says err 'same Sender Key'
    run 0 check before6 # it is as it was
    run 0 fleet create other.db
    run 0 fleet import other.db before6
    run 5 check fleet.db other.db
    names out 'fleet.db, context 2' 'other.db, context 1' 'Sender Key'
    run 0 fleet export fleet.db 2 exported
    run 5 check exported other.db
    names out exported 'other.db, context 1' 'Sender Key'
    run 0 check exported fleet.db
    echo '{' >no.db
    run 5 check no.db
    says out 'no.db'
else
    echo 'SKIPPED for databases: this build has no SQLite'
fi

# No message advises making another directory from the same secret.
for advice in 'make a file for each' 'copy it'; do lacks err "$advice"; done
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_fleet_test: nacre fleet: a database is made, filled, listed, changed and moved from and to. Arguments: build directory,
# source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

run 2 fleet
says err 'a command is missing'
run 2 fleet lst fleet.db
says err 'did you mean list'
if ! "$nacre" fleet create probe.db >/dev/null 2>err; then
    grep -q 'built without SQLite' err && { echo 'SKIPPED: this build has no SQLite'; exit 77; }
    fail "create: $(cat err)"
fi
"$nacre" fleet --help >out || fail 'fleet --help'
says out '--kek FILE'

run 5 fleet list fleet.db
says err 'nacre fleet create'
run 0 fleet create fleet.db
run 5 fleet create fleet.db
says err 'is there already'
[ "$(stat -c %a fleet.db)" = 600 ] || fail "mode $(stat -c %a fleet.db)"

# ---- fresh contexts, with their clients
run 2 fleet keygen fleet.db --count 3
run 5 fleet keygen fleet.db --count 3 --out clients
mkdir clients
run 0 fleet keygen fleet.db --count 3 --out clients
run 0 fleet list fleet.db
[ "$(wc -l <out)" = 3 ] || fail "list: $(cat out)"
says out '2: active, AES-CCM-16-64-128, sha256, window 32'
says out 'recipient id 0002, next to send 0, received from 0'
run 0 show clients/2
says out '0002'
mkdir clients/5 # is in the way of the second of two: nothing is made
run 5 fleet keygen fleet.db --count 2 --out clients
[ ! -e clients/4 ] || fail 'a client without its context remains'
rmdir clients/5

# ---- JSON in and out
cat >more.json <<'J'
[{"secret_hex": "000102030405060708090a0b0c0d0e0f", "sender-id_hex": "01", "recipient-id_hex": "aabb", "name": "pump"},
 {"secret_hex": "100102030405060708090a0b0c0d0e0f", "sender-id_hex": "01", "recipient-id_hex": "aabc",
  "algorithm": "A128GCM", "window": 64, "id-context_hex": ""}]
J
run 0 fleet add fleet.db more.json
says out '2 added'
run 5 fleet add fleet.db more.json
says err 'none was added'
echo '{"secret_hex": "00", "sender-id_hex": "01", "recipient-id_hex": "bb", "next-to-send": 7}' >used.json
run 5 fleet add fleet.db used.json
says err 'nacre fleet import'
"$nacre" fleet list --json fleet.db | python3 -c '
import json, sys
shown = json.load(sys.stdin)
assert len(shown) == 5, shown
assert shown[3]["name"] == "pump" and shown[4]["id-context_hex"] == "" and shown[4]["window"] == 64, shown
assert not any("secret_hex" in c for c in shown)' || fail 'list --json'
"$nacre" fleet show --json --reveal fleet.db 4 | python3 -c '
import json, sys
assert json.load(sys.stdin)["secret_hex"] == "000102030405060708090a0b0c0d0e0f"' || fail 'show --json --reveal'
run 0 fleet show fleet.db 4
lacks out '000102030405060708090a0b0c0d0e0f'
says out 'name pump'
# A terminal obeys control characters, also those of two bytes (U+009B begins a sequence).
printf '{"secret_hex": "20", "sender-id_hex": "01", "recipient-id_hex": "dd", "name": "a\\u001b\302\233b\303\244"}' >odd.json
"$nacre" fleet create odd.db >/dev/null && run 0 fleet add odd.db odd.json
run 0 fleet list odd.db
says out "$(printf 'name a??b\303\244')"
steering=$(printf 'a\033[31m\342\200\256.db')
run 0 fleet create "$steering"
says out 'a?[31m???.db: made'
run 0 fleet add "$steering" odd.json
says out 'a?[31m???.db: 1 added'
run 5 fleet create "$steering"
says err 'a?[31m???.db'
run 5 fleet show fleet.db 99
run 2 fleet show fleet.db pump
says err 'is not the ID'
run 2 fleet create other.db --json
says err 'takes no --json'

# ---- moving, ending
run 0 keygen --client-id 0a --server-id 0b device-client device
run 0 fleet import fleet.db device --name device
says out 'device: moved, context 6'
run 5 serve --bind 127.0.0.1:0 --context device
says err 'was moved to'
run 0 fleet export fleet.db 6 back
run 0 show back
run 2 fleet export fleet.db 6 again
run 0 fleet import fleet.db back
says out 'context 6'
# ---- of several directories all are moved, or none
for i in 4 5; do run 0 keygen --client-id 00 --server-id 01 --id-context "0$i" "client$i" "server$i"; done
cp -r server4 copy4
run 0 keygen --client-id 0c --server-id 0d gone-client gone
run 0 fleet create elsewhere.db
run 0 fleet import elsewhere.db gone
mkdir -p empty
before=$("$nacre" fleet list fleet.db)
for bad in no-such-directory empty gone copy4; do # the last two: moved elsewhere, and a copy of one that is given
    run 5 fleet import fleet.db server4 server5 $bad
    says err 'no directory was moved'
    says err $bad
    [ "$("$nacre" fleet list fleet.db)" = "$before" ] || fail "$bad: a context was moved"
    run 0 check server4 server5 # still of use
done
run 0 fleet create several.db
run 0 fleet import several.db server4 server5
run 0 fleet import several.db server4 server5 # again: they are there
run 0 fleet remove fleet.db 1 2
run 2 fleet remove fleet.db 1
says err 'no active context'
run 0 fleet revoke fleet.db 3
run 0 fleet list --all fleet.db
says out '1: removed'
says out '3: revoked'
run 0 fleet stats --json fleet.db
python3 -c '
import json
s = json.load(open("out"))
assert (s["active"], s["removed"], s["revoked"], s["exported"]) == (3, 2, 1, 0), s
assert s["copied"] is False' || fail "stats: $(cat out)"

# ---- copies
run 0 fleet check fleet.db
says out 'no problems'
cp fleet.db copy.db
"$nacre" fleet check copy.db >out 2>err && fail 'check does not tell a copy'
says out 'old copy'
run 5 fleet remove copy.db 4
says err 'nacre fleet adopt'
run 0 fleet adopt copy.db
run 0 fleet remove copy.db 4
chmod 644 copy.db
run 5 fleet list copy.db
says err 'chmod 600'

# ---- a key-encryption key
head -c 32 /dev/urandom >kek
chmod 600 kek
run 0 fleet create --kek kek secret.db
run 5 fleet add secret.db more.json
says err '--kek'
run 0 fleet add --kek kek secret.db more.json
grep -q "$(printf '\x01\x02\x03\x04\x05\x06\x07\x08\x09')" secret.db && fail 'the secret is in the file'
run 0 fleet list secret.db # what is no secret
run 5 fleet show --reveal secret.db 1
run 0 fleet show --reveal --kek kek secret.db 1
says out '000102030405060708090a0b0c0d0e0f'
mkfifo kek.fifo
chmod 600 kek.fifo
for no_file in kek.fifo /dev/zero; do # neither waits for a writer
    run 5 fleet list --kek $no_file secret.db
    says err 'is not a regular file'
done
chmod 644 kek
run 5 fleet list --kek kek secret.db
says err 'chmod 600'

# ---- a server
run 2 serve --bind 127.0.0.1:0 --kek kek --context back
says err '--kek needs --db'
mkdir root served
cp fleet.db root/backup.db
cp fleet.db backup
echo hello >root/hello.txt
run 0 fleet keygen fleet.db --count 1 --out served
client=$(echo served/*)
serve_db() { # ARGUMENT...: starts a server; its URI is in $uri
    "$nacre" serve --bind 127.0.0.1:0 --db fleet.db --root root --writable "$@" >listening 2>serving &
    server=$!
    servers+=("$server")
    for _ in $(seq 100); do grep -q '^listening' listening && break; sleep 0.05; done
    uri=$(sed -n 's/^listening //p' listening)
}
for workers in 1 2; do
    serve_db --workers $workers
    run 0 get --context "$client" "$uri/hello.txt"
    says out hello
    run 1 get --context "$client" "$uri/backup.db" # a database of contexts is not served, nor written
    run 1 put --context "$client" --payload x "$uri/backup.db"
    run 1 delete --context "$client" "$uri/backup.db"
    cmp -s backup root/backup.db || fail 'a database was written over'
    run 0 fleet list fleet.db # while it runs
    run 5 fleet remove fleet.db 4
    says err 'has this database open'
    run 0 fleet check fleet.db
    kill -KILL "$server"
    wait "$server" 2>/dev/null
done
run 0 fleet check fleet.db
serve_db
run 0 get --context "$client" "$uri/hello.txt" # after a kill, with an Echo
kill -TERM "$server"
wait "$server" 2>/dev/null || fail "the server ended with $?: $(cat serving)"
run 0 fleet check fleet.db
# a damaged context does not keep a server from serving the others
run 0 fleet add fleet.db odd.json
id=$("$nacre" fleet list fleet.db | sed -n 's/^\([0-9]*\):.* name a.*/\1/p')
python3 -c "import sqlite3
c = sqlite3.connect('fleet.db')
c.execute('UPDATE contexts SET window = window + 1 WHERE id = $id')
c.commit()" || fail "no sqlite3 in python"
"$nacre" fleet check fleet.db >out 2>err && fail "check does not tell a damaged row"
says out "context $id: its row is damaged"
"$nacre" fleet list fleet.db >out 2>err && fail "list does not tell a damaged row"
says err "context $id: its row is damaged"
says out 'recipient id'
serve_db
run 0 get --context "$client" "$uri/hello.txt"
kill -TERM "$server"
wait "$server" 2>/dev/null || fail "the server ended with $?: $(cat serving)"
run 0 fleet revoke fleet.db "$id"
run 0 fleet check fleet.db
run 5 serve --bind 127.0.0.1:0 --db copy.db
says err 'chmod 600'
run 5 serve --bind 127.0.0.1:0 --db secret.db
says err '--kek'

finish

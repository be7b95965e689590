#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_state_test: a state that another program has taken over, and symbolic links in a context directory. Arguments:
# build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

plain=420100016162b161
directories() { # fresh ones: c1 s1 c2 s2
    rm -rf c1 s1 c2 s2
    "$nacre" keygen --client-id 0a --server-id 01 c1 s1 >/dev/null || fail keygen
    "$nacre" keygen --client-id 0b --server-id 02 c2 s2 >/dev/null || fail keygen
}

# ends CODE: stops the last server by a signal
ends() {
    kill -INT "$pid"
    wait "$pid"
    local code=$?
    [ $code = "$1" ] || fail "the server ended with $code, not $1: $(cat serve.err)"
    unset 'servers[-1]'
}

# ---- a lost lock: that context is stopped, the other continues, and the exit reports it
for lost in none lock state both; do
    directories
    start serve serve --bind '[::1]:0' --context s1 --context s2
    run 0 get "$url/hello" --context c1
    run 0 get "$url/hello" --context c2
    case $lost in
    lock) rm s1/lock ;;
    state) echo '{"next-to-send": 7000, "received": "unknown"}' >new && mv new s1/sequence.json ;;
    both) rm s1/lock s1/sequence.json ;;
    esac
    before=$(cat s1/sequence.json 2>/dev/null)
    run 0 get "$url/hello" --context c2
    answers 'Hello World!'
    if [ $lost = none ]; then
        ends 0
        continue
    fi
    ends 5
    [ "$(wc -l <serve.err)" = 1 ] || fail "serve says: $(cat serve.err)"
    says serve.err 'nacre serve: s1/'
    says serve.err 'stopped'
    [ "$(cat s1/sequence.json 2>/dev/null)" = "$before" ] || fail "$lost: serve wrote $(cat s1/sequence.json)"
    says s2/sequence.json '"index": '
    [ ! -e s1/.sequence-* ] || fail 'a temporary file is left'
done

# ---- lost before the first request: it gets no protected response, and the others do
directories
start serve serve --bind '[::1]:0' --context s1 --context s2
rm s1/lock
run 4 get "$url/hello" --context c1 --timeout 5
run 0 get "$url/hello" --context c2
answers 'Hello World!'
ends 5
says serve.err 's1/lock: was removed'
says s1/sequence.json '"next-to-send": 0'

# ---- a client: the response is printed, and the exit reports that the state was taken over
directories
mkdir root
echo text >root/a.txt
start serve serve --bind '[::1]:0' --context s1 --root root
rm -f out # what an earlier one said
"$nacre" observe "$url/a.txt" --context c1 --duration 2 >out 2>err </dev/null &
client=$!
for _ in $(seq 100); do
    [ -s out ] && break
    sleep 0.05
done
rm c1/lock
wait $client
[ $? = 5 ] || fail 'observe did not end with 5'
says err 'nacre observe: c1/lock: was removed'
ends 0

# ---- the state as a link
cat >conf <<EOT
master_secret,hex,"0102030405060708090a0b0c0d0e0f10"
sender_id,hex,"00"
recipient_id,hex,"01"
EOT
directories
mkdir elsewhere
mv c1/sequence.json elsewhere/
ln -s ../elsewhere/sequence.json c1/sequence.json
before=$(cat elsewhere/sequence.json)
for command in 'show c1' "protect --context c1 $plain" "unprotect --context c1 $plain" \
    'adopt c1' 'convert --to legacy --role client c1' 'export c1 --reveal --for libcoap' \
    'serve --bind [::1]:0 --context c1' 'get coap://[::1]:9/ --context c1'; do
    # shellcheck disable=SC2086
    run 5 $command
    says err 'c1/sequence.json: is a symbolic link'
    [ -L c1/sequence.json ] && [ "$(cat elsewhere/sequence.json)" = "$before" ] || fail "$command changed something"
done
run 5 check c1
says out 'c1/sequence.json: is a symbolic link'

# ---- secret and settings as links into another, read-only directory, as a mounted secret has them
directories
mkdir -p c1/..2026_11
mv c1/secret.json c1/settings.json c1/..2026_11/
ln -s ..2026_11 c1/..data
ln -s ..data/secret.json c1/secret.json
ln -s ..data/settings.json c1/settings.json
chmod 500 c1/..2026_11
start serve serve --bind '[::1]:0' --context s1
run 0 get "$url/hello" --context c1
answers 'Hello World!'
ends 0
run 0 show c1
run 0 check c1
lacks out 'chmod 600'
chmod 644 c1/..2026_11/secret.json
run 0 check c1
says out 'c1/secret.json: holds the secret, and has mode 644'
run 0 protect --context c1 $plain
before=$(cat c1/sequence.json)
run 5 convert --to legacy --role client c1
says err 'c1/settings.json: is a symbolic link'
[ "$(cat c1/sequence.json)" = "$before" ] && [ -L c1/settings.json ] && [ -L c1/secret.json ] ||
    fail 'convert changed something'
run 0 adopt c1
if "$nacre" fleet create fleet.db 2>err; then
    run 0 fleet import fleet.db c1
    [ -L c1/secret.json ] || fail 'the move replaced a link'
else
    echo 'SKIPPED for moves into a database: this build has no SQLite'
fi
chmod 700 c1/..2026_11

# ---- no file is made through a link
ln -s nowhere link
run 5 keygen link other
run 5 keygen other link
run 5 import conf link
[ ! -e fleet.db ] || run 5 fleet export fleet.db 1 link
[ ! -e nowhere ] && [ ! -e other ] && [ -L link ] || fail 'a file was made through a link'
run 0 import conf imported

finish

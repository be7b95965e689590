#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_observe_away_test: nacre observe outlives a restart of its server, and reports once that it waits and once that
# the server is back. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >out 2>&1 || fail "no contexts: $(cat out)"
mkdir www
echo first >www/note

# one port for both: free for UDP
start serve first --bind '[::1]:0' --root www --context server
address=${url#coap://}
kill "$pid"
wait "$pid"
start serve server --bind "$address" --tcp --root www --context server
address=${url#coap://}
tcp=$(sed -n 's/^listening \(coap+tcp:.*\)/\1/p' server.out)

# wait_for FILE TEXT
wait_for() {
    for _ in $(seq 300); do
        grep -q "$2" "$1" && return
        sleep 0.05
    done
    fail "$1 has no '$2': $(cat "$1")"
}

timeout 60 "$nacre" observe --context client --count 2 "$tcp/note" >seen.out 2>seen.err </dev/null &
observer=$!
wait_for seen.out first
kill -KILL "$pid"
wait "$pid" 2>/dev/null
wait_for seen.err 'the server is away'
sleep 2 # several attempts
echo second >www/note
start serve again --bind "$address" --tcp --root www --context server
wait "$observer" || fail "observe ended with $?: $(cat seen.err)"
printf 'first\n\nsecond\n\n' >expected
cmp -s seen.out expected || fail "observe printed '$(cat seen.out)'"
printf '%s\n' 'nacre observe: the server is away; waiting until it is back' 'nacre observe: the server is back' >expected
cmp -s seen.err expected || fail "observe said '$(cat seen.err)'"

# a first registration that is refused fails at once
kill -KILL "$pid"
wait "$pid" 2>/dev/null
run 3 observe --context client "$tcp/note"
finish

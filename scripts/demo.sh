#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Shows a protected exchange over loopback: the client, the datagrams, both states over a restart, and a replay. Every
# statement is checked; the exit code is not 0 if one is wrong.
#
#     scripts/demo.sh [BUILD_DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
nacre=$build/nacre
relay=$build/tests/relay
room=$(mktemp -d "${TMPDIR:-/tmp}/nacre-demo.XXXXXX")
log=$room/wire
pids=()

cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$room"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' green='' red='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
explain() { printf '  %s\n' "$@"; }
run() { printf '%s  $ %s%s\n' "$dim" "$*" "$plain"; }
good() { printf '  %s✓%s %s\n' "$green" "$plain" "$*"; }
die() {
    printf '  %s✗ %s%s\n' "$red" "$*" "$plain"
    exit 1
}
indent() { sed 's/^/    /'; }

# ready PID FILE PREFIX: waits for the program's first line, and prints what follows PREFIX in it.
ready() {
    local line
    for _ in $(seq 100); do
        line=$(head -n 1 "$2")
        if [ "${line#"$3"}" != "$line" ]; then
            echo "${line#"$3"}"
            return
        fi
        kill -0 "$1" 2>/dev/null || break
        sleep 0.05
    done
    echo "demo: no line '$3…' from the program:" >&2
    cat "$2" "$2.err" >&2
    return 1
}
start_both() {
    "$nacre" serve --bind "$loopback:0" --context "$room/server" >"$room/serve.out" 2>"$room/serve.out.err" &
    server_pid=$! pids=("$!")
    server=$(ready "$server_pid" "$room/serve.out" 'listening coap://')
    "$relay" --listen "$loopback:0" --to "$server" --log "$log" --seconds 60 >"$room/relay.out" 2>"$room/relay.out.err" &
    relay_pid=$! pids+=("$!")
    front=$(ready "$relay_pid" "$room/relay.out" 'relaying ')
}
stop_both() {
    kill "$relay_pid" "$server_pid"
    wait "$server_pid" || die "the server did not end cleanly: $(cat "$room/serve.out.err")"
    wait "$relay_pid" || die 'the relay did not end cleanly'
    pids=()
}
# get: a GET of /hello through the relay; writes the response's payload to $room/answer.
get() {
    run "nacre get -v --context client coap://$front/hello"
    "$nacre" get -v --context "$room/client" "coap://$front/hello" >"$room/answer" 2>"$room/verbose" ||
        die "no answer: $(cat "$room/verbose")"
    indent <"$room/verbose"
    printf '%s' "$bold" && indent <"$room/answer" && printf '%s\n' "$plain"
}
# state SIDE: the directory's numbers and replay state as text; number SIDE KEY: one value of it.
state() { "$nacre" show "$room/$1" | grep -E '^(next to send|received)' | sed "s/^/$1: /" | indent; }
number() { "$nacre" show --json "$room/$1" | sed -n "s/^ *\"$2\": \([0-9]*\),\{0,1\}$/\1/p"; }
hex_of() { od -An -v -tx1 | tr -d ' \n'; }

loopback='[::1]'
grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 || loopback=127.0.0.1

say '1. Two directories: the two sides of one fresh security context'
run 'nacre keygen client server'
"$nacre" keygen "$room/client" "$room/server" | sed "s|$room/||" | indent
explain 'IDs: each request names the Sender ID of its client, by which the server finds the keys;' \
    'the Sender ID of one side is the Recipient ID of the other.'

say '2. A protected request, as the client sees it'
explain 'Inner: what the application says, readable by the two ends only.' \
    'Outer: what crosses the wire, a POST or 2.04 that carries the inner message encrypted, and an OSCORE option.'
start_both
get
[ -s "$room/answer" ] || die 'the answer is empty'

say '3. The same, as the wire sees it  (> request, < answer)'
indent <"$log"
grep -q '^> ' "$log" && grep -q '^< ' "$log" || die 'no request and answer on the wire'
first=$(sed -n 's/^> //p' "$log" | head -n 1)
for text in hello "$(cat "$room/answer")"; do
    ! grep -q "$(printf %s "$text" | hex_of)" "$log" || die "\"$text\" is readable on the wire"
    good "\"$text\" is not readable there"
done
stop_both

say '4. Both sides restarted: numbers and replay window go on'
explain 'Numbers: each request takes the next sequence number, stored before it is used and never used twice;' \
    'the server remembers in a replay window which ones it has accepted.'
state client && state server
sent=$(number client next-to-send) seen=$(number server bitfield)
start_both
get
say '5. The first request is recorded, and sent once more in a new message'
# A new message ID: a retransmission would just get its response again.
replayed=${first:0:4}$(printf '%04x' $((0x${first:4:4} ^ 0x5a5a)))${first:8}
run "send $replayed"
refusal=$("$relay" --send "$replayed" --to "$server") || die 'no answer to the replay'
printf '    %s\n' "$refusal"
# Code 4.01, and the diagnostic payload (RFC 8613 8.2).
case $refusal in
??81*ff"$(printf 'Replay detected' | hex_of)") good 'refused: 4.01 "Replay detected"' ;;
*) die 'the replay was not refused with 4.01 "Replay detected"' ;;
esac
stop_both

say '6. What the two directories hold now'
state client && state server
[ "$(number client next-to-send)" -eq $((sent + 1)) ] || die "the client's number did not go on from $sent"
good "the client used number $sent, and none twice"
[ "$seen" -eq 1 ] && [ "$(number server bitfield)" -eq 3 ] || die "the server's replay window did not go on from $seen"
good 'the server remembers both requests, and not the replay'

say 'Next: the same by hand'
explain "$build/nacre keygen phone lamp" "$build/nacre serve --context lamp --bind '$loopback:5683' &" \
    "$build/nacre get --context phone -v coap://$loopback/hello" \
    'README.md goes on from there; make help lists what else there is.'

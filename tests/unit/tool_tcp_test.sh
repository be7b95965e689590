#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_tcp_test: nacre serve --tcp, and requests to coap+tcp URIs. Arguments: build directory, source directory.
set -u
nacre=$(cd "$1" && pwd)/nacre
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# run EXIT_CODE TEXT ARGUMENT...: what it prints has TEXT
run() {
    local wanted=$1 text=$2 code
    shift 2
    timeout 30 "$nacre" "$@" >out 2>&1 </dev/null
    code=$?
    [ $code = "$wanted" ] || fail "nacre $* ended with $code, not $wanted: $(cat out)"
    [ -z "$text" ] || grep -qF -- "$text" out || fail "nacre $* lacks '$text': $(cat out)"
}

"$nacre" keygen client server >/dev/null || fail "keygen"
"$nacre" serve --tcp --bind '[::1]:0' --context server >listening 2>server.err </dev/null &
server=$!
for _ in $(seq 100); do
    [ "$(cat listening 2>/dev/null | wc -l)" = 2 ] && break
    sleep 0.05
done
udp=$(sed -n 's/^listening \(coap:.*\)/\1/p' listening)
tcp=$(sed -n 's/^listening \(coap+tcp:.*\)/\1/p' listening)
[ -n "$udp" ] && [ -n "$tcp" ] || fail "serve --tcp says: $(cat listening server.err)"

run 0 'Hello World!' get --context client "$tcp/hello"
run 0 'Hello World!' get --context client "$udp/hello"
run 0 '' put --context client --payload pearl "$tcp/store"
run 0 'pearl' get --context client "$tcp/store"
run 1 '4.01' get "$tcp/hello"
run 1 '4.04' get --context client "$tcp/nowhere"
run 0 ' over TCP' get -v --context client "$tcp/hello"
if timeout 30 "$nacre" get -v --context client "$udp/hello" 2>&1 | grep -qF 'over TCP'; then fail "UDP is called TCP"; fi
run 5 'TCP' serve --tcp --bind "${tcp#coap+tcp://}" --context client
# bodies in blocks, and a query so long that blocks of 1024 would be more than a connection takes
head -c 5000 /dev/zero | tr '\0' x >body
long=$(printf '%0200d' 0)
run 0 '' put --context client --payload-file body "$tcp/store?$long"
timeout 30 "$nacre" get --context client "$tcp/store?$long" >out 2>err || fail "blocks over TCP: $(cat err)"
cmp -s out body || fail "blocks over TCP: $(wc -c <out) bytes came back: $(cat err)"
kill "$server"
wait "$server"
code=$?
server=
[ $code = 0 ] || fail "serve --tcp ended with $code: $(cat server.err)"
run 3 'cannot be reached' get --context client "$tcp/hello"
run 2 'scheme' get --context client coaps+tcp://localhost/hello

[ $failures = 0 ] || echo "$failures failures" >&2
exit $((failures > 0))

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_tcp_test: nacre serve --tcp, and requests to coap+tcp URIs. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

# prints EXIT_CODE TEXT ARGUMENT...: the output contains TEXT
prints() {
    local wanted=$1 text=$2 code
    shift 2
    timeout 30 "$nacre" "$@" >out 2>&1 </dev/null
    code=$?
    [ $code = "$wanted" ] || fail "nacre $* ended with $code, not $wanted: $(cat out)"
    [ -z "$text" ] || grep -qF -- "$text" out || fail "nacre $* lacks '$text': $(cat out)"
}

"$nacre" keygen client server >/dev/null || fail "keygen"
start serve server --tcp --bind '[::1]:0' --context server
for _ in $(seq 100); do
    [ "$(wc -l <server.out)" = 2 ] && break
    sleep 0.05
done
udp=$url
tcp=$(sed -n 's/^listening \(coap+tcp:.*\)/\1/p' server.out)
[ -n "$tcp" ] || fail "serve --tcp says: $(cat server.out server.err)"

prints 0 'Hello World!' get --context client "$tcp/hello"
prints 0 'Hello World!' get --context client "$udp/hello"
prints 0 '' put --context client --payload pearl "$tcp/store"
prints 0 'pearl' get --context client "$tcp/store"
prints 1 '4.01' get "$tcp/hello"
prints 1 '4.04' get --context client "$tcp/nowhere"
prints 0 ' over TCP' get -v --context client "$tcp/hello"
if timeout 30 "$nacre" get -v --context client "$udp/hello" 2>&1 | grep -qF 'over TCP'; then fail "UDP is called TCP"; fi
prints 5 'TCP' serve --tcp --bind "${tcp#coap+tcp://}" --context client
# block-wise bodies, and a query so long that messages with blocks of 1024 would exceed the connection's limit
head -c 5000 /dev/zero | tr '\0' x >body
long=$(printf '%0200d' 0)
prints 0 '' put --context client --payload-file body "$tcp/store?$long"
timeout 30 "$nacre" get --context client "$tcp/store?$long" >out 2>err || fail "blocks over TCP: $(cat err)"
cmp -s out body || fail "blocks over TCP: $(wc -c <out) bytes came back: $(cat err)"
stop TERM
prints 3 'cannot be reached' get --context client "$tcp/hello"
prints 2 'scheme' get --context client coaps+tcp://localhost/hello

finish

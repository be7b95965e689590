#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_stopped_test: after another program has taken over the state of a server's context, clients get 5.03 and the
# server's log says why; not 4.01 "Replay detected", which would point to the client. Arguments: build directory, source
# directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen --client-id 0a --server-id 01 client server >/dev/null || fail keygen
"$nacre" keygen --client-id 0b --server-id 01 other other-server >/dev/null || fail keygen
start serve one --bind '[::1]:0' --tcp --context server --context other-server
for _ in $(seq 100); do
    [ "$(wc -l <one.out)" = 2 ] && break
    sleep 0.05
done
tcp=$(sed -n 's/^listening \(coap+tcp:.*\)/\1/p' one.out)

# acts like a program that knows neither lock
sed 's/"next-to-send": [0-9]*/"next-to-send": 77/' server/sequence.json >new
mv new server/sequence.json
rm -f server/lock

run 4 get "$url/hello" --context client # the server notices with the first write
says err '5.03'
for uri in "$url/hello" "$tcp/hello" "$url/hello"; do
    run 4 get "$uri" --context client
    says err '5.03'
    says err 'its log says why'
    lacks err 'Replay'
done
says one.err 'this context is stopped'
[ "$(grep -c 'server/' one.err)" = 1 ] || fail "the log: $(cat one.err)"
run 0 get "$url/hello" --context other # its neighbour is served
kill "$pid"
wait "$pid" # not in order: a state was not written back
unset 'servers[-1]'
grep -q '"next-to-send": 77' server/sequence.json || fail "written over: $(cat server/sequence.json)"

finish

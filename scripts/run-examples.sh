#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the compiled examples in DIR over loopback: server with client, tiny_server with tiny_client, and the proxy until
# it is stopped. NACRE is the tool, which makes their contexts.
#
#     scripts/run-examples.sh DIR NACRE
set -euo pipefail
dir=$(cd "$1" && pwd) nacre=$(realpath "$2")
room=$(mktemp -d)
pid=''
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$room"
}
trap cleanup EXIT
cd "$room"
fail() {
    echo "run-examples: $*" >&2
    exit 1
}
loopback='[::1]'
grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 || loopback=127.0.0.1

# start PROGRAM ARGUMENT…: returns when it listens; fails if its port is taken.
start() {
    "$@" 2>"$room/err" &
    pid=$!
    sleep 0.3
    kill -0 "$pid" 2>/dev/null || { pid=''; return 1; }
}
stop() {
    kill "$pid"
    wait "$pid" || [ "$1" = by-signal ] || fail "a server did not end cleanly: $(cat "$room/err")"
    pid=''
}
free_port() {
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        if start "$@" "$loopback:$port"; then return; fi
    done
    fail "$1 does not start: $(cat "$room/err")"
}
answers() {
    local said
    said=$(timeout 20 "$@" 2>&1) || fail "$1: $said"
    [[ $said = *'Hello World!'* ]] || fail "$1 said: $said"
}

"$nacre" keygen phone lamp >/dev/null
free_port "$dir/server" lamp
answers "$dir/client" phone "coap://$loopback:$port/hello"
# Several requests at once, from the program's own loop. The libuv example exists only where libuv is installed.
for client in poll_client libuv_client; do
    [ "$client" = poll_client ] || [ -x "$dir/$client" ] || continue
    answers "$dir/$client" phone "coap://$loopback:$port/hello" "coap://$loopback:$port/hello" "coap://$loopback:$port/hello"
    [ "$(timeout 20 "$dir/$client" phone "coap://$loopback:$port/hello" "coap://$loopback:$port/hello" | grep -c 'Hello World!')" = 2 ] ||
        fail "$client: not every request was answered"
done
stop cleanly
free_port "$dir/proxy"
stop cleanly
free_port "$dir/tiny_server"
answers "$dir/tiny_client" "coap://$loopback:$port/hello"
stop by-signal

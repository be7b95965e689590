#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plain CoAP between nacre and libcoap's command-line tools (Debian's libcoap3-bin), each as client and as server, over
# UDP and TCP: requests, large bodies in blocks, separate answers, Observe.
#
#     tests/interop/libcoap.sh [BUILD_DIR]
#
# No OSCORE: Debian 12's libcoap 4.3.1 has none. Without the tools or python3 it prints that it is skipped and exits 0;
# with CI or NACRE_REQUIRE_LIBCOAP set, 1.
set -u
. "$(dirname "$0")/../support/lib/unknown_command.sh" || exit 1
build=$(cd "${1:-build}" && pwd)
nacre=$build/nacre plain=$build/tests/plain

# find NAME: the tool, with any of the TLS suffixes of its builds
find_tool() {
    local flavour
    for flavour in -openssl -notls -gnutls ''; do
        command -v "$1$flavour" && return
    done
}
coap_client=$(find_tool coap-client) coap_server=$(find_tool coap-server)
if [ -z "$coap_client" ] || [ -z "$coap_server" ] || ! command -v python3 >/dev/null; then
    echo "SKIPPED: libcoap's tools (coap-client-openssl, coap-server-openssl) or python3 are not installed"
    [ -z "${CI:-}${NACRE_REQUIRE_LIBCOAP:-}" ] && exit 0
    echo "not ok - libcoap's part of interop is required here"
    exit 1
fi
work=$(mktemp -d)
processes=()
trap 'for p in "${processes[@]:-}"; do [ -z "$p" ] || kill "$p" 2>/dev/null; done; rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failures=0

# check NAME COMMAND...
check() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "not ok - $name"
        failures=$((failures + 1))
    fi
}

# wait_for COMMAND...: until it succeeds, ten seconds at most
wait_for() {
    local i
    for ((i = 0; i < 100; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

says() { # says FILE TEXT
    grep -qF "$2" "$1"
}
lines() { # lines FILE NUM: that many at least
    [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}
holds() { # holds FILE TEXT
    [ "$(cat "$1")" = "$2" ]
}
code_is() { # code_is NUM COMMAND...
    local wanted=$1 code=0
    shift
    "$@" >out 2>err || code=$?
    [ "$code" = "$wanted" ]
}
ask() {
    timeout 60 "$nacre" "$@" 2>err
}
put_file() {
    ask put --payload-file "$@" >answer
}
get_file() {
    rm -f back
    ask get -o back "$@" && cmp -s body back
}
libcoap() {
    timeout 60 "$coap_client" -B 30 "$@" 2>>libcoap.err
}
libcoap_is_told() { # libcoap_is_told NAME TEXT OPTION...: errors come on its stderr
    local name=$1 text=$2
    shift 2
    timeout 60 "$coap_client" -B 30 "$@" >told 2>&1
    check "$name" says told "$text"
}
libcoap_puts() {
    rm -f back
    libcoap -m put -f body "$@" && libcoap -m get -o back "$@" && cmp -s body back
}

head -c 100000 /dev/urandom >body

# ---- nacre as the client of coap-server ----

free_port() {
    python3 -c '
import socket
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}
is_up() {
    timeout 5 "$nacre" get --timeout 1 "coap://127.0.0.1:$port/" >/dev/null 2>&1
}
start_server() {
    local try
    for try in 1 2 3; do
        port=$(free_port)
        "$coap_server" -A 127.0.0.1 -p "$port" -d 20 >server.log 2>&1 &
        server=$!
        processes+=("$server")
        wait_for is_up && return 0
        kill "$server" 2>/dev/null
    done
    return 1
}

ask_server() {
    local at=$1 name=${1%%:*}
    check "$name: the list of resources" says <(ask get "$at/.well-known/core") '</time>'
    check "$name: GET" says <(ask get "$at/") 'test server made with libcoap'
    check "$name: 4.04 is exit 1" code_is 1 ask get "$at/nothing"
    check "$name: PUT, of a new resource" ask put --payload 'a pearl' "$at/$name"
    ask get "$at/$name" >out
    check "$name: GET of what was put" holds out 'a pearl'
    check "$name: DELETE" ask delete "$at/$name"
    check "$name: GET of what was deleted" code_is 1 ask get "$at/$name"
    check "$name: PUT of 100,000 bytes" put_file body "$at/large-$name"
    check "$name: GET of 100,000 bytes" get_file "$at/large-$name"
    check "$name: the same in blocks of 256" put_file body -b 256 "$at/small-$name"
    check "$name: and back" get_file -b 256 "$at/small-$name"
    check "$name: observation of three ticks" timeout 60 "$plain" observe "$at/time" 3 >out
    check "$name: three of them" lines out 3
}

if start_server; then
    ask_server "coap://127.0.0.1:$port"
    check "NON" says <(ask get --non "coap://127.0.0.1:$port/") 'test server made with libcoap'
    check "a separate answer" says <(ask get "coap://127.0.0.1:$port/async?2") done
    ask_server "coap+tcp://127.0.0.1:$port"
    kill "$server"
else
    check "coap-server runs: $(tail -n 1 server.log)" false
fi

# ---- coap-client as the client of nacre ----

"$plain" serve 127.0.0.1:0 >listening &
server=$!
processes+=("$server")
check "nacre serves" wait_for lines listening 2

ask_nacre() {
    local at=$1 name=${1%%:*}
    check "$name: GET by libcoap" says <(libcoap -m get "$at/hello") 'Hello World!'
    check "$name: the list of resources by libcoap" says <(libcoap -m get "$at/.well-known/core") '</body>;obs'
    libcoap_is_told "$name: what is not allowed" '4.05 only GET' -m post -e x "$at/hello"
    check "$name: PUT and GET of 100,000 bytes by libcoap" libcoap_puts "$at/body"
    check "$name: the same in blocks of 256" libcoap_puts -b 256 "$at/body"
    libcoap -m put -e first "$at/body"
    libcoap -w -s 30 -m get "$at/body" >observed &
    observer=$!
    processes+=("$observer")
    check "$name: libcoap observes" wait_for says observed first
    for word in second third; do
        ask put --payload $word "$at/body" || check "$name: PUT" false
        check "$name: libcoap hears of the $word" wait_for says observed $word
    done
    kill "$observer" 2>/dev/null
}
at=$(sed -n '1s/^listening //p' listening)
ask_nacre "$at"
check "NON by libcoap" says <(libcoap -N -m get "$at/hello") 'Hello World!'
libcoap_is_told "what wants a context is closed to libcoap" '4.01 ' -m get "$at/closed"
ask_nacre "$(sed -n '2s/^listening //p' listening)"
kill "$server"

if [ $failures = 0 ]; then
    echo "ok - libcoap: $passed checks of plain CoAP, both ways, over UDP and TCP"
    exit 0
fi
[ ! -s libcoap.err ] || sed 's/^/    # coap-client: /' libcoap.err | tail -n 20
exit 1

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# nacre serve --metrics: figures that follow what happens, health, and what an HTTP client cannot do.
# Usage: tool_metrics_test.sh BUILD_DIR SOURCE_DIR
. "$2/tests/support/lib/tool.sh" || exit 1
source_dir=$(cd "$OLDPWD" && cd "$2" && pwd)
check="$source_dir/tests/support/metrics_check.py"
command -v python3 >/dev/null || { echo "SKIPPED: needs python3" && exit 77; }
"$nacre" keygen client server >/dev/null
if "$nacre" serve --bind 127.0.0.1:0 --context server --metrics 127.0.0.1:x 2>err; then fail "a bad address is accepted"; fi
if grep -q 'not built in' err; then echo "SKIPPED: built without libmicrohttpd" && exit 77; fi

expect() { # NAME{LABELS}=VALUE...
    local row got missing=$1
    for _ in $(seq 50); do # those at present are as of when a worker last waited
        python3 "$check" figures "$metrics" >figures || fail "/metrics is not well-formed"
        missing=''
        for row in "$@"; do
            got=$(sed -n "s/^${row%=*} //p" figures)
            [ "$got" = "${row##*=}" ] || missing+=" $row, but it is '$got';"
        done
        [ -z "$missing" ] && return
        sleep 0.1
    done
    fail "never$missing"
}
answers_with() { # PATH STATUS [TEXT]
    python3 "$check" get "$metrics" "$1" >answer
    [ "$(head -1 answer)" = "$2" ] || fail "$1 is $(head -1 answer), not $2: $(tail -n +2 answer)"
    [ -z "${3-}" ] || says answer "$3"
}
begin() { # ARGUMENT...
    start serve server --bind 127.0.0.1:0 --context server --metrics 0 "$@"
    metrics=$(sed -n 's/^metrics //p' server.out)
    [[ $metrics == http://127.0.0.1:* ]] || fail "a port alone is not on loopback: '$metrics'"
}

# ---- an address that cannot be used is one clear error, and nothing starts
run 5 serve --bind 127.0.0.1:0 --context server --metrics 127.0.0.1:x
says err 127.0.0.1:x
run 5 serve --bind 127.0.0.1:0 --context server --metrics 192.0.2.1:9464
says err '--metrics on 192.0.2.1:9464'

# ---- figures follow requests
begin --tcp --workers 2
python3 "$check" documented "$metrics" "$source_dir/docs/metrics.md" || fail "docs/metrics.md"
for _ in 1 2 3; do run 0 get "$url/hello" --context client; done
run 1 get "$url/nothing" --context client
run 0 put "$url/store" --context client --payload x
expect 'nacre_requests_total{method="GET"}=4' 'nacre_requests_total{method="PUT"}=1' nacre_protected_requests_total=5 \
    'nacre_responses_total{code="2.05"}=3' 'nacre_responses_total{code="4.04"}=1' 'nacre_responses_total{code="2.01"}=1' \
    nacre_contexts=1 nacre_workers=2 nacre_observers=0  'nacre_store_write_seconds_count{write="window"}=1' \
    'nacre_refused_total{error="no_context"}=0' nacre_healthy=1 nacre_ready=1
request=$("$nacre" protect --context client 40010001b568656c6c6f)
python3 - "$url" "$request" <<'PYTHON' # the same request twice, each with its own message ID: a replay
import socket, sys
host, port = sys.argv[1].split('/')[2].rsplit(':', 1)
request = bytearray.fromhex(sys.argv[2])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    for mid in 1, 2:
        request[2:4] = bytes([77, mid])
        s.sendto(request, (host, int(port)))
        s.recv(2000)
PYTHON
expect 'nacre_refused_total{error="replay"}=1'
if [ -n "$(command -v promtool)" ]; then
    curl -s "${metrics}metrics" | promtool check metrics || fail "promtool"
fi

# ---- observers are counted while they are there
"$nacre" observe "$url/store" --context client --duration 20 >/dev/null 2>&1 &
observer=$!
expect nacre_observers=1
kill -INT $observer
wait $observer
expect nacre_observers=0

# ---- health, and what is refused
answers_with /healthz 200 ok
answers_with /readyz 200 ok
python3 "$check" requests "$metrics" || fail "requests"
python3 "$check" crowd "$metrics" || fail "a crowd"
run 0 get "$url/hello" --context client

# ---- no secrets
secret=$(sed -n 's/.*"secret_\(hex\|ascii\)": *"\([^"]*\)".*/\2/p' server/secret.json)
[ ${#secret} -ge 16 ] || fail "which secret is it? $(cat server/secret.json)"
for path in / /metrics /status.json; do python3 "$check" get "$metrics" $path; done >all
lacks all "$secret"

# ---- a flood of HTTP requests takes an eighth of a core, and CoAP is served
python3 "$check" flood "$metrics" "$pid" 2 >flood || fail "a flood: $(cat flood)"
run 0 get "$url/hello" --context client
stop TERM

# ---- a store that fails before the first window is stored: not ready, with the reason, and healthy
begin
answers_with /readyz 200
rm -r server
timeout 20 "$nacre" get "$url/hello" --context client --timeout 2 >/dev/null 2>&1 && fail "it is served without a store"
answers_with /readyz 503 'the store of 1 context fails'
answers_with /healthz 200
answers_with /status.json 200 '"kind":"error","name":"server","text":'
expect nacre_ready=0 nacre_store_failing_contexts=1
stop TERM

# ---- a database whose contexts are loaded when requests need them: ready before the first request
if "$nacre" fleet create fleet.db >/dev/null 2>err; then
    mkdir -m 700 clients
    run 0 fleet keygen fleet.db --count 1 --out clients
    start serve server --bind 127.0.0.1:0 --db fleet.db --metrics 0
    metrics=$(sed -n 's/^metrics //p' server.out)
    answers_with /readyz 200 ok
    expect nacre_contexts=0
    run 0 get "$url/hello" --context clients/1
    expect nacre_contexts=1
else
    echo "SKIPPED in part: databases, $(cat err)"
fi
finish

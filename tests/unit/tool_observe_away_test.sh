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
wait_for seen.err 'the server is away, waiting until it is back: .* \(closed\|reset\) the connection$'
sleep 2 # several attempts
echo second >www/note
start serve again --bind "$address" --tcp --root www --context server
wait "$observer" || fail "observe ended with $?: $(cat seen.err)"
printf 'first\n\nsecond\n\n' >expected
cmp -s seen.out expected || fail "observe printed '$(cat seen.out)'"
sed -n 1p seen.err | grep -q 'the server is away' && sed -n 2p seen.err | grep -qx 'nacre observe: the server is back' &&
    [ "$(wc -l <seen.err)" = 2 ] || fail "observe said '$(cat seen.err)'"

# a first registration that is refused fails at once
kill -KILL "$pid"
wait "$pid" 2>/dev/null
run 3 observe --context client "$tcp/note"

# a notification over TCP that is too long ends the connection, not the observation: both lengths are reported
cat >long.py <<'PYTHON'
import socket, struct
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
def frame(token, observe, payload):
    body = bytes([0x61, observe, 0xff]) + payload
    return bytes([0xe8]) + struct.pack(">H", len(body) - 269) + b"\x45" + token + body
for second in 2000, 300:
    c, _ = s.accept()
    c.sendall(b"\x00\xe1")
    data = b""
    while b"Qx" not in data: # Uri-Path "x" after Observe
        data += c.recv(2000)
    at = data.index(b"\x60Qx")
    token = data[at - 8:at]
    c.sendall(frame(token, 1, b"1" * 300))
    c.sendall(frame(token, 2, b"2" * second))
    while c.recv(2000):
        pass
PYTHON
"${NACRE_PYTHON:-python3}" long.py >long.port &
servers+=($!)
for _ in $(seq 100); do [ -s long.port ] && break; sleep 0.05; done
run 0 observe "coap+tcp://127.0.0.1:$(cat long.port)/x" --count 3
[ "$(cut -c1 out | tr -d '\n')" = 112 ] || fail "observe printed '$(cat out)'"
says err 'the server is away, waiting until it is back'
says err 'message of 2015 bytes, Max-Message-Size is 1152'
says err 'the server is back'
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_ends_test: a peer's error, over TCP and UDP, is in the error line, and the exit code points to the peer: 1 for an
# unusable response, 3 for none, 4 for an unverified one; never 2 (usage) or 5 (this machine). Arguments: build
# directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

# peer.py tcp HEX HOW: sends HEX on each connection, then HOW: keep, close or reset.
# peer.py udp CODE HEX...: answers the first request with CODE and the first HEX (options, payload), and so on,
# repeating the last; CODE "rst" rejects.
cat >peer.py <<'PYTHON'
import socket, struct, sys
def tcp(data, how):
    s = socket.create_server(("127.0.0.1", 0))
    print(s.getsockname()[1], flush=True)
    kept = []
    while True:
        c, _ = s.accept()
        c.recv(2000)
        c.sendall(bytes.fromhex(data))
        kept.append(c)
        if how == "close":
            c.shutdown(socket.SHUT_WR)
        if how == "reset":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            kept.pop().close()
            c.close()
def udp(code, *answers):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1], flush=True)
    answers = list(answers)
    while True:
        request, peer = s.recvfrom(2000)
        if code == "rst":
            s.sendto(b"\x70\x00" + request[2:4], peer)
            continue
        token = request[4:4 + (request[0] & 15)]
        rest = bytes.fromhex(answers.pop(0) if len(answers) > 1 else answers[0])
        s.sendto(bytes([0x60 | len(token)]) + bytes.fromhex(code) + request[2:4] + token + rest, peer)
{"tcp": tcp, "udp": udp}[sys.argv[1]](*sys.argv[2:])
PYTHON
# peer KIND ARGUMENT...: starts such a peer, and sets port
peer() {
    rm -f port
    python3 peer.py "$@" >port &
    pid=$!
    servers+=("$pid")
    for _ in $(seq 100); do
        [ -s port ] && break
        sleep 0.05
    done
    port=$(cat port)
}

# ---- no CSM: the longest wait, so it starts first
peer tcp '' keep
timeout 60 "$nacre" get "coap+tcp://127.0.0.1:$port/x" >silent.out 2>silent.err </dev/null &
asker=$!

# ---- TCP: exit code | what the peer sends | how it ends | the error line
# 00e1 is a CSM, 05e5 an Abort
while IFS='|' read -r code bytes how text; do
    peer tcp "$bytes" "$how"
    run "$code" get "coap+tcp://127.0.0.1:$port/x" --timeout 20
    says err "127.0.0.1:$port"
    says err "$text"
    [ "$how" = reset ] || run "$code" post "coap+tcp://127.0.0.1:$port/x" --payload y --timeout 20
    crash
done <<'.'
1|00e180e5ff676f2061776179|keep|aborted the connection: go away
1|00e100e5|keep|aborted the connection
3||close|closed the connection before it answered: the peer closed before its first message; is this the port of coap+tcp, without TLS?
3|00e1|close|closed the connection before it answered
3|00e15045ff|close|closed the connection before it answered
3|00e1|reset|reset the connection before it answered
4|00e1f000ffffff45|keep|longer than this side announced in its CSM
4|15030300020216|close|the peer speaks TLS, this side CoAP without it; is this the port of coap+tcp, without TLS?
4|15030100020246|keep|is this the port of coap+tcp, without TLS?
4|485454502f312e31203430302042616420526571756573740d0a0d0a|close|does not speak CoAP over TCP (RFC 8323): the first message must be a CSM; is this the port
4|00e11045f0|close|malformed message
4|10e190|keep|critical signaling option
.

# ---- UDP: exit code | CODE | what follows the token in each answer | the error line
while IFS='|' read -r code answer bytes text; do
    [ "$bytes" != LONG ] || bytes=ff$(printf '%02600d' 0)
    # shellcheck disable=SC2086
    peer udp "$answer" $bytes
    run "$code" get "coap://127.0.0.1:$port/x" --timeout 20
    says err "127.0.0.1:$port"
    says err "$text"
    crash
done <<'.'
1|rst||rejected the message (RST)
1|45|d10a0eff6162|blocks that do not make a body
1|45|d10a08ff30313233343536373839303132333435 d10a30ff6162|blocks that do not make a body
1|45|d10a08547fffffffff30313233343536373839303132333435|is longer than
1|45|41aad10608ff30313233343536373839303132333435 41bbd10610ff61 41aad10608ff30313233343536373839303132333435 41bbd10610ff61|changes faster than it can be fetched
1|45|LONG|this endpoint takes 1280
4|45|d034ff61|critical option
.
wait $asker
code=$?
[ $code = 3 ] || fail "no CSM: exit code $code: $(cat silent.err)"
says silent.err 'no CSM came in time; is this the port of coap+tcp, without TLS?'
finish

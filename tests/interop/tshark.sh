#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tshark decrypts nacre's traffic with the output of `nacre export --for wireshark`, and not with another key.
#
#     tests/interop/tshark.sh [BUILD_DIR]
#
# Without tshark or python3 it prints that it is skipped and exits 0; with CI or NACRE_REQUIRE_TSHARK set, 1.
set -u
. "$(dirname "$0")/../support/lib/unknown_command.sh" || exit 1
build=$(cd "${1:-build}" && pwd)
nacre=$build/nacre
for program in tshark python3; do
    if ! command -v $program >/dev/null; then
        echo "SKIPPED: $program is not installed"
        [ -z "${CI:-}${NACRE_REQUIRE_TSHARK:-}" ] && exit 0
        echo "not ok - tshark's part of interop is required here"
        exit 1
    fi
done
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "not ok - $*"
    failures=$((failures + 1))
}

# Datagrams as `nacre get -v` shows them, on UDP port 5683 over IPv4, in the oldest capture format.
cat >capture.py <<'PYTHON'
import re, struct, sys
out = open(sys.argv[2], "wb")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
second = 0
for line in open(sys.argv[1]):
    m = re.match(r"([<>]) \d+ bytes .*  ([0-9a-f]+)$", line)
    if not m:
        continue
    data = bytes.fromhex(m.group(2))
    there = m.group(1) == ">"
    udp = struct.pack(">HHHH", 40000 if there else 5683, 5683 if there else 40000, 8 + len(data), 0) + data
    client, server = bytes([127, 0, 0, 1]), bytes([127, 0, 0, 2])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    ip += client + server if there else server + client
    second += 1
    out.write(struct.pack("<IIII", second, 0, len(ip + udp), len(ip + udp)) + ip + udp)
PYTHON

# decrypted CAPTURE DIR: tshark's output with the keys of DIR
decrypted() {
    local arguments=() line
    while IFS= read -r line; do
        arguments+=(-o "uat:oscore_contexts:$line")
    done < <("$nacre" export "$2" --for wireshark --reveal)
    tshark -r "$1" "${arguments[@]}" -V 2>tshark.err
}

# one CONTEXT_OPTIONS...: a request and its response, with a fresh pair
one() {
    rm -rf client server listening
    "$nacre" keygen "$@" client server >/dev/null || fail "keygen $*"
    "$nacre" serve --bind 127.0.0.1:0 --context server >listening &
    server=$!
    for _ in {1..100}; do
        [ -s listening ] && break
        sleep 0.05
    done
    "$nacre" get -v --context client "$(sed 's/^listening //' listening)/hello" >answer 2>shown || fail "get: $(cat shown)"
    kill "$server"
    wait "$server" 2>/dev/null
    server=
    python3 capture.py shown capture.pcap
    for side in client server; do
        decrypted capture.pcap $side >seen
        grep -q 'Uri-Path: hello' seen || fail "$*: with the $side's keys the request stays closed: $(cat tshark.err)"
        grep -q 'Hello World!' seen || fail "$*: with the $side's keys the answer stays closed: $(cat tshark.err)"
        ! grep -qi 'failed' seen || fail "$*: with the $side's keys a check failed: $(grep -i failed seen)"
    done
    rm -rf other-client other-server
    "$nacre" keygen "$@" other-client other-server >/dev/null
    decrypted capture.pcap other-client >seen
    ! grep -q 'Hello World!' seen || fail "$*: another key opens the answer"
}

one --alg AES-CCM-16-64-128
one --alg AES-CCM-16-64-128 --id-context 37cbf3210017a2d3

# A relay that writes the messages of a connection in the oldest capture format, one segment each, because tshark 4.0
# shows only the first message of a segment; it ends with the connection.
cat >relay.py <<'PYTHON'
import select, socket, struct, sys
to_host, to_port = sys.argv[1].rsplit(":", 1)
out = open(sys.argv[2], "wb")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
listener = socket.create_server(("127.0.0.1", 0))
print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
near, _ = listener.accept()
far = socket.create_connection((to_host, int(to_port)))
sequence, spool, second = {near: 1, far: 1}, {near: b"", far: b""}, 0


def frame(data):
    """The first message's length; 0: more has to come."""
    more = {13: (1, 13), 14: (2, 269)}
    extra, base = more.get(data[0] >> 4, (0, data[0] >> 4)) if data else (0, 0)
    size = 2 + extra + (data[0] & 15 if data else 0) + base + int.from_bytes(data[1 : 1 + extra], "big")
    return size if len(data) > extra and len(data) >= size else 0


while True:
    for side in select.select([near, far], [], [], 10)[0] or sys.exit(1):
        data = side.recv(4096)
        if not data:
            sys.exit(0)
        there, other = side is near, far if side is near else near
        ports = (40000, 5683) if there else (5683, 40000)
        other.sendall(data)
        spool[side] += data
        while frame(spool[side]):
            one, spool[side] = spool[side][: frame(spool[side])], spool[side][frame(spool[side]) :]
            tcp = struct.pack(">HHIIHHHH", *ports, sequence[side], sequence[other], 0x5018, 65535, 0, 0) + one
            sequence[side] += len(one)
            client, server = bytes([127, 0, 0, 1]), bytes([127, 0, 0, 2])
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
            ip += client + server if there else server + client
            second += 1
            out.write(struct.pack("<IIII", second, 0, len(ip + tcp), len(ip + tcp)) + ip + tcp)
        out.flush()
PYTHON

# RFC 8323: tshark reads the frames, the CSMs and the protected messages in them
over_tcp() {
    local i
    rm -rf client server listening
    "$nacre" keygen client server >/dev/null || fail "keygen"
    "$nacre" serve --tcp --bind 127.0.0.1:0 --context server >listening &
    server=$!
    for i in {1..100}; do
        [ "$(cat listening 2>/dev/null | wc -l)" = 2 ] && break
        sleep 0.05
    done
    timeout 20 python3 relay.py "$(sed -n 's,^listening coap+tcp://,,p' listening)" tcp.pcap >relayed &
    relay=$!
    for i in {1..100}; do
        [ -s relayed ] && break
        sleep 0.05
    done
    "$nacre" put --context client --payload "$(printf '%0400d' 7)" "coap+tcp://$(cat relayed)/store" 2>shown || fail "put: $(cat shown)"
    wait "$relay"
    kill "$server"
    wait "$server" 2>/dev/null
    server=
    decrypted tcp.pcap client >seen
    grep -q 'Code: 7.01 CSM' seen || fail "TCP: no CSM: $(cat tshark.err)"
    grep -q 'Code: 7.04 Release' seen || fail "TCP: no Release"
    grep -q 'Uri-Path: store' seen || fail "TCP: the request stays closed: $(cat tshark.err)"
    # tshark 4.0 knows no option of a CSM, and calls each malformed.
    tshark -r tcp.pcap -Y 'coap.code != 225' -V >seen 2>/dev/null
    ! grep -qi 'malformed' seen || fail "TCP: $(grep -i malformed seen)"
}
over_tcp

if [ $failures = 0 ]; then
    echo "ok - tshark decrypts requests and answers with exported contexts, over UDP and TCP"
    exit 0
fi
exit 1

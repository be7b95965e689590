#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tshark reads one message of every kind that nacre sends (tests/support/kinds.c), in clear and decrypted, and finds
# none of them malformed.
#
#     tests/interop/tshark_kinds.sh [BUILD_DIR]
#
# Messages that tshark 4.0 does not know are listed with the reason (judge.py below). Without tshark or python3 it
# prints that it is skipped and exits 0; with CI or NACRE_REQUIRE_TSHARK set, 1.
set -u
. "$(dirname "$0")/../support/lib/unknown_command.sh" || exit 1
build=$(cd "${1:-build}" && pwd)
for program in tshark python3; do
    if ! command -v $program >/dev/null; then
        echo "SKIPPED: $program is not installed"
        [ -z "${CI:-}${NACRE_REQUIRE_TSHARK:-}" ] && exit 0
        echo "not ok - tshark's part of interop is required here"
        exit 1
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() {
    echo "not ok - $*"
    failures=$((failures + 1))
}

# Over IPv4, in the oldest capture format; one segment per frame of a connection, because tshark 4.0 shows only the
# first message of a segment. Each connection, which begins with a CSM, has its own port. The kind of each packet is
# written beside it.
cat >capture.py <<'PYTHON'
import struct, sys
out, names = open("kinds.pcap", "wb"), open("names", "w")
out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
port, sequence, packets, csms = 40000, {">": 1, "<": 1}, 0, 0


def frames(data):
    while data:
        more = {13: (1, 13), 14: (2, 269)}
        extra, base = more.get(data[0] >> 4, (0, data[0] >> 4))
        size = 2 + extra + (data[0] & 15) + base + int.from_bytes(data[1 : 1 + extra], "big")
        yield data[:size]
        data = data[size:]


def packet(kind, transport, way, segment, protocol):
    global packets
    client, server = bytes([127, 0, 0, 1]), bytes([127, 0, 0, 2])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, protocol, 0)
    ip += client + server if way == ">" else server + client
    packets += 1
    out.write(struct.pack("<IIII", packets, 0, len(ip + segment), len(ip + segment)) + ip + segment)
    names.write("%s\n" % kind)


for line in open(sys.argv[1]):
    kind, transport, way, data = line.split()
    data = bytes.fromhex(data)
    if kind == "CSM" and way == ">":
        csms += 1
        port, sequence = 41000 + csms, {">": 1, "<": 1}
    ports = (port, 5683) if way == ">" else (5683, port)
    if transport == "udp":
        packet(kind, transport, way, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data, 17)
        continue
    for one in frames(data):
        other = sequence["<" if way == ">" else ">"]
        packet(kind, transport, way, struct.pack(">HHIIHHHH", *ports, sequence[way], other, 0x5018, 65535, 0, 0) + one, 6)
        sequence[way] += len(one)
PYTHON

"$build/tests/kinds" >kinds || fail "the messages are not made"
python3 capture.py kinds
secret=11111111111111111111111111111111 keys=()
for ids in '"0c","05"' '"05","0c"'; do
    keys+=(-o "uat:oscore_contexts:$ids,\"$secret\",\"\",\"1234\",\"AES-CCM-16-64-128 (CCM*)\"")
done
# One line for each packet: its kind, and tshark's description.
tshark -r kinds.pcap "${keys[@]}" -T fields -E separator=/t -E occurrence=a -E aggregator=';' -e _ws.col.Protocol \
    -e _ws.malformed -e _ws.expert.message >seen 2>tshark.err || fail "tshark: $(cat tshark.err)"
[ "$(wc -l <names)" = "$(wc -l <seen)" ] || fail "tshark shows $(wc -l <seen) of $(wc -l <names) packets"
cat >judge.py <<'PYTHON'
import re, sys
ALLOWED = [  # kind, tshark's complaint, and why that is its own affair
    (".*", "Invalid Option Number (252|258|292)", "Echo, No-Response and Request-Tag are newer than its list"),
    ("extended-token", "Invalid Option Number .*", "it takes the rest of a long token for options"),
    ("CSM|Ping|Release", "Invalid Option (Number 2|Range: 0 .*)", "signaling has options of its own, it looks for CoAP's"),
    ("critical", "Invalid Option Number 249", "what the server is to refuse"),
    ("4.01", "Security context not set.*", "what the server is to refuse"),
    ("4.02", "Unsupported format|Partial IV not found.*", "what the server is to refuse"),
    ("Observe-1", "Authentication tag check failed", "it binds an answer to the first request that had its token"),
]
for name, line in zip(open("names"), open("seen")):
    name, (protocol, malformed, complaints) = name.strip(), line.rstrip("\n").split("\t")
    rest = [
        c
        for c in complaints.split(";")
        if c and not any(re.fullmatch(kind, name) and re.fullmatch(text, c) for kind, text, why in ALLOWED)
    ]
    if rest or "Malformed Packet" in malformed or (malformed and not complaints):
        print("%s: %s %s" % (name, rest[:3], malformed[:80]))
    if protocol not in ("CoAP", "OSCORE"):
        print("%s: taken for %s" % (name, protocol))
PYTHON
python3 judge.py >bad || fail "the judge"
[ ! -s bad ] || fail "tshark complains: $(head -n 5 bad)"

# tshark reads the content: each kind shows the options that define it, in clear and decrypted.
tshark -r kinds.pcap "${keys[@]}" -V >text 2>/dev/null
shows() {
    local found
    found=$(grep -cE "$1" text)
    [ "$found" -ge "$2" ] || fail "'$1' is shown $found times, not $2"
}
shows 'Decrypted OSCORE CoAP|Object Security for Constrained RESTful' 100
shows 'Opt Name: #[0-9]+: Block1' 8
shows 'Opt Name: #[0-9]+: Block2' 8
shows 'Opt Name: #[0-9]+: Observe' 8
shows 'Opt Name: #[0-9]+: Proxy-Uri' 2
shows 'Opt Name: #[0-9]+: Proxy-Scheme' 4
shows 'Opt Name: #[0-9]+: Hop-Limit' 2
shows 'Code: (PATCH|iPATCH|FETCH) ' 6
shows 'Code: Empty Message' 4
shows 'Reset' 2
shows 'Code: 7.05 Abort' 1
shows 'there is no such thing' 4

if [ $failures = 0 ]; then
    echo "ok - tshark: $(wc -l <names) messages of $(sort -u names | wc -l) kinds, none malformed"
    exit 0
fi
exit 1

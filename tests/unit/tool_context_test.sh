#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: cross slow
# tool_context_test: keygen, show, protect and unprotect on the command line. Arguments: build directory, source
# directory.
. "$2/tests/support/lib/tool.sh" || exit 1

# ---- The tool itself, and the help of every level
run 2
run 0 --help
says out 'nacre SUBCOMMAND'
run 0 help
run 0 --version
grep -qE '^nacre [0-9]+\.[0-9]+\.[0-9]+ \((openssl|ipsec_mb)\)$' out || fail "version: $(cat out)"
run 2 frobnicate
says err 'unknown subcommand "frobnicate"'
run 2 help frobnicate
for subcommand in keygen show protect unprotect; do
    run 0 $subcommand --help
    says out "Usage: nacre $subcommand"
    run 0 help $subcommand
    says out "Usage: nacre $subcommand"
    run 2 $subcommand
    says err "try 'nacre $subcommand --help'"
    run 2 $subcommand --no-such-option
    says err 'unknown option --no-such-option'
done
run 2 protect --context
says err '--context needs a value'

# ---- keygen
run 0 keygen client server
grep -Eq '^client: for the client, Sender ID [0-9a-f]{4}, Recipient ID [0-9a-f]{2}, ' out || fail "keygen says $(cat out)"
ids=$(sed -n 's/^client: .* Sender ID \([^,]*\), Recipient ID \([^,]*\),.*/\2, Recipient ID \1/p' out)
says out "server: for the server, Sender ID $ids, "
run 0 keygen client2 server2
grep -q "Sender ID $ids" out && fail 'two contexts have the same IDs'
rm -r client2 server2
run 0 keygen --client-id '' --server-id 0A0b0c0d0e0f10 client2 server2
says out 'client2: for the client, Sender ID (empty), Recipient ID 0a0b0c0d0e0f10, AES-CCM-16-64-128'
says out 'server2: for the server, Sender ID 0a0b0c0d0e0f10, Recipient ID (empty), AES-CCM-16-64-128'
rm -r client2 server2
run 0 keygen --client-id c1 client2 server2
says out 'server2: for the server, Sender ID '
says out ', Recipient ID c1, '
rm -r client2 server2
cp -r client copy # to be compared
run 5 keygen client other
says err 'client'
[ ! -e other ] || fail 'keygen left a directory behind'
run 5 keygen other client
[ ! -e other ] || fail 'keygen left a directory behind'
diff -r client copy || fail 'keygen changed an existing directory'
run 2 keygen one one
run 2 keygen one
run 2 keygen one two three
run 2 keygen --alg nonsense one two
says err 'AES-CCM-16-64-128'
run 2 keygen --id-context 0 one two
run 2 keygen --client-id 0 one two
says err '--client-id: pairs of hex digits'
run 2 keygen --server-id 0001020304050607 one two
says err '--server-id: at most 7 bytes'
run 2 keygen --server-id 0001 --alg AES-CCM-64-64-128 one two
says err 'the Sender ID of the server has 2 bytes, AES-CCM-64-64-128 allows 1'
run 2 keygen --client-id 0a --server-id 0A one two
says err 'the same Sender ID'
run 2 keygen --id-context "$(printf '00%.0s' {1..256})" one two
[ ! -e one ] && [ ! -e two ] || fail 'keygen made a directory in spite of its arguments'
run 0 keygen --alg A128GCM --id-context 0a0b g1 g2
run 0 show --json g1
says out '"algorithm": "A128GCM"'
says out '"id-context_hex": "0a0b"'

# ---- show
run 0 show client
says out 'AES-CCM-16-64-128 (COSE 10)'
says out 'id context           none'
secret=$(sed -n 's/.*"secret_hex": "\([0-9a-f]*\)".*/\1/p' client/secret.json)
salt=$(sed -n 's/.*"salt_hex": "\([0-9a-f]*\)".*/\1/p' client/secret.json)
[ ${#secret} = 32 ] || fail "secret of ${#secret} digits"
lacks out "$secret"
lacks out "$salt"
run 0 show --json client
lacks out "$secret"
lacks out "$salt"
run 0 show --json --reveal client
says out "$secret"
says out "$salt"
run 0 show --reveal client
says out "$secret"
[ ! -e client/lock ] || fail 'show locked the directory'
run 5 show nowhere
says err 'nacre show: nowhere: cannot open directory'
mkdir empty
run 5 show empty
says err 'not a context directory'
echo '{"sender-id_hex": "0g"}' >empty/settings.json
run 5 show empty
says err 'empty/settings.json: line 1: "sender-id_hex"'
run 2 show client server

# ---- protect and unprotect: GET coap:/a, CON, MID 1, token 61 62
plain=420100016162b161
run 0 protect --context client $plain
grep -qE '^[0-9a-f]+$' out || fail "not one line of hex: $(cat out)"
[ "$(wc -l <out)" = 1 ] || fail 'not one line'
protected=$(cat out)
[ "${protected:0:12}" = 420200016162 ] || fail "header of the protected message: $protected"
run 0 protect --context client $plain
[ "$(cat out)" != "$protected" ] || fail 'the same nonce twice'
second=$(cat out)
run 0 show client
says out 'next to send         2'

run 0 unprotect --context server "$protected"
[ "$(cat out)" = $plain ] || fail "unprotected to $(cat out)"
run 4 unprotect --context server "$protected"
says err 'Replay detected'
last=${second: -1}
if [ "$last" = 0 ]; then changed=${second%?}1; else changed=${second%?}0; fi
run 4 unprotect --context server "$changed"
says err 'Decryption failed'
run 0 unprotect --context server "${second^^}"
run 4 unprotect --context g2 "$second"
run 4 unprotect --context server $plain
says err 'no OSCORE option'

# from standard input, with white space
"$nacre" protect --context client <<<'42 01 00 01
    61 62 B1 61' >piped || fail 'protect from standard input'
"$nacre" unprotect --context server <piped >back || fail 'unprotect from standard input'
[ "$(cat back)" = $plain ] || fail "unprotected to $(cat back)"

# input that is no request, no message, no hex
next=$(grep -o '"next-to-send": [0-9]*' client/sequence.json)
run 2 protect --context client 604500016162 # 2.05
run 2 protect --context client 40000001     # empty
run 2 protect --context client 4f010001     # reserved token length
run 2 protect --context client 4201000
run 2 protect --context client 42010001616g
run 2 protect --context client ''
run 2 protect --context client # nothing on standard input
run 2 protect --context client 4201 0001
run 2 protect --context client "42010001616291${secret:0:2}" # an OSCORE option already
run 2 unprotect --context server 604500016162
run 4 unprotect --context server 4f010001
[ "$next" = "$(grep -o '"next-to-send": [0-9]*' client/sequence.json)" ] || fail 'a refused message spent a number'
run 5 protect --context nowhere $plain
run 5 unprotect --context empty "$second"

# an unknown window accepts nothing
run 0 protect --context client $plain
third=$(cat out)
echo '{"next-to-send": 0, "received": "unknown"}' >server/sequence.json
run 4 unprotect --context server "$third"
says err 'replay window is unknown'

# used up
echo '{"next-to-send": 1099511627776, "received": "unknown"}' >client/sequence.json
run 4 protect --context client $plain
says err 'used up'
run 0 show client
says out 'none is left'

# a failed write is reported
run 0 keygen full1 full2
if [ -e /dev/full ]; then
    for arguments in 'show full1' '--help' '--version' "protect --context full1 $plain" 'keygen --help' 'show --json full1'; do
        # shellcheck disable=SC2086
        "$nacre" $arguments >/dev/full 2>err
        [ $? = 5 ] || fail "nacre $arguments on a full device"
        says err 'standard output'
    done
fi
run 0 protect --context full1 $plain
says full1/sequence.json '"next-to-send": 2' # the lost one was spent

# held by another process
if command -v flock >/dev/null; then
    mkfifo ready
    (
        exec 9>>full1/lock
        flock 9
        echo >ready
        exec sleep 10
    ) &
    holder=$!
    read -r <ready
    run 5 protect --context full1 $plain
    says err 'full1/lock: '
    run 0 show full1 # looking is allowed
    kill $holder
    wait $holder 2>/dev/null
fi

finish

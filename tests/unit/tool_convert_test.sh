#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_convert_test: the legacy layout on the command line: --role, convert, check. Arguments: build directory, source
# directory.
. "$2/tests/support/lib/tool.sh" || exit 1
umask 077

for subcommand in convert check; do
    run 0 $subcommand --help
    says out "Usage: nacre $subcommand"
    run 2 $subcommand
    says err "try 'nacre $subcommand --help'"
    run 2 $subcommand --no-such-option
    says err 'unknown option --no-such-option'
done

# ---- One directory of the legacy layout, used from both sides in turn
plain=420100016162b161
mkdir old
printf '{"client-sender-id_hex": "", "server-sender-id_hex": "01", "algorithm": "AES-CCM-16-64-128"}' >old/settings.json
printf '{"secret_hex": "0102030405060708090a0b0c0d0e0f10"}' >old/secret.json
for arguments in 'show old' "protect --context old $plain" "unprotect --context old $plain"; do
    # shellcheck disable=SC2086
    run 5 ${arguments/unprotect --context old $plain/unprotect --context old 420200016162910961ff00}
    says err 'role client or server (--role)'
done
run 5 get --context old --timeout 1 'coap://127.0.0.1:9/'
says err 'role client or server (--role)'
run 5 serve --context old --bind 127.0.0.1:0
says err 'role client or server (--role)'
for arguments in 'show old' "protect --context old $plain" 'get --context old coap://127.0.0.1/' 'serve --context old' \
    'check old' 'convert --to legacy old'; do
    # shellcheck disable=SC2086
    run 2 $arguments --role proxy
    says err '--role proxy: it is client or server'
done
run 0 protect --context old --role client $plain
protected=$(cat out)
run 0 unprotect --context old --role server "$protected"
[ "$(cat out)" = $plain ] || fail "unprotected to $(cat out)"
run 4 unprotect --context old --role server "$protected"
says err 'Replay detected'
run 0 show --role client old
says out 'older, as client'
says out 'next to send         1'
run 0 show --json --role server old
says out '"role": "server"'
says out '"bitfield": 1'
run 0 check old
says out 'old: ok'

# ---- A request over the network, each side with a directory of the legacy layout
rm -rf a b
mkdir a b
for d in a b; do
    cp old/secret.json old/settings.json $d
done
start serve server --bind 127.0.0.1:0 --context b --role server
run 0 get --context a --role client "$url/hello"
says out 'Hello World!'
run 0 check b
says out "b/lock: process $pid uses this directory"
says out 'b: ok'
stop TERM
run 0 check b
lacks out 'lock'
run 0 show --role server b
says out 'and 1 from 0 on'

# ---- convert
run 2 convert old
says err '--to newest or --to legacy is missing'
run 2 convert --to oldest old
says err '--to oldest: it is newest or legacy'
run 2 convert --to newest old
says err 'say which side it is'
run 0 convert --to newest --role client old
run 0 show old
says out 'next to send         1'
run 5 show --role client old
says err 'no role can be given'
run 0 protect --context old $plain
run 0 convert --to newest old # it is already
run 0 convert --to legacy --role client old
run 0 convert --to seed --role client old # the name of that layout in 0.1; it is already
run 0 show --role client old
says out 'next to send         2'
run 5 show --role server old # what that side did is not known here any more
says err '"used" has no entry for the ID "01"'
run 0 keygen x y
printf '{"next-to-send": 3, "received": "unknown"}' >x/sequence.json
cp -r x before
run 5 convert --to legacy --role client x
says err 'x/sequence.json: the replay window is unknown'
diff -r -x lock x before || fail 'a refused conversion changed something'
run 5 convert --to legacy --role client nowhere

# ---- check
run 0 keygen c1 c2
run 0 check c1 c2
[ "$(cat out)" = 'c1: ok
c2: ok' ] || fail "two good ones: $(cat out)"
[ ! -e c1/lock ] || fail 'check made a lock'
chmod 644 c1/secret.json
printf '{"sender-id_hex": "00", "recipient-id_hex": "01", "windw": 3, "window": 4}' >c1/settings.json
printf '{"next-to-send": 1, "received": "unknown"}' >c1/sequence.json
touch c1/.sequence-abcdef
cp -r c1 before1
run 0 check c1
says out 'c1/secret.json: holds the secret, and has mode 644'
says out 'c1/settings.json: line 1: "windw" means nothing'
says out 'c1/.sequence-abcdef: left behind'
says out 'c1/sequence.json: the replay window is unknown'
says out 'a window of 4'
says out 'c1: ok'
diff -r c1 before1 || fail 'check changed something'
printf '{"secret_hex": "0011223344"}' >c2/secret.json
run 0 check c2
says out 'the secret has 5 bytes'
lacks out '0011223344'
printf '{"sender-id_hex": "00", "recipient-id_hex": "00"}' >c2/settings.json
run 5 check c1 c2 nowhere
says out 'is the same as the sender-id'
says out 'nowhere: cannot open directory'
lacks out 'c2: ok'
says err '2 of 3 directories have errors'
run 5 check --json c1 c2
python3 -c '
import json, sys
first, second = json.load(open("out"))
assert first["path"] == "c1" and first["ok"] and len(first["warnings"]) == 5 and not first["errors"], first
assert not second["ok"] and len(second["errors"]) == 1, second' || fail 'check --json'
run 5 check --role server c1
says out 'no role can be given'

# ---- Unknown members: the intended one is suggested
rm -rf typo
mkdir typo
printf '{"secret_hex": "0102030405060708090a0b0c0d0e0f10", "sender-id_hex": "", "recipient-id_hex": "01"%s}' \
    ', "salthex": "00", "Window": 32, "id_context_hex": "00", "kdf-hashfn": "sha256", "comment": 1, "sec": 2' \
    >typo/settings.json
run 0 check typo
says out '"salthex" means nothing, and is passed over; did you mean "salt_hex"? (warning)'
says out '"Window" means nothing, and is passed over; did you mean "window"? (warning)'
says out '"id_context_hex" means nothing, and is passed over; did you mean "id-context_hex"? (warning)'
says out '"kdf-hashfn" means nothing, and is passed over; did you mean "kdf-hashfun"? (warning)'
says out '"comment" means nothing, and is passed over (warning)'
says out '"sec" means nothing, and is passed over (warning)'
sed -i 's/salthex/salt_hex/; s/Window/window/; s/id_context/id-context/; s/hashfn/hashfun/; s/, "comment": 1, "sec": 2//' typo/settings.json
run 0 check typo
lacks out 'means nothing'

# ---- A state that is missing, copied or put back
rm -rf c s
run 0 keygen c s
says c/settings.json '"sequence-required": true'
says c/sequence.json '{"next-to-send": 0, "received": {"index": 0, "bitfield": 0}}'
run 0 show c
says out 'next to send         0 (never used)'
says out 'state                required'
run 0 show --json c
says out '"sequence-required": true'
cp -r c carried
run 0 protect --context carried $plain # never used, it may be carried away
rm -rf carried
run 0 check c
lacks out 'should sequence.json be lost'
sed -i 's/true/false/' c/settings.json
run 0 check c
says out 'should sequence.json be lost, numbers would be used again'
sed -i 's/false/true/' c/settings.json
run 0 protect --context c $plain
mv c/sequence.json kept
for arguments in 'show c' 'check c' "protect --context c $plain" 'convert c --to legacy --role client' \
    'export c --reveal --for aiocoap'; do
    # shellcheck disable=SC2086
    run 5 $arguments
    cat out err >both
    says both 'c/sequence.json: is missing, though "sequence-required" says that it is there'
done
run 2 adopt c
says err '--next-to-send'
run 2 adopt --next-to-send 0 c
run 2 adopt --next-to-send 1099511627777 c
run 2 adopt c s
run 0 adopt --help
says out 'Usage: nacre adopt'
run 0 adopt --next-to-send 40 c
says out 'c: goes on with sequence number 40'
run 0 protect --context c $plain
run 0 show c
says out 'next to send         41'
if grep -q '"born"' kept; then
    cp kept c/sequence.json # an old one put back
    for arguments in 'check c' "protect --context c $plain" 'convert c --to legacy --role client' \
        'export c --reveal --used --for aiocoap'; do
        # shellcheck disable=SC2086
        run 5 $arguments
        cat out err >both
        says both 'put back'
        says both 'nacre adopt'
    done
    run 0 show c
    says out 'state                copied, edited or put back'
    run 0 show --json c
    says out '"copied": true'
    run 0 adopt --next-to-send 50 c
    run 0 protect --context c $plain
    cp -r c copied
    run 5 protect --context copied $plain
    says err 'copied/sequence.json: was copied'
    mv c moved # the same files
    run 0 protect --context moved $plain
    run 0 show moved
    says out 'next to send         52'
fi

# ---- The chunk of numbers that is reserved at once
rm -rf c s
run 0 keygen c s
sed -i 's/"sequence-required"/"sequence-chunk-start": 3, "sequence-chunk-limit": 5, "sequence-required"/' c/settings.json
run 0 show c
says out 'first chunk          3'
says out 'largest chunk        5'
run 0 show --json c
says out '"sequence-chunk-limit": 5'
run 0 protect --context c $plain

finish

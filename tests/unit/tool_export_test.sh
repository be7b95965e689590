#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_export_test: export for other programs, import of libcoap's configuration. Arguments: build directory, source
# directory.
. "$2/tests/support/lib/tool.sh" || exit 1

for subcommand in export import; do
    run 0 $subcommand --help
    says out "Usage: nacre $subcommand"
    run 2 $subcommand
    says err "try 'nacre $subcommand --help'"
    run 2 $subcommand --no-such-option
done

# ---- export
secret=0102030405060708090a0b0c0d0e0f10 salt=9e7ca92223786340
mkdir d
cat >d/settings.json <<EOF
{"sender-id_hex": "00", "recipient-id_ascii": "ab", "id-context_hex": "37cb", "secret_hex": "$secret", "salt_hex": "$salt"}
EOF
run 2 export d --for wireshark
says err '--reveal'
run 2 export d --reveal
says err '--for wireshark, --for libcoap or --for aiocoap is missing'
run 2 export d --reveal --for etherape
says err '--for etherape: it is wireshark, libcoap or aiocoap'
run 5 export nowhere --reveal --for wireshark
run 0 export d --reveal --for wireshark
[ "$(cat out)" = "\"00\",\"6162\",\"$secret\",\"$salt\",\"37cb\",\"AES-CCM-16-64-128 (CCM*)\"
\"6162\",\"00\",\"$secret\",\"$salt\",\"37cb\",\"AES-CCM-16-64-128 (CCM*)\"" ] || fail "wireshark: $(cat out)"
run 0 export d --reveal --for libcoap
[ "$(cat out)" = "master_secret,hex,\"$secret\"
master_salt,hex,\"$salt\"
id_context,hex,\"37cb\"
sender_id,hex,\"00\"
recipient_id,hex,\"6162\"
replay_window,integer,32
aead_alg,integer,10
hkdf_alg,integer,-10" ] || fail "libcoap: $(cat out)"
cp out conf
run 0 export d --reveal --for aiocoap
mkdir again
cp out again/settings.json
run 0 show --json --reveal d
sed '/"path"/d; /sequence-required/d' out >shown
run 0 show --json --reveal again
sed '/"path"/d; /sequence-required/d' out | diff shown - || fail 'aiocoap: another context'

# the algorithms and windows that the other programs support
run 0 keygen --alg A128GCM g1 g2
run 2 export g1 --reveal --for wireshark
says err 'A128GCM with sha256; Wireshark decrypts AES-CCM-16-64-128 with sha256 only'
run 0 export g1 --reveal --for libcoap
says out 'aead_alg,integer,1'
for hash in sha384 sha512; do
    sed -i "s/\"kdf-hashfun\": \"[a-z0-9]*\"/\"kdf-hashfun\": \"$hash\"/; s/A128GCM/AES-CCM-16-64-128/" g1/settings.json
    run 2 export g1 --reveal --for wireshark
    says err "AES-CCM-16-64-128 with $hash; Wireshark"
done
run 0 export g1 --reveal --for libcoap
says out 'hkdf_alg,integer,-11'
sed -i 's/sha512/sha384/' g1/settings.json
run 2 export g1 --reveal --for libcoap
says err '"kdf-hashfun" is sha384'
sed -i 's/sha384/sha256/; s/"window": 32/"window": 64/' g1/settings.json
run 2 export g1 --reveal --for libcoap
says err '"window" is 64; libcoap has windows from 1 to 63'
sed -i 's/"window": 64/"window": 63/' g1/settings.json
run 0 export g1 --reveal --for libcoap
says out 'replay_window,integer,63'

# exporting a used context is refused: its numbers would be used again
run 0 protect --context d 420100016162b161
for form in libcoap aiocoap; do
    run 2 export d --reveal --for $form
    says err 'd: sequence numbers below 1 may have been used'
    run 0 export d --reveal --for $form --used
    says err 'go on with sender sequence number 1'
done
run 0 export d --reveal --for wireshark
rm d/lock # else its count says that the state below is an old one
printf '{"next-to-send": 0, "received": {"index": 0, "bitfield": 1}}' >d/sequence.json
run 2 export d --reveal --for aiocoap
says err 'd: messages were received'

# ---- import
run 0 import conf e
says out 'e: begins with sequence number 0'
run 0 show --json --reveal e
sed '/"path"/d; /sequence-required/d' out | diff shown - || fail 'import: another context'
[ "$(stat -c %a e e/secret.json | tr '\n' ' ')" = '700 600 ' ] || fail "modes: $(ls -la e)"
run 5 import conf e
says err 'e: cannot make the directory'
run 0 import --next-to-send 1000 conf e2
run 0 show e2
says out 'next to send         1000'
says out 'received             unknown'
run 2 import --next-to-send -1 conf e3
run 2 import --next-to-send 1099511627777 conf e3
run 2 import --next-to-send 1099511627776 conf e3 # the last one is 2^40-1
run 5 import nowhere e3
# B2: DOS line ends, a long line, a missing final line end
printf '# a comment\r\n\r\n#%060000d\r\n master_secret , ascii , "Correct Horse" \r\nsender_id,ascii,client\r\nrecipient_id,ascii,"server"\r\n%s' \
    0 'aead_alg,text,"AES-CCM-16-64-128"
hkdf_alg,text,direct+HKDF-SHA-512
replay_window,integer,16
rfc8613_b_1_2,bool,true
rfc8613_b_2,bool,false
ssn_freq,integer,5
break_sender_key,bool,false' >text.conf
run 0 import text.conf t
run 0 show --json --reveal t
says out '"secret_hex": "436f727265637420486f727365"'
says out '"sender-id_hex": "636c69656e74"'
says out '"kdf-hashfun": "sha512"'
says out '"window": 16'

# each differs from conf, which is accepted, in one line: the line to add or replace, and the error
refused() { # LINE TEXT
    local keyword=${1%%,*}
    { grep -v "^$keyword," conf; printf '%s\n' "$1"; } >bad.conf
    run 5 import bad.conf bad
    says err "$2"
    [ ! -e bad ] || fail "import of '$1' left a directory"
}
refused 'master_secret,hex,"00112g"' '"master_secret" must be pairs of hex digits'
refused 'master_secret,hex,"001"' '"master_secret" must be pairs of hex digits'
refused 'master_secret,hex,""' 'is empty'
refused 'master_secret,hex,"00' 'quotation mark'
refused 'master_secret,hex,00"' 'quotation mark'
refused 'master_secret,integer,5' 'must be of encoding hex or ascii'
refused "master_secret,hex,$(printf '00%.0s' {1..257})" 'longer than the 256 bytes'
refused 'sender_id,hex,"6162"' 'is the same as the sender-id'
refused 'sender_id,hex,"0011223344556677"' '"sender_id" is longer than the 7 bytes'
refused 'replay_window,integer,0' '"replay_window" must be a whole number from 1 to 1024'
refused 'replay_window,integer,1025' 'from 1 to 1024'
refused 'replay_window,hex,20' 'must be of encoding integer'
refused 'aead_alg,integer,4' '"aead_alg" is no algorithm'
refused 'aead_alg,integer,65546' '"aead_alg" is no algorithm'
refused 'aead_alg,text,AES' '"aead_alg" is no algorithm'
refused 'aead_alg,hex,0a' 'must be of encoding integer or text'
refused 'hkdf_alg,integer,-12' '"hkdf_alg" must be -10'
refused 'rfc8613_b_2,bool,true' '"rfc8613_b_2" is true'
refused 'rfc8613_b_2,bool,yes' 'true or false'
refused 'break_recipient_key,bool,true' '"break_recipient_key" is true'
refused "complex_recipient,config,'" '"complex_recipient" is not read'
refused 'master_secre,hex,"00"' '"master_secre" is no keyword' # B1: one letter less, one more
refused 'master_secrett,hex,"00"' '"master_secrett" is no keyword'
refused ',hex,"00"' '"" is no keyword'
refused 'master_secret,he,"00"' 'must be of encoding hex or ascii'
refused 'master_secret,hexx,"00"' 'must be of encoding hex or ascii'
refused 'colour,text,blue' '"colour" is no keyword'
refused '0102030405060708090a0b0c0d0e0f10,hex,master_secret' '"..." is no keyword' # columns mixed up: perhaps a key
refused 'Correct Horse,ascii,master_secret' '"..." is no keyword'
refused 'master' 'KEYWORD,ENCODING,VALUE is expected'
refused 'aead_alg,integer' 'KEYWORD,ENCODING,VALUE is expected'
grep -q 'bad.conf: line 8' err || fail "no line: $(cat err)"
# B3: words, numbers, hex and keywords longer than expected
longer() { # TEXT TIMES
    printf "$1%.0s" $(seq "$2")
}
for times in 1 7 250 5000; do
    refused "rfc8613_b_1_2,bool,false$(longer e $times)" 'true or false'
    refused "rfc8613_b_1_2,bool,true$(longer true $times)" 'true or false'
    refused "rfc8613_b_1_2,bool$(longer l $times),false" 'must be of encoding bool'
    refused "rfc8613_b_1_2$(longer 2 $times),bool,false" 'is no keyword'
    refused "replay_window,integer,1024$(longer 0 $times)" 'from 1 to 1024'
    refused "aead_alg,integer,10$(longer 0 $times)" '"aead_alg" is no algorithm'
    refused "aead_alg,text,AES-CCM-16-64-128$(longer 8 $times)" '"aead_alg" is no algorithm'
    refused "hkdf_alg,integer,-10$(longer 0 $times)" '"hkdf_alg" must be -10'
    refused "sender_id,hex,\"00112233445566$(longer 00 $times)\"" '"sender_id" is longer than the 7 bytes'
    refused "master_secret,hex,\"$(longer 00 256)$(longer 00 $times)\"" 'longer than the 256 bytes'
done
run 0 import text.conf t2 # with a bool, a number, hex and names of the right length

for keyword in master_secret sender_id recipient_id; do
    grep -v "^$keyword," conf >bad.conf
    run 5 import bad.conf bad
    says err "bad.conf: \"$keyword\" is missing"
done
{ cat conf; echo 'recipient_id,hex,"05"'; } >bad.conf
run 5 import bad.conf bad
says err 'line 9: "recipient_id" is there twice: a context directory has one peer'
# RFC 8613 3.3: directories for several recipients with one sender would use the same nonces
says err 'give each peer a master_secret or an id_context of its own'
lacks err 'make a file for each'
{ cat conf; printf 'ssn_freq,integer,1\0\n'; } >bad.conf
run 5 import bad.conf bad
says err 'a NUL byte' # B2
head -c 70000 /dev/zero | tr '\0' '#' >bad.conf
run 5 import bad.conf bad
says err 'longer than the 65536 bytes'
sed 's/0f10"/0f1x"/' conf >bad.conf
run 5 import bad.conf bad
if grep -q 0f1x err; then fail "a secret in an error: $(cat err)"; fi

# an empty ID Context means none in such a file, and what libcoap cannot express is not written
for empty in '""' ''; do
    { grep -v '^id_context,' conf; printf 'id_context,hex,%s\n' "$empty"; } >empty.conf
    rm -rf none
    run 0 import empty.conf none
    run 0 show --json none
    if grep -q id-context out; then fail "an empty id_context became one: $(cat out)"; fi
    run 0 export none --reveal --for libcoap
    if grep -q id_context out; then fail "an ID Context came out: $(cat out)"; fi
done
mkdir empty
sed 's/"id-context_hex": "37cb"/"id-context_hex": ""/' d/settings.json >empty/settings.json
run 2 export empty --reveal --for libcoap
says err 'the ID Context is present and empty; libcoap takes that for none'
run 0 export empty --reveal --for aiocoap

# DOS line ends are read and a byte order mark is refused, in both formats
mkdir dos_dir
sed 's/$/\r/' conf >dos.conf
sed 's/$/\r/' d/settings.json >dos_dir/settings.json
run 0 import dos.conf dos
for dir in dos dos_dir; do
    run 0 export $dir --reveal --for libcoap
    diff out conf || fail "DOS line ends changed what was read: $dir"
done
for file in dos.conf dos_dir/settings.json; do
    { printf '\357\273\277'; cat $file; } >marked
    mv marked $file
done
run 5 import dos.conf marked
says err 'dos.conf: line 1: starts with a byte order mark; save it as UTF-8 without one'
[ ! -e marked ] || fail 'import of a marked file left a directory'
run 5 show dos_dir
says err 'starts with a byte order mark; save it as UTF-8 without one'

# round trip: an imported configuration is exported unchanged
run 0 export e --reveal --for libcoap
says err 'and not e any more' # RFC 8613 3.3: or two would count the same numbers
diff out conf || fail 'import and export differ'

finish

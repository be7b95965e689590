#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: cross linux slow native
# tool_request_test: nacre get, put, post, delete, fetch and serve over loopback: every exit code with its cause.
# Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen --client-id 00 --server-id 01 client server >/dev/null || fail keygen
"$nacre" keygen --client-id 00 --server-id 01 client2 server2 >/dev/null || fail keygen
"$nacre" keygen --client-id 00 --server-id 01 stranger nobody >/dev/null || fail keygen
mkdir -p root/sub root/.hidden
printf 'a file\n' >root/a.txt
printf '{}' >root/b.json
printf 'x' >root/.hidden/x
printf 'x' >root/.dot
head -c 1024 /dev/zero >root/just
head -c 1025 /dev/zero >root/more
ln -s /etc/passwd root/link
ln -s /etc root/etc
mkfifo root/pipe
"$nacre" keygen root/keys root/sub/keys >/dev/null || fail keygen
printf 'outside' >outside.txt

# ---- 0: done
for subcommand in get put post delete fetch serve; do
    run 0 $subcommand --help
    says out "Usage: nacre $subcommand"
done
start serve one --bind '[::1]:0' --context server --context server2 --root root --demo -v
case $url in coap://\[::1\]:[1-9]*) ;; *) fail "listening $url" ;; esac
run 0 get "$url/hello" --context client
answers 'Hello World!'
run 0 get --context client2 "$url/hello"
answers 'Hello World!'
run 0 get "$url/time" --context client
grep -qE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$' out || fail "time: $(cat out)"
run 0 post "$url/echo" --payload 'hear this' --context client
answers 'hear this'
printf 'from a\0file\n' >payload
run 0 fetch "$url/echo" --payload @payload --content-format 60 --context client
cmp -s out payload || fail 'fetch did not give back the bytes of the file'
printf 'from stdin' | timeout 30 "$nacre" post "$url/echo" --payload @- --context client >out 2>err
answers 'from stdin'
head -c 1024 /dev/urandom >payload
run 0 put "$url/store" --payload @payload --context client
run 0 put "$url/store" --payload @payload --non --context client2
run 0 get "$url/store" --context client
cmp -s out payload || fail 'the store did not keep 1024 bytes'
run 0 delete "$url/store" --context client
answers ''
grep -qF 'PUT /store -> 2.01 Created' one.err || fail "serve -v: $(cat one.err)"
grep -qF 'PUT /store -> 2.04 Changed' one.err || fail "serve -v: $(cat one.err)"
says one.err "recipient-id '00' sender-id '01': GET /hello -> 2.05 Content"

# contexts below the root are not served, neither by name nor in a list
for path in keys keys/ keys/secret.json keys/settings.json sub/keys/secret.json; do
    timeout 30 "$nacre" get "$url/$path" --context client >out 2>err && fail "served $path: $(cat out)"
    says err '4.04'
done
run 0 get "$url/sub" --context client
! grep -q keys out || fail "listed: $(cat out)"
run 0 get "$url/a.txt" --context client
cmp -s out root/a.txt || fail "a.txt: $(cat out)"

# -v: messages and datagrams, on stderr only
run 0 get -v "$url/hello" --context client
printf 'Hello World!' | cmp -s - out || fail "get -v: $(cat out)"
says err 'request, protected:'
says err 'Uri-Path: "hello"'
says err 'response, protected:'
grep -qE '^  > CON GET +\| CON POST, MID ' err || fail "get -v shows no outer request: $(cat err)"
grep -qE '^  >   Uri-Path: "hello" +\|   OSCORE: 09' err || fail "get -v shows no OSCORE option: $(cat err)"
grep -qE '^  < ACK 2.05 Content, .* \| ACK 2.04 Changed, ' err || fail "get -v shows no outer answer: $(cat err)"
says err '2.05 Content'
grep -qE '^> [0-9]+ bytes to \[::1\]:[0-9]+  [0-9a-f]+$' err || fail "get -v shows no datagram: $(cat err)"
grep -qE '^< [0-9]+ bytes from \[::1\]:[0-9]+  [0-9a-f]+$' err || fail "get -v shows no datagram: $(cat err)"
lacks err 48656c6c6f # "Hello" is nowhere in clear

# Files are read-only, and nothing outside the root is served
run 0 get "$url/a.txt" --context client
printf 'a file\n' | cmp -s - out || fail "a.txt: $(cat out)"
run 0 get "$url/b.json" --accept 50 --context client
answers '{}'
run 0 get "$url/just" --context client
[ "$(wc -c <out)" = 1024 ] || fail 'a file of 1024 bytes'
run 0 get "$url/" --context client
answers '</a.txt>;ct=0;sz=7;osc,</b.json>;ct=50;sz=2;osc,</just>;ct=42;sz=1024;osc,</more>;ct=42;sz=1025;osc,</sub/>;ct=40;osc'
run 0 get "$url/" --accept 0 --context client
printf 'a.txt\nb.json\njust\nmore\nsub/\n' | cmp -s - out || fail "list: $(cat out)"
run 0 get "$url/sub/" --context client
answers ''
run 0 get "$url/more" --context client
[ "$(wc -c <out)" = 1025 ] || fail 'a file of 1025 bytes'
for path in none link etc/passwd pipe .dot .hidden/x sub/none a.txt/ a.txt/x sub//a.txt %2e%2e%2foutside.txt ..%2foutside.txt \
    a.txt%00 sub%2f..%2fa.txt; do
    run 1 get "$url/$path" --context client
    says err '4.04 Not Found'
done
for path in ../outside.txt %2e%2e/outside.txt sub/../../outside.txt; do # what is left: /outside.txt, and nothing above the root
    run 1 get "$url/$path" --context client
    says err '4.04 Not Found'
done
for path in sub/../a.txt ./a.txt sub/%2e%2E/a.txt; do run 0 get "$url/$path" --context client; done
cp client/sequence.json before.json
for host in 0.0.0.0 '[::]' 224.0.1.187 '[ff02::fd%25lo]'; do # refused before anything is sent, plain and protected
    for subcommand in get put post delete fetch observe; do
        run 2 $subcommand "coap://$host/a.txt" --context client
        run 2 $subcommand "coap://$host/a.txt" --non
        run 2 $subcommand "coap+tcp://$host/a.txt"
        run 2 $subcommand "coap://h/a.txt" --proxy "coap://${host/25}"                      # as the proxy
        run 2 $subcommand "coap://$host/a.txt" --proxy "coap://${url#coap://}" --proxy-uri # through one
    done
    run 2 get "coap://h/a.txt" --proxy "coap+tcp://${host/25}" --context client
done
says err 'OSCORE'
cmp -s client/sequence.json before.json || fail 'a refused request used a sequence number'


# ---- 1: an error response of the peer
run 1 get "$url/echo" --context client
says err 'nacre get: 4.05 Method Not Allowed: only POST and FETCH'
run 1 post "$url/a.txt" --context client
says err 'nacre post: 4.05'
run 1 get "$url/store" --context client
says err 'nacre get: 4.04 Not Found: nothing is stored'
run 1 get "$url/hello" --accept 50 --context client
says err 'nacre get: 4.06'
run 1 get "$url/hello"
says err 'nacre get: 4.01 Unauthorized'
run 1 get "$url/a.txt"
says err 'nacre get: 4.01 Unauthorized'

# ---- 2: usage
for arguments in "" "$url/hello $url/hello" "$url/hello --timeout abc" "$url/hello --timeout 0" "$url/hello --timeout -1" \
    "$url/hello --timeout 1e3" "$url/hello --timeout 99999" "$url/hello --content-format 65536" "$url/hello --content-format -1" \
    "$url/hello --accept x" "$url/hello --accept 0x10" "$url/hello --context" "$url/hello --frobnicate" "$url/hello -x" \
    "$url/hello --context client --credentials x" "http://[::1]/" "coaps://[::1]/" "hello" "coap:///x" "coap://[::1]:66000/" \
    "coap://[::1]/%zz" "coap://user@[::1]/" "coap://[::1]/#fragment" "$url/store --payload x --payload-file y" \
    "$url/hello --block-size 8" "$url/hello --block-size 1000" "$url/hello -b 2048" "--non=yes $url/hello"; do
    # shellcheck disable=SC2086
    run 2 get $arguments
done
run 0 get "$url/hello" --timeout 20.5 --context client # its neighbour that is right
for arguments in "" "--context" "--context server --credentials x" "--context server more" "--port 1"; do
    # shellcheck disable=SC2086
    run 2 serve $arguments
done

# ---- 3: no response
address=${url#coap://}
stop TERM
run 3 get "$url/hello" --context client
says err "$address"
run 3 get "$url/hello"
"$nacre" show server | grep -q . || fail 'the server left its directory unreadable'

# after a restart both sides continue
start serve two --bind '127.0.0.1:0' --context server
run 0 get "$url/hello" --context client
answers 'Hello World!'
run 1 get "$url/a.txt" --context client # without --root there are no files
[ ! -s two.err ] || fail "serve without -v says: $(cat two.err)"

# ---- 4: security failure
run 4 get "$url/hello" --context stranger # its number 0 was seen from the right client
says err '4.01 Unauthorized'
says err 'Replay detected'
cp -r nobody mirror # its Sender ID is 01: nobody here knows that one
run 4 get "$url/hello" --context mirror
says err '4.01 Unauthorized'
says err 'Security context not found'
printf '{"%s/h*": {"oscore": {"basedir": "client"}}}' "$url" >credentials.json
run 0 get "$url/hello" --credentials credentials.json
answers 'Hello World!'
run 4 get "$url/time" --credentials credentials.json
says err 'nothing was sent'

# ---- 5: local failure
run 5 get "$url/hello" --context nowhere
says err nowhere
mkdir empty
run 5 get "$url/hello" --context empty
run 5 get "$url/hello" --context server # in use by the server
says err server
run 5 get "$url/hello" --credentials nowhere.json
printf '{' >broken.json
run 5 get "$url/hello" --credentials broken.json
says err broken.json
run 5 post "$url/echo" --payload @nowhere --context client
says err nowhere
label=$(printf 'n%.0s' {1..70}) # longer than a label of a name may be: no resolver is asked
run 5 get "coap://$label/" --context client
says err "$label"
if [ -e /dev/full ]; then
    timeout 30 "$nacre" get "$url/hello" --context client >/dev/full 2>err
    [ $? = 5 ] || fail 'a full stdout goes unnoticed'
    says err stdout
fi
run 5 serve --bind "${url#coap://}" --context server2
says err "${url#coap://}"
run 5 serve --bind 127.0.0.1:x --context server2
run 5 serve --bind 192.0.2.1:0 --context server2
run 5 serve --bind 127.0.0.1:0 --context nowhere
run 5 serve --bind 127.0.0.1:0 --context server # in use
run 2 serve --bind 127.0.0.1:0 --context server2 --root client
says err "holds a security context"
run 5 serve --bind 127.0.0.1:0 --context server2 --root nowhere
run 5 serve --bind 127.0.0.1:0 --credentials nowhere.json
stop INT
"$nacre" keygen --client-id 00 --server-id 01 unasked unasked-server >/dev/null || fail keygen
start serve fresh --bind 127.0.0.1:0 --context unasked-server
run 4 get "$url/hello" --context stranger
says err 'not authenticated'
says err '4.00 Bad Request'
says err 'it says: Decryption failed'
stop TERM
# no failure above removed or damaged a directory: each still opens
start serve three --bind 127.0.0.1:0 --context server2 --context server
run 0 get "$url/hello" --context client
run 0 get "$url/hello" --context client2
stop TERM

# ---- A peer with odd unprotected responses
# answers every request with one code and the given rest (options, payload) in hex
cat >odd.py <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    request, peer = s.recvfrom(2000)
    token = request[4:4 + (request[0] & 15)]
    s.sendto(bytes([0x60 | len(token)]) + bytes.fromhex(sys.argv[1]) + request[2:4] + token + bytes.fromhex(sys.argv[2]), peer)
PYTHON
# odd CODE REST: starts such a peer
odd() {
    rm -f port
    python3 odd.py "$1" "$2" >port &
    pid=$!
    servers+=("$pid")
    for _ in $(seq 100); do
        [ -s port ] && break
        sleep 0.05
    done
    url=coap://127.0.0.1:$(cat port)
}
escape=ff1b5b324a0a610d62c29b33316dff00e280ae # ESC [2J, newline, CR, C1, invalid UTF-8, NUL, right-to-left override
odd 84 $escape
run 1 get "$url/x"
says err 'nacre get: 4.04 Not Found: ?[2J?a?b??31m?????'
crash
odd 84 ff67c3bc6e # valid UTF-8 stays
run 1 get "$url/x"
says err 'nacre get: 4.04 Not Found: gün'
crash
odd 80 $escape
run 4 get "$url/x" --context client
says err 'not authenticated'
says err '4.00 Bad Request'
crash
odd 45 ff6c6965 # "lie"
run 4 get "$url/x" --context client
says err '2.05 Content'
lacks err lie
run 0 get "$url/x" # without a context it is a good answer
answers lie
crash
odd 84 c13cff0102 # Content-Format 60 of a diagnostic that is none
run 1 get "$url/x"
says err '2 bytes of Content-Format 60'
crash
odd 45 d10a0eff6162 # Block2, more to come
run 1 get "$url/x" # two bytes are no block
says err 'blocks that do not make a body'
crash
odd 45 d10a06ff6162 # Block2, the last one
run 0 get "$url/x"
answers ab
crash

finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_errors_test: error lines say what is wrong, where, and what to do; a failed command leaves no files. Arguments:
# build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

# ---- a mistyped subcommand or option: the nearest is suggested
while read -r typed meant; do
    run 2 "$typed"
    says err "did you mean $meant?"
done <<'.'
sevre serve
obsreve observe
ge get
plugtest-sever plugtest-server
--hlp --help
--versoin --version
unprotct unprotect
.
run 2 --context x get
says err 'unknown option --context: here only --help and --version; others follow a subcommand'
run 2 frobnicate
lacks err 'did you mean'
says err 'it is one of keygen'
while read -r name typed meant; do
    run 2 "$name" "$typed"
    says err "did you mean $meant?"
done <<'.'
get --contxt --context
get --timout=3 --timeout
get --pay --payload
serve --wrokers --workers
keygen --clientid --client-id
show --jsno --json
import --hlep --help
protect --contexts --context
bench --secnods=x --seconds
plugtest-client --sate --state
check --jason --json
.
run 2 get --frobnicate
lacks err 'did you mean'
run 2 get -x
says err 'unknown option -x'

# ---- an option with a value is given once: which of two counts would be a guess
while read -r name option value rest; do
    # shellcheck disable=SC2086
    run 2 "$name" $rest "$option" $value "$option" $value
    says err "nacre $name: $option is given twice"
    # shellcheck disable=SC2086
    timeout 10 "$nacre" "$name" $rest "$option" $value >out 2>err </dev/null
    lacks err twice
done <<'.'
get --context a coap://[::1]:1/x
get --credentials a coap://[::1]:1/x
put --payload a coap://[::1]:1/x --context a
get --output a coap://[::1]:1/x --context a
get --block-size 64 coap://[::1]:1/x --context a
get --proxy coap://h coap://h/x --context a
observe --count 1 coap://[::1]:1/x --context a
serve --bind 127.0.0.1:x --context a
serve --root a --context a
protect --context a 40
unprotect --role client --context a
keygen --alg x a b
show --role client a
check --role client a
convert --to x a
adopt --next-to-send 1 a
export --for x a
import --next-to-send 1 a b
bench --seconds x
.
run 2 get coap://h/x -o a --output b
says err '--output is given twice'
run 2 get coap://h/x --context=a -v -v --contex b
says err '--context is given twice'
run 0 get --help --context a --context b
run 2 get coap://h/x --nonsense --context a --context b # the first error is reported
says err 'unknown option --nonsense'
run 5 serve --context a --context b --bind 127.0.0.1:0 # this one may be repeated
lacks err twice

# ---- GET and DELETE have no payload (RFC 7252 5.5)
for name in get delete observe; do
    for option in '--payload x' '--payload-file x' '--content-format 0'; do
        # shellcheck disable=SC2086
        run 2 $name coap://h/x $option
        says err "nacre $name: $name sends no payload"
    done
done

# ---- a bad URI: the wrong part is named
while IFS='|' read -r uri part; do
    run 2 get "${uri/LONG/$(printf 'x%.0s' {1..256})}"
    says err "$part"
done <<'.'
h/x|the scheme is missing
coap:///x|the host is missing
coap://h:99999/x|the port is not
coap://h:x/|the port is not
coap://[::1/x|no ']'
coap://::1/x|needs brackets
coap://u@h/x|user information
coap://h/x#y|a fragment
coap://h/%zz|a '%' is not followed
coap://h/a b|the path has a character
coap://h/a?b c|the query has a character
coap://h:0/x|the port is not
coap://h:00000/x|the port is not
coap://h:99999999999/x|the port is not
coap://[::1]x/|after ']' comes
coap://[1.2.3.4]/x|hold no IPv6 address
coap://[fe80::g]/x|'fe80::g' is no IPv6 address
coap://[::1.2.3]/x|is no IPv6 address
coap://[fe80::1%eth0]/x|follows %25, as in
coap://[fe80::1%11]/x|follows %25, as in
coap://[fe80::1%25]/x|follows %25, as in
coap://[ff02::1%eth0]/x|follows %25, as in
coap://h%00i/|no NUL
coap://LONG/|the host is longer than 255 bytes
coap://h/x/LONG|a part of the path is longer than 255 bytes
coap://h/x?y&LONG|a part of the query is longer than 255 bytes
.

# ---- a database is not a directory: which command is for it
"$nacre" keygen c s >/dev/null || fail keygen
: >file
for subcommand in show adopt; do
    run 2 $subcommand file
    says err 'for a database use nacre fleet'
done

# ---- what fails leaves nothing behind
run 5 keygen new s
[ ! -e new ] || fail 'keygen left something behind'
echo '{}' >wrong.conf
run 5 import wrong.conf imported
[ ! -e imported ] || fail 'import left something behind'

# ---- there is no number after the last one
"$nacre" keygen last other >/dev/null || fail keygen
cp last/sequence.json before.json
run 2 adopt --next-to-send 1099511627776 last
says err '2^40-1'
cmp -s last/sequence.json before.json || fail 'adopt changed what it refused'
run 0 adopt --next-to-send 1099511627775 last
run 0 protect --context last 4001000100
run 4 protect --context last 4001000100

# ---- text from a file cannot control the terminal: CSI as a C1 character, and a change of direction
"$nacre" keygen steered other_side >/dev/null || fail keygen
printf '{"moved-to": "/\\u009b31mred\\u202efleet", "identity": "%032d", "next-to-send": 5, "completed": true}' 0 >steered/moved.json
run 5 check steered
says out 'to /??31mred???fleet (moved.json)'
run 5 check --json steered
says out 'to /??31mred???fleet (moved.json)'
rm steered/moved.json
printf '{"\\u009b31m\\u202ename": 1}' >steered/settings.json
run 5 check steered
says out '"??31m???name" means nothing'

# ---- a count of one is singular
for subcommand in protect unprotect; do
    timeout 30 "$nacre" $subcommand --context other 40 >out 2>err </dev/null && fail "$subcommand took one byte"
    says err 'is not a CoAP message (1 byte)'
    timeout 30 "$nacre" $subcommand --context other 4 >out 2>err </dev/null
    says err 'found 1 character, an odd number'
done
run 2 import one
says err 'found 1 argument;'

# ---- Content-Formats by name, read and shown
"$nacre" keygen --client-id 0a --server-id 01 client server >/dev/null || fail keygen
start serve serve --bind '[::1]:0' --context server
for format in text text/plain plain 0; do
    "$nacre" put "$url/store" --context client --payload x --content-format $format -v >out 2>err || fail "$format: $(cat err)"
    says err 'Content-Format: 0 (text/plain)'
done
"$nacre" put "$url/store" --context client --payload '{}' --content-format json -v >out 2>err
says err 'Content-Format: 50 (application/json)'
run 2 put "$url/store" --payload x --content-format jsn
says err 'nor a name such as'
run 2 get "$url/store" --accept 65536

# ---- observe of a resource that is not observable says so, and is no failure
timeout 30 "$nacre" observe "$url/hello" --context client >out 2>err </dev/null || fail "observe: $(cat err)"
says err 'not observable'
says out 'Hello World!'
timeout 30 "$nacre" observe "$url/store" --count 1 --context client >out 2>err </dev/null || fail "observe: $(cat err)"
[ ! -s err ] || fail "observable: $(cat err)"

# ---- an unprotected "Security context not found" says which side to look at
"$nacre" keygen --client-id 0b --server-id 02 stranger its_server >/dev/null || fail keygen
run 4 get "$url/hello" --context stranger --timeout 3
says err 'Security context not found'
says err 'look at the peer'
stop TERM

finish

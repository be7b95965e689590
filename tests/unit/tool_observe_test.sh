#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_observe_test: nacre observe, with the observable resources of nacre plugtest-server, which change every two
# seconds: each way it ends. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

start plugtest-server server --bind '[::1]:0' --state state
"$nacre" plugtest-client --state state "${url#coap://}" 0 >out || fail "no contexts: $(cat out)"

# expect NAME EXIT_CODE TEXT: the result of the run in NAME.out and NAME.err
expect() {
    printf "$3" >expected
    [ "$(cat "$1.code")" = "$2" ] || fail "$1 ended with $(cat "$1.code"), not $2: $(cat "$1.err")"
    cmp -s "$1.out" expected || fail "$1 printed '$(cat "$1.out")'"
}
observe() { # NAME ARGUMENT...
    local name=$1
    shift
    timeout 30 "$nacre" "$@" >"$name.out" 2>"$name.err" </dev/null
    echo $? >"$name.code"
}

observe end observe --context state/a "$url/oscore/observe1"
expect end 1 'one\ntwo\n'
grep -q '5.00' end.err || fail "the error is not reported: $(cat end.err)"
observe count observe --context state/a --count 2 "$url/oscore/observe2"
expect count 0 'one\ntwo\n'
observe one observe --context state/a --count 1 "$url/oscore/observe2"
expect one 0 'one\n'
observe duration observe --context state/a --duration 1 "$url/oscore/observe2"
expect duration 0 'one\n'
observe fixed observe --context state/a "$url/oscore/hello/1"
expect fixed 0 'Hello World!\n'
observe missing observe --context state/a "$url/nowhere"
expect missing 1 ''
observe clear observe "$url/oscore/observe2"
expect clear 1 ''
grep -q '4.01' clear.err || fail "a plain registration: $(cat clear.err)"

# SIGINT ends it in order, and the state is written back.
"$nacre" observe --context state/a "$url/oscore/observe2" >int.out 2>int.err </dev/null &
pid=$!
for _ in $(seq 100); do
    [ -s int.out ] && break
    sleep 0.1
done
kill -TERM "$pid"
wait "$pid"
echo $? >int.code
expect int 0 'one\n'
grep -q '"unknown"' state/a/sequence.json && fail "the state was not written back: $(cat state/a/sequence.json)"

# The reader is gone: exit 5, soon.
timeout 30 "$nacre" observe --context state/a "$url/oscore/observe2" 2>pipe.err </dev/null | true
code=${PIPESTATUS[0]}
[ "$code" = 5 ] || fail "a closed stdout: exit $code: $(cat pipe.err)"

for wrong in '--count 0' '--count x' '--duration 0' '--payload x' '--output x' '--content-format 0'; do
    # shellcheck disable=SC2086
    observe wrong observe $wrong "$url/x"
    expect wrong 2 ''
    [ "$(wc -l <wrong.err)" = 1 ] || fail "observe $wrong: $(cat wrong.err)"
done
observe wrong get --count 1 "$url/x"
expect wrong 2 ''
observe help observe --help
grep -q -- --duration help.out || fail "no help"

finish

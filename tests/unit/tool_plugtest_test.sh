#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_plugtest_test: nacre plugtest-server and plugtest-client against each other: every test, with state kept and
# lost, and usage errors. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

# client EXIT_CODE LAST_LINE ARGUMENT...
client() {
    local wanted=$1 last=$2
    shift 2
    timeout 120 "$nacre" plugtest-client "$@" >out 2>err </dev/null
    local code=$?
    [ $code = "$wanted" ] || fail "plugtest-client $* ended with $code, not $wanted: $(cat out err)"
    [ "$(tail -n 1 out)" = "$last" ] || fail "plugtest-client $* ended with '$(tail -n 1 out)'"
}

start plugtest-server first --bind '[::1]:0' --state server
client 0 '17 passed, 0 failed, 1 skipped' --state client "${url#coap://}"
[ "$(grep -c '^test [0-9]*: passed - ' out)" = 17 ] || fail "not 17 lines: $(cat out)"
grep -q '^test 16: skipped - ' out || fail "16 is not skipped: $(cat out)"
client 0 '2 passed, 0 failed, 0 skipped' --state client "${url#coap://}" 2 1 # a second run goes on
client 1 '0 passed, 1 failed, 0 skipped' --state stateless "${url#coap://}" 1 # without its state it would be a replay
client 1 '1 passed, 1 failed, 0 skipped' --state client "${url#coap://}" 0 16
[ -s first.err ] && fail "the server found fault with a test: $(cat first.err)"
stop TERM

# Contexts are kept, then a window is lost: Echo is requested, and the tests continue.
start plugtest-server second --bind '[::1]:0' --state server
client 0 '1 passed, 0 failed, 0 skipped' --state client "${url#coap://}" 1
crash
grep -q '"unknown"' server/b/sequence.json || fail "the window was not lost: $(cat server/b/sequence.json)"
start plugtest-server third --bind '[::1]:0' --state server
client 0 '2 passed, 0 failed, 0 skipped' --state client "${url#coap://}" 1 15
start plugtest-server fresh --bind '[::1]:0' # without --state
client 0 '1 passed, 0 failed, 0 skipped' --state another "${url#coap://}" 1

start plugtest-server unaware --bind '[::1]:0' --unaware
client 0 '2 passed, 0 failed, 0 skipped' --state another "${url#coap://}" 0 16
client 1 '0 passed, 1 failed, 0 skipped' --state another "${url#coap://}" 1

# Usage: one line, exit code 2.
usage() {
    timeout 10 "$nacre" "$@" >out 2>err </dev/null
    [ $? = 2 ] && [ "$(wc -l <err)" = 1 ] || fail "nacre $*: $(cat err)"
}
usage plugtest-client
usage plugtest-client --state x
usage plugtest-client '[::1]'
usage plugtest-client --state x '[::1]' 18
usage plugtest-client --state x '[::1]' one
for host in 0.0.0.0 '[::]' 224.0.1.187 255.255.255.255 '[ff02::fd]'; do usage plugtest-client --state x "$host" 1; done
usage plugtest-client --stat
usage plugtest-server something
usage plugtest-server --bind
usage plugtest-server --unawares
timeout 10 "$nacre" plugtest-client --state /nowhere/at/all '[::1]' 0 >out 2>err
[ $? = 5 ] || fail "a state directory that cannot be made: $(cat err)"
timeout 10 "$nacre" plugtest-server --help | grep -q -- --unaware || fail "no help"
timeout 10 "$nacre" plugtest-client --help | grep -q '^  17  ' || fail "no help"

# They are a separate program, beside the tool or in libexec, that no help mentions.
"$nacre" --help | grep -q plugtest && fail "--help lists the interop tests"
"$nacre" frobnicate 2>&1 | grep -q plugtest && fail "the list of subcommands has the interop tests"
mkdir -p installed/bin installed/libexec/nacre
cp "$nacre" installed/bin/nacre
run_installed() { timeout 10 installed/bin/nacre plugtest-client --state client '[::1]:1' 99 >out 2>err; }
run_installed
[ $? = 5 ] || fail "without its program plugtest-client ended otherwise: $(cat err)"
[ "$(wc -l <err)" = 1 ] && grep -q 'nacre plugtest-client: cannot run .*/installed/bin/nacre-plugtest: No such file' err ||
    fail "not one clear line: $(cat err)"
cp "$(dirname "$nacre")/nacre-plugtest" installed/libexec/nacre/
run_installed
[ $? = 2 ] || fail "the program in libexec is not found: $(cat err)"
cp "$(dirname "$nacre")/nacre-plugtest" installed/bin/ && rm installed/libexec/nacre/nacre-plugtest
run_installed
[ $? = 2 ] || fail "the program beside the tool is not found: $(cat err)"

finish

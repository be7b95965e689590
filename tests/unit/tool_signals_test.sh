#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_signals_test: a signal that ends a program with open contexts ends it in order: the state is written back.
# Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen --client-id 0a --server-id 01 client server >/dev/null || fail keygen
"$nacre" keygen --client-id 0b --server-id 02 asker silent >/dev/null || fail keygen
fresh='env --default-signal=INT,QUIT,HUP,TERM' # this shell ignores some of them for what it starts in the background

# saved DIR: closed in order, so that its window is known
saved() {
    if grep -q '"unknown"' "$1/sequence.json"; then fail "$1 was not closed in order: $(cat "$1/sequence.json")"; fi
}

waits() { # FILE: until it has something
    for _ in $(seq 200); do
        [ -s "$1" ] && return
        sleep 0.05
    done
    fail "$1 stays empty"
}

# serve COMMAND...: starts a server, without a controlling terminal if COMMAND has setsid
serve() {
    : >serve.out
    : >serve.err
    "$@" "$nacre" serve --bind '[::1]:0' --context server >serve.out 2>serve.err </dev/null &
    pid=$!
    servers+=("$pid")
    waits serve.out
    url=$(sed -n 's/^listening //p' serve.out)
    run 0 get "$url/hello" --context client
    says server/sequence.json '"unknown"' # in use
}

# in_terminal COMMAND...: with its own controlling terminal. Writes its process ID to pid.txt and its exit code to
# code.txt.
in_terminal() {
    rm -f pid.txt code.txt t.out t.err
    printf '%s\n' "$@" >command.txt
    setsid script -qec 'mapfile -t c <command.txt; "${c[@]}" >t.out 2>t.err & p=$!; echo $p >pid.txt; wait $p; echo $? >code.txt' \
        /dev/null </dev/null >/dev/null 2>&1 &
    waits pid.txt
}

# ---- a server: SIGHUP without a terminal reloads nothing and says so; ending signals end it in order
for signal in TERM QUIT INT; do
    # shellcheck disable=SC2086
    serve setsid $fresh
    kill -HUP "$pid"
    waits serve.err
    says serve.err 'SIGHUP: nothing is reloaded'
    run 0 get "$url/hello" --context client
    stop $signal
    saved server
done

# ... and an observation likewise
start plugtest-server changing --bind '[::1]:0' --state state
"$nacre" plugtest-client --state state "${url#coap://}" 0 >out || fail "no contexts: $(cat out)"
# shellcheck disable=SC2086
setsid $fresh "$nacre" observe --context state/a "$url/oscore/observe2" >o.out 2>o.err </dev/null &
observer=$!
waits o.out
kill -HUP $observer
waits o.err
says o.err 'nacre observe: SIGHUP: nothing is reloaded'
kill -TERM $observer
wait $observer || fail "observe ended by SIGTERM after SIGHUP with $?: $(cat o.err)"
saved state/a
stop TERM

# SIGHUP that nohup ignores stays ignored, and SIGTSTP stops for a while only.
# shellcheck disable=SC2086
serve setsid $fresh nohup
kill -HUP "$pid"
kill -TSTP "$pid"
kill -CONT "$pid"
run 0 get "$url/hello" --context client
lacks serve.err reloaded
stop TERM
saved server

# ---- with a terminal SIGHUP ends in order: a server, an observation, and a request in flight
if command -v script >/dev/null; then
    export SHELL=/bin/bash
    # shellcheck disable=SC2086
    in_terminal $fresh "$nacre" serve --bind '[::1]:0' --context server
    waits t.out
    run 0 get "$(sed -n 's/^listening //p' t.out)/hello" --context client
    kill -HUP "$(cat pid.txt)"
    waits code.txt
    [ "$(cat code.txt)" = 0 ] || fail "serve ended by SIGHUP with $(cat code.txt): $(cat t.err)"
    lacks t.err reloaded
    saved server
    start plugtest-server changing --bind '[::1]:0' --state state
    "$nacre" plugtest-client --state state "${url#coap://}" 0 >out || fail "no contexts: $(cat out)"
    # shellcheck disable=SC2086
    in_terminal $fresh "$nacre" observe --context state/a "$url/oscore/observe2"
    waits t.out
    kill -HUP "$(cat pid.txt)"
    waits code.txt
    [ "$(cat code.txt)" = 0 ] || fail "observe ended by SIGHUP with $(cat code.txt): $(cat t.err)"
    saved state/a
    stop TERM
fi

# ---- a request in flight: no temporary file is left, the state is written, and the shell sees the signal
serve setsid
kill -STOP "$pid"
for signal in INT TERM QUIT HUP; do
    before=$(cat client/sequence.json)
    # shellcheck disable=SC2086
    $fresh "$nacre" get "$url/hello" --context client -o answer >get.out 2>get.err </dev/null &
    asker=$!
    for _ in $(seq 100); do
        [ "$(cat client/sequence.json)" = "$before" ] || break
        sleep 0.05
    done
    kill -$signal $asker
    wait $asker 2>/dev/null
    code=$?
    [ $code = $((128 + $(kill -l $signal))) ] || fail "get ended by $signal with $code: $(cat get.err)"
    says get.err 'stopped before the answer'
    # one number was used (or none: the file changes before the request is sent), not the whole reserved chunk
    old=$(sed 's/.*"next-to-send": \([0-9]*\).*/\1/' <<<"$before")
    grep -qE "\"next-to-send\": ($old|$((old + 1)))," client/sequence.json || fail "after $old: $(cat client/sequence.json)"
    if ls answer* >/dev/null 2>&1; then fail "left behind: $(ls answer*)"; fi
done
kill -CONT "$pid"
stop TERM
saved server

# ---- a file size limit is an error, and does not kill the process (SIGXFSZ)
(ulimit -f 0 && exec "$nacre" get "$url/hello" --context client --timeout 1 >out 2>err </dev/null)
code=$?
[ $code = 5 ] || fail "ulimit -f 0 ended with $code: $(cat err)"

finish

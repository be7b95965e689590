# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# tool.sh: shared by the tests of the command line. A test sources it with its own arguments, the build directory and
# the source directory:
#
#     . "$2/tests/support/lib/tool.sh" || exit 1
#
# It then runs in a scratch directory; at its end the directory is removed and running servers are stopped. It reports
# an error with `fail`, continues, and ends with `finish`; an unknown command ends it at once. $nacre is the program.
set -u
. "$2/tests/support/lib/unknown_command.sh" || exit 1
nacre=$(cd "$1" && pwd)/nacre
work=$(mktemp -d)
servers=() # the process IDs of those that run
clean_up() {
    local server
    for server in "${servers[@]}"; do kill "$server" 2>/dev/null; done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

finish() {
    [ $failures = 0 ] || exit 1
    echo "all as it should be"
    exit 0
}

says() { # FILE TEXT
    grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"
}

lacks() { # FILE TEXT
    if grep -qF -- "$2" "$1"; then fail "$1 has '$2': $(cat "$1")"; fi
}

# run EXIT_CODE ARGUMENT...: nacre's output goes to out and err. A failure must print one line that names the
# subcommand, if any, without control characters, and nothing on stdout but the findings of check.
run() {
    local wanted=$1 lines
    shift
    timeout 30 "$nacre" "$@" >out 2>err </dev/null
    local code=$?
    [ $code = "$wanted" ] || fail "nacre $* ended with $code, not $wanted: $(cat err)"
    [ "$wanted" != 0 ] || return
    [ "${1-}" = check ] || [ ! -s out ] || fail "nacre $* failed and printed: $(cat out)"
    lines=$(wc -l <err)
    [ "$lines" = 1 ] || fail "nacre $* says $lines lines: $(cat err)"
    grep -q "^nacre\( ${1-}\)\?: " err || fail "nacre $*: who says '$(cat err)'?"
    if LC_ALL=C tr -d '\n' <err | LC_ALL=C grep -q '[[:cntrl:]]'; then fail "nacre $*: control characters in err"; fi
}

# answers TEXT: the payload on stdout is exactly TEXT
answers() {
    printf '%s' "$1" >expected
    cmp -s out expected || fail "answer '$(cat out)' is not '$1'"
    [ ! -s err ] || fail "a good answer came with: $(cat err)"
}

# start SUBCOMMAND NAME ARGUMENT...: starts a server, waits until it listens, and sets pid and url. Its output goes to
# NAME.out and NAME.err.
start() {
    local subcommand=$1 name=$2
    shift 2
    : >"$name.out" # what an earlier one said
    "$nacre" "$subcommand" "$@" >"$name.out" 2>"$name.err" </dev/null &
    pid=$!
    servers+=("$pid")
    for _ in $(seq 200); do
        [ -s "$name.out" ] && break
        sleep 0.05
    done
    url=$(sed -n 's/^listening \(coap:\)/\1/p' "$name.out")
    [ -n "$url" ] && return
    fail "$subcommand $* does not listen: $(cat "$name.err")"
    finish
}

# stop SIGNAL: ends the last server in order
stop() {
    kill -"$1" "$pid"
    wait "$pid"
    local code=$?
    [ $code = 0 ] || fail "the server ended by $1 with $code"
    unset 'servers[-1]'
}

# crash: kills the last server
crash() {
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    unset 'servers[-1]'
}

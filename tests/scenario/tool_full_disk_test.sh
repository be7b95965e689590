#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# The disk fills up while nacre serves: what is logged, what clients get, and that the server recovers by itself once
# there is space. On a small tmpfs in a separate mount namespace if permitted; otherwise on unwritable directories.
case ${NACRE_FULL_DISK-} in
'')
    for unshare in 'unshare -rm' 'unshare -m'; do
        if $unshare mount -t tmpfs -o size=64k none /tmp 2>/dev/null; then NACRE_FULL_DISK=tmpfs exec $unshare "$0" "$@"; fi
    done
    [ "$(id -u)" != 0 ] || exit 77 # permissions do not stop root
    export NACRE_FULL_DISK=mode
    ;;
esac
. "$2/tests/support/lib/tool.sh" || exit 1

mkdir disk own
trap 'umount -l disk 2>/dev/null; chmod u+w disk/* 2>/dev/null; clean_up' EXIT
[ $NACRE_FULL_DISK = mode ] || mount -t tmpfs -o size=256k none disk || exit 77

fill_disk() {
    if [ $NACRE_FULL_DISK = mode ]; then chmod u-w disk/*
    else dd if=/dev/zero of=disk/filler bs=1k status=none 2>/dev/null; fi
}
make_room() {
    if [ $NACRE_FULL_DISK = mode ]; then chmod u+w disk/*
    else rm -f disk/filler; fi
}
# contexts NAME...: own/NAME for the client, disk/NAME for the server, whose numbers come one by one
contexts() {
    for name in "$@"; do
        "$nacre" keygen "own/$name" "disk/$name" >/dev/null || fail "keygen"
        sed -i 's/^{/{ "sequence-chunk-start": 1, "sequence-chunk-limit": 1,/' "disk/$name/settings.json"
    done
}
begins() { grep -c 'the store of [0-9]* contexts\? fails: ' server.err; }
ends() { grep -c 'the stores of all contexts work again' server.err; }
# comes COMMAND...: succeeds within ten seconds; stores are retried every five
comes() {
    for _ in $(seq 100); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "does not come: $*: $(cat server.err)"
}
has() { [ "$($1)" -ge "$2" ]; }

contexts one two three four five six
start serve server --bind '[::1]:0' --context disk/six --context disk/one --context disk/two --context disk/three --context disk/four \
    --context disk/five
run 0 put "$url/store" --context own/one --payload first
run 0 get "$url/hello" --context own/two
answers 'Hello World!'

# An observer, while there is space.
"$nacre" observe "$url/store" --context own/six >observed 2>observe.err </dev/null &
observer=$!
servers=("$observer" "${servers[@]}")
comes grep -q first observed

# Full. What was accepted before continues: requests are answered under their own nonces, and changes are made once.
fill_disk
for i in $(seq 20); do run 0 put "$url/store" --context own/one --payload "full $i"; done
run 0 get "$url/store" --context own/one
answers 'full 20'
# A window that is still durable cannot be given up: the request is refused unprotected, and not handled.
run 4 put "$url/store" --context own/three --payload 'not accepted'
says err 'answered 5.03 Service Unavailable without protection'
run 0 get "$url/store" --context own/one
answers 'full 20'
comes has begins 1
says server.err 'nacre serve: the store of '
[ $NACRE_FULL_DISK = mode ] || says server.err 'No space left on device; make room on its file system'
# More refusals: one log line in five seconds at most.
before=$SECONDS
for name in three four five three four five; do run 4 get "$url/hello" --context "own/$name"; done
[ "$(begins)" -le $((2 + (SECONDS - before) / 5)) ] || fail "too many lines: $(cat server.err)"
[ "$(ends)" = 0 ] || fail "an end too early: $(cat server.err)"

# Space again: the failure ends by itself, without a request, and the observer gets the present state.
make_room
comes has ends 1
comes grep -q 'full 20' observed
for name in one two three four five; do run 0 get "$url/hello" --context "own/$name"; done
run 0 get "$url/store" --context own/three
answers 'full 20'
[ "$(begins)" -ge "$(ends)" ] || fail "ends without a begin: $(cat server.err)"
kill -INT "$observer"
wait "$observer" || fail "observe: $(cat observe.err)"
servers=("$pid")

# After a crash the window is unknown: without a number no challenge can be protected. With one, requests work again, at
# numbers not used before.
crash
start serve server --bind '[::1]:0' --context disk/one --context disk/two
fill_disk
run 4 get "$url/hello" --context own/one
says err 'answered 5.03 Service Unavailable without protection'
comes has begins 1
make_room
run 0 get "$url/hello" --context own/one
comes has ends 1
stop TERM

# The client's disk is full: one line that names the file, nothing is sent, and the next request works.
"$nacre" keygen disk/mine own/theirs >/dev/null || fail "keygen"
start serve server --bind '[::1]:0' --context own/theirs
run 0 get "$url/hello" --context disk/mine
fill_disk
run 5 get "$url/hello" --context disk/mine
says err 'disk/mine/sequence.json: cannot '
make_room
run 0 get "$url/hello" --context disk/mine
answers 'Hello World!'
stop TERM
[ ! -s server.err ] || fail "the recovered store is not reported: $(cat server.err)"
finish

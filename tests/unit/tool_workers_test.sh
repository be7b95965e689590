#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_workers_test: nacre serve --workers, serving several clients at once: values, files and uploads arrive whole, and
# it ends in order. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

for bad in 0 65 -1 x 2x ''; do
    timeout 10 "$nacre" serve --context nowhere --workers "$bad" >out 2>err </dev/null
    [ $? = 2 ] || fail "--workers '$bad' is not refused: $(cat err)"
done

mkdir root
for i in 1 2 3 4; do
    "$nacre" keygen --id-context "0$i" client$i server$i >/dev/null || fail "keygen $i"
    head -c $((i * 3000)) /dev/urandom >"root/file$i"
    head -c $((i * 2500)) /dev/urandom >"up$i"
done
start serve server --workers 3 --bind '127.0.0.1:0' --root root --demo --writable \
    --context server1 --context server2 --context server3 --context server4

# One client: each request comes from a new socket, so from another address, and may reach any thread.
client() {
    local i=$1 round
    for round in 1 2 3 4; do
        timeout 30 "$nacre" get --context client$i "$url/hello" >hello$i 2>>err$i || echo "hello $round" >>bad$i
        timeout 30 "$nacre" put --context client$i --payload "value of $i" "$url/store" >/dev/null 2>>err$i || echo put >>bad$i
        timeout 30 "$nacre" get --context client$i "$url/store" >store$i 2>>err$i || echo store >>bad$i
        grep -q '^value of [1-4]$' store$i || echo "the store has $(cat store$i)" >>bad$i
        timeout 30 "$nacre" get --context client$i "$url/file$i" --output file$i 2>>err$i || echo "file $round" >>bad$i
        cmp -s file$i root/file$i || echo "another file" >>bad$i
        timeout 30 "$nacre" put --context client$i --payload-file up$i "$url/up$i" 2>>err$i || echo "upload $round" >>bad$i
    done
    cmp -s up$i root/up$i || echo "another upload" >>bad$i
}
pids=()
for i in 1 2 3 4; do
    client $i &
    pids+=($!)
done
for client in "${pids[@]}"; do wait "$client"; done
for i in 1 2 3 4; do [ ! -e bad$i ] || fail "client $i: $(cat bad$i err$i)"; done
stop TERM
[ -s server.err ] && fail "the server says: $(cat server.err)"
for i in 1 2 3 4; do "$nacre" check server$i >out 2>&1 || fail "server$i: $(cat out)"; done
finish

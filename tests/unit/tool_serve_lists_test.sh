#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_serve_lists_test: lists of long directories are complete, cost time linear in their length, and do not block
# other requests. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen --id-context 01 client server >/dev/null || fail keygen
"$nacre" keygen --id-context 02 client2 server2 >/dev/null || fail keygen
mkdir -p root/short root/long root/small
names() { seq -f "a-name-that-is-as-long-as-names-of-log-files-often-are-%06.0f" "$1"; }
(cd root/short && names 20000 | xargs touch) || fail 'short'
(cd root/long && names 50000 | xargs touch) || fail 'long'
printf 'small' >root/file
start serve server --bind '[::1]:0' --context server --context server2 --root root

# list NAME: writes its list to NAME.list, and its duration in milliseconds to `took`
list() {
    local begin=${EPOCHREALTIME/./}
    timeout 120 "$nacre" get "$url/$1" --accept 0 --context client -o "$1.list" 2>err || fail "the list of $1: $(cat err)"
    took=$(((${EPOCHREALTIME/./} - begin) / 1000))
}

# cost_of_a_list_grows_with_its_length_only
list short
took_short=$took
names 20000 | cmp -s - short.list || fail 'the list of 20,000 names'
list long
names 50000 | cmp -s - long.list || fail 'the list of 50,000 names'
[ "$took" -lt $((8 * took_short + 1000)) ] || fail "20,000 names took $took_short ms, 50,000 took $took ms"

# others_are_served_while_a_long_list_goes_out
timeout 120 "$nacre" get "$url/long" --context client -b 256 -o slow.list 2>slow.err &
slow=$!
for _ in $(seq 100); do [ -n "$(find . -maxdepth 1 -name 'slow.list.*' -size +0)" ] && break; sleep 0.05; done
run 0 get "$url/file" --context client2
answers 'small'
[ ! -e slow.list ] || fail 'the long list was over before it was asked meanwhile'
timeout 30 "$nacre" get "$url/short" --accept 0 --context client2 -o other.list || fail 'another list meanwhile'
cmp -s other.list short.list || fail 'another list is another one'

# a_list_in_blocks_is_of_one_moment
touch root/long/new
wait $slow || fail "the slow list: $(cat slow.err)"
[ "$(tr -cd '<' <slow.list | wc -c)" = 50000 ] || fail "the slow list has $(tr -cd '<' <slow.list | wc -c) names"
list long
[ "$(wc -l <long.list)" = 50001 ] || fail 'a new list lacks the new name'
stop TERM

finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_serve_demo_test: with --root, demo resources hide no file; they exist without --root, or with --demo. Arguments:
# build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p root/.well-known root/sub
for name in hello time echo store; do printf 'file %s' $name >root/$name; done
printf 'x' >root/.well-known/core
printf 'below' >root/sub/store

# demo_resources_do_not_shadow_files_of_the_root
start serve files --bind '[::1]:0' --context server --root root --writable
for name in hello time echo store; do
    run 0 get "$url/$name" --context client
    answers "file $name"
    run 0 put "$url/$name" --payload "new $name" --context client
    [ "$(cat root/$name)" = "new $name" ] || fail "PUT to $name left the file as it was"
done
run 1 post "$url/echo" --payload x --context client
says err '4.05'
run 0 get "$url/" --accept 0 --context client
for name in hello time echo store; do grep -qx $name out || fail "$name is not listed: $(cat out)"; done
run 0 delete "$url/store" --context client
[ ! -e root/store ] || fail 'DELETE left the file'
run 1 get "$url/store" --context client
says err '4.04'

# the_list_of_resources_is_the_servers_own
run 0 get "$url/.well-known/core" --context client
answers '</>;ct=40;obs;osc'
run 1 put "$url/.well-known/core" --payload y --context client
says err '4.05'
run 1 get "$url/.well-known" --context client
says err '4.04'
[ "$(cat root/.well-known/core)" = x ] || fail 'a file of a hidden directory was written'
stop TERM

# demo_resources_that_are_asked_for_hide_files_of_their_names: and reveal nothing of the file
printf 'a file' >root/store
start serve both --bind '[::1]:0' --context server --root root --writable --demo
run 0 get "$url/hello" --context client
answers 'Hello World!'
run 0 put "$url/store" --payload value --context client
run 0 get "$url/store" --context client
answers 'value'
[ "$(cat root/store)" = 'a file' ] || fail 'the demo wrote to a file'
run 0 get "$url/" --accept 0 --context client
answers 'sub/
'
run 0 get "$url/sub/store" --context client
answers 'below'
run 0 get "$url/sub" --accept 0 --context client
answers 'store
'
stop TERM

# demo_resources_are_there_without_a_root
start serve demo --bind '[::1]:0' --context server
run 0 get "$url/hello" --context client
answers 'Hello World!'
run 0 get "$url/.well-known/core" --context client
says out '</store>'
lacks out '</>'
stop TERM

finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_reload_test: SIGHUP reads the configuration and the credentials of nacre serve again, and loses no message.
# NACRE_RELOADS: how many in the first part (50). Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1
reloads=${NACRE_RELOADS:-50}

for name in a b c; do "$nacre" keygen $name $name-server >/dev/null || fail keygen; done
mkdir -p root
echo 0 >root/file
config() { # CONTEXTS MORE
    printf 'bind: "[::1]:0"\ncontexts: [%s]\nroot: root\n%b' "$1" "${2-}" >serve.conf
}
config a-server
if "$nacre" serve --config serve.conf --check-config 2>&1 | grep -q 'built without libyaml'; then
    echo "SKIPPED: this nacre was built without libyaml"
    exit 77
fi
# reload NAME [TEXT]: and waits for the line
reload() {
    local before
    before=$(grep -c "${2-read serve.conf again}" "$1.err")
    kill -HUP "$pid"
    for _ in $(seq 200); do
        [ "$(grep -c "${2-read serve.conf again}" "$1.err")" -gt "$before" ] && return
        sleep 0.02
    done
    fail "no reload: $(cat "$1.err")"
}

# a_client_and_an_observer_go_on_through_reloads_that_add_and_remove_others
start serve through --config serve.conf --workers 2 --log-format text
"$nacre" keygen o o-server >/dev/null || fail keygen
config 'a-server, o-server'
reload through
"$nacre" observe "$url/file" --context o >o.out 2>o.err </dev/null &
observer=$!
for _ in $(seq 100); do [ -s o.out ] && break || sleep 0.05; done
for i in $(seq "$reloads"); do
    if [ $((i % 2)) = 1 ]; then config 'a-server, o-server, b-server' 'log: {level: info}\n'; else config 'a-server, o-server'; fi
    echo "$i" >root/file
    # while the server reloads, and without retransmission: one that is lost is missed
    timeout 10 "$nacre" get "$url/file" --context a --non --timeout 5 >out 2>err </dev/null &
    get=$!
    reload through
    wait $get || fail "request $i is lost: $(cat err)"
done
last() { grep -v '^$' o.out | tail -1; }
for _ in $(seq 100); do [ "$(last)" = "$reloads" ] && break || sleep 0.05; done
[ "$(last)" = "$reloads" ] || fail "the observer has $(last): $(cat o.err)"
kill -TERM $observer
wait $observer
[ "$(grep -c '"a-server\|fails' through.err)" = 0 ] || fail "$(cat through.err)"

# a_context_that_is_added_is_served_and_one_that_is_removed_is_not
config 'a-server, b-server'
reload through
run 0 get "$url/file" --context b
run 4 get "$url/file" --context o --timeout 1
config 'a-server, c-server'
reload through
run 0 get "$url/file" --context c
run 4 get "$url/file" --context b --timeout 1
lacks b-server/sequence.json '"unknown"' # its state was written
config 'a-server, ./c-server' # the same by another name
reload through
run 0 get "$url/file" --context c
config 'a-server, ./c-server' 'rights: [{peers: ./c-server, methods: GET, paths: /**}]\n'
reload through
run 0 get "$url/file" --context c
run 1 get "$url/file" --context a

# rights_that_are_gone_change_nothing: the file may be half written
config 'a-server, ./c-server'
reload through 'nothing is changed: rights: there are none any more'
run 1 get "$url/file" --context a
all='rights: [{peers: "*", methods: "*", paths: /**}]\n'
config 'a-server, c-server' "$all"
reload through

# a_broken_file_changes_nothing_and_says_why
for broken in 'nonsense: 1\n' 'limits: {bodies: 0}\n' 'contexts: [x]\n'; do
    config 'b-server' "$broken"
    reload through 'nothing is changed: serve.conf:'
    run 0 get "$url/file" --context c
done
config 'a-server, b-server, nowhere' "$all"
reload through "nothing is changed: cannot open the context directory 'nowhere'"
run 4 get "$url/file" --context b --timeout 1
run 0 get "$url/file" --context c
cp -r c-server twin
config 'a-server, c-server, twin' "$all" # RFC 8613 3.3
reload through 'nothing is changed: twin'
run 0 get "$url/file" --context c

# what_cannot_change_is_told_by_name
config 'a-server' "tcp: yes\nlimits: {bodies: 3, max_body: 5000}\n$all"
reload through 'changed at the next start only: tcp limits.bodies limits.max_body'
run 0 get "$url/file" --context a
run 4 get "$url/file" --context c --timeout 1

# writing_can_be_allowed_and_forbidden
run 1 put "$url/file" --context a --payload x
config 'a-server' "writable: yes\n$all"
reload through
run 0 put "$url/file" --context a --payload x
config 'a-server' "log: {requests: yes}\n$all"
reload through
run 1 put "$url/file" --context a --payload y
[ "$(cat root/file)" = x ] || fail 'it was written'
says through.err 'PUT /file -> 4.05'

# what_rights_are_about_cannot_change: they would apply to the old directory of files, contexts or resources
mkdir -p other
for key in 'root: other' 'demo: yes' 'role: server' 'database: fleet.db'; do
    { printf 'bind: "[::1]:0"\ncontexts: [a-server]\nwritable: yes\n%s\n%b' "$key" "$all"
      case $key in root*) ;; *) echo 'root: root' ;; esac; } >serve.conf
    reload through "nothing is changed: ${key%%:*}: start the server again"
    run 1 put "$url/file" --context a --payload y
done

# a_directory_that_was_replaced_is_the_new_one: a path is no identity, and the keys of the old one are revoked
mv a a-before
rm -r a-server
"$nacre" keygen a a-server >/dev/null || fail keygen
config 'a-server' "$all"
reload through
run 4 get "$url/file" --context a-before --timeout 1
run 0 get "$url/file" --context a

# another_path_of_a_directory_is_no_name_any_more
config './a-server' 'rights: [{peers: a-server, methods: "*", paths: /**}]\n'
reload through
run 1 get "$url/file" --context a
says err '4.03'

# names_of_a_reload_that_fails_give_no_rights
config 'a-server, b-server' 'rights: [{peers: ./b-server, methods: "*", paths: /**}]\n'
reload through
config 'a-server, ./b-server, nowhere' 'rights: [{peers: a-server, methods: GET, paths: /**}]\n'
reload through "nothing is changed: cannot open the context directory 'nowhere'"
run 1 get "$url/file" --context b
says err '4.03'

# a_context_that_is_added_never_has_the_rights_of_before
num=${NACRE_RELOAD_CONTEXTS:-150}
"$nacre" keygen new new-server >/dev/null || fail keygen
for i in $(seq "$num"); do "$nacre" keygen "m$i" "m$i-server" >/dev/null || fail keygen; done
config 'a-server' "$all"
reload through
list=new-server
for i in $(seq "$num"); do list="$list, m$i-server"; done
config "$list" 'rights: [{peers: m1-server, methods: "*", paths: /**}]\n'
kill -HUP "$pid"
for _ in $(seq 200); do
    timeout 10 "$nacre" get "$url/file" --context new --timeout 1 >out 2>err </dev/null && fail 'the rights of before'
    grep -q '4.03' err && break
done
says err '4.03'
for _ in $(seq 200); do
    [ "$("$nacre" get "$url/file" --context m1 --timeout 1 2>/dev/null)" = x ] && break || sleep 0.02
done
run 0 get "$url/file" --context m1

# an_upload_under_way_ends_before_the_server_does
config 'a-server' "writable: yes\n$all"
reload through
head -c 300000 /dev/urandom >large
"$nacre" put "$url/large" --context a --payload-file large >up.out 2>up.err </dev/null &
upload=$!
for _ in $(seq 200); do ls root/.nacre-* >/dev/null 2>&1 && break || sleep 0.01; done
stop TERM
wait $upload || fail "the upload ended with $?: $(cat up.err)"
cmp -s large root/large || fail 'the upload is not complete'

# contexts_give_way_to_credentials
config 'a-server, b-server'
start serve both --config serve.conf
printf '{":b": {"oscore": {"basedir": "b-server"}}}' >credentials.json
printf 'bind: "[::1]:0"\ncredentials: credentials.json\nroot: root\n' >serve.conf
reload both
run 0 get "$url/file" --context b
run 4 get "$url/file" --context a --timeout 1
stop TERM

# credentials_are_read_again
printf '{":a": {"oscore": {"basedir": "a-server"}}}' >credentials.json
printf 'bind: "[::1]:0"\ncredentials: credentials.json\nroot: root\n' >serve.conf
start serve named --config serve.conf
run 0 get "$url/file" --context a
printf '{":b": {"oscore": {"basedir": "b-server"}}, ":x": {"oscore": {"basedir": "a-server"}}}' >credentials.json
printf 'rights: [{peers: ":x", methods: GET, paths: /**}]\n' >>serve.conf
reload named
run 0 get "$url/file" --context a
run 1 get "$url/file" --context b
says err '4.03'
printf 'not JSON' >credentials.json
reload named 'nothing is changed'
run 0 get "$url/file" --context a
stop TERM
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_rights_test: rights of nacre serve, by name of a context, method and path. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

for name in lamp gateway guest; do "$nacre" keygen "$name" "$name-server" >/dev/null || fail keygen; done
mkdir -p root/public/sub root/lamps/1 root/lamps/2 'root/a b'
for file in public/file public/sub/file lamps/1/state lamps/2/state lamps/1/name 'a b/file' top; do echo "$file" >"root/$file"; done
cat >credentials.json <<'JSON'
{":lamp": {"oscore": {"basedir": "lamp-server"}}, ":gateway": {"oscore": {"basedir": "gateway-server"}},
 ":guest": {"oscore": {"basedir": "guest-server"}}}
JSON
config() { # ROWS
    cat >serve.conf <<CONF
bind: "[::1]:0"
credentials: credentials.json
root: root
writable: yes
demo: yes
rights:
$1
CONF
}
config '  - {peers: "*", methods: read, paths: /public/**}
  - {peers: [":lamp", ":gateway"], methods: GET PUT, paths: /lamps/*/state}
  - {peers: ":gateway", methods: "*", paths: [/lamps/2/**, /store, /a%20b/file, /%68ello]}
  - {peers: anonymous, methods: GET, paths: /public/file}'
"$nacre" serve --config serve.conf --check-config >out 2>err
if grep -q 'built without libyaml' err; then
    echo "SKIPPED: this nacre was built without libyaml"
    exit 77
fi
[ ! -s err ] || fail "check-config: $(cat err)"
start serve rights --config serve.conf --tcp

may() { # NAME METHOD PATH [ARGUMENT...]
    local name=$1 method=$2 path=$3
    shift 3
    run 0 "$method" "$url$path" --context "$name" "$@"
}
may_not() {
    local name=$1 method=$2 path=$3
    shift 3
    run 1 "$method" "$url$path" --context "$name" "$@"
    says err '4.03 Forbidden'
}

# a_row_gives_its_methods_on_its_paths_to_its_contexts
for name in lamp gateway guest; do
    may $name get /public/file
    may $name get /public/sub/file
    may $name get /public
    may $name get /public/
    may_not $name get /top
    may_not $name get /
    may_not $name put /public/file --payload other
    may_not $name delete /public/file
    may_not $name post /public --payload other
done
may lamp get /lamps/1/state
may lamp put /lamps/1/state --payload on
[ "$(cat root/lamps/1/state)" = on ] || fail 'the lamp is off'
may_not lamp delete /lamps/1/state
may_not lamp get /lamps/1/name
may_not lamp get /lamps/1
may_not lamp put /store --payload x
may_not guest get /lamps/1/state
may gateway put /store --payload x
may gateway get /store
may gateway get /hello
may gateway delete /lamps/2/state
[ ! -e root/lamps/2/state ] || fail 'it is still there'
[ "$(cat root/public/file)" = public/file ] || fail 'a file was changed without a right'

# no_spelling_of_a_path_has_other_rights
may gateway get '/a%20b/file'
may gateway get '/%61%20b/%66ile'
may_not gateway get /A%20b/file
may_not gateway get /lamps/1/State
may_not gateway get /LAMPS/2/name
run 1 get "$url/public//file" --context gateway # allowed, but there is no such file
says err '4.04'
may_not gateway get '/lamps//state'
may_not gateway get '/lamps/1/state/more'

# what_is_not_allowed_is_refused_before_it_is_known_whether_it_exists
may_not guest get /nowhere
may_not guest put /nowhere --payload x

# the_first_block_of_a_large_body_is_refused
head -c 20000 /dev/urandom >large
timeout 30 "$nacre" put "$url/lamps/1/state" --context guest --payload-file large -v >out 2>err </dev/null
says err '4.03 Forbidden'
[ "$(grep -c '^> [0-9]* bytes' err)" -le 2 ] || fail "the whole body was sent: $(grep -c '^> [0-9]* bytes' err)"
may lamp put /lamps/1/state --payload-file large
cmp -s large root/lamps/1/state || fail 'the large file is another'

# unprotected_requests_have_the_rights_of_anonymous
run 0 get "$url/public/file"
answers 'public/file
'
for path in /public/sub/file /top /lamps/1/state /store; do
    run 1 get "$url$path"
    says err '4.01 Unauthorized'
done
run 1 put "$url/public/file" --payload x
says err '4.01 Unauthorized'

# each_peer_finds_the_resources_that_it_may_read
run 0 get "$url/.well-known/core" --context gateway
says out '</store>'
says out '</hello>'
lacks out '</time>'
run 0 get "$url/.well-known/core" --context guest
[ ! -s out ] || fail "the guest finds $(cat out)"
run 0 get "$url/.well-known/core"
[ ! -s out ] || fail "anonymous finds $(cat out)"
run 0 get "$url/.well-known/core?ct=0" --context gateway
says out '</hello>'
lacks out '</time>'

# refusals_of_verified_peers_are_printed_as_other_requests_are
{ sed '/^rights:/,$d' serve.conf; echo 'log: {requests: yes, format: json}'; sed -n '/^rights:/,$p' serve.conf; } >loud.conf
cp serve.conf quiet.conf
cp loud.conf serve.conf
reloads=0
reload() { # and waits for the line
    kill -HUP "$pid"
    reloads=$((reloads + 1))
    for _ in $(seq 100); do [ "$(grep -c 'read serve.conf again' rights.err)" = $reloads ] && return || sleep 0.05; done
    fail "no reload: $(cat rights.err)"
}
reload
may_not guest delete /lamps/1/name
run 1 get "$url/top"
run 0 get "$url/.well-known/core" --context guest
grep '"event":"request"' rights.err >lines
says lines 'DELETE /lamps/1/name -> 4.03 Forbidden'
[ "$(wc -l <lines)" = 1 ] || fail "neither links nor unprotected requests: $(cat lines)"
cp quiet.conf serve.conf
reload

# an_observation_needs_the_right_and_ends_when_a_reload_takes_it_away
timeout 20 "$nacre" observe "$url/lamps/1/state" --context guest >o.out 2>o.err </dev/null
says o.err '4.03 Forbidden'
"$nacre" observe "$url/lamps/1/state" --context lamp >o.out 2>o.err </dev/null &
observer=$!
for _ in $(seq 100); do [ -s o.out ] && break || sleep 0.05; done
echo first >root/lamps/1/state
for _ in $(seq 100); do grep -q first o.out && break || sleep 0.05; done
grep -q first o.out || fail "no notification: $(cat o.err)"
config '  - {peers: "*", methods: read, paths: /public/**}'
reload
echo second >root/lamps/1/state
wait $observer
lacks o.out second
says o.err '4.03 Forbidden'
may_not lamp get /lamps/1/state
may lamp get /public/file
run 1 get "$url/public/file"
says err '4.01 Unauthorized'
stop TERM

# without_rights_every_context_may_do_all_of_it
sed -i '/^rights:/,$d' serve.conf
start serve free --config serve.conf
run 0 put "$url/top" --payload x --context guest
run 1 get "$url/public/file"
says err '4.01 Unauthorized'
run 0 get "$url/.well-known/core"
says out '</time>'
stop TERM
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_config_test: the configuration file of nacre serve. Arguments: build directory, source directory.
source=$(cd "$2" && pwd)
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p root
: >empty.conf
"$nacre" serve --context server --config empty.conf --check-config >out 2>err
if grep -q 'built without libyaml' err; then
    echo "SKIPPED: this nacre was built without libyaml"
    exit 77
fi

config() { cat >serve.conf; }
# refuses LINE TEXT: the file on stdin starts nothing, for one reason that names its line
refuses() {
    config
    run 2 serve --config serve.conf
    says err "serve.conf:$1: $2"
    [ -z "$(find . -newer serve.conf -name 'sequence.json')" ] || fail "a context was opened for: $(cat serve.conf)"
}

# the_example_names_every_key_and_loads
names() { sed -n 's/^ *\(TEXT("\|SWITCH("\|NUMBER("\|{ "\)\([a-z_.]*\)".*/\2/p' "$source/tools/nacre/serve_keys.c"; }
[ "$(names | wc -l)" -gt 40 ] || fail "the keys are not found: $(names)"
sed 's/^\( *\)#\([a-z_]*:\)/\1\2/; s/^#\(  *- peers:\|  *methods: \|  *paths: \/\)/\1/' "$source/packaging/serve.conf" >all.conf
for name in $(names); do
    grep -qE "^ *${name#*.}:" all.conf || fail "the example lacks $name"
    grep -qE "(^.It|,) (Li )?(log\\.)?${name#*.} (:|Ta)" "$source/man/nacre-serve.conf.5" || fail "the manual lacks $name"
done
# each value that it shows is accepted: without those that name contexts another way, and with paths that are here
sed -e '/^credentials:/d; /^database:/d; /^kek:/d' -e 's#/var/lib/nacre/contexts/first#server#; s#/var/lib/nacre/files#root#' \
    -e 's/":lamp", ":gateway"/server/; s/^bind:.*/bind: "[::1]:0"/' all.conf >some.conf
run 0 serve --config some.conf --check-config
says out 'some.conf: no problems found; 1 context directory'
sed -e 's#/var/lib/nacre/contexts/first#server#; s#/var/lib/nacre/files#root#; s/^bind:.*/bind: "[::1]:0"/' "$source/packaging/serve.conf" >as_it_is.conf
start serve example --config as_it_is.conf
echo text >root/file
run 0 get "$url/file" --context client
answers 'text
'
stop TERM

# a_file_that_is_wrong_starts_nothing_and_one_line_says_where
refuses 2 'bidn: there is no such key: see man nacre-serve.conf' <<<$'contexts: [server]\nbidn: "[::1]:0"'
refuses 2 'limits.body: there is no such key' <<<$'limits:\n  body: 1'
refuses 1 'limits.bodies: there is no such key' <<<'limits.bodies: 1'
refuses 2 'bind: it is given twice: remove one' <<<$'bind: "[::1]:0"\nbind: "[::1]:1"'
refuses 3 'log: it is given twice' <<<$'log:\n  level: info\nlog:\n  format: json'
refuses 2 'limits.bodies: give a number from 1 to 1024, not '"'1025'" <<<$'limits:\n  bodies: 1025'
refuses 2 'limits.bodies: give a number from 1 to 1024, not '"'many'" <<<$'limits:\n  bodies: many'
refuses 2 'limits.bodies: give a number from 1 to 1024, not '"'1.5'" <<<$'limits:\n  bodies: 1.5'
refuses 2 'limits.bodies: write the value without quotation marks' <<<$'limits:\n  bodies: "16"'
refuses 1 'tcp: give yes or no' <<<'tcp: maybe'
refuses 2 "log.level: 'loud': it is one of error warning info debug" <<<$'log:\n  level: loud'
refuses 1 'bind: give one value, not a list' <<<'bind: [a, b]'
refuses 1 'bind: give one value, not a group of keys' <<<'bind: {a: b}'
refuses 1 'bind: give a value' <<<'bind:'
refuses 1 'contexts: give a list' <<<'contexts: server'
refuses 1 'limits: give a group of keys' <<<'limits: 3'
refuses 1 'give keys' <<<'- server'
refuses 1 'aliases are not used here: write the value itself' <<<'bind: *here'
refuses 1 'anchors and tags are not used' <<<'bind: &here "[::1]:0"'
refuses 2 'one document only: remove what follows ---' <<<$'tcp: no\n---\ntcp: no'
refuses 2 'rights: path' <<<$'rights:\n  - {peers: "*", methods: GET, paths: hello}'
refuses 3 "rights: method 'READ'" <<<$'#\nrights:\n  - {peers: "*", methods: READ, paths: /**}'
refuses 2 'whom: rights have peers, methods and paths' <<<$'rights:\n  - {whom: "*"}'
refuses 2 'rights: give methods and paths' <<<$'rights:\n  - {peers: "*"}'
refuses 2 'peers: it is given twice' <<<$'rights:\n  - {peers: "*", peers: "*"}'
refuses 1 'rights: give a list' <<<'rights: all'
printf 'bind: "a\\0b"\n' >serve.conf
run 2 serve --config serve.conf
says err 'serve.conf:1: a value with a NUL byte'
printf 'bind: \x80\n' >serve.conf
run 2 serve --config serve.conf
says err 'serve.conf:1: '
printf 'limits: {bodies: 1\n' >serve.conf
run 2 serve --config serve.conf
says err 'serve.conf:2: '
run 5 serve --config nowhere
says err 'nowhere: cannot open'
mkfifo fifo
run 5 serve --config fifo
says err 'it is no regular file'
run 2 serve --check-config --context server
says err '--check-config needs --config'
run 2 serve --config empty.conf
says err 'give --context DIR'

# the_command_line_wins_over_the_file
config <<<$'bind: "[::1]:1"\ncontexts: [nowhere]\nlimits: {bodies: 7}\nlog: {level: error}'
start serve wins --config serve.conf --bind '[::1]:0' --context server --log-level info
run 0 get "$url/hello" --context client
says wins.err 'ready'
stop TERM
config <<<$'contexts: [server]\nlimits: {bodies: 0}'
run 2 serve --config serve.conf --max-bodies 3 # what the file says is checked all the same
says err 'serve.conf:2: limits.bodies'

# limits_of_the_file_are_those_of_the_server
config <<<$'bind: "[::1]:0"\ncontexts: [server]\nroot: root\nlimits: {block_size: 64, observers: 0}'
start serve limited --config serve.conf
head -c 300 /dev/urandom >root/long
run 0 get "$url/long" --context client -v
cmp -s out root/long || fail 'the file is another'
[ "$(grep -c 'bytes from' err)" = 5 ] || fail "300 bytes in blocks of 64 came in $(grep -c 'bytes from' err) responses: $(cat err)"
timeout 20 "$nacre" observe "$url/long" --context client --timeout 2 >out 2>err </dev/null
says err 'observ'
stop TERM

# the_configuration_file_is_never_served
config <<<$'bind: "[::1]:0"\ncontexts: [server]\nroot: root\nwritable: yes'
cp serve.conf root/serve.conf
start serve private --config root/serve.conf
run 1 get "$url/serve.conf" --context client
says err '4.04'
run 1 put "$url/serve.conf" --context client --payload 'writable: no'
cmp -s serve.conf root/serve.conf || fail 'the configuration was written by a peer'
stop TERM
rm root/serve.conf

# check_config_names_each_problem_and_changes_nothing
mkdir -p broken
chmod 700 broken
cp -r server twin
config <<<$'bind: nowhere.invalid:x\ncontexts: [server, broken, nowhere, twin]\nroot: gone\nrights:\n  - {peers: ":nobody", methods: GET, paths: /**}'
find . -type f -exec md5sum {} + | sort >before
"$nacre" serve --config serve.conf --check-config >out 2>err
[ $? = 2 ] || fail "check-config found nothing: $(cat out err)"
for text in nowhere.invalid broken nowhere twin gone ":nobody"; do says err "$text"; done
[ ! -s out ] || fail "it prints $(cat out)"
find . -type f ! -name out ! -name err -exec md5sum {} + | sort >after
grep -v -e '/out$' -e '/err$' -e '/before$' before | diff - <(grep -v -e '/before$' -e '/after$' after) || fail 'check-config changes files'
rm -rf twin

# check_config_works_beside_a_server_that_has_the_contexts_open
config <<<$'bind: "[::1]:0"\ncontexts: [server]'
start serve beside --config serve.conf
run 0 serve --config serve.conf --check-config
stop TERM

# a_file_that_others_can_write_is_named
chmod 666 serve.conf
"$nacre" serve --config serve.conf --check-config >out 2>err
says err 'chmod go-w'
start serve open --config serve.conf
says open.err 'serve.conf: other users can write it: chmod go-w'
kill -HUP "$pid"
for _ in $(seq 100); do [ "$(grep -c 'chmod go-w' open.err)" = 2 ] && break || sleep 0.05; done
[ "$(grep -c 'chmod go-w' open.err)" = 2 ] || fail "the reload does not say so: $(cat open.err)"
stop TERM
chmod 644 serve.conf
finish

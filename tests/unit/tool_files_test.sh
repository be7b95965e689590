#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: cross slow native
# tool_files_test: files below --root and large bodies, with nacre serve, get, put and delete over loopback. Arguments: build
# directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p root/sub
printf 'old' >root/file
ln -s /etc root/etc
printf 'x' >outside
head -c 1048576 /dev/urandom >mib
head -c 5000000 /dev/urandom >larger
start serve one --bind '[::1]:0' --context server --root root --demo --writable

# ---- Large bodies, both ways, whole and as files
run 0 put "$url/store" --payload-file mib --context client
run 0 get "$url/store" --context client
cmp -s out mib || fail '1 MiB came back otherwise'
run 0 post "$url/echo" --payload @mib --context client -b 512
cmp -s out mib || fail '1 MiB in blocks of 512 bytes'
run 1 put "$url/store" --payload-file larger --context client
says err 'nacre put: 4.13'
run 0 put "$url/larger" --payload-file larger --context client
cmp -s root/larger larger || fail 'a file of 5 MB that was put'
run 0 get "$url/larger" --context client --output got
answers ''
cmp -s got larger || fail 'a file of 5 MB that was got'
timeout 30 "$nacre" put "$url/piped" --payload-file - --context client <mib 2>err || fail "put from stdin: $(cat err)"
cmp -s root/piped mib || fail 'a file from stdin'
[ -z "$(find root -name '.nacre-*')" ] || fail 'temporary files are left'
[ -z "$(find . -maxdepth 1 -name 'got.*')" ] || fail 'temporary output is left'

# an output file is replaced only after the whole body has arrived
printf 'before' >kept
run 1 get "$url/none" --context client -o kept
says err '4.04'
[ "$(cat kept)" = before ] || fail 'an error replaced the output'
run 0 get "$url/file" --context client -o kept
[ "$(cat kept)" = old ] || fail 'the output was not replaced'

# a symbolic link stays one, and a descriptor opened by the shell is written to. The test uses its own link: a faulty
# nacre that runs as root would replace the system's /dev/stdout.
printf 'before' >behind
ln -s behind link
ln -s /proc/self/fd/1 stdout
run 0 get "$url/file" --context client -o link
[ -L link ] && [ "$(cat behind)" = old ] || fail 'a link was replaced, not its target'
run 0 get "$url/file" --context client -o stdout
answers 'old'
printf 'before ' >named
timeout 30 "$nacre" get "$url/file" --context client -o stdout >>named 2>err || fail "to stdout by name: $(cat err)"
[ "$(cat named)" = 'before old' ] || fail 'what stdout was opened as was replaced'
[ "$(timeout 30 "$nacre" get "$url/file" --context client -o stdout | cat)" = old ] || fail 'into a pipe by name'
[ -L stdout ] || fail 'the name of stdout is no link any more'
run 5 get "$url/file" --context client -o none/kept
says err none/kept
# an interrupted command leaves the old file and nothing else
kill -STOP "$pid"
for signal in INT TERM HUP; do
    env --default-signal="$signal" "$nacre" get "$url/larger" --context client -o kept >out 2>err </dev/null &
    getting=$!
    for _ in $(seq 100); do
        [ -z "$(find . -maxdepth 1 -name 'kept.*')" ] || break
        sleep 0.05
    done
    [ -n "$(find . -maxdepth 1 -name 'kept.*')" ] || fail "nothing was begun before SIG$signal"
    kill "-$signal" $getting
    wait $getting
    [ $? -gt 128 ] || fail "SIG$signal did not end it"
    [ -z "$(find . -maxdepth 1 -name 'kept.*')" ] || fail "SIG$signal left temporary output"
    [ "$(cat kept)" = old ] || fail "SIG$signal changed the output"
done
kill -CONT "$pid"
run 5 put "$url/file" --payload-file none --context client
run 5 put "$url/file" --payload-file root --context client

# a_file_that_changes_on_its_way_is_fetched_again_from_its_start
head -c 100000 /dev/urandom >root/changing
head -c 90000 /dev/urandom >newer
timeout 60 "$nacre" get "$url/changing" --context client -b 16 -o whole 2>err &
getting=$!
for _ in $(seq 200); do [ -n "$(find . -maxdepth 1 -name 'whole.*' -size +0)" ] && break; sleep 0.01; done
[ ! -e whole ] || fail 'it was over before it changed'
cp newer root/newer && mv root/newer root/changing
wait $getting || fail "a file that changed: $(cat err)"
cmp -s whole newer || fail 'a file of two contents'
rm root/changing

# ---- PUT and DELETE: permitted and refused targets
run 0 put "$url/sub/new" --payload first --context client
[ "$(cat root/sub/new)" = first ] || fail 'a new file'
chmod 640 root/sub/new
run 0 put "$url/sub/new" --payload second --context client
[ "$(cat root/sub/new)" = second ] || fail 'a file that is there'
[ "$(stat -c %a root/sub/new)" = 640 ] || fail 'its permissions'
run 0 put "$url/empty" --context client
[ -f root/empty ] && [ ! -s root/empty ] || fail 'an empty file'
for path in none/new file/new etc/new sub%2fnew; do
    run 1 put "$url/$path" --payload x --context client
    says err '4.04'
done
for path in secret.json settings.json sequence.json sub/secret.json lock; do
    run 1 put "$url/$path" --payload x --context client
    says err '4.03'
    run 1 put "$url/$path" --payload-file mib --context client
    says err '4.03'
done
for path in sub etc; do
    run 1 put "$url/$path" --payload x --context client
    says err '4.03'
    run 1 delete "$url/$path" --context client
    says err '4.03'
done
for path in .dot %2e%2e%2foutside ..%2foutside sub/.dot; do
    run 1 put "$url/$path" --payload x --context client
    says err '4.04'
    run 1 delete "$url/$path" --context client
    says err '4.04'
done
run 1 put "$url/" --payload x --context client
run 1 post "$url/file" --payload x --context client
says err '4.05'
run 1 put "$url/file" --payload x # plain
says err '4.01'
run 1 put "$url/file" --payload-file mib
says err '4.01'
[ "$(cat root/file outside)" = oldx ] || fail 'something was written that may not be'
run 0 delete "$url/sub/new" --context client
[ ! -e root/sub/new ] || fail 'a file that was deleted'
run 0 delete "$url/sub/new" --context client # RFC 7252 5.8.4
[ "$(find root | LC_ALL=C sort | tr '\n' ' ')" = 'root root/empty root/etc root/file root/larger root/piped root/sub ' ] ||
    fail "left: $(find root)"
stop TERM

# ---- a_path_is_measured_in_bytes_of_its_segments: 255 each, as many as fit in a message; not percent-encoded
long=$(printf '\xe6\x96\x87%.0s' $(seq 85)) # 255 bytes
root2=$long/$long/$long
encoded=$(printf '%s' "$root2" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g; s/%2f/\//g')
mkdir -p "root/$long/$long"
printf 'deep' >"root/$root2"
for row in "serve one --writable" "serve one --writable --tcp"; do
    # shellcheck disable=SC2086
    start ${row/one/one --bind [::1]:0 --context server --root root}
    run 0 get "$url/$encoded" --context client
    answers 'deep'
    run 0 put "$url/$encoded" --payload deeper --context client
    [ "$(cat "root/$root2")" = deeper ] || fail 'a file below a long path'
    printf 'deep' >"root/$root2"
    timeout 30 "$nacre" observe "$url/$encoded" --context client --count 1 >out 2>err || fail "observe a long path: $(cat err)"
    run 0 get "$url/${encoded%/*}" --accept 0 --context client
    answers "$long
"
    run 2 get "$url/%61$encoded" --context client # 256 bytes
    stop TERM
done
rm -r "root/$long"

# ---- Without --writable, PUT and DELETE are refused with 4.05
start serve two --bind '[::1]:0' --context server --root root
for arguments in "put $url/file --payload x" "put $url/file --payload-file mib" "put $url/new --payload x" \
    "delete $url/file"; do
    # shellcheck disable=SC2086
    run 1 $arguments --context client
    says err '4.05'
done
[ "$(cat root/file)" = old ] && [ ! -e root/new ] || fail 'written without --writable'
run 2 serve --context server --writable
says err '--root'
stop TERM

finish

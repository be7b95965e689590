#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_serve_post_test: POST to a directory below --root makes a file; read-only files are unchanged; special files are
# neither served nor replaced. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p 'root/a b' root/sub root/fixed
head -c 200000 /dev/urandom >large
printf 'old' >root/file
printf 'old' >root/fixed/file
start serve server --bind '[::1]:0' --context server --root root --writable

# made PATH: the location returned to the client, as `at`; the file in root as `file`
made() {
    at=$(sed -n 's/^nacre post: created //p' err)
    [[ $at =~ ^$1[0-9a-f]{16}(\.[a-z]+)?$ ]] || fail "made at '$at', not below $1: $(cat err)"
    file=root$(printf '%b' "${at//%/\\x}")
    [ -f "$file" ] || fail "$file is no file"
}

# post_to_a_directory_makes_a_file_and_says_where
for row in '/|/' '/sub|/sub/' '/sub/|/sub/' '/a%20b|/a%20b/'; do
    run 0 post "$url${row%|*}" --payload text --context client
    made "${row#*|}"
    [ "$(cat "$file")" = text ] || fail "$file holds $(cat "$file")"
    run 0 get "$url$at" --context client
    answers 'text'
done
find root -type f ! -name file -delete

# post_in_blocks_too_and_without_a_body
run 0 post "$url/sub" --payload-file large --context client
made /sub/
cmp -s "$file" large || fail 'a large body that was posted'
run 0 post "$url/sub" --context client
made /sub/
[ ! -s "$file" ] || fail 'no body that was posted'

# post_names_the_file_by_its_content_format
for row in '0 .txt' '40 .wlnk' '41 .xml' '50 .json' '60 .cbor' '42 '; do
    read -r format ending <<<"$row"
    run 0 post "$url/sub" --payload '{}' --content-format "$format" --context client
    made /sub/
    [[ ${at: -16} != *.* || $at = *"$ending" ]] && [ "${at#/sub/????????????????}" = "$ending" ] || fail "$format is $at"
    run 0 get "$url$at" --accept "$format" --context client
    answers '{}'
done
rm root/sub/*
for body in '--payload x' '--payload-file large'; do
    # shellcheck disable=SC2086
    run 1 post "$url/sub" $body --content-format 11542 --context client
    says err '4.15'
done

# post_elsewhere_makes_nothing
for body in '--payload x' '--payload-file large'; do
    for row in 'file 4.05' 'none 4.04' 'file/ 4.04' 'none/x 4.04' '.dot 4.04' 'sub%2f 4.04'; do
        # shellcheck disable=SC2086
        run 1 post "$url/${row% *}" $body --context client
        says err "${row#* }"
    done
    # shellcheck disable=SC2086
    run 1 post "$url/sub" $body # plain
    says err '4.01'
    long=$(printf 'n%.0s' $(seq 200))
    mkdir -p "root/$long/$long"
    # shellcheck disable=SC2086
    run 1 post "$url/$long/$long" $body --context client
    says err '4.03 Forbidden: the path is too long for a Location-Path'
    [ -z "$(ls -A "root/$long/$long")" ] || fail 'made where no Location-Path says it'
    rm -r "root/${long:?}"
done
[ "$(find root -type f | LC_ALL=C sort | tr '\n' ' ')" = 'root/file root/fixed/file ' ] || fail "left: $(find root)"

# read_only_files_and_directories_stay_as_they_are: as root, too
chmod 444 root/file
chmod 555 root/fixed
for body in '--payload x' '--payload-file large'; do
    for arguments in "put $url/file $body" "delete $url/file" "put $url/fixed/new $body" "put $url/fixed/file $body" \
        "delete $url/fixed/file" "post $url/fixed $body"; do
        # shellcheck disable=SC2086
        run 1 $arguments --context client
        says err '4.03 Forbidden: that is read-only'
    done
done
run 0 delete "$url/fixed/none" --context client
[ "$(cat root/file root/fixed/file)" = oldold ] && [ "$(ls -A root/fixed)" = file ] || fail 'what is read-only was changed'
chmod 200 root/file # may be written, if not read
if [ "$(id -u)" = 0 ] || [ -w root/file ]; then run 0 put "$url/file" --payload new --context client; fi
chmod 644 root/file
chmod 755 root/fixed
run 0 put "$url/file" --payload new --context client
run 0 delete "$url/fixed/file" --context client
rmdir root/fixed || fail 'temporary files are left'

# what_is_no_file_and_no_directory_is_neither_served_nor_replaced, and no request blocks on it
mkfifo root/sub/pipe
ln -s ../file root/sub/inside
ln -s "$work/large" root/sub/outside
mknod root/sub/device c 1 5 2>/dev/null
"${NACRE_PYTHON:-python3}" -c 'import socket; socket.socket(socket.AF_UNIX).bind("root/sub/socket")' 2>/dev/null
for path in root/sub/*; do
    run 1 get "$url/${path#root/}" --context client
    says err '4.04'
    for body in '--payload x' '--payload-file large'; do
        # shellcheck disable=SC2086
        run 1 put "$url/${path#root/}" $body --context client
        says err '4.03 Forbidden: only files can be put and deleted'
        # shellcheck disable=SC2086
        run 1 post "$url/${path#root/}" $body --context client
        says err '4.04'
    done
    run 1 delete "$url/${path#root/}" --context client
    says err '4.03'
    [ ! -f "$path" ] || [ -L "$path" ] || fail "$path was replaced"
done
run 0 get "$url/sub" --accept 0 --context client
answers ''
[ "$(cat root/file)" = new ] || fail 'written through a link'
stop TERM

finish

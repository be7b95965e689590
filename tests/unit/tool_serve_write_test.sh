#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_serve_write_test: what PUT and DELETE below --root respond and leave if the system refuses them, and which files
# are private. Read-only and full file systems in a separate mount namespace, if permitted. Arguments: build directory,
# source directory.
case ${NACRE_MOUNTS-} in
'')
    NACRE_MOUNTS=none
    for unshare in 'unshare -rm' 'unshare -m'; do
        if $unshare mount -t tmpfs -o size=64k none /mnt 2>/dev/null; then NACRE_MOUNTS=own exec $unshare "$0" "$@"; fi
    done
    ;;
esac
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p root/sub root/small root/fixed
trap 'umount -l root/small root/fixed 2>/dev/null; clean_up' EXIT
head -c 200000 /dev/urandom >large

# leftovers_of_put_are_swept_at_start_and_no_other_file
for dir in root root/sub; do
    printf 'x' >$dir/.nacre-0123456789abcdef
    printf 'x' >$dir/.nacre-0123456789abcdeg
    printf 'x' >$dir/.nacre-notes
done
printf 'x' >root/.nacre-00000000000000aa
ln root/.nacre-00000000000000aa root/linked
printf 'x' >root/.nacre-00000000000000bb
exec 7<root/.nacre-00000000000000bb
flock -n 7 || fail flock
start serve reading --bind '[::1]:0' --context server --root root
[ -e root/.nacre-0123456789abcdef ] || fail 'swept without --writable'
stop TERM
start serve writing --bind '[::1]:0' --context server --root root --writable
exec 7<&-
for dir in root root/sub; do
    [ ! -e $dir/.nacre-0123456789abcdef ] || fail "a leftover stays in $dir"
    [ -e $dir/.nacre-0123456789abcdeg ] && [ -e $dir/.nacre-notes ] || fail "a file that is not ours is gone from $dir"
done
[ -e root/.nacre-00000000000000aa ] || fail 'a file with two links is gone'
[ -e root/.nacre-00000000000000bb ] || fail 'a file that is being written is gone'

# put_keeps_the_format_that_the_name_says_and_refuses_others
run 0 put "$url/a.json" --payload '{}' --content-format 50 --context client
run 0 put "$url/a.json" --payload '{ }' --context client
run 0 get "$url/a.json" --accept 50 --context client
answers '{ }'
run 0 put "$url/plain" --payload x --content-format 42 --context client
for row in 'a.json 60' 'plain 50' 'plain 0' 'a.txt 50'; do
    read -r name format <<<"$row"
    run 1 put "$url/$name" --payload x --content-format "$format" --context client
    says err '4.15'
    run 1 put "$url/$name" --payload-file large --content-format "$format" --context client
    says err '4.15'
done
[ "$(cat root/a.json)" = '{ }' ] && [ ! -e root/a.txt ] || fail 'a refused PUT changed something'

# private_files_are_neither_served_nor_listed_nor_written
printf '{ "secret_hex": "00" }' >root/copy.txt
ln server/secret.json root/sub/linked.txt
printf '{ "a": "secret hex" }' >root/open.json
printf 'id_context,hex,"00"\n  master_secret,hex,"00112233445566778899aabbccddeeff"\n' >root/libcoap.conf
printf 'the keyword of libcoap is master_secret; master_secrets, too\n' >root/about.txt
for name in secret.json.bak SECRET.JSON Secret-old.json secrets.json~ 'Copy of secret.json' '#secret.json#' sequence.json.1 \
    settings.json.swp lock; do printf 'private' >"root/sub/$name"; done
printf 'public' >root/sub/secrets.txt
for path in secret.json.bak SECRET.JSON Secret-old.json secrets.json~ Copy%20of%20secret.json %23secret.json%23 \
    secret%2ejson%2ebak sequence.json.1 settings.json.swp lock linked.txt ../copy.txt ../libcoap.conf; do
    at=$url/sub/$path
    [ "${path#../}" = "$path" ] || at=$url/${path#../}
    run 1 get "$at" --context client
    says err '4.04'
    run 1 put "$at" --payload y --context client
    says err '4.03'
    run 1 delete "$at" --context client
    says err '4.04'
done
run 0 get "$url/sub" --accept 0 --context client
answers 'secrets.txt
'
run 0 get "$url/sub/secrets.txt" --context client
answers 'public'
run 0 get "$url/open.json" --context client
run 0 get "$url/about.txt" --context client
[ "$(cat root/sub/secret.json.bak root/sub/lock)" = privateprivate ] || fail 'a private file was written'
grep -q secret server/secret.json || fail 'a secret was written'
rm -r root/sub/*

# a_read_only_tree_is_4.03_and_a_full_disk_5.00_with_the_reason
if [ $NACRE_MOUNTS = own ] && mount -t tmpfs -o size=64k none root/small && printf 'old' >root/fixed/file &&
    mount --bind root/fixed root/fixed && mount -o remount,bind,ro root/fixed; then
    stop TERM
    start serve mounts --bind '[::1]:0' --context server --root root --writable
    for arguments in "put $url/fixed/file --payload x" "put $url/fixed/new --payload x" "delete $url/fixed/file" \
        "put $url/fixed/file --payload-file large"; do
        # shellcheck disable=SC2086
        run 1 $arguments --context client
        says err '4.03'
        says err 'read-only'
    done
    run 1 put "$url/small/file" --payload-file large --context client
    says err '5.00'
    says err 'no space left'
    lacks err root
    # … at the block that does not fit; the remaining blocks are not sent
    for subcommand in 'post small' 'put small/file'; do
        "$nacre" "${subcommand% *}" "$url/${subcommand#* }" --payload-file large -v --context client >out 2>err && fail 'written'
        says err '5.00 Internal Server Error: no space left'
        blocks=$(grep -c '^> [0-9]* bytes to' err)
        [ "$blocks" -ge 2 ] && [ "$blocks" -le 66 ] || fail "$blocks blocks were sent to a disk of 64 KiB"
    done
    [ -z "$(ls -A root/small)" ] || fail "left on the full disk: $(ls -A root/small)"
    run 0 put "$url/small/file" --payload x --context client
    run 0 delete "$url/small/file" --context client
    [ "$(cat root/fixed/file)" = old ] || fail 'a read-only file'
fi
stop TERM

# the_credentials_in_use_are_private_under_any_name
printf '{"coap://*": {"oscore": {"basedir": "../server"}}}' >root/keys.map
ln root/keys.map root/other
printf 'b' >root/keys.map.bak
printf 'c' >root/keys
start serve creds --bind '[::1]:0' --credentials root/keys.map --root root --writable
for name in keys.map other keys.map.bak KEYS.MAP~; do
    run 1 get "$url/$name" --context client
    says err '4.04'
    run 1 put "$url/$name" --payload y --context client
    says err '4.03'
done
run 0 get "$url/keys" --context client
answers 'c'
stop TERM

# post_shows_the_location_of_what_was_made
"$1/tests/plain" serve '[::1]:0' >plain.out 2>/dev/null &
servers+=($!)
for _ in $(seq 200); do [ -s plain.out ] && break; sleep 0.05; done
plain=$(sed -n 's/^listening \(coap:\)/\1/p' plain.out)
run 0 post "$plain/made" --payload x
says err 'nacre post: created /made/a%2Fb'
run 0 get "$plain/hello"
[ ! -s err ] || fail "a location that is none: $(cat err)"

finish

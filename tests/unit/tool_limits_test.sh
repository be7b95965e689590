#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tool_limits_test: the limits of nacre serve are those that its options name. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p root
head -c 5000 /dev/urandom >large
head -c 4000 /dev/urandom >fits

# a_body_above_max_body_is_refused_with_its_size
start serve limited --bind '[::1]:0' --context server --root root --writable --demo --max-body 4000 --max-bodies 2
for path in /file /store /echo; do
    run 1 put "$url$path" --payload-file large --context client
    says err '4.13'
done
[ ! -e root/file ] || fail 'a part of a file is kept'
run 0 put "$url/file" --payload-file fits --context client
cmp -s fits root/file || fail 'the file is another'
run 0 put "$url/store" --payload-file fits --context client
stop TERM

# limits_are_numbers_in_their_range
for option in '--max-bodies 0' '--max-bodies 1025' '--max-bodies -1' '--max-bodies x' '--max-bodies 1x' '--max-body 1023' \
    '--max-body 1073741825' '--max-body 99999999999999999999' '--max-deferred 0' '--max-deferred 65536' '--workers 0' '--workers 65' '--workers 1.5'; do
    # shellcheck disable=SC2086
    run 2 serve --bind '[::1]:0' --context server $option
    says err 'give a number from'
done
finish

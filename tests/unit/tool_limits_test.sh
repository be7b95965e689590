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
# the_soft_limit_of_descriptors_is_raised_to_the_hard_one
(ulimit -Sn 128 && exec "$nacre" serve --bind '127.0.0.1:0' --context server >raised.out 2>raised.err) &
pid=$!
servers+=("$pid")
for _ in $(seq 100); do [ -s raised.out ] && break || sleep 0.05; done
limits=$(awk '/^Max open files/ { print $4 == $5 }' "/proc/$pid/limits")
[ "$limits" = 1 ] || fail "the limit is $(grep 'open files' "/proc/$pid/limits")"
stop TERM

# descriptors_that_run_out_are_told_once_and_udp_goes_on
mkdir -p many
echo text >many/file
(ulimit -n 40 && exec "$nacre" serve --bind '127.0.0.1:0' --tcp --context server --root many --writable >few.out 2>few.err) &
pid=$!
servers+=("$pid")
for _ in $(seq 100); do grep -q coap+tcp few.out && break || sleep 0.05; done
url=$(sed -n 's/^listening \(coap:\)/\1/p' few.out)
port=$(sed -n 's/^listening coap+tcp:.*://p' few.out)
opened=()
for _ in $(seq 60); do
    exec {fd}<>"/dev/tcp/127.0.0.1/$port" && opened+=("$fd")
done 2>/dev/null
[ ${#opened[@]} -gt 40 ] || fail "only ${#opened[@]} connections were opened"
run 0 get "$url/file" --context client
answers 'text
'
run 0 put "$url/other" --payload-file fits --context client
cmp -s fits many/other || fail 'the file is another'
run 0 get "coap+tcp://127.0.0.1:$port/file" --context client # the longest idle of the others gives way
says few.err 'file descriptors are left'
[ "$(grep -c 'file descriptors' few.err)" = 1 ] || fail "it is told more than once: $(cat few.err)"
before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
sleep 1
[ $(($(awk '{ print $14 + $15 }' "/proc/$pid/stat") - before)) -lt 30 ] || fail 'it is busy while nothing comes'
for fd in "${opened[@]}"; do exec {fd}>&-; done
run 0 get "coap+tcp://127.0.0.1:$port/file" --context client
answers 'text
'
stop TERM
finish

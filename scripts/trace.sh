#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Counts the calls, functions and files of a warm GET in a server up to its handler, from a build in which each function
# reports its entry. Calls inside a hash (base/siphash.h) are not counted.
#
#     scripts/trace.sh [-v] [NACRE]     -v: each call; NACRE: the client (build/nacre)
set -euo pipefail
cd "$(dirname "$0")/.."
verbose=
[ "${1:-}" = -v ] && verbose=1 && shift
nacre=$(realpath "${1:-build/nacre}")
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
flags=(-std=c11 -O0 -g -no-pie -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DNACRE_VERSION='"trace"' -Iinclude -Isrc -finstrument-functions
    -finstrument-functions-exclude-file-list=base/siphash.h)
read -ra libs <<<"$(pkg-config --cflags --libs libcrypto yajl)"
# SQLite's contexts are not used here.
mapfile -t sources < <(find src -name '*.c' ! -path '*/sqlite_*' -o -name sqlite_absent.c)
printf '%s\n' "${sources[@]}" bench/trace/trace_server.c |
    xargs -P "$(nproc)" -I{} sh -c 'cc "$@" -c "{}" -o "$0/$(echo "{}" | tr / _).o"' "$work" "${flags[@]}" "${libs[@]}"
cc -no-pie -Wl,--wrap=recvmmsg "$work"/*.o -o "$work/trace" "${libs[@]}" -lpthread
(cd "$work" && "$nacre" keygen client server >/dev/null)
port=$((20000 + RANDOM % 20000))
timeout 20 "$work/trace" "$work/server" 127.0.0.1:$port >"$work/calls" &
sleep 1
for _ in 1 2 3; do "$nacre" get --context "$work/client" "coap://127.0.0.1:$port/hello" >/dev/null || true; done
wait %1 || true
addr2line -f -s -e "$work/trace" <"$work/calls" | paste - - | sed 's/:[0-9?]*.*$//' >"$work/names"
[ -z "$verbose" ] || cat "$work/names"
printf 'calls %d, functions %d, files %d\n' "$(wc -l <"$work/names")" "$(sort -u "$work/names" | wc -l)" \
    "$(cut -f2 "$work/names" | sort -u | wc -l)"

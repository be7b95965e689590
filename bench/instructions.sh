#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Instructions per message, counted by valgrind, independent of the machine's load. Only the measured part counts,
# libraries included. valgrind emulates no AVX-512, so ciphers take their slower code.
#
#     bench/instructions.sh [BUILD_DIR [PROGRAM [TEXT]]]      the cases whose label contains TEXT
set -euo pipefail
build=${1:-build} program=${2:-protect} text=${3:-16 B}
n=2048
command -v valgrind >/dev/null || { echo "instructions: needs valgrind" >&2 && exit 77; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
printf '%-64s %12s\n' "$program" 'instructions'
while IFS= read -r name; do
    sum=$(valgrind --tool=callgrind --callgrind-out-file="$out" --toggle-collect=bench_measured \
        "$build/bench/$program" --once "$name" "$n" 2>&1 | sed -n 's/.*Collected : \([0-9]*\)$/\1/p')
    printf '%-64s %12d\n' "$name" $((sum / n))
done < <("$build/bench/$program" --list --only "$text" | grep -F -- "$text")

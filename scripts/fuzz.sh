#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs every fuzz target for a while: scripts/fuzz.sh [SECONDS_IN_ALL], 300 without a number. Two targets run at a time
# and each gets an equal share. Findings and the grown corpus are kept in a directory outside the source tree; the last
# line counts targets, and the exit status is 1 if one of them failed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-300}
build=${NACRE_FUZZ_BUILD:-build-fuzz}
case $seconds in
'' | *[!0-9]* | 0*)
    echo "usage: scripts/fuzz.sh [SECONDS_IN_ALL]" >&2
    exit 2
    ;;
esac

skip() {
    echo "SKIPPED: the fuzz targets were not built: $1"
    exit 77
}
command -v cmake >/dev/null || skip "cmake is not installed"
compiler=${CC:-clang}
command -v "$compiler" >/dev/null || skip "$compiler is not installed; libFuzzer comes with clang and its compiler-rt"
cmake -S . -B "$build" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNACRE_FUZZ=ON \
    -DNACRE_TESTS=OFF -DNACRE_WERROR=ON --log-level=ERROR >/dev/null
missing=$(cmake --build "$build" --target help | grep -c 'fuzz-datagram' || true)
if [ "$missing" = 0 ]; then
    skip "$("$compiler" --version | head -n 1) has no libFuzzer; clang with its compiler-rt has"
fi
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake --build "$build" --target fuzz --parallel "$(nproc 2>/dev/null || echo 2)" >/dev/null

targets=()
for source in fuzz/*.c; do
    name=$(basename "$source" .c)
    case $name in fuzz | nonces | rederiving) continue ;; esac # what targets share
    targets+=("$name")
done
found=$(mktemp -d "${TMPDIR:-/tmp}/nacre-fuzz.XXXXXX")
share=$((seconds / ((${#targets[@]} + 1) / 2)))
[ "$share" -gt 0 ] || share=1

# The longest useful inputs: a datagram; a file of some pages.
max_len() {
    case $1 in
    json | credentials | directory) echo 4096 ;;
    oscore_option) echo 600 ;;
    whole_*) echo 1000 ;;
    *) echo 1500 ;;
    esac
}

# Short programs of steps reach little: no slow growth of their length.
growth() {
    case $1 in
    whole_*) echo -len_control=0 ;;
    *) echo -len_control=100 ;;
    esac
}

# run TARGET: writes its exit code to $found/TARGET.code, its output to $found/TARGET.log.
run() {
    local name=$1 code=0
    mkdir -p "$found/$name"
    "$build/fuzz/$name" -max_total_time="$share" -rss_limit_mb=1024 -timeout=10 -max_len="$(max_len "$name")" "$(growth "$name")" \
        -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$found/$name-" "$found/$name" "fuzz/corpus/$name" \
        >"$found/$name.log" 2>&1 || code=$?
    echo "$code" >"$found/$name.code"
}

# Two lanes, each with every second target.
lane() {
    local i
    for ((i = $1; i < ${#targets[@]}; i += 2)); do run "${targets[i]}"; done
}
echo "fuzz: ${#targets[@]} targets, $share s each, two at a time"
lane 0 &
first=$!
lane 1 &
second=$!
trap 'kill "$first" "$second" 2>/dev/null || true' INT TERM
wait "$first" "$second"

passed=0 failed=0
for name in "${targets[@]}"; do
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log")
    if [ "$(cat "$found/$name.code" 2>/dev/null || echo none)" = 0 ]; then
        passed=$((passed + 1))
        printf '%-20s ok      %10s runs\n' "$name" "${runs:-?}"
    else
        failed=$((failed + 1))
        printf '%-20s FAILED  %10s runs, log %s\n' "$name" "${runs:-?}" "$found/$name.log"
        grep -hE 'does not hold|ERROR: |runtime error|SUMMARY' "$found/$name.log" | head -n 5 | sed 's/^/    /' || true
        for input in "$found/$name"-*; do
            [ -f "$input" ] && echo "    again with: $build/fuzz/$name $input"
        done
    fi
done
if [ "$failed" -eq 0 ]; then
    rm -rf "$found"
else
    echo "fuzz: findings are in $found"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

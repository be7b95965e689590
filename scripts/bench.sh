#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the programs of bench/ one after the other: tables here, JSON in BUILD_DIR/bench/NAME.json.
#
#     scripts/bench.sh [--quick | --rounds N] [BUILD_DIR [NAME…]]
#
#     --quick      few, short rounds: tests that everything works, not how fast; saves minutes
#     --rounds N   rounds for each comparison, 1 to 1000, in place of 101 (docs/performance.md says what a round is)
#
# `peers` also needs libcoap's server (Debian: libcoap3-bin) and a Python with aiocoap, which is put into .venv when
# NACRE_AIOCOAP_PYTHON names none; missing ones are left out. No time makes this pass or fail; the exit code says only
# whether the programs ran.
set -euo pipefail
usage() {
    echo "usage: scripts/bench.sh [--quick | --rounds N] [BUILD_DIR [NAME...]]" >&2
    exit 2
}
options=()
while [[ ${1:-} = -* ]]; do
    case $1 in
    --quick) options+=(--quick) && shift ;;
    --rounds) [ $# -ge 2 ] || usage && options+=(--rounds "$2") && shift 2 ;;
    *) usage ;;
    esac
done
build=${1:-build}
shift || true
if [ ! -d "$build/bench" ]; then
    echo "bench: $build/bench is not there: run 'make' first" >&2
    exit 2
fi
source_dir=$(cd "$(dirname "$0")/.." && pwd)
NACRE_COMMIT=$(git -C "$source_dir" describe --always --dirty 2>/dev/null || echo unknown)
export NACRE_COMMIT
programs=()
if [ $# -gt 0 ]; then
    for name in "$@"; do programs+=("$build/bench/$name"); done
else
    while IFS= read -r program; do programs+=("$program"); done \
        < <(find "$build/bench" -maxdepth 1 -type f -perm -u+x | sort)
fi
failed=0
for program in "${programs[@]}"; do
    if [ "${program##*/}" = peers ] && [ -z "${NACRE_AIOCOAP_PYTHON:-}" ]; then
        "$source_dir/scripts/aiocoap.sh" >/dev/null || true # peers says what it cannot find
    fi
    "$program" "${options[@]}" --json "$program.json" || failed=1
    echo
done
echo "results: $build/bench/*.json"
exit "$failed"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the programs of bench/ one after the other: tables here, JSON in BUILD_DIR/bench/NAME.json.
#
#     scripts/bench.sh [BUILD_DIR [NAME…]]
#
# Nothing here passes or fails by a time; the exit code tells only whether the programs ran.
set -euo pipefail
build=${1:-build}
shift || true
if [ ! -d "$build/bench" ]; then
    echo "bench: $build/bench is not there: run 'make' first" >&2
    exit 2
fi
NACRE_COMMIT=$(git -C "$(dirname "$0")/.." describe --always --dirty 2>/dev/null || echo unknown)
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
    "$program" --json "$program.json" || failed=1
    echo
done
echo "results: $build/bench/*.json"
exit "$failed"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How the code must look, over every C file of the tree.
#
#     scripts/lint.sh format [--fix]     clang-format: check, or put right
#     scripts/lint.sh tidy [BUILD_DIR]   clang-tidy with the checks of .clang-tidy, all of them errors
set -euo pipefail
cd "$(dirname "$0")/.."
rooms=()
for room in include src tools tests bench examples; do [ -d "$room" ] && rooms+=("$room"); done
sources() {
    local name=$1
    shift
    find "${rooms[@]}" "$@" -name "$name" -type f -print0
}

case "${1:-} ${2:-}" in
'format ')
    sources '*.[ch]' fuzz | xargs -0 -r clang-format --dry-run -Werror
    ;;
'format --fix')
    sources '*.[ch]' fuzz | xargs -0 -r clang-format -i
    ;;
'tidy '*)
    build=${2:-build}
    if [ ! -f "$build/compile_commands.json" ]; then
        echo "lint: $build/compile_commands.json is not there: run 'make' first" >&2
        exit 2
    fi
    sources '*.c' | xargs -0 -r -n 2 -P "$(nproc 2>/dev/null || echo 2)" clang-tidy --quiet -p "$build"
    ;;
*)
    echo "usage: scripts/lint.sh format [--fix] | tidy [BUILD_DIR]" >&2
    exit 2
    ;;
esac

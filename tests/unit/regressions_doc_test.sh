#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# regressions_doc_test: each test named in the last column of docs/regressions.md and docs/assurance.md exists and contains the
# names that follow it. One added row shows that the check can fail. Arguments: build directory, source directory.
set -euo pipefail
source_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check DOCUMENT: prints a line for each missing name
check() {
    local part file names missing=0 num=0
    while IFS= read -r part; do
        mapfile -t names < <(grep -oE '`[^`]+`' <<<"$part" | tr -d '`')
        [ ${#names[@]} -gt 0 ] || continue
        file=$(find "$source_dir/tests" "$source_dir/bench" "$source_dir/.ci" -name "${names[0]##*/}.*" -o -path "$source_dir/${names[0]}" | head -n 1)
        if [ -z "$file" ]; then
            echo "no test ${names[0]}"
            missing=1
            continue
        fi
        num=$((num + 1))
        for name in "${names[@]:1}"; do
            grep -qF -- "$name" "$file" || { echo "${names[0]} has no '$name'"; missing=1; }
        done
    done < <(sed -n 's/^| .* | \(`[^|]*\) |$/\1/p' "$1" | tr ';' '\n')
    echo "$num tests"
    return "$missing"
}

# check_all DOCUMENT LEAST: with at least so many tests, and not with a wrong row
check_all() {
    check "$source_dir/docs/$1" | tee "$work/log"
    [ "$(sed -n 's/ tests$//p' "$work/log")" -ge "$2" ] || { echo "not ok - the table of $1 was not read"; exit 1; }
    for row in '| a | b | `no_such_test` |' '| a | b | `uri_test`: `no_such_function` |'; do
        { cat "$source_dir/docs/$1" && echo "$row"; } >"$work/wrong.md"
        if check "$work/wrong.md" >"$work/log"; then echo "not ok - passed with $row"; exit 1; fi
    done
}

check_all regressions.md 40
check_all assurance.md 25

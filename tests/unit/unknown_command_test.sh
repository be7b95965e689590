#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# unknown_command_test: a shell test that calls an undefined check fails. Arguments: build directory, source directory.
set -euo pipefail
build=$1 source_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ends_with CODE LINE: a test that contains LINE
ends_with() {
    local code=0
    # shellcheck disable=SC2016 # for the script
    printf '. "$2/tests/support/lib/tool.sh" || exit 1\n%s\nfinish\n' "$2" >"$work/script"
    bash "$work/script" "$build" "$source_dir" >"$work/out" 2>&1 || code=$?
    [ $code = "$1" ] || { echo "a test with '$2' ended with $code: $(cat "$work/out")" && exit 1; }
}
ends_with 0 'lacks /dev/null x'
ends_with 143 'lakcs /dev/null x' # 128 + SIGTERM
ends_with 143 '(lakcs /dev/null x) | cat'
ends_with 143 'if lakcs /dev/null x; then :; fi'
for script in "$source_dir"/tests/*/*.sh; do
    grep -qE '^set -euo pipefail$|support/lib/(tool|unknown_command)\.sh"' "$script" ||
        { echo "$script goes on after a command that does not exist" && exit 1; }
done
echo "all as it should be"

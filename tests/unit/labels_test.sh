#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# labels: each test is labelled fast or slow, and with its folder; the permitted labels are those of CONVENTIONS.md.
# Arguments: build directory, source directory.
set -euo pipefail
build=$1 source_dir=$2
fail() {
    echo "not ok - $*" >&2
    exit 1
}
# count OPTION...: the number of tests that match
count() {
    ctest --test-dir "$build" -N "$@" | sed -n 's/^Total Tests: //p'
}
all=$(count)
[ "$all" -gt 0 ] || fail 'no tests'
[ "$(count -LE '^(fast|slow)$')" = 0 ] || fail "neither fast nor slow: $(ctest --test-dir "$build" -N -LE '^(fast|slow)$')"
[ $(($(count -L '^fast$') + $(count -L '^slow$'))) = "$all" ] || fail 'some are fast and slow'
[ "$(count -LE '^(unit|scenario|vectors|bench)$')" = 0 ] || fail "of no kind: $(ctest --test-dir "$build" -N -LE '^(unit|scenario|vectors|bench)$')"
[ "$(count -L '^vectors$' -LE '^cross$')" = 0 ] || fail 'vectors that are not in cross'
ctest --test-dir "$build" --print-labels | sed -n 's/^  *//p' | while read -r label; do
    grep -q "^| [^|]*\`$label\`" "$source_dir/CONVENTIONS.md" || fail "CONVENTIONS.md does not say what the label $label means"
done
echo "$all tests have their labels"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# docs/rfc8613.md matches the marks in the code, and each section with a requirement has a mark or a note. A copy of the
# tree with one change at a time shows that the check can fail.
set -euo pipefail
source_dir=$2
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
passed=0 failed=0

expect() { # NAME VERDICT: what the check of the copy must say
    local code=0
    "$copy/scripts/rfc-marks.sh" check >"$copy/log" 2>&1 || code=$?
    if { [ "$2" = good ] && [ "$code" -eq 0 ]; } || { [ "$2" = bad ] && [ "$code" -eq 1 ]; }; then
        passed=$((passed + 1))
    else
        echo "$1: exit $code, expected it to be $2"
        cat "$copy/log"
        failed=$((failed + 1))
    fi
}

for room in include src tools examples tests fuzz scripts docs; do
    [ ! -d "$source_dir/$room" ] || cp -R "$source_dir/$room" "$copy/"
done

expect 'the tree as it is' good

added=$copy/src/oscore/zz_added.c
printf '/* SPDX-License-Identifier: MIT */\n/* added: x. */\n\n/* RFC 8613 8.2 steps 4 and 5,\n * 4.1 */\nint added(void)\n{\n}\n' >"$added"
expect 'a mark more' bad
"$copy/scripts/rfc-marks.sh"
expect 'a mark more, and the page made anew' good
for section in '8.2 step 4' '8.2 step 5' '4.1'; do
    if grep -F "| $section |" "$copy/docs/rfc8613.md" | grep -qF 'zz_added.c: added`'; then
        passed=$((passed + 1))
    else
        echo "the mark of $section is not on the page, with the function below it"
        failed=$((failed + 1))
    fi
done
rm "$added"
expect 'a mark less' bad
"$copy/scripts/rfc-marks.sh"

echo '99.9|A section that nobody meets|' >>"$copy/docs/rfc8613-notes.txt"
"$copy/scripts/rfc-marks.sh"
expect 'a section with neither mark nor note' bad
sed -i '$s/$/Not done, for a reason./' "$copy/docs/rfc8613-notes.txt"
"$copy/scripts/rfc-marks.sh"
expect 'the same with a note' good

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

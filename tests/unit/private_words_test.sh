#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# private_words: scripts/lint.sh words counts identifiers, not prose, and refuses a count that rose. Arguments: build directory,
# source directory.
set -euo pipefail
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/scripts" "$copy/src"
cp "$2/scripts/lint.sh" "$copy/scripts/"
printf '%s\n' slot stir find_that >"$copy/scripts/private-words"
echo 'slot 2' >"$copy/scripts/private-words-accepted"
passed=0 failed=0

expect() { # NAME EXIT COUNTS: what the check says of the copy
    local code=0 counts
    counts=$("$copy/scripts/lint.sh" words 2>"$copy/err") || code=$?
    if [ "$code" = "$2" ] && [ "$counts" = "$3" ]; then
        passed=$((passed + 1))
    else
        echo "$1: exit $code, counts '$counts': $(cat "$copy/err")"
        failed=$((failed + 1))
    fi
}
file() { printf '%s\n' "$@" >"$copy/src/x.c"; }

file 'int slot, free_slot;' '/* a slot, and its stir */ const char *text = "slot"; int slots, stirring, find_thatch;'
expect 'identifiers count, comments, texts and longer words do not' 0 'slot 2'
file 'int slot, free_slot, SLOT_MAX;'
expect 'a third use is one too many' 1 'slot 3'
file 'int slot, stir;'
expect 'a word that is not accepted yet is refused' 1 $'slot 1\nstir 1'
file 'int find_that_one(void);'
expect 'a word of two parts' 1 'find_that 1'
file 'int slot;'
mv "$copy/src/x.c" "$copy/src/stir.c"
expect 'the name of a file' 1 $'slot 1\nstir 1'
mv "$copy/src/stir.c" "$copy/src/x.c"
expect 'fewer are welcome' 0 'slot 1'
"$copy/scripts/lint.sh" words --lower >"$copy/log" 2>&1
file 'int slot, slot_size;'
expect 'and --lower keeps them fewer' 1 'slot 2'
if "$copy/scripts/lint.sh" words --lower >"$copy/log" 2>&1 || [ "$(cat "$copy/scripts/private-words-accepted")" != 'slot 1' ]; then
    echo '--lower must not accept more'
    failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

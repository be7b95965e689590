#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# private_words: scripts/lint.sh words refuses private words in identifiers and names of files, and not in prose. Arguments:
# build directory, source directory.
set -euo pipefail
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/scripts" "$copy/src" "$copy/fuzz"
cp "$2/scripts/lint.sh" "$copy/scripts/"
printf '%s\n' slot stir find_that place >"$copy/scripts/private-words"
passed=0 failed=0

expect() { # NAME EXIT TEXT: what the check says of the copy
    local code=0 text
    text=$("$copy/scripts/lint.sh" words 2>&1) || code=$?
    if [ "$code" = "$2" ] && [ "$text" = "$3" ]; then
        passed=$((passed + 1))
    else
        echo "$1: exit $code, '$text'"
        failed=$((failed + 1))
    fi
}
file() { printf '%s\n' "$@" >"$copy/src/x.c"; }
refuses() { # NAME IDENTIFIER WORD
    expect "$1" 1 "lint: src/x.c: $2: \"$3\" is a private word"
}

file '/* a slot, and its stir */ const char *text = "slot"; int slots, stirring, find_thatch;'
expect 'comments, texts and longer words do not count' 0 ''
file 'int slot;'
refuses 'a whole identifier' slot slot
file 'int free_slot;'
refuses 'a part of one' free_slot slot
file 'enum { SLOT_MAX };'
refuses 'in capitals' SLOT_MAX slot
file 'int find_that_one(void);'
refuses 'a word of two parts' find_that_one find_that
file 'int seal_in_place, ENCRYPT_IN_PLACE;'
expect 'in place is what the field says' 0 ''
file 'int in_place_slot;'
refuses 'and excuses no other word' in_place_slot slot
file 'int x;'
mv "$copy/src/x.c" "$copy/fuzz/stir.c"
expect 'the name of a file' 1 'lint: fuzz/stir.c: stir: "stir" is a private word'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

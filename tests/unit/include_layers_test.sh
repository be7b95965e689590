#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# include_layers: scripts/layers.py accepts the tree, and refuses an include of a higher layer, a cycle of more than two
# files, and a file or directory without a row. Arguments: build directory, source directory.
set -euo pipefail
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
passed=0 failed=0

expect() { # NAME EXIT TEXT: what the check says of the copy
    local code=0
    "$copy/scripts/layers.py" >"$copy/log" 2>&1 || code=$?
    if [ "$code" = "$2" ] && grep -qF -- "$3" "$copy/log"; then
        passed=$((passed + 1))
    else
        echo "$1: exit $code: $(cat "$copy/log")"
        failed=$((failed + 1))
    fi
}
file() { # PATH LINE...
    local path=$copy/$1
    shift
    mkdir -p "${path%/*}"
    printf '%s\n' "$@" >"$path"
}

mkdir -p "$copy/scripts" "$copy/docs"
cp "$2/scripts/layers.py" "$copy/scripts/"
file docs/architecture.md '| folder | public headers | may include | must not |' '|---|---|---|---|' '| `src/low` | `low.h` | | |' \
    '| `src/high` | | `src/low` | |' '| `src/high/part` | | `src/low` | |'
file include/nacre/low.h 'int low(void);'
file src/low/low.c '#include <nacre/low.h>'
file src/high/high.h '#include "low/low.h"'
file src/low/low.h '#include <stdio.h>'
file src/high/high.c '#include "high.h"' '#include <nacre/low.h>'
expect 'includes that run down' 0 '0 includes that run up, 0 circles of more than two files'

file src/low/low.c '  # include "high/high.h"'
expect 'an include that runs up' 1 'src/low/low.c includes src/high/high.h'
file src/high/high.h
file src/low/low.c '#include <nacre/low.h>'

file src/high/part/part.h '#include "high/high.h"'
expect 'a part that includes the whole' 1 'src/high/part/part.h includes src/high/high.h'
rm -r "$copy/src/high/part"

file src/low/a.h '#include "low/b.h"'
file src/low/b.h
file src/low/b.c '#include "b.h"' '#include "a.h"'
expect 'two files that include each other' 0 '0 circles of more than two files'
file src/low/b.c '#include "b.h"' '#include "c.h"'
file src/low/c.h '#include "low/a.h"'
expect 'three files that include each other' 1 'src/low/a src/low/b src/low/c'
file src/low/c.h
file src/low/d.h '#include "low/e.h"'
file src/low/e.h '#include "low/d.h"'
expect 'two circles of two files' 0 '0 circles of more than two files'
rm "$copy/src/low/"[abcde].*

file src/low/a.c 'int b(void);' 'int a(void)' '{' '    return b();' '}'
file src/low/b.c 'int c(void);' 'int b(void)' '{' '    return c();' '}'
file src/low/c.c 'int a(void);' 'int c(void)' '{' '    return a();' '}'
expect 'three files that call each other' 1 'src/low/a src/low/b src/low/c'
file src/low/c.c '/* a() */ const char *c_text = "a()";' 'int c(void)' '{' '    return 0;' '}'
expect 'a comment and a text call nothing' 0 '0 circles of more than two files'

file src/new/new.c
expect 'a folder without a row' 1 'src/new/new.c'
rm -r "$copy/src/new"
file include/nacre/new.h
expect 'a public header without a row' 1 'include/nacre/new.h'
rm "$copy/include/nacre/new.h"
expect 'the tree as it was' 0 '0 includes that run up'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

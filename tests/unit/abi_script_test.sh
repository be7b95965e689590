#!/bin/bash
# SPDX-License-Identifier: MIT
# scripts/abi.py: a removed or changed public name fails unless the changelog's newest section names it; private and new
# names pass.
# Usage: abi_script_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
source_dir=${2:?usage: abi_script_test.sh BUILD_DIR SOURCE_DIR}
command -v python3 >/dev/null || { echo 'skipped - no python3'; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# abi FILE SIZE MEMBER_TYPE VALUE FUNCTION PRIVATE_SIZE: writes a file as abidw does.
abi() {
    cat >"$1" <<XML
<abi-corpus><abi-instr>
<type-decl name='int' id='i'/><type-decl name='long int' id='l'/>
<class-decl name='nacre_thing' size-in-bits='$2' is-struct='yes' id='t'>
<data-member layout-offset-in-bits='0'><var-decl name='a' type-id='$3'/></data-member></class-decl>
<class-decl name='nacre__inner' size-in-bits='$6' is-struct='yes' id='n'/>
<class-decl name='nacre_opaque' is-declaration-only='yes' id='o'/>
<enum-decl name='nacre_kind' id='e'><enumerator name='NACRE_KIND_ONE' value='$4'/></enum-decl>
<pointer-type-def type-id='t' id='p'/>
<function-decl name='$5' elf-symbol-id='$5'><parameter type-id='p'/><return type-id='i'/></function-decl>
</abi-instr></abi-corpus>
XML
}
changelog() {
    printf '# Changelog\n\n## Unreleased\n- %s\n\n## 0.1.0\n- nacre_thing, NACRE_KIND_ONE, nacre_do\n' "$1" >CHANGELOG.md
}
# row NAME EXPECTED SAID ABI_ARGUMENT…
row() {
    local name=$1 expected=$2 code=0
    changelog "$3"
    shift 3
    abi new.abi "$@"
    "$source_dir/scripts/abi.py" base.abi new.abi CHANGELOG.md >out || code=$?
    [ "$code" = "$expected" ] || { echo "not ok - $name: exit $code: $(cat out)" >&2; exit 1; }
    echo "ok - $name"
}
abi base.abi 32 i 1 nacre_do 8
row 'what is the same passes' 0 nothing 32 i 1 nacre_do 8
row 'a struct that has grown fails' 1 nothing 64 i 1 nacre_do 8
row 'a struct that has grown and is named passes' 0 'nacre_thing is larger' 64 i 1 nacre_do 8
row 'a longer name is not that name' 1 'nacre_thing_more is larger' 64 i 1 nacre_do 8
row 'a member of another type fails' 1 nothing 32 l 1 nacre_do 8
row 'a constant of another value fails' 1 nothing 32 i 2 nacre_do 8
row 'a function that is gone fails' 1 nothing 32 i 1 nacre_made 8
row 'a function that is gone and is named passes' 0 '`nacre_do` is nacre_made' 32 i 1 nacre_made 8
row 'what is private may change' 0 nothing 32 i 1 nacre_do 16

#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# The core is freestanding: its sources, compiled as for a microcontroller and linked into one object, need only four
# memory functions and the compiler's helpers, have no data, and define only names with nacre_.
# Usage: core_symbols_test.sh BUILD_DIR SOURCE_DIR; CC, NM, SIZE and LD choose the tools.
set -euo pipefail

source_dir=${2:?usage: core_symbols_test.sh BUILD_DIR SOURCE_DIR}
: "${CC:=cc}" "${NM:=nm}" "${SIZE:=size}" "${LD:=ld}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The functions that a freestanding compiler may call (GCC manual, "Standards": memcpy, memmove, memset and memcmp), and
# its arithmetic on types wider than a machine word.
allowed='memcpy memmove memset memcmp
  __udivdi3 __umoddi3 __divdi3 __moddi3 __udivmoddi4 __ashldi3 __lshrdi3 __ashrdi3 __muldi3 __cmpdi2 __ucmpdi2
  __aeabi_uldivmod __aeabi_ldivmod __aeabi_uidiv __aeabi_idiv __aeabi_uidivmod __aeabi_idivmod __aeabi_llsl
  __aeabi_llsr __aeabi_lasr __aeabi_lmul __aeabi_memcpy __aeabi_memmove __aeabi_memset __aeabi_memclr'

fail() { echo "core_symbols_test: $*" >&2; exit 1; }

objects=()
for room in base coap crypto context oscore edhoc; do
    found=0
    for source in "$source_dir/src/$room"/*.c; do
        [ -e "$source" ] || continue
        case ${source##*/} in provider_*) continue ;; esac # providers are hosted libraries beside the core
        object=$work/$room-$(basename "$source" .c).o
        "$CC" -std=c11 -ffreestanding -Os -fno-stack-protector -fno-pic -Werror=implicit-function-declaration \
            -I"$source_dir/include" -I"$source_dir/src" -c "$source" -o "$object" || fail "$source does not compile"
        objects+=("$object")
        found=1
    done
    [ $found = 1 ] || fail "src/$room has no sources"
done
"$LD" -r -o "$work/core.o" "${objects[@]}" || fail "the objects do not link"

"$NM" --undefined-only --format=posix "$work/core.o" | cut -d' ' -f1 >"$work/undefined"
while read -r symbol; do
    grep -qw -- "$symbol" <<<"$allowed" || fail "the core needs $symbol, which a freestanding program does not have"
done <"$work/undefined"

"$NM" --defined-only --extern-only --format=posix "$work/core.o" | cut -d' ' -f1 >"$work/defined"
[ -s "$work/defined" ] || fail "the core defines nothing"
grep -qx nacre_protect_request "$work/defined" || fail "the core has no nacre_protect_request"
if grep -v '^nacre_' "$work/defined" >&2; then fail "these names with linkage do not start with nacre_"; fi

read -r text data bss _ < <("$SIZE" "$work/core.o" | tail -n 1)
[ "$data" = 0 ] || fail "the core has $data bytes of data that change"
[ "$bss" = 0 ] || fail "the core has $bss bytes of bss"
echo "core: ${#objects[@]} files, $text bytes of text, data 0, bss 0, needs: $(tr '\n' ' ' <"$work/undefined")"

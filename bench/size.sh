#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The size of the core on a microcontroller, against its budget: text of the message path and of everything, data, bss,
# a context, and the stack of protect and unprotect; the same of EDHOC. The core is compiled for a Cortex-M4 with -Os, and counted from the
# entry points that an application calls, as a linker with --gc-sections would.
#
#     bench/size.sh [-v]        -v: function by function
#
# CLANG chooses the compiler. Exit 77 when there is no clang for that target, or no Python. A missed budget does not
# fail; docs/performance.md explains it.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${CLANG:=clang}"
command -v "$CLANG" >/dev/null || CLANG=$(compgen -c clang- | grep -E '^clang-[0-9]+$' | sort -t- -k2 -n | tail -n 1)
flags=(--target=thumbv7em-none-eabi -mcpu=cortex-m4 -mfloat-abi=hard -std=c11 -ffreestanding -Os -ffunction-sections
    -fdata-sections -fstack-usage -Iinclude -Isrc)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The four functions that a freestanding compiler may call: declared here, since such a target has no string.h.
mkdir "$work/include"
cat >"$work/include/string.h" <<'C'
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
C
if ! command -v python3 >/dev/null || ! echo 'int x;' | "$CLANG" "${flags[@]:0:3}" -x c -c -o "$work/try" - 2>/dev/null; then
    echo "size: needs clang with the ARM target, and Python 3" >&2
    exit 77
fi
for room in base coap crypto context oscore edhoc; do
    for source in src/"$room"/*.c; do
        case ${source##*/} in provider_*) continue ;; esac
        "$CLANG" "${flags[@]}" -isystem "$work/include" -c "$source" -o "$work/$room-$(basename "$source" .c).o"
    done
done
cat >"$work/sizeof.c" <<'C'
#include <nacre/nacre.h>
char context_size[sizeof(nacre_context)], request_id_size[sizeof(nacre_request_id)], edhoc_size[sizeof(nacre_edhoc)];
C
"$CLANG" "${flags[@]}" -isystem "$work/include" -c "$work/sizeof.c" -o "$work/sizeof.o"
python3 bench/size.py "$work" "$@"
for source in src/edhoc/*.c; do
    "$CLANG" "${flags[@]}" -DNACRE_EDHOC_SMALL -isystem "$work/include" -c "$source" -o "$work/edhoc-$(basename "$source" .c).o"
done
python3 bench/size.py "$work" small "$@"

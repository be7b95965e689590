#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# Where Linux is not announced, all sources compile without a word: with plain sockets and without times of birth, with
# Intel's IPsec-MB (where it is installed) and without.
# Usage: portable_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
source_dir=${2:?usage: portable_test.sh BUILD_DIR SOURCE_DIR}
cd "$source_dir"
mapfile -t sources < <(find src tools examples -name "*.c" | sort)
for compiler in "${CC:-cc}"; do
    for with in '' -DNACRE_IPSEC_MB; do
        if [ -n "$with" ] && ! "$compiler" -E - <<<'#include <intel-ipsec-mb.h>' >/dev/null 2>&1; then continue; fi
        # shellcheck disable=SC2046,SC2086 — the flags are words
        "$compiler" -std=c11 -U__linux__ -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DNACRE_VERSION='"x"' -DNACRE_BIN_DIR='"x"' -DNACRE_LIBEXEC='"x"' $with -Wall -Wextra \
            -Wconversion -Wshadow -Werror -Iinclude -Isrc -Ibench -Ibench/frame -Itools/nacre $(pkg-config --cflags libcrypto yajl) \
            -fsyntax-only "${sources[@]}"
        echo "ok - $compiler -U__linux__ $with"
    done
done

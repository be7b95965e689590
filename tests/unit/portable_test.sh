#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# Without Linux's predefined macros all sources compile without warnings: with plain sockets and without birth times,
# with Intel's IPsec-MB (if installed) and without.
# Usage: portable_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$(realpath "${1:?usage: portable_test.sh BUILD_DIR SOURCE_DIR}")
source_dir=${2:?usage: portable_test.sh BUILD_DIR SOURCE_DIR}
cd "$source_dir"
libraries=(libcrypto yajl)
if [ -f "$build/generated/nacre_sqlite_schema.h" ]; then
    mapfile -t sources < <(find src tools examples -name "*.c" ! -name sqlite_absent.c | sort)
    libraries+=(sqlite3)
else
    mapfile -t sources < <(find src tools examples -name "*.c" ! -path "*/sqlite/*" -o -name sqlite_absent.c | sort)
fi
if pkg-config --exists 'libmicrohttpd >= 0.9.73'; then
    libraries+=(libmicrohttpd)
else
    for i in "${!sources[@]}"; do [ "${sources[i]}" != tools/nacre/metrics_http.c ] || unset 'sources[i]'; done
fi
for compiler in "${CC:-cc}"; do
    for with in '' -DNACRE_IPSEC_MB; do
        if [ -n "$with" ] && ! "$compiler" -E - <<<'#include <intel-ipsec-mb.h>' >/dev/null 2>&1; then continue; fi
        # shellcheck disable=SC2046,SC2086 — the flags are words
        "$compiler" -std=c11 -U__linux__ -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DNACRE_VERSION='"x"' -DNACRE_BIN_DIR='"x"' -DNACRE_LIBEXEC='"x"' $with -Wall -Wextra \
            -Wconversion -Wshadow -Werror -Iinclude -Isrc -Ibench -Ibench/frame -Itools/nacre -I"$build/generated" $(pkg-config --cflags "${libraries[@]}") \
            -fsyntax-only "${sources[@]}"
        echo "ok - $compiler -U__linux__ $with"
    done
done

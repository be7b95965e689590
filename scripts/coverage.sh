#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Coverage of src, include and tools by the tests, in per cent of lines and branches, by gcc and gcovr: a table of files
# in build-coverage/coverage.txt, and the totals on the terminal. Tests that compile by themselves are left out, since
# they count nothing, as is the one that replaces the allocator.
#
#     scripts/coverage.sh [LABEL]     all tests, or those with one label, e.g. fast
#
# A process that ends by a signal or _exit counts nothing; so the figures are a little low.
set -euo pipefail
cd "$(dirname "$0")/.."
label=${1:-all} pattern=.
[ "$label" = all ] || pattern="^$label\$"
build=build-coverage
jobs=$(nproc 2>/dev/null || echo 2)
cmake -S . -B $build -DCMAKE_C_COMPILER="${CC:-gcc}" -DCMAKE_BUILD_TYPE=Debug -DNACRE_TESTS=ON -DNACRE_BENCH=OFF \
    -DCMAKE_C_FLAGS='--coverage -fprofile-update=atomic' --log-level=WARNING >/dev/null
echo "building into $build/ ..."
cmake --build $build --parallel "$jobs" >$build/build.log
find $build -name '*.gcda' -delete
code=0
ctest --test-dir $build --output-on-failure --no-tests=error --parallel "$jobs" -L "$pattern" -LE '^compiles$' \
    -E '^store_memory_test$' >$build/test.log || code=$?
tail -n 3 $build/test.log
gcovr --root . --object-directory $build --filter src/ --filter include/ --filter tools/ --exclude-unreachable-branches \
    --exclude-throw-branches -j "$jobs" --output $build/coverage.txt --print-summary $build >$build/summary.txt 2>$build/gcovr.log
sed "s/^/coverage ($label tests): /" $build/summary.txt
exit $code

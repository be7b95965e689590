#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nacre against Californium, tshark, libcoap, aiocoap and lakers: puts aiocoap into .venv (kept between runs), and runs each
# suite in this directory.
#
#     tests/interop/run.sh [BUILD_DIR]
#
# Without PyPI or IPv6 the suites that need them are reported as skipped, which is a failure only with
# NACRE_REQUIRE_INTEROP=1. The other suites have their own requirements, and NACRE_REQUIRE_CALIFORNIUM, _TSHARK and
# _LIBCOAP.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build}
code=0

skip() {
    if [ "${NACRE_REQUIRE_INTEROP:-0}" = 1 ]; then
        echo "not ok - interop is required, but: $1"
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    fi
    echo "SKIPPED: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit $code
}

for program in "$build/nacre" "$build/tests/relay"; do
    [ -x "$program" ] || { echo "interop: $program is not there: run 'make' first" >&2; exit 2; }
done
tests/interop/californium.sh "$build" || code=1
tests/interop/tshark.sh "$build" || code=1
tests/interop/tshark_kinds.sh "$build" || code=1
tests/interop/libcoap.sh "$build" || code=1
# Looks for ::1 itself: IPv6 may be compiled in and switched off.
grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 || skip "this machine has no IPv6 loopback address"
made=0
python=$(scripts/aiocoap.sh) || made=$?
case $made in
0) ;;
77) skip 'pip cannot fetch aiocoap: PyPI is not reachable from here, or Python is older than 3.10' ;;
*)
    echo "not ok - aiocoap cannot be installed, though PyPI is reachable"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
    ;;
esac
for suite in directories block_wise interop tcp plugtest proxy observe edhoc; do
    [ -e "tests/interop/$suite.py" ] || continue
    timeout --kill-after=10 300 "$python" -B "tests/interop/$suite.py" "$build" || code=$?
done
exit $code

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nacre against tshark, libcoap and aiocoap: puts aiocoap into .venv (kept between runs), then runs each suite that stands beside this file.
#
#     tests/interop/run.sh [BUILD_DIR]
#
# Where PyPI is not reachable, or IPv6 is missing, it is skipped: it says so, and exits 0. NACRE_REQUIRE_INTEROP=1 turns
# that into a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build}
venv=.venv
requirements=tests/interop/requirements.txt

skip() {
    if [ "${NACRE_REQUIRE_INTEROP:-0}" = 1 ]; then
        echo "not ok - interop is required, but: $1"
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    fi
    echo "SKIPPED: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

# True when the venv holds exactly what is pinned, with all that OSCORE needs: otherwise aiocoap would send in clear.
venv_is_good() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" - "$requirements" 2>/dev/null <<'PYTHON'
import re, sys
from importlib.metadata import version
from aiocoap import defaults
pin = re.search(r"^aiocoap\[oscore\]==(\S+)$", open(sys.argv[1]).read(), re.M).group(1)
sys.exit(version("aiocoap") != pin or bool(defaults.oscore_missing_modules()))
PYTHON
}

make_venv() {
    local log
    log=$(mktemp)
    echo "interop: putting $(grep -v '^#' "$requirements") into $venv/"
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && timeout 300 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --retries 1 --timeout 20 -r "$requirements"; } >"$log" 2>&1 || ! venv_is_good; then
        rm -rf "$venv"
        # Only a registry out of reach is a reason to skip; anything else is a failure to be looked at.
        if ! scripts/pypi-reachable.sh; then
            rm -f "$log"
            skip "pip cannot fetch aiocoap: PyPI is not reachable from here, or Python is older than 3.10"
        fi
        cat "$log" >&2
        rm -f "$log"
        echo "not ok - aiocoap cannot be installed, though PyPI is reachable"
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    fi
    rm -f "$log"
}

for program in "$build/nacre" "$build/tests/relay"; do
    [ -x "$program" ] || { echo "interop: $program is not there: run 'make' first" >&2; exit 2; }
done
# ::1 by name: IPv6 may be compiled in and switched off.
grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 || skip "this machine has no IPv6 loopback address"
venv_is_good || make_venv
code=0
tests/interop/tshark.sh "$build" || code=1
tests/interop/tshark_kinds.sh "$build" || code=1
tests/interop/libcoap.sh "$build" || code=1
for suite in directories block_wise interop tcp plugtest proxy observe; do
    [ -e "tests/interop/$suite.py" ] || continue
    timeout --kill-after=10 300 "$venv/bin/python" -B "tests/interop/$suite.py" "$build" || code=$?
done
exit $code

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Prints the path of a Python with the aiocoap release that interop and benchmarks use; it is below .venv of this
# directory, which is created if missing and kept.
#
#     scripts/aiocoap.sh
#
# Exit: 0 installed; 77 PyPI is not reachable, or Python is older than 3.10; 1 installing failed otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/.venv
requirements=tests/interop/requirements.txt

# True if the venv holds exactly the pinned version with all that OSCORE needs; without that, aiocoap sends unprotected.
venv_is_good() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" - "$requirements" 2>/dev/null <<'PYTHON'
import re, sys
from importlib.metadata import version
from aiocoap import defaults
pins = dict(re.findall(r"^([a-z-]+)(?:\[oscore\])?==(\S+)$", open(sys.argv[1]).read(), re.M))
sys.exit(any(version(name) != pin for name, pin in pins.items()) or bool(defaults.oscore_missing_modules()))
PYTHON
}

make_venv() {
    local log
    log=$(mktemp)
    echo "aiocoap: putting $(grep -v '^#' "$requirements") into .venv/" >&2
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && timeout 300 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --retries 1 --timeout 20 -r "$requirements"; } >"$log" 2>&1 || ! venv_is_good; then
        rm -rf "$venv"
        # Only an unreachable registry is a reason to skip; any other error is a failure.
        if ! scripts/pypi-reachable.sh; then
            rm -f "$log"
            exit 77
        fi
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}

venv_is_good || make_venv
echo "$venv/bin/python"

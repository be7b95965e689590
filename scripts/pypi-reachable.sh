#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exit 0 when pip can fetch what the interop suite needs from here: then the suite is possible, and has no excuse.
set -euo pipefail
cd "$(dirname "$0")/.."
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
timeout 60 python3 -m pip download --quiet --disable-pip-version-check --no-deps --retries 1 --timeout 20 --dest "$room" \
    -r tests/interop/requirements.txt >/dev/null 2>&1

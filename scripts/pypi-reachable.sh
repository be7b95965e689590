#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exit 0 if pip can fetch the interop suite's packages from here: then the suite may not be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
timeout 60 python3 -m pip download --quiet --disable-pip-version-check --no-deps --retries 1 --timeout 20 --dest "$room" \
    -r tests/interop/requirements.txt >/dev/null 2>&1

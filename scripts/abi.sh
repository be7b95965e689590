#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compares the ABI of libnacre.so with that of the last release in cmake/abi/ (Debian abigail-tools).
#
#     scripts/abi.sh check [BUILD_DIR]    each removed or changed public name is listed in the newest section of
#                                         CHANGELOG.md
#     scripts/abi.sh update [BUILD_DIR]   at a release: makes BUILD_DIR's ABI the baseline
#
# BUILD_DIR was built with gcc and debug information (CMAKE_BUILD_TYPE=RelWithDebInfo).
set -euo pipefail
cd "$(dirname "$0")/.."
library=${2:-build}/libnacre.so baseline=cmake/abi/nacre-$(uname -m).abi

if ! readelf -S "$library" | grep '\.debug_info' >/dev/null; then
    echo "abi: $library is not there, or has no debug information: build it with CMAKE_BUILD_TYPE=RelWithDebInfo" >&2
    exit 2
fi
dump() {
    abidw --headers-dir include --exported-interfaces-only --drop-private-types --no-show-locs --no-corpus-path \
        --no-comp-dir-path --no-parameter-names --no-write-default-sizes --out-file "$1" "$library"
}

case "${1:-}" in
update)
    dump "$baseline"
    ;;
check)
    if [ ! -e "$baseline" ]; then
        echo "abi: there is no baseline for $(uname -m)"
        exit 0
    fi
    now=$(mktemp)
    trap 'rm -f "$now"' EXIT
    dump "$now"
    scripts/abi.py "$baseline" "$now" CHANGELOG.md
    ;;
*)
    echo "usage: scripts/abi.sh check | update [BUILD_DIR]" >&2
    exit 2
    ;;
esac

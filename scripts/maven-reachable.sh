#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exit 0 when Maven Central can be asked for what interop with Californium needs from here: then that is possible, and has no
# excuse.
set -euo pipefail
cd "$(dirname "$0")/.."
read -r _ path <tests/interop/californium/jars.sha256
curl --fail --silent --location --head --proto '=https' --connect-timeout 20 --max-time 60 --output /dev/null \
    "https://repo1.maven.org/maven2/$path"

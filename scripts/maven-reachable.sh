#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exit 0 if Maven Central has the files for interop with Californium and can be reached from here: then those tests may
# not be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
read -r _ path <tests/interop/californium/jars.sha256
curl --fail --silent --location --head --proto '=https' --connect-timeout 20 --max-time 60 --output /dev/null \
    "https://repo1.maven.org/maven2/$path"

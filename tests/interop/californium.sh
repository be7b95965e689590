#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nacre against Eclipse Californium (Java): fetches the jars pinned in californium/jars.sha256 from Maven Central into
# the build directory, compiles the programs in californium/, and runs californium.py.
#
#     tests/interop/californium.sh [BUILD_DIR]
#
# Without a JDK or access to Maven Central it prints that it is skipped and exits 0; with NACRE_REQUIRE_CALIFORNIUM=1,
# 1.
set -euo pipefail
build=$(cd "${1:-build}" && pwd)
cd "$(dirname "$0")/../.."
sources=tests/interop/californium jars=$PWD/tests/interop/californium/jars.sha256
cache=$build/californium repository=https://repo1.maven.org/maven2

fail() {
    echo "not ok - $1"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}
skip() {
    [ "${NACRE_REQUIRE_CALIFORNIUM:-0}" != 1 ] || fail "interop with Californium is required, but: $1"
    echo "SKIPPED: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

for tool in javac java curl python3 sha256sum; do
    command -v "$tool" >/dev/null || skip "interop with Californium needs $tool, which is not installed"
done
java_version=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
[ "${java_version:-0}" -ge 11 ] || skip "interop with Californium needs a JDK of version 11 or newer"
for program in "$build/nacre" "$build/tests/relay" "$build/tests/rederiving"; do
    [ -x "$program" ] || { echo "interop: $program is not there: run 'make' first" >&2 && exit 2; }
done

mkdir -p "$cache/jars" "$cache/classes"
jars_are_good() {
    (cd "$cache/jars" && sha256sum --check --status "$jars") 2>/dev/null
}
fetch_jars() {
    local path
    while read -r _ path; do
        mkdir -p "$cache/jars/${path%/*}"
        curl --fail --silent --show-error --location --proto '=https' --retry 2 --connect-timeout 20 --max-time 120 \
            --output "$cache/jars/$path" "$repository/$path" || return 1
    done <"$jars"
}
if ! jars_are_good; then
    echo "interop: putting Californium and what it needs into $cache/jars"
    if ! fetch_jars; then
        # Only an unreachable repository is a reason to skip; any other error is a failure.
        scripts/maven-reachable.sh || skip "Maven Central is not reachable from here"
        fail "Californium cannot be fetched, though Maven Central is reachable"
    fi
    jars_are_good || fail "what came from Maven Central is not what $sources/jars.sha256 pins"
fi
class_path=$(sed "s|^[0-9a-f]*  |$cache/jars/|" "$jars" | paste -s -d:)
javac -Xlint:all -Werror -d "$cache/classes" -cp "$class_path" "$sources"/*.java || fail "Californium's programs do not compile"
timeout --kill-after=10 200 python3 -B tests/interop/californium.py "$build" "$cache/classes:$class_path"

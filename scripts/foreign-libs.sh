#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Provides OpenSSL's libcrypto, yajl and cmocka for another processor or C library: Debian's packages, unpacked, where
# Debian has the target; for musl, static libraries from Debian's source packages, without assembly and only with the
# algorithms that nacre uses.
#
#     scripts/foreign-libs.sh i386|arm64|s390x|musl
#
# Prints the path of a CMake toolchain file; the results stay in build-foreign/ and are made once. Needs apt-get and the
# compiler of the target: i686-linux-gnu-gcc, aarch64-linux-gnu-gcc, s390x-linux-gnu-gcc or musl-gcc; qemu-user-static
# runs arm64 and s390x programs; musl needs dpkg-dev, cmake, perl and make as well. It needs no root, adds no
# architecture to the system and changes nothing outside that directory. NACRE_DEBIAN_MIRROR replaces deb.debian.org.
# Exit: 0 done, 1 failed (the log is shown), 2 a tool is missing or the target is unknown.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() {
    echo "foreign-libs: $*" >&2
    exit 2
}

target=${1:-}
tools=(apt-get dpkg-deb) emulator=''
case $target in
i386) compiler=i686-linux-gnu-gcc triplet=i386-linux-gnu loader=/usr/i686-linux-gnu/lib/ld-linux.so.2 ;;
arm64) compiler=aarch64-linux-gnu-gcc triplet=aarch64-linux-gnu loader=/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 emulator=qemu-aarch64-static ;;
s390x) compiler=s390x-linux-gnu-gcc triplet=s390x-linux-gnu loader=/usr/s390x-linux-gnu/lib/ld64.so.1 emulator=qemu-s390x-static ;;
musl) compiler=musl-gcc openssl=linux-x86_64 tools=(apt-get dpkg-source cmake perl make) ;;
*) fail 'usage: scripts/foreign-libs.sh i386|arm64|s390x|musl' ;;
esac
[ "$(uname -m)" = x86_64 ] || fail 'the targets are for x86_64 machines'
for tool in "$compiler" "${tools[@]}" $emulator; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done

root=$PWD/build-foreign
prefix=$root/$target log=$root/$target.log
jobs=$(nproc 2>/dev/null || echo 2)
made_by=$(cat "$0" - <<<"$("$compiler" --version | head -n 1)" | sha256sum)

# fetch KIND OPTION... -- COMMAND PACKAGE...: from this machine's Debian release, with separate lists and archives. KIND
# is deb or deb-src; the files go to $prefix/fetched.
fetch() {
    local kind=$1 codename options=() keyring=/usr/share/keyrings/debian-archive-keyring.gpg at=$prefix/fetched
    shift
    while [ "$1" != -- ]; do options+=(-o "$1") && shift; done
    shift
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
    mkdir -p "$at/lists/partial" "$at/archives/partial"
    echo "$kind [signed-by=$keyring] ${NACRE_DEBIAN_MIRROR:-http://deb.debian.org/debian} $codename main" >"$at/list"
    local apt=(apt-get -q -o Dir::Etc::sourcelist="$at/list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$at/lists"
        -o Dir::Cache::archives="$at/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 "${options[@]}")
    "${apt[@]}" update
    (cd "$at" && "${apt[@]}" "$@")
    rm -rf "$at/lists"
}

# Debian's packages of the target, unpacked. Linked programs find the cross compiler's C library and these libraries by
# the paths linked into them.
make_from_packages() {
    fetch deb APT::Architecture="$target" APT::Architectures="$target" Dir::State::status=/dev/null \
        -- download libssl3 libssl-dev libyajl2 libyajl-dev libcmocka0 libcmocka-dev
    local package
    for package in "$prefix"/fetched/*.deb; do dpkg-deb -x "$package" "$prefix"; done
    includes="-I$prefix/usr/include -I$prefix/usr/include/$triplet" libraries=$prefix/usr/lib/$triplet
    toolchain '' "-Wl,--dynamic-linker,$loader -Wl,-rpath,${loader%/*} -Wl,-rpath,$libraries"
    local name
    for name in libcrypto yajl cmocka; do
        module $name "$(sed -n 's/^Version: *//p' "$libraries/pkgconfig/$name.pc")" "-l${name#lib}"
    done
}

make_openssl() {
    local without=(shared tests module asm afalgeng aria async autoload-config bf blake2 camellia capieng cast cmac cmp cms
        comp ct deprecated des devcryptoeng dgram dh dsa dso dtls ec2m engine fips gost idea ktls legacy md4 mdc2 multiblock
        nextprotoneg ocb ocsp padlockeng psk rc2 rc4 rfc3779 rmd160 scrypt seed siphash siv sm2 sm3 sm4 sock srp srtp ssl tls ts
        ui-console whirlpool)
    mkdir -p "$prefix/openssl" && cd "$prefix/openssl"
    "$sources"/openssl-*/Configure "$openssl" "${without[@]/#/no-}" CC="$compiler" CFLAGS="-O1 $flags"
    make -j "$jobs" build_generated libcrypto.a
    cp libcrypto.a "$libraries/"
    cp -r "$sources"/openssl-*/include/openssl include/openssl "$prefix/include/"
    cd "$root"
}
# yajl and cmocka describe themselves in CMake.
make_with_cmake() {
    local name=$1 library=$2
    shift 2
    cmake -S "$sources/$name"-* -B "$prefix/$name" -DCMAKE_TOOLCHAIN_FILE="$prefix/toolchain.cmake" -DCMAKE_BUILD_TYPE=Release \
        -Wno-dev "$@"
    cmake --build "$prefix/$name" --target "$library"
    find "$prefix/$name" -name "lib$library.a" -exec cp '{}' "$libraries/" \;
}
version_of() {
    local at
    at=$(echo "$sources/$1"-*/)
    at=${at%/}
    echo "${at##*-}"
}
make_from_sources() {
    fetch deb-src -- source openssl yajl cmocka
    sources=$prefix/fetched includes="-I$prefix/include" libraries=$prefix/lib
    # Linux's own headers (linux/...) come after musl's.
    flags="-idirafter /usr/include/$(uname -m)-linux-gnu -idirafter /usr/include"
    mkdir -p "$prefix/include" "$libraries"
    toolchain "$flags" -static
    make_openssl
    make_with_cmake yajl yajl_s
    cp "$prefix"/yajl/yajl-*/include/yajl -r "$prefix/include/"
    make_with_cmake cmocka cmocka-static -DWITH_STATIC_LIB=ON -DUNIT_TESTING=OFF -DWITH_EXAMPLES=OFF
    cp "$sources"/cmocka-*/include/*.h "$prefix/include/"
    module libcrypto "$(version_of openssl)" '-lcrypto -lpthread'
    module yajl "$(version_of yajl)" -lyajl_s
    module cmocka "$(version_of cmocka)" -lcmocka-static
}

# toolchain COMPILER_FLAGS LINKER_FLAGS
toolchain() {
    cat >"$prefix/toolchain.cmake" <<CMAKE
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER $compiler)
set(CMAKE_C_FLAGS_INIT "$1")
set(CMAKE_EXE_LINKER_FLAGS_INIT "$2")
set(CMAKE_CROSSCOMPILING_EMULATOR "$emulator" CACHE FILEPATH "starts programs of $target")
set(ENV{PKG_CONFIG_LIBDIR} "$prefix/pkgconfig")
set(NACRE_IPSEC_MB OFF CACHE STRING "this machine's own is not for $target")
CMAKE
}
# module NAME VERSION LIBS: its pkg-config file.
module() {
    mkdir -p "$prefix/pkgconfig"
    printf '%s\n' "Name: $1" "Description: for $target" "Version: $2" "Libs: -L$libraries $3" "Cflags: $includes" \
        >"$prefix/pkgconfig/$1.pc"
}
make_all() {
    rm -rf "$prefix"
    mkdir -p "$prefix"
    if [ "$target" = musl ]; then make_from_sources; else make_from_packages; fi
    echo "$made_by" >"$prefix/made-by"
}

mkdir -p "$root"
if [ "$(cat "$prefix/made-by" 2>/dev/null || true)" != "$made_by" ]; then
    echo "foreign-libs: making OpenSSL's libcrypto, yajl and cmocka for $target" >&2
    # In a subshell: -e has no effect inside a function that `if` tests.
    set +e
    (
        set -e
        make_all
    ) >"$log" 2>&1
    code=$?
    set -e
    if [ "$code" -ne 0 ]; then
        tail -n 30 "$log" >&2
        echo "foreign-libs: failed for $target; all of its log: $log" >&2
        exit 1
    fi
fi
echo "$prefix/toolchain.cmake"

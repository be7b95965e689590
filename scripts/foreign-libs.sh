#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What nacre needs where Debian has no package for it, or none that fits beside this machine's own: OpenSSL's libcrypto, yajl
# and cmocka for another C library or another word size, as static libraries from Debian's source packages. For tests: without
# assembly and with no algorithm that nacre does not use.
#
#     scripts/foreign-libs.sh musl|i386
#
# Prints the path of a CMake toolchain file; what it made stays in build-foreign/ and is made once. Needs apt-get, dpkg-dev,
# cmake, perl, make and a compiler: musl-gcc (Debian: musl-tools), i686-linux-gnu-gcc (crossbuild-essential-i386). It needs no
# root and changes nothing outside that directory. NACRE_DEBIAN_MIRROR names another mirror than deb.debian.org.
# Exit: 0 done, 1 it failed (its log is shown), 2 something is missing or the target is not known.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() {
    echo "foreign-libs: $*" >&2
    exit 2
}

target=${1:-}
case $target in
musl) # Linux's own headers (linux/…) come after musl's.
    compiler=musl-gcc openssl=linux-x86_64 package=musl-tools
    flags="-idirafter /usr/include/$(uname -m)-linux-gnu -idirafter /usr/include" link=-static
    ;;
i386) # Its programs run here, with the cross compiler's C library.
    compiler=i686-linux-gnu-gcc openssl=linux-x86 package=crossbuild-essential-i386
    libc=/usr/i686-linux-gnu/lib flags='' link="-Wl,--dynamic-linker,/usr/i686-linux-gnu/lib/ld-linux.so.2 -Wl,-rpath,$libc"
    ;;
*) fail 'usage: scripts/foreign-libs.sh musl|i386' ;;
esac
[ "$(uname -m)" = x86_64 ] || fail 'both targets are for x86_64 machines'
command -v "$compiler" >/dev/null || fail "$compiler is not installed (Debian: $package)"
for tool in apt-get dpkg-source cmake perl make; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done

root=$PWD/build-foreign
prefix=$root/$target sources=$root/sources log=$root/$target.log
jobs=$(nproc 2>/dev/null || echo 2)
made_by=$(cat "$0" - <<<"$("$compiler" --version | head -n 1)" | sha256sum)

# The source packages of this machine's Debian release, with lists and archives of our own.
fetch() {
    [ ! -e "$sources/complete" ] || return 0
    local codename keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
    rm -rf "$sources"
    mkdir -p "$sources/lists/partial" "$sources/archives/partial"
    echo "deb-src [signed-by=$keyring] ${NACRE_DEBIAN_MIRROR:-http://deb.debian.org/debian} $codename main" >"$sources/list"
    local apt=(apt-get -q -o Dir::Etc::sourcelist="$sources/list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State::lists="$sources/lists" -o Dir::Cache::archives="$sources/archives" -o Dir::Cache::pkgcache=
        -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3)
    "${apt[@]}" update
    (cd "$sources" && "${apt[@]}" source openssl yajl cmocka)
    rm -rf "$sources/lists"
    touch "$sources/complete"
}

make_openssl() {
    local without=(shared tests module asm afalgeng aria async autoload-config bf blake2 camellia capieng cast cmac cmp cms
        comp ct deprecated des devcryptoeng dgram dh dsa dso dtls ec engine fips gost idea ktls legacy md4 mdc2 multiblock
        nextprotoneg ocb ocsp padlockeng psk rc2 rc4 rfc3779 rmd160 scrypt seed siphash siv sm3 sm4 sock srp srtp ssl tls ts
        ui-console whirlpool)
    mkdir -p "$prefix/openssl" && cd "$prefix/openssl"
    "$sources"/openssl-*/Configure "$openssl" "${without[@]/#/no-}" CC="$compiler" CFLAGS="-O1 $flags"
    make -j "$jobs" build_generated libcrypto.a
    cp libcrypto.a "$prefix/lib/"
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
    find "$prefix/$name" -name "lib$library.a" -exec cp '{}' "$prefix/lib/" \;
}
# module NAME VERSION LIBS: its pkg-config file.
module() {
    printf '%s\n' "Name: $1" "Description: for $target" "Version: $2" "Libs: -L$prefix/lib $3" "Cflags: -I$prefix/include" \
        >"$prefix/lib/pkgconfig/$1.pc"
}
version_of() {
    local at
    at=$(echo "$sources/$1"-*/)
    at=${at%/}
    echo "${at##*-}"
}

make_all() {
    fetch
    rm -rf "$prefix"
    mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
    cat >"$prefix/toolchain.cmake" <<CMAKE
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER $compiler)
set(CMAKE_C_FLAGS_INIT "$flags")
set(CMAKE_EXE_LINKER_FLAGS_INIT "$link")
set(ENV{PKG_CONFIG_LIBDIR} "$prefix/lib/pkgconfig")
set(NACRE_IPSEC_MB OFF CACHE STRING "this machine's own is not for $target")
CMAKE
    make_openssl
    make_with_cmake yajl yajl_s
    cp "$prefix"/yajl/yajl-*/include/yajl -r "$prefix/include/"
    make_with_cmake cmocka cmocka-static -DWITH_STATIC_LIB=ON -DUNIT_TESTING=OFF -DWITH_EXAMPLES=OFF
    cp "$sources"/cmocka-*/include/*.h "$prefix/include/"
    module libcrypto "$(version_of openssl)" '-lcrypto -lpthread'
    module yajl "$(version_of yajl)" -lyajl_s
    module cmocka "$(version_of cmocka)" -lcmocka-static
    echo "$made_by" >"$prefix/made-by"
}

mkdir -p "$root"
if [ "$(cat "$prefix/made-by" 2>/dev/null || true)" != "$made_by" ]; then
    echo "foreign-libs: making OpenSSL's libcrypto, yajl and cmocka for $target" >&2
    # In a shell of its own: -e does not hold in a function that `if` asks.
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

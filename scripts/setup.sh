#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks nacre's requirements on this machine, prints the missing ones, and installs them on Debian and its derivatives.
#
#     scripts/setup.sh [build|test|coverage|interop|ci]
#
# NACRE_NO_INSTALL=1 only lists what is missing. Exit: 0 all requirements are met, 1 installing failed, 2 a requirement
# is missing and not installed.
set -euo pipefail
purpose=${1:-build}

# Each requirement: its check, its Debian package, and its name for other systems. A usable compiler or Python counts
# wherever it came from.
has() {
    command -v "$1" >/dev/null
}
library() {
    pkg-config --exists "$1" 2>/dev/null
}
c_compiler() {
    has make && ${CC:-cc} -x c -fsyntax-only - <<<'#include <stdio.h>' 2>/dev/null
}
python_venv_and_pip() {
    python3 -c 'import venv, ensurepip, importlib.util as u, sys; sys.exit(u.find_spec("pip") is None)' 2>/dev/null
}
clang_runtime() {
    local found
    found=$(clang -print-file-name="libclang_rt.asan-$(uname -m).a" 2>/dev/null) && [ -e "$found" ]
}
# The sanitizer runtime is packaged per compiler version: that of the clang that is, or will be, installed.
clang_runtime_package() {
    local version=''
    if has clang; then
        version=$(clang -dumpversion | cut -d. -f1)
    elif has apt-cache; then
        version=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
    fi
    echo "libclang-rt-${version:-14}-dev"
}

# An optional, faster cryptography provider: installed with the missing requirements if a package exists. Only CI, which
# tests it, requires it.
ipsec_mb_or_not_for_here() {
    [ "$purpose" != ci ] && [ ${#packages[@]} -eq 0 ] && return
    [ "$(uname -m)" != x86_64 ] || ! apt-cache show libipsec-mb-dev >/dev/null 2>&1 ||
        ${CC:-cc} -E - <<<'#include <intel-ipsec-mb.h>' >/dev/null 2>&1
}

# Optional for a build, as IPsec-MB; the tests need it.
sqlite_or_not_for_here() {
    [ "$purpose" = build ] && [ ${#packages[@]} -eq 0 ] && return
    library 'sqlite3 >= 3.37'
}

# Likewise: the configuration file of nacre serve.
yaml_or_not_for_here() {
    [ "$purpose" = build ] && [ ${#packages[@]} -eq 0 ] && return
    library 'yaml-0.1 >= 0.2.2'
}

# The figures of nacre serve over HTTP; only CI, which tests them, requires it.
microhttpd_or_not_for_here() {
    [ "$purpose" != ci ] && [ ${#packages[@]} -eq 0 ] && return
    library 'libmicrohttpd >= 0.9.73'
}
browser() {
    has chromium || has chromium-browser || has google-chrome
}

libcoap_tools() {
    { has coap-client-openssl || has coap-client-notls || has coap-client; } &&
        { has coap-server-openssl || has coap-server-notls || has coap-server; }
}
jdk() {
    local version
    has java && version=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p') && [ "${version:-0}" -ge 11 ]
}

cross_compiler() {
    [ "$(uname -m)" != x86_64 ] || "$1" -x c -fsyntax-only - <<<'#include <stdio.h>' 2>/dev/null
}
emulators() {
    [ "$(uname -m)" != x86_64 ] || { has qemu-s390x-static && has qemu-aarch64-static; }
}

packages=() names=()
need() {
    local package name=$2
    read -ra package <<<"$1"
    shift 2
    "$@" || { packages+=("${package[@]}") && names+=("$name"); }
}
look() {
    packages=() names=()
    look_for_needs
    need libsqlite3-dev 'SQLite 3.37 or newer, with headers' sqlite_or_not_for_here
    need libyaml-dev 'libyaml 0.2.2 or newer, with headers' yaml_or_not_for_here
    need libmicrohttpd-dev 'libmicrohttpd 0.9.73 or newer, with headers' microhttpd_or_not_for_here
    need libipsec-mb-dev 'Intel IPsec-MB 1.3 or newer, with headers' ipsec_mb_or_not_for_here
}
look_for_needs() {
    need build-essential 'a C compiler with its headers, and make' c_compiler
    need cmake 'CMake 3.20 or newer' has cmake
    need pkg-config 'pkg-config (or pkgconf)' has pkg-config
    need libssl-dev 'OpenSSL 3.0 or newer, with headers' library 'libcrypto >= 3.0'
    need libyajl-dev 'yajl 2.1 or newer, with headers' library 'yajl >= 2.1'
    [ "$purpose" = build ] && return
    need libcmocka-dev 'cmocka 1.1 or newer, with headers' library 'cmocka >= 1.1'
    need python3 'Python 3' has python3
    [ "$purpose" = test ] && return
    [ "$purpose" != coverage ] || need gcovr 'gcovr' has gcovr
    [ "$purpose" = coverage ] && return
    need 'python3-venv python3-pip' 'Python 3 with its venv module and pip' python_venv_and_pip
    [ "$purpose" = interop ] && return
    need tshark 'tshark' has tshark
    need libcoap3-bin "libcoap's coap-client and coap-server" libcoap_tools
    need gnuplot-nox 'gnuplot' has gnuplot
    need default-jdk-headless 'a JDK, version 11 or newer' jdk
    need curl 'curl' has curl
    need gcc 'gcc' has gcc
    need clang 'clang' has clang
    need clang-format 'clang-format' has clang-format
    need clang-tidy 'clang-tidy' has clang-tidy
    need "$(clang_runtime_package)" "clang's sanitizer runtime" clang_runtime
    need 'gcc-i686-linux-gnu libc6-dev-i386-cross' 'a cross compiler for i386' cross_compiler i686-linux-gnu-gcc
    need 'gcc-s390x-linux-gnu libc6-dev-s390x-cross' 'a cross compiler for s390x' cross_compiler s390x-linux-gnu-gcc
    need 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' 'a cross compiler for arm64' cross_compiler aarch64-linux-gnu-gcc
    need qemu-user-static 'qemu-user' emulators
    need musl-tools 'musl with musl-gcc' has musl-gcc
    need dpkg-dev 'dpkg-source' has dpkg-source
    need g++ 'g++' has g++
    need systemd 'systemd-analyze' has systemd-analyze
    need sqlite3 "SQLite's shell" has sqlite3
    need libuv1-dev 'libuv, with headers' library libuv
    need chromium 'Chromium' browser
    need abigail-tools 'abidw and abidiff' has abidiff
}

case $purpose in
build | test | coverage | interop | ci) ;;
*)
    echo "usage: scripts/setup.sh [build|test|coverage|interop|ci]" >&2
    exit 2
    ;;
esac

look
[ ${#packages[@]} -eq 0 ] && exit 0

if ! has apt-get; then
    echo "setup: missing for '$purpose'; install with this system's package manager:" >&2
    printf '  %s\n' "${names[@]}" >&2
    exit 2
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
if [ "${NACRE_NO_INSTALL:-0}" = 1 ]; then
    echo "setup: missing for '$purpose': ${packages[*]}"
    exit 2
elif [ ${#as_root[@]} -ne 0 ] && ! has sudo; then
    echo "setup: packages are missing, and only root can install them: apt-get install ${packages[*]}" >&2
    exit 2
fi
echo "setup: missing for '$purpose': ${packages[*]}"
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}
echo "setup: installing with apt-get"
# Checked again after the update, which may have made a package known.
if ! { apt update && look && apt install -y --no-install-recommends "${packages[@]}" >/dev/null; }; then
    echo "setup: apt-get could not install ${packages[*]}: see above" >&2
    exit 1
fi
look
if [ ${#packages[@]} -ne 0 ]; then
    echo "setup: still missing after apt-get:" >&2
    printf '  %s\n' "${names[@]}" >&2
    exit 1
fi

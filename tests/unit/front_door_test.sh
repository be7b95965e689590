#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# Building and linking: optional packages are not required, missing ones are reported in one line, and the pkg-config
# files require no package that only the library's own build needs.
# Usage: front_door_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=${1:?usage: front_door_test.sh BUILD_DIR SOURCE_DIR} source_dir=${2:?usage: front_door_test.sh BUILD_DIR SOURCE_DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "not ok - $*" >&2
    exit 1
}
ok() { echo "ok - $*"; }

# pkg_config_wants_no_private_package: neither libcrypto nor yajl is installed for this check.
mkdir "$work/pc" "$work/empty"
cp "$build/nacre.pc" "$build/nacre-core.pc" "$work/pc/"
for module in nacre nacre-core; do
    flags=$(PKG_CONFIG_LIBDIR=$work/pc pkg-config --cflags --libs "$module" 2>&1) || fail "$module: $flags"
    [[ $flags = *"-l$module"* ]] || fail "$module: $flags"
    ! PKG_CONFIG_LIBDIR=$work/empty pkg-config --exists "$module" || fail "$module is found where it is not"
done
[[ $(PKG_CONFIG_LIBDIR=$work/pc pkg-config --static --libs nacre) = *'-lcrypto'* ]] || fail 'no -lcrypto for static linking'
[[ $(PKG_CONFIG_LIBDIR=$work/pc pkg-config --libs nacre) != *'-lcrypto'* ]] || fail '-lcrypto for the shared library'
ok 'pkg-config asks for no private package'

# what_is_optional_is_not_asked_for: without Intel's library, Python and cmocka, nothing is missing for a build.
mkdir "$work/bin"
cat >"$work/bin/cc" <<'SH'
#!/bin/sh
if [ "$1" = -E ]; then exit 1; fi # intel-ipsec-mb.h is not there
exit 0
SH
cat >"$work/bin/pkg-config" <<'SH'
#!/bin/sh
case "$*" in *"${LACKS:-cmocka}"*) exit 1 ;; esac
exit 0
SH
printf '#!/bin/sh\nexit 0\n' >"$work/bin/apt-cache"
printf '#!/bin/sh\necho "apt-get was run" >&2\nexit 1\n' >"$work/bin/apt-get"
chmod +x "$work"/bin/*
setup() {
    said=$(cd "$source_dir" && PATH=$work/bin:$PATH CC=cc NACRE_NO_INSTALL=1 scripts/setup.sh "$1" 2>&1) && code=0 || code=$?
}
setup build
[ "$code" -eq 0 ] && [ -z "$said" ] || fail "optional things are asked for: $code $said"
ok 'what is optional is not asked for'

# what_is_missing_is_said_in_one_line, and then IPsec-MB is installed too.
LACKS=yajl setup build
said_lines=$(wc -l <<<"$said")
[ "$code" -eq 2 ] && [ "$said_lines" -eq 1 ] && [[ $said = *libyajl-dev* ]] || fail "yajl is missing: $code $said"
setup test
[ "$code" -eq 2 ] && [[ $said = *libcmocka-dev* ]] || fail "cmocka is missing for the tests: $code $said"
ok 'what is missing is said in one line'

# without_cmocka_there_are_still_the_vectors
for module in libcrypto yajl; do
    cp "$(pkg-config --variable=pcfiledir "$module")/$module.pc" "$work/pc/"
done
PKG_CONFIG_LIBDIR=$work/pc cmake -S "$source_dir" -B "$work/build" --log-level=WARNING >/dev/null || fail 'cmake without cmocka'
cmake --build "$work/build" --target help >"$work/targets"
grep -qw vectors "$work/targets" && grep -qw relay "$work/targets" || fail 'without cmocka there are no vectors, or no relay'
! grep -qw replay_test "$work/targets" || fail 'without cmocka there is replay_test'
! PKG_CONFIG_LIBDIR=$work/pc cmake -S "$source_dir" -B "$work/build" -DNACRE_TESTS=ON --log-level=ERROR >/dev/null 2>&1 ||
    fail 'NACRE_TESTS=ON passes without cmocka'
ok 'without cmocka the vectors are built, and the tests in C are not'

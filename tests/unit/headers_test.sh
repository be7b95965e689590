#!/bin/bash
# SPDX-License-Identifier: MIT
# Labels: slow compiles
# Every public header compiles alone, in any order of its kind, as strict C11 and as strict C++11 and C++17, and a C++
# program uses every public macro and links with the library.
# Usage: headers_test.sh BUILD_DIR SOURCE_DIR; CC and CXX add a compiler to gcc, clang, g++ and clang++.
set -euo pipefail
build=${1:?usage: headers_test.sh BUILD_DIR SOURCE_DIR}
source_dir=${2:?usage: headers_test.sh BUILD_DIR SOURCE_DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict=(-Wall -Wextra -Wpedantic -pedantic-errors -Wconversion -Wshadow -Werror "-I$source_dir/include")

fail() {
    echo "not ok - $*" >&2
    exit 1
}
# The compilers of a list that are installed.
present() {
    local name
    for name in "$@"; do
        if [ -n "$name" ] && command -v "$name" >/dev/null; then echo "$name"; fi
    done | sort -u
}

# headers_compile COMPILER LANGUAGE STANDARD FLAG…: each header alone, included twice to test its guard.
headers_compile() {
    local compiler=$1 language=$2 standard=$3 header name
    shift 3
    for header in "$source_dir"/include/nacre/*.h; do
        name=nacre/${header##*/}
        printf '#include <%s>\n#include <%s>\n' "$name" "$name" |
            "$compiler" -x "$language" "-std=$standard" "${strict[@]}" "$@" -fsyntax-only - ||
            fail "$name is not strict $standard for $compiler"
    done
    echo "ok - every public header is strict $standard for $compiler"
}

# handles_differ COMPILER LANGUAGE STANDARD: a handle of one kind is refused where another is expected, and accepted
# where its own is.
handles_differ() {
    local compiler=$1 language=$2 standard=$3 handle function
    refused() {
        printf '#include <nacre/nacre.h>\nvoid f(nacre_endpoint *ep, nacre_transfer *t, nacre_client *c, %s h);\n' "$1"
        printf 'void f(nacre_endpoint *ep, nacre_transfer *t, nacre_client *c, %s h)\n{\n' "$1"
        printf '    (void)ep; (void)t; (void)c;\n    %s, h);\n}\n' "$2"
    }
    for handle in nacre_exchange nacre_observer nacre_transfer_exchange nacre_client_call uint64_t; do
        for function in 'nacre_exchange:nacre_endpoint_cancel(ep' 'nacre_observer:nacre_endpoint_changed(ep' \
            'nacre_transfer_exchange:nacre_transfer_cancel(t' 'nacre_client_call:nacre_client_cancel(c' \
            'nacre_exchange:nacre_transfer_ignore(t' 'nacre_observer:(void)nacre_observer_equal(NACRE_OBSERVER_NONE'; do
            if refused "$handle" "${function#*:}" |
                "$compiler" -x "$language" "-std=$standard" "${strict[@]}" -fsyntax-only - 2>/dev/null; then
                [ "$handle" = "${function%%:*}" ] || fail "$compiler takes a $handle for ${function#*:}, …)"
            elif [ "$handle" = "${function%%:*}" ]; then
                fail "$compiler refuses a $handle for ${function#*:}, …)"
            fi
        done
    done
    echo "ok - $compiler tells handles of different kinds apart in $standard"
}

# Typical user code in both languages: each macro in an expression, as an argument and at file scope.
cat >"$work/macros.inc" <<'C'
#include <nacre/nacre.h>
static const uint8_t array[3] = { 1, 2, 3 };
static uint8_t memory[5];
static const nacre_bytes at_file_scope[] = { NACRE_STR_INIT("abc"), NACRE_ARRAY_INIT(array) };
static const nacre_buf room_at_file_scope = NACRE_ARRAY_INIT(memory);
static size_t len_of(nacre_bytes bytes)
{
    return bytes.len;
}
static size_t cap_of(nacre_buf room)
{
    return room.cap;
}
static NACRE_MUST_USE int checked(void)
{
    return 0;
}
static void say(const char *format, ...) NACRE_PRINTF(1, 2);
static void say(const char *format, ...)
{
    (void)format;
}
#define COUNT(name, value, coap, text) +((value) < 0 && (coap) <= 0xff && sizeof(text) > 1)
#define SAME(a, b) ((a) == (b))
static bool handles_hold(void)
{
    const nacre_exchange exchange = { 1 };
    const nacre_observer observer = { 1 };
    const nacre_transfer_exchange transfer = { 1 };
    return nacre_exchange_is_none(NACRE_EXCHANGE_NONE) && !nacre_exchange_is_none(exchange) &&
           nacre_exchange_equal(exchange, exchange) && !nacre_exchange_equal(exchange, NACRE_EXCHANGE_NONE) &&
           nacre_observer_is_none(NACRE_OBSERVER_NONE) && !nacre_observer_is_none(observer) &&
           nacre_observer_equal(observer, observer) && !nacre_observer_equal(observer, NACRE_OBSERVER_NONE) &&
           nacre_transfer_exchange_is_none(NACRE_TRANSFER_EXCHANGE_NONE) && !nacre_transfer_exchange_is_none(transfer) &&
           nacre_transfer_exchange_equal(transfer, transfer) &&
           !nacre_transfer_exchange_equal(transfer, NACRE_TRANSFER_EXCHANGE_NONE);
}
static bool macros_hold(void)
{
    const nacre_bytes local = NACRE_STR("abc");
    const uint8_t code = NACRE_CODE(4, 4);
    say("%d", checked());
    return SAME(len_of(NACRE_STR("abcd")), 4) && SAME(len_of(NACRE_ARRAY(array)), 3) &&
           SAME(cap_of(NACRE_BUF(memory)), 5) && nacre_is_absent(NACRE_ABSENT) && local.len == 3 &&
           at_file_scope[0].len == 3 && at_file_scope[1].len == 3 && room_at_file_scope.cap == 5 &&
           code == NACRE_NOT_FOUND && NACRE_SEQ_MAX == 0xffffffffffU && NACRE_SIZE_UNKNOWN == ~UINT64_C(0) &&
           (0 NACRE_ERR_MAP(COUNT)) > 20 && NACRE_AES_CCM_16_64_128 == 10;
}
int main(void)
{
    return macros_hold() && handles_hold() && nacre_bytes_equal(NACRE_STR("abc"), at_file_scope[0]) ? 0 : 1;
}
C
cp "$work/macros.inc" "$work/macros.c"
cp "$work/macros.inc" "$work/macros.cpp"

# macros_work COMPILER STANDARD SOURCE FLAG…: the program above compiles without warnings, links with libnacre and
# succeeds.
macros_work() {
    local compiler=$1 standard=$2 source=$3
    shift 3
    "$compiler" "-std=$standard" "${strict[@]}" "$@" -c -o "$work/macros.o" "$source" ||
        fail "a public macro is not strict $standard for $compiler"
    echo "ok - every public macro is strict $standard for $compiler"
    # A library built with sanitizers links only with its own compiler.
    if nm -D "$build/libnacre.so" 2>/dev/null | grep -qE '__(asan|tsan|ubsan)_'; then return; fi
    "$compiler" -o "$work/macros" "$work/macros.o" "$build/libnacre.so" "-Wl,-rpath,$build" || fail "$compiler does not link it"
    "$work/macros" || fail "a public macro of $compiler, $standard, has another value"
}

for compiler in $(present "${CC:-}" gcc clang); do
    headers_compile "$compiler" c c11
    handles_differ "$compiler" c c11
    macros_work "$compiler" c11 "$work/macros.c"
done
# Test of the test: a header that is not strict is refused.
if echo 'static const int x = ({ 1; });' | "${CC:-cc}" -x c -std=c11 "${strict[@]}" -fsyntax-only - 2>/dev/null; then
    fail 'a statement expression passes as strict C11'
fi
compilers=$(present "${CXX:-}" g++ clang++)
if [ -z "$compilers" ]; then
    echo 'skipped - no C++ compiler is here'
    exit 77
fi
for compiler in $compilers; do
    for standard in c++11 c++17; do
        headers_compile "$compiler" c++ "$standard" -Wold-style-cast
        [ "$standard" != c++11 ] || handles_differ "$compiler" c++ "$standard"
        macros_work "$compiler" "$standard" "$work/macros.cpp"
    done
done

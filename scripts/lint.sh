#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How the code must look, over every C file of the tree.
#
#     scripts/lint.sh format [--fix]     clang-format: check, or put right
#     scripts/lint.sh tidy [BUILD_DIR]   clang-tidy with the checks of .clang-tidy, all of them errors
#     scripts/lint.sh words [--lower]    how often identifiers and names of files in src, include, tools and tests have a word of
#                                        scripts/private-words, whole or between underscores; exit 1 when one is there more
#                                        often than scripts/private-words-accepted says, which --lower lowers to what is there
set -euo pipefail
cd "$(dirname "$0")/.."
rooms=()
for room in include src tools tests bench examples; do [ -d "$room" ] && rooms+=("$room"); done
sources() {
    local name=$1
    shift
    find "${rooms[@]}" "$@" -name "$name" -type f -print0
}

# "WORD COUNT" for each private word that is there. Comments and texts are not looked at.
count_words() {
    local folders=()
    for room in src include tools tests; do [ -d "$room" ] && folders+=("$room"); done
    find "${folders[@]}" -name '*.[ch]' -type f | sort | perl -e '
        open my $list, "<", "scripts/private-words" or die "scripts/private-words: $!\n";
        chomp(my @words = <$list>);
        my ($any, %count) = join "|", map quotemeta, @words;
        while (my $path = <STDIN>) {
            chomp $path;
            open my $file, "<", $path or die "$path: $!\n";
            my $text = do { local $/; <$file> };
            $text =~ s{/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\x27(?:[^\x27\\\n]|\\.)+\x27|#\s*include[^\n]*|in_place}{ }gs;
            $text .= " $1" if $path =~ m{([^/]+)\.[ch]$} && $1 !~ /in_place/;
            $count{lc $1}++ while $text =~ /(?<![A-Za-z0-9])($any)(?![A-Za-z0-9])/gi;
        }
        print "$_ $count{$_}\n" for sort keys %count'
}
check_words() {
    local accepted=scripts/private-words-accepted counts
    counts=$(count_words)
    awk '
        FILENAME != "-" { accepted[$1] = $2; next }
        NF { print; n = accepted[$1] + 0; sum += $2 }
        NF && $2 > n { print "lint: " $1 " is a private word: " $2 " identifiers have it, and at most " n " may" >"/dev/stderr"; rose = 1 }
        END { print "lint: " sum + 0 " uses of private words" >"/dev/stderr"; exit rose }' "$accepted" - <<<"$counts" || return 1
    [ "$1" != --lower ] || echo "$counts" >"$accepted"
}

case "${1:-} ${2:-}" in
'format ')
    sources '*.[ch]' fuzz | xargs -0 -r clang-format --dry-run -Werror
    ;;
'format --fix')
    sources '*.[ch]' fuzz | xargs -0 -r clang-format -i
    ;;
'tidy '*)
    build=${2:-build}
    if [ ! -f "$build/compile_commands.json" ]; then
        echo "lint: $build/compile_commands.json is not there: run 'make' first" >&2
        exit 2
    fi
    sources '*.c' | xargs -0 -r -n 2 -P "$(nproc 2>/dev/null || echo 2)" clang-tidy --quiet -p "$build"
    ;;
'words ' | 'words --lower')
    check_words "${2:-}"
    ;;
*)
    echo "usage: scripts/lint.sh format [--fix] | tidy [BUILD_DIR] | words [--lower]" >&2
    exit 2
    ;;
esac

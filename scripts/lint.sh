#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks the style of every C file of the tree.
#
#     scripts/lint.sh format [--fix]     clang-format: check, or fix
#     scripts/lint.sh tidy [BUILD_DIR]   clang-tidy with the checks of .clang-tidy, all of them errors
#     scripts/lint.sh words              identifiers and names of files, in all folders with C, have no word of
#                                        scripts/private-words, whole or between underscores
set -euo pipefail
cd "$(dirname "$0")/.."
rooms=()
for room in include src tools tests bench examples; do [ -d "$room" ] && rooms+=("$room"); done
sources() {
    local name=$1
    shift
    find "${rooms[@]}" "$@" -name "$name" -type f -print0
}

# Prints "FILE: NAME (WORD)" for each private word found. Comments and strings are skipped.
find_words() {
    sources '*.[ch]' fuzz | sort -z | perl -0 -ne '
        BEGIN {
            local $/ = "\n";
            open my $list, "<", "scripts/private-words" or die "scripts/private-words: $!\n";
            chomp(my @words = <$list>);
            $any = join "|", map quotemeta, @words;
        }
        chomp;
        open my $file, "<", $_ or die "$_: $!\n";
        my $text = do { local $/; <$file> };
        $text =~ s{/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\x27(?:[^\x27\\\n]|\\.)+\x27|#\s*include[^\n]*}{ }gs;
        $text .= " $1" if m{([^/]+)\.[ch]$};
        my %seen;
        while ($text =~ /(\w+)/g) {
            my $name = $1;
            next if $seen{$name}++;
            (my $looked_at = $name) =~ s/in_place//gi;
            print "lint: $_: $name: \"", lc $1, "\" is a private word\n" if $looked_at =~ /(?<![A-Za-z0-9])($any)(?![A-Za-z0-9])/i;
        }'
}
check_words() {
    local found
    found=$(find_words)
    [ -z "$found" ] || {
        echo "$found" >&2
        return 1
    }
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
'words ')
    check_words
    ;;
*)
    echo "usage: scripts/lint.sh format [--fix] | tidy [BUILD_DIR] | words" >&2
    exit 2
    ;;
esac

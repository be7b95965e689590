#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_help_test: for every subcommand, the manual page and --help name the same options, and the program accepts each
# of them. Arguments: build directory, source directory.
source=$(cd "$2" && pwd)
. "$2/tests/support/lib/tool.sh" || exit 1

man_options() { # SUBCOMMAND: the options that its section of the manual page has an item for
    awk -v name="$1" '
        /^\.S[sh]/ { inside = 0; n = split($0, w, /[ |]+/); if ($1 == ".Ss" && w[2] == "nacre")
                       for (i = 3; i <= n && w[i] ~ /^[a-z-]+$/; i++) if (w[i] == name) inside = 1 }
        inside && /^\.It .*Fl/ { print }' "$source/man/nacre.1" |
        grep -oE 'Fl -[a-z-]+' | sed 's/Fl /-/' | sort -u
}
help_options() {
    "$nacre" "$1" --help | grep '^  *-' | grep -oE -- '(^| )--[a-z-]+' | grep -oE -- '--[a-z-]+' | grep -v -e '^--help$' -e '^--version$' | sort -u
}

names=$("$nacre" --help | sed -n 's/^  nacre \([a-z-]*\) .*/\1/p')
[ "$(wc -l <<<"$names")" -gt 15 ] || fail "the subcommands are not found: $names"
for name in $names; do
    help_options "$name" >in_help
    # a usage line without "OPTION..." names each option, except those with a short form
    usage=$("$nacre" "$name" --help | sed '/^$/q')
    [[ $usage == *OPTION* ]] || while read -r option; do
        [[ $usage == *"$option"* ]] || "$nacre" "$name" --help | grep -qE "^  -[a-z], $option" ||
            fail "the usage of $name lacks $option"
    done <in_help
    man_options "$name" | grep -v -e '^--help$' >in_man
    if [ "$name" = observe ]; then # it refers to get for the others
        man_options get >of_get
        comm -12 of_get in_help >shared
        sort -u in_man shared -o in_man
    fi
    cmp -s in_help in_man || fail "$name: only in --help '$(comm -23 in_help in_man | xargs)', only in man '$(comm -13 in_help in_man | xargs)'"
    while read -r option; do
        timeout 10 "$nacre" "$name" "$option" >out 2>err </dev/null &&
            case $option in --json | --next-to-send | --used | --reveal) ;; *) fail "$name $option needs no more" ;; esac
        lacks err 'unknown option'
    done <in_help
done

# An option of the program that is missing in the help.
for name in $names; do help_options "$name"; done | sort -u >in_help
grep -hoE '\{ "[a-z-]+", (no|required|optional)_argument' "$source"/tools/nacre/*.c | sed 's/{ "/--/; s/".*//' |
    grep -v -e '^--help$' | sort -u >taken
[ -z "$(comm -13 in_help taken)" ] || fail "no --help names $(comm -13 in_help taken | xargs)"

finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes docs/rfc8613.md and docs/rfc9528.md from the marks in code and tests, comments such as `RFC 8613 8.2 step 6`:
#
#     scripts/rfc-marks.sh            writes the files
#     scripts/rfc-marks.sh check      fails if one is out of date, or if a section of docs/rfc8613-notes.txt or
#                                     docs/rfc9528-notes.txt has neither a mark in the code nor a note
#
# A mark names one or more sections ("RFC 8613 8.2 steps 4 to 6, 8.4 step 3"; "RFC 7252 4.2, RFC 8974 2.1"). It applies
# to the function, declaration or macro that contains or follows it; at the start of a file, to the whole file.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

# One line per mark: RFC|section|met or tested|file: name
marks() {
    find include src tools examples tests fuzz -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) | sort | xargs awk '
    function emit(place, i) {
        for (i = 1; i <= num; i++) print rfc[i] "|" section[i] "|" kind "|" place
        num = 0
    }
    function add(r, s) { num++; rfc[num] = r; section[num] = s }
    # The references that follow "RFC NUMBER": sections, with steps, joined by commas, "and" and "to".
    function parse(r, t, base, word, step, from, in_steps, range, any, i) {
        base = ""; in_steps = 0; range = 0; any = 0
        while (t != "") {
            sub(/^[ ]+/, "", t)
            if (match(t, /^(Appendix|section|Section)[ ]+/)) { t = substr(t, RLENGTH + 1); continue }
            if (match(t, /^steps?[ ]+[0-9]+/)) {
                word = substr(t, 1, RLENGTH); t = substr(t, RLENGTH + 1)
                sub(/^steps?[ ]+/, "", word)
                if (base == "") return
                if (!in_steps) num--          # the section itself: its step says it better
                in_steps = 1; step = word + 0
                add(r, base " step " step)
                continue
            }
            if (in_steps && match(t, /^(,|to|and|or)[ ]+[0-9]+([^0-9.]|\.[^0-9]|\.?$)/)) {
                range = t ~ /^to/
                sub(/^(,|to|and|or)[ ]+/, "", t)
                match(t, /^[0-9]+/); word = substr(t, 1, RLENGTH) + 0; t = substr(t, RLENGTH + 1)
                for (i = range ? step + 1 : word; i <= word; i++) add(r, base " step " i)
                step = word
                continue
            }
            if (any && match(t, /^(,|to|and|or)[ ]+/)) {
                range = t ~ /^to/
                t = substr(t, RLENGTH + 1)
                if (t !~ /^((Appendix|section|Section)[ ]+)?([0-9]+|[A-D]\.[0-9]|[A-I]([^A-Za-z]|$))/) return
                if (range && match(t, /^[0-9A-D][0-9.]*/)) {   # "3.1 to 3.3": those between, too
                    word = substr(t, 1, RLENGTH); sub(/\.$/, "", word)
                    spread(r, base, word)
                }
                continue
            }
            if (match(t, /^([0-9]+|[A-D]\.[0-9]+)(\.[0-9]+)*/) || (r == "9528" && match(t, /^[A-I]([^A-Za-z0-9]|$)/))) {
                if (t ~ /^[A-I]([^A-Za-z0-9.]|\.[^0-9]|\.?$)/) RLENGTH = 1
                base = substr(t, 1, RLENGTH); t = substr(t, RLENGTH + 1)
                add(r, base); any = 1; in_steps = 0
                continue
            }
            return
        }
    }
    function spread(r, from, to, a, b, head, i) {
        a = from; sub(/.*\./, "", a); b = to; sub(/.*\./, "", b)
        head = substr(from, 1, length(from) - length(a))
        if (head == substr(to, 1, length(to) - length(b)))
            for (i = a + 1; i < b + 0; i++) add(r, head i)
    }
    function scan(t, r) {
        while (match(t, /RFC [0-9][0-9][0-9][0-9]/)) {
            r = substr(t, RSTART + 4, 4)
            t = substr(t, RSTART + RLENGTH)
            if (r == "8613" || r == "9528" || r == "7252" || r == "8974" || r == "9175") parse(r, t)
        }
    }
    # The name declared at the left margin.
    function name_of(line, n) {
        n = line
        if (n ~ /^#define/) { sub(/^#define[ ]+/, "", n); sub(/[^A-Za-z0-9_].*/, "", n); return n }
        if (n ~ /^(static |const |extern |inline |NACRE_MUST_USE |_Noreturn )*(typedef )?(struct|enum|union)[^(]*$/) {
            sub(/^(static |const |extern )*(typedef )?/, "", n)
            sub(/[ ]*[{;=].*/, "", n)
            return n ~ / / ? n : ""
        }
        if (match(n, /[A-Za-z_0-9]+\(/)) return substr(n, RSTART, RLENGTH - 1)
        sub(/[ ]*(\[[^]]*\])*[ ]*[={;].*/, "", n); sub(/.*[ *]/, "", n)
        return n
    }
    function finish() { emit(file) }
    FNR == 1 {
        if (file != "") finish()
        file = FILENAME; kind = file ~ /^(tests|fuzz)\// ? "tested" : "met"
        current = ""; open_comment = 0; in_define = 0; carry = ""; is_c = file ~ /\.[ch]$/; head = 1
    }
    {
        text = $0
        if (carry != "") { sub(/^[ ]*[*#]*[ ]*/, "", text); text = carry " " text; carry = "" }
        # A mark that continues on the next line.
        if (text ~ /RFC$/ || text ~ /RFC [0-9]+,?$/ || text ~ /RFC [0-9]+ [^;:)]*(,|steps?|to|and)$/) {
            if ($0 ~ /^\/\*/) open_comment = 1
            carry = text
            next
        }
        before = num
        scan(text)
    }
    !is_c { emit(file); next }
    {
        line = $0
        if (in_define) { emit(file ": " current); if (line !~ /\\$/) in_define = 0; next }
        if (open_comment || line ~ /^\/\*/) {         # a comment at the margin: it waits for what it describes
            open_comment = line !~ /\*\//
            if (!open_comment && head) { emit(file); head = FNR < 2 } # the head of the file speaks of the file
            next
        }
        if (line ~ /^[ \t}]/ || line ~ /^[ ]*$/ || line ~ /^\{/) {
            if (num > 0) emit(current == "" ? file : file ": " current)
            if (line ~ /^}/) current = ""
            next
        }
        if (line ~ /^#(include|if|ifdef|ifndef|else|endif|undef)/) next
        current = name_of(line)
        if (line ~ /^#define/ && line ~ /\\$/) in_define = 1
        emit(current == "" ? file : file ": " current)
    }
    END { finish() }
    ' | sort -u
}

# The tables. Standard input: the marks; the notes file is read first.
document() {
    awk -F'|' '
    # Sections in RFC order: numbers by value, then appendices.
    function key(s, n, parts, i, k, base, step) {
        step = 0; base = s
        if (match(s, / step /)) { step = substr(s, RSTART + 6); base = substr(s, 1, RSTART - 1) }
        n = split(base, parts, "."); k = ""
        for (i = 1; i <= 6; i++) k = k (i > n ? "00" : parts[i] ~ /^[0-9]+$/ ? sprintf("%02d", parts[i]) : "X" parts[i])
        return k "." sprintf("%02d", step)
    }
    function row(r, s, m, t, id) {
        id = r SUBSEP s
        m = (id in met) ? met[id] : ""; t = (id in tested) ? tested[id] : ""
        if (titled) {
            if (m == "") m = s in note && note[s] != "" ? "*" note[s] "*" : s in title ? "**nowhere**" : "–"
            else if (s in note && note[s] != "") m = m "<br>*" note[s] "*"
            printf "%s\t| %s | %s | %s | %s |\n", key(s), s, s in title ? title[s] : "", m, t == "" ? "–" : t
        } else printf "%s\t| %s | %s | %s |\n", key(s), s, m == "" ? "–" : m, t == "" ? "–" : t
    }
    FILENAME != "-" { titled = 1; if ($0 !~ /^#/ && NF >= 3) { title[$1] = $2; note[$1] = $3; all[want SUBSEP $1] = 1 } next }
    {
        id = $1 SUBSEP $2; all[id] = 1
        if ($3 == "met") met[id] = met[id] (met[id] == "" ? "" : "<br>") "`" $4 "`"
        else tested[id] = tested[id] (tested[id] == "" ? "" : "<br>") "`" $4 "`"
    }
    END { for (id in all) { split(id, p, SUBSEP); if (p[1] == want && (p[2] !~ /^[0-9]+$/ || !titled || p[2] in title)) row(p[1], p[2]) } }
    ' want="$1" $([ ! -e "docs/rfc$1-notes.txt" ] || echo "docs/rfc$1-notes.txt") - | sort | cut -f2-
}

generate_8613() {
    local list=$1
    cat <<'TEXT'
<!-- Made by scripts/rfc-marks.sh: do not edit. -->
# Where the RFCs are met, and where that is tested

This page is made from marks in the code (`RFC 8613 8.2 step 6`) and from a list kept by hand, `rfc8613-notes.txt`,
which says what each section asks for and, in italics here, what is deliberately not done. Appendices A and D explain,
appendix C is the test vectors, which `tests/vectors` runs.

## RFC 8613, OSCORE

| Section | About | Met in | Tested in |
|---|---|---|---|
TEXT
    document 8613 <<<"$list"
    local rfc name
    for rfc in '7252 The Constrained Application Protocol' '8974 Extended tokens' '9175 Echo, Request-Tag and token processing' '7959 Block-wise transfer' '6690 CoRE link format'; do
        name=${rfc#* }
        printf '\n## RFC %s, %s\n\n| Section | Met in | Tested in |\n|---|---|---|\n' "${rfc%% *}" "$name"
        document "${rfc%% *}" <<<"$list"
    done
}

generate_9528() {
    cat <<'TEXT'
<!-- Made by scripts/rfc-marks.sh: do not edit. -->
# Where EDHOC is met, and where that is tested

Made as `rfc8613.md` is, from marks in the code and from `rfc9528-notes.txt`. The traces of RFC 9529 are test vectors, which
`tests/vectors` runs byte by byte, with the invalid ones.

## RFC 9528, EDHOC

| Section | About | Met in | Tested in |
|---|---|---|---|
TEXT
    document 9528 <<<"$1"
}

list=$(marks)
bad=0
for rfc in 8613 9528; do
    out=docs/rfc$rfc.md
    case ${1:-} in
    '') "generate_$rfc" "$list" >"$out.new" && mv "$out.new" "$out" ;;
    check)
        fresh=$(mktemp)
        "generate_$rfc" "$list" >"$fresh"
        if ! diff -u "$out" "$fresh"; then
            echo "$out is out of date: run scripts/rfc-marks.sh" >&2
            bad=1
        fi
        if grep -F '**nowhere**' "$fresh"; then
            echo "no mark in the code and no note in docs/rfc$rfc-notes.txt for the sections above" >&2
            bad=1
        fi
        rm -f "$fresh"
        ;;
    *)
        echo "usage: scripts/rfc-marks.sh [check]" >&2
        exit 2
        ;;
    esac
done
exit "$bad"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes the plots of docs/performance.md from the results of `make bench`: BUILD_DIR/bench/{protect,lookup,served}.json
# to docs/plots/*.svg.
#
#     scripts/plots.sh [BUILD_DIR [OUT_DIR]]
#
# Needs gnuplot (Debian: gnuplot-nox) and python3; without them, or without the results, it prints that and exits 77.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
out=${2:-docs/plots}
skip() {
    echo "plots: $1" >&2
    exit 77
}
command -v gnuplot >/dev/null || skip 'needs gnuplot (Debian: gnuplot-nox)'
command -v python3 >/dev/null || skip 'needs python3'
for name in protect lookup served; do
    [ -s "$build/bench/$name.json" ] || skip "$build/bench/$name.json is not there: run 'make bench BENCH=\"protect lookup served\"'"
done
mkdir -p "$out"
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

# One file for each plot or panel: a line for each x, a column for each series; "?" where there is no measurement.
python3 - "$build/bench" "$data" <<'PYTHON'
import json, os, sys

source, target = sys.argv[1:]
results = {}
for name in ("protect", "lookup", "served"):
    with open(os.path.join(source, name + ".json")) as f:
        for r in json.load(f)["results"]:
            results[name, r["label"], r["name"]] = r


def value(program, label, case, member):
    r = results.get((program, label, case), {})
    return "%.5g" % r[member] if member in r else "?"


def write(name, rows):
    with open(os.path.join(target, name), "w") as f:
        f.writelines("\t".join(str(column) for column in row) + "\n" for row in rows)


operations = ["protect request", "unprotect request", "protect response", "unprotect response"]
for provider in ("openssl", "ipsec_mb"):
    write("payload-" + provider, [
        [n] + [value("protect", "%s, %s, %d B" % (provider, o, n), "nacre", "ratio") for o in operations]
        for n in (0, 16, 64, 256, 1024)
    ])
    write("burst-" + provider, [
        [n] + [value("protect", "%s, %s, burst of %d" % (provider, o, n), "nacre burst", "ratio") for o in operations]
        for n in (1, 2, 4, 8, 16, 32, 64)
    ])

lookups = ["one read of memory", "known kid", "known kids, 32 at once", "unknown kid", "request found and opened",
           "requests, 32 at once"]
write("lookup", [
    [n] + [value("lookup", "%d context%s" % (n, "s" if n > 1 else ""), c, "value") for c in lookups]
    for n in (1, 64, 1000, 10000, 100000, 1000000)
])


def rate(label, case):  # thousands of requests in a second
    r = results.get(("served", label, case))
    return "%.1f" % (1e6 / r["value"]) if r else "?"


one, many = "64 outstanding, 1 flow", "64 outstanding, 1000 flows"
write("served", [
    ['"%s\\n%s"' % (type, flows)] + [rate("%s, %s" % (type, label), c)
        for c in ("echo, recvfrom", "echo, recvmmsg", "nacre, plain", "nacre, protected")]
    for flows, label in (("1 flow", one), ("1000 flows", many)) for type in ("NON", "CON")
])
write("served-runs", [
    ['"%s"' % type] + [rate("%s, %s, client sends runs" % (type, one), c)
        for c in ("echo, GRO and GSO", "nacre, plain", "nacre, protected")]
    for type in ("NON", "CON")
])
PYTHON

# plot NAME WIDTH HEIGHT: the rest of a gnuplot program is read from stdin. The background is white, for dark pages.
plot() {
    {
        cat <<GNUPLOT
set terminal svg size $2,$3 dynamic font "sans-serif,13" background "#ffffff"
set output "$out/$1.svg"
set datafile separator "\t"
set datafile missing "?"
set border 3 linecolor "#444444"
set tics nomirror
set grid ytics linecolor "#dddddd" linetype 1
set linetype 1 linewidth 2 pointtype 7 linecolor "#1f77b4"
set linetype 2 linewidth 2 pointtype 5 linecolor "#d95f02"
set linetype 3 linewidth 2 pointtype 9 linecolor "#2a9d4a"
set linetype 4 linewidth 2 pointtype 13 linecolor "#7b4fa3"
set linetype 5 linewidth 2 pointtype 11 linecolor "#c02942"
set linetype 6 linewidth 2 pointtype 4 linecolor "#555555"
set pointsize 0.6
operations = "'protect request' 'unprotect request' 'protect response' 'unprotect response'"
data = "$data/"
GNUPLOT
        cat
    } | gnuplot
    sed -i "s|<title>Gnuplot</title>|<title>$1</title>|; s/ *$//" "$out/$1.svg"
}

plot ratio-by-payload 860 380 <<'GNUPLOT'
set multiplot layout 1,2
set xlabel "payload (bytes)"
set ylabel "time / time of the bare cipher"
set yrange [1:1.9]
set xtics ("0" 0, "16" 1, "64" 2, "256" 3, "1024" 4)
set xrange [-0.2:4.2]
set key top right samplen 2
set title "OpenSSL"
plot for [i=1:4] data."payload-openssl" using 0:i+1 with linespoints linetype i title word(operations, i), \
     1.25 with lines linewidth 1 linecolor "#888888" dashtype 2 title "goal at 16 bytes"
set title "IPsec-MB"
plot for [i=1:4] data."payload-ipsec_mb" using 0:i+1 with linespoints linetype i title word(operations, i), \
     1.5 with lines linewidth 1 linecolor "#888888" dashtype 2 title "goal at 16 bytes"
GNUPLOT

plot ratio-by-burst 860 380 <<'GNUPLOT'
set multiplot layout 1,2
set logscale x 2
set xlabel "messages in one burst"
set ylabel "time / time of the bare cipher's burst"
set yrange [1:2.4]
set xrange [0.9:72]
set xtics (1, 2, 4, 8, 16, 32, 64)
set key top left samplen 2
set title "OpenSSL"
plot for [i=1:4] data."burst-openssl" using 1:i+1 with linespoints linetype i title word(operations, i)
set title "IPsec-MB"
plot for [i=1:4] data."burst-ipsec_mb" using 1:i+1 with linespoints linetype i title word(operations, i), \
     1.6 with lines linewidth 1 linecolor "#888888" dashtype 2 title "goal at 32"
GNUPLOT

plot lookup 760 440 <<'GNUPLOT'
set logscale xy
set xlabel "contexts"
set ylabel "time (ns)"
set xrange [0.8:1300000]
set yrange [4:20000]
set format x "%.0f"
set xtics ("1" 1, "64" 64, "1,000" 1000, "10,000" 10000, "100,000" 100000, "1,000,000" 1000000)
set key top left samplen 2
plot data."lookup" using 1:6 with linespoints linetype 4 title "request found and opened", \
     "" using 1:7 with linespoints linetype 5 title "the same, 32 at once", \
     "" using 1:3 with linespoints linetype 1 title "known kid", \
     "" using 1:4 with linespoints linetype 2 title "known kids, 32 at once", \
     "" using 1:5 with linespoints linetype 3 title "unknown kid", \
     "" using 1:2 with linespoints linetype 6 dashtype 3 title "one read of memory at an unknown place"
GNUPLOT

plot served 860 420 <<'GNUPLOT'
set multiplot
set bmargin 4
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border linecolor "#ffffff"
set ylabel "thousand requests in a second"
set yrange [0:*]
set key top right samplen 1
set size 0.62,1
set origin 0,0
set title "64 outstanding, client sends one by one"
set key above
plot data."served" using 2:xtic(1) linetype 6 title "echo, recvfrom", \
     "" using 3 linetype 3 title "echo, recvmmsg", \
     "" using 4 linetype 1 title "nacre, plain", \
     "" using 5 linetype 2 title "nacre, protected"
set size 0.38,1
set origin 0.62,0
set title "client sends runs, 1 flow"
plot data."served-runs" using 2:xtic(1) linetype 4 title "echo, GRO/GSO", \
     "" using 3 linetype 1 title "nacre, plain", \
     "" using 4 linetype 2 title "nacre, protected"
GNUPLOT
echo "plots: $out/*.svg"

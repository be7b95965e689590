#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# The status page of nacre serve --metrics in a browser: its figures appear and change, and names of contexts are text whatever
# they are. Usage: tool_status_page_test.sh BUILD_DIR SOURCE_DIR
. "$2/tests/support/lib/tool.sh" || exit 1
for browser in chromium chromium-browser google-chrome ''; do command -v "$browser" >/dev/null && break; done
[ -n "$browser" ] || { echo "SKIPPED: needs chromium" && exit 77; }
command -v python3 >/dev/null || { echo "SKIPPED: needs python3" && exit 77; }
for i in 1 2 3 4 5; do "$nacre" keygen client$i server$i >/dev/null || fail keygen; done
python3 - >credentials.json <<'PYTHON'
import json
names = ['<script>document.title = "taken"</script>', '"><img src=x onerror=\'document.title="taken"\'>', '\u202egnp.exe',
         'x' * 65536, '</script></style></li><svg onload=document.title="taken">']
print(json.dumps({':' + name: {'oscore': {'basedir': f'server{i + 1}'}} for i, name in enumerate(names)}))
PYTHON
"$nacre" serve --bind 127.0.0.1:0 --credentials credentials.json --metrics 127.0.0.1:x 2>err
if grep -q 'not built in' err; then echo "SKIPPED: built without libmicrohttpd" && exit 77; fi
start serve server --bind 127.0.0.1:0 --credentials credentials.json --metrics 0
metrics=$(sed -n 's/^metrics //p' server.out)

# page NAME: what the page has become after three of its seconds
page() {
    HOME=$work timeout 100 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile" \
        --virtual-time-budget=3000 --dump-dom "$metrics" >"$1" 2>"$1.err" || fail "$browser: $(tail -3 "$1.err")"
    [ -s "$1" ] || fail "$browser shows nothing: $(tail -3 "$1.err")"
}
card() { # PAGE NAME
    grep -o "<dt>$2</dt><dd>[^<]*" "$1" | sed 's/.*<dd>//'
}

page first
says first '✓ healthy</li>'
says first '✓ ready</li>'
[ "$(card first Requests)" = 0 ] || fail "$(card first Requests) requests before the first"
[ "$(card first Contexts)" = 5 ] || fail "$(card first Contexts) contexts"
for _ in 1 2 3; do run 0 get "$url/hello" --context client1; done
run 1 get "$url/nothing" --context client1
page second
[ "$(card second Requests)" = 4 ] || fail "$(card second Requests) requests, not 4"
says second '<td>2.05</td><td class="number">3</td>'
says second '<td>4.04</td><td class="number">1</td>'

# names of contexts are text
for p in first second; do
    says $p '<title>nacre serve</title>'
    says $p ':&lt;script&gt;document.title = "taken"&lt;/script&gt;</bdi>'
    says $p ':"&gt;&lt;img src=x onerror'
    says $p ':???gnp.exe</bdi>'
    says $p ':&lt;/script&gt;&lt;/style&gt;&lt;/li&gt;&lt;svg onload'
    [ "$(grep -o '<script' $p | wc -l)" = 1 ] || fail "$p has another script"
    for forbidden in '<img' '<svg onload' 'title="taken"</script' "$(printf 'x%.0s' $(seq 1000))"; do lacks $p "$forbidden"; done
    [ "$(wc -c <$p)" -lt 100000 ] || fail "a long name is not cut off"
done

# a store that fails is told, with the name of its context
rm -r server2
"$nacre" get "$url/hello" --context client2 --timeout 2 >/dev/null 2>&1
page third
says third '✗ not ready: the store of 1 context fails</li>'
says third '<td>error</td><td>:"&gt;&lt;img src=x'
lacks third '<img'
finish

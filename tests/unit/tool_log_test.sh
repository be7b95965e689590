#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_log_test: what nacre serve writes to stderr. Arguments: build directory, source directory.
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
"$nacre" keygen other stranger >/dev/null || fail keygen
secret=$("$nacre" show --reveal server 2>/dev/null | grep -i 'secret' | grep -oE '[0-9a-f]{16,}' | head -1)
[ ${#secret} -ge 16 ] || fail "the secret is not found: $("$nacre" show --reveal server)"

# a_good_day_is_silent_without_a_configuration_file
start serve quiet --bind '[::1]:0' --context server
run 0 get "$url/hello" --context client
stop TERM
[ ! -s quiet.err ] || fail "it says $(cat quiet.err)"

# each_format_has_the_start_and_the_end_and_no_key
for format in plain text json journal; do
    start serve $format --bind '[::1]:0' --context server --log-level debug --log-format $format -v
    run 0 get "$url/hello" --context client
    run 0 put "$url/store" --payload "$(printf 'a\033[31mb')" --context client
    run 4 get "$url/hello" --context other --timeout 1
    run 1 get "$url/$(printf '%%1b%%5B31m%%E2%%80%%AE')x" --context client
    stop TERM
    grep -qi -e "$secret" "$format.err" && fail "a key is in the log: $(cat $format.err)"
    if LC_ALL=C tr -d '\n' <$format.err | LC_ALL=C grep -q '[[:cntrl:]]'; then fail "$format: control characters"; fi
    says $format.err 'ready; serves the demo resources'
    says $format.err 'GET /hello -> 2.05 Content'
    says $format.err 'stops: a signal'
done
says plain.err 'nacre serve: ready'
grep -qE '^[^ ]*:[0-9]+ recipient-id' plain.err || fail "-v has lost its form: $(cat plain.err)"
grep -qE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z info ready: ready' text.err || fail "text: $(cat text.err)"
grep -q '^<6>ready' journal.err || fail "journal: $(cat journal.err)"
python3 - json.err <<'PYTHON' || fail "json: $(cat json.err)"
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
assert all({"time", "level", "event", "text"} <= set(e) for e in events), events
assert [e["event"] for e in events][0:1] != [] and events[-1]["event"] == "stop", events
request = [e for e in events if e["event"] == "request"][0]
assert request["method"] == "GET" and request["path"] == "/hello" and request["response"] == "2.05 Content", request
PYTHON

# the_journal_is_recognised_by_its_stream
exec 9>journal.auto
JOURNAL_STREAM=$(stat -L -c '%d:%i' /dev/fd/9) timeout -s TERM 1 "$nacre" serve --bind '[::1]:0' --context server --log-level info >out 2>&9
exec 9>&-
grep -q '^<6>ready' journal.auto || fail "journal: $(cat journal.auto)"
JOURNAL_STREAM=1:2 timeout -s TERM 1 "$nacre" serve --bind '[::1]:0' --context server --log-level info >out 2>no_journal
grep -q '^nacre serve: ready' no_journal || fail "no journal: $(cat no_journal)"

# a_level_leaves_out_what_is_below_it
timeout -s TERM 1 "$nacre" serve --bind '[::1]:0' --context server --log-level error >out 2>err
[ ! -s err ] || fail "error: $(cat err)"
run 2 serve --bind '[::1]:0' --context server --log-level loud
says err 'error warning info debug'
run 2 serve --bind '[::1]:0' --context server --log-format xml
says err 'auto plain text json journal'

# refused_messages_are_counted_in_one_line_for_each_period
printf 'bind: "[::1]:0"\ncontexts: [server]\nlog: {period_ms: 1000}\n' >serve.conf
if "$nacre" serve --config serve.conf --check-config >/dev/null 2>&1; then
    start serve counted --config serve.conf
    for _ in 1 2 3; do
        run 0 get "$url/hello" --context client
        timeout 5 "$nacre" get "$url/hello" --context other --non --timeout 0.2 >out 2>err </dev/null
    done
    unknown() { sed -n 's/.*[^0-9]\([0-9][0-9]*\) had an unknown context.*/\1/p' counted.err | awk '{ n += $1 } END { print n + 0 }'; }
    for _ in $(seq 100); do [ "$(unknown)" = 3 ] && break || sleep 0.05; done
    [ "$(unknown)" = 3 ] || fail "counts: $(cat counted.err)"
    grep -qE 'messages in the last [0-9]+ s: ' counted.err || fail "no period: $(cat counted.err)"
    stop TERM
    [ "$(grep -c 'unknown context' counted.err)" -le 3 ] || fail "more than one line a second: $(cat counted.err)"
fi
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tests that sample what they try, or stop after a while, in their long forms, one after the other:
#
#     scripts/prove.sh BUILD_DIR [TEST...]    exits 1 if one fails; each line has the seconds it took
#
# NACRE_PROVE=1 is every system call, and more lives; the other variables say how much.
set -uo pipefail
build=$1
shift

tests() {
    cat <<'LIST'
sqlite_powercut_test NACRE_PROVE=1
sqlite_full_disk_test NACRE_PROVE=1
sqlite_kill_test NACRE_PROVE=1
million_exchanges_test NACRE_EXCHANGES=10000000
through_proxy_test NACRE_SCENARIO_RUNS=40000
amplification_at_random_test AMPLIFICATION_SEEDS=10000
silent_hosts_test NACRE_SILENT_SECONDS=70
server_load_test NACRE_LOAD_REQUESTS=10000000
LIST
}

if [ "$#" -gt 0 ]; then
    for name in "$@"; do
        tests | grep -q "^$name " || { echo "prove: $name has no long form; those are: $(tests | cut -d' ' -f1 | xargs)" >&2; exit 2; }
    done
fi
begin=$SECONDS failed=0
while read -r name setting; do
    case " $* " in *" $name "* | '  ') ;; *) continue ;; esac
    from=$SECONDS
    if output=$(env "$setting" "$build/tests/$name" 2>&1 </dev/null); then
        printf '%-30s %-32s passed, %d s\n' "$name" "$setting" $((SECONDS - from))
    else
        printf '%-30s %-32s FAILED, %d s\n%s\n' "$name" "$setting" $((SECONDS - from)) "$(tail -n 40 <<<"$output")"
        failed=1
    fi
done < <(tests)
echo "prove: $((SECONDS - begin)) s"
exit "$failed"

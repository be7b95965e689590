#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# operating_doc_test: the commands of docs/operating.md, one after the other, with what they print. Its paths are below a scratch
# directory; sudo, systemctl and the like are functions that do the same to it. Arguments: build directory, source directory.
source=$(cd "$2" && pwd)
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen probe probe-server >/dev/null || fail keygen
if "$nacre" serve --context probe-server --config /dev/null --check-config 2>&1 | grep -q 'built without libyaml'; then
    echo "SKIPPED: this nacre was built without libyaml"
    exit 77
fi
if ! "$nacre" fleet create probe.db >/dev/null 2>&1 || ! command -v sqlite3 >/dev/null; then
    echo "SKIPPED: the commands need SQLite, with its shell"
    exit 77
fi
tree=$work/tree
mkdir -p "$tree/etc" "$tree/var/lib" "$tree/usr/bin" "$tree/usr/share/doc/nacre"

# ---- the machine that the page speaks of. What is below /var/lib/nacre, or was moved from there by root, is not the reader's:
# without sudo nothing reads it
nacre() {
    local argument
    for argument; do
        [ -n "$privileged" ] || [[ $argument != "$tree/var/"* && " $of_root " != *" $argument "* ]] ||
            { echo "nacre: $argument: Permission denied"; return 126; }
    done
    "$nacre" "$@"
}
of_root=
sudo() {
    local privileged=yes as=root
    if [ "${1-}" = -u ]; then
        as=$2
        shift 2
    fi
    "$@" || return
    case $as:$1 in
    root:cp | root:mv) of_root+=" ${*: -1}" ;;
    root:chown) of_root=${of_root// "${*: -1}"/} ;;
    esac
}
privileged=
make() {
    [ "${1-}" != install ] || { cp "$nacre" "$tree/usr/bin/" && cp "$source/packaging/serve.conf" "$tree/usr/share/doc/nacre/"; }
}
systemd-sysusers() { :; }
systemd-tmpfiles() { mkdir -p -m 700 "$tree/etc/nacre" "$tree/var/lib/nacre" "$tree/var/lib/nacre/contexts" "$tree/var/lib/nacre/files"; }
journalctl() { cat service.err; }
begin() {
    # the port is any that is free, and the paths are those of this tree
    sed -i -e 's/^bind:.*/bind: "[::1]:0"/' -e "s# /var/lib# $tree/var/lib#" "$tree/etc/nacre/serve.conf"
    start serve service --config "$tree/etc/nacre/serve.conf"
}
systemctl() {
    local before
    case $1 in
    enable | start) begin ;;
    stop) stop TERM ;;
    restart) stop TERM && begin ;;
    reload)
        sed -i "s# /var/lib# $tree/var/lib#" "$tree/etc/nacre/serve.conf"
        before=$(grep -c 'serve.conf again' service.err)
        kill -HUP "$pid"
        for _ in $(seq 200); do
            [ "$(grep -c 'serve.conf again' service.err)" -gt "$before" ] && return
            sleep 0.05
        done
        return 1
        ;;
    is-active) kill -0 "$pid" && echo active ;;
    *) return 1 ;;
    esac
}

# ---- the page: commands after "$ ", and below each the lines that it prints, which may be left out
commands=0
run_command() { # COMMAND, with what it prints in the file wanted
    local line=$1
    commands=$((commands + 1))
    [[ $line == *check-config* && -e $tree/etc/nacre/serve.conf ]] &&
        sed -i -e 's/^bind:.*/bind: "[::1]:0"/' -e "s# /var/lib# $tree/var/lib#" "$tree/etc/nacre/serve.conf"
    line=${line//\/etc\/nacre/$tree/etc/nacre}
    line=${line//\/var\/lib\/nacre/$tree/var/lib/nacre}
    line=${line//\/usr\/share/$tree/usr/share}
    line=${line//coap:\/\/\[::1\]/${url-}}
    eval "$line" >printed 2>printed.err </dev/null || fail "$line: $(cat printed printed.err)"
    ! grep -q 'Permission denied' printed || fail "$line: $(cat printed)" # also of commands that are to fail
    sed "s#$tree##g" printed >printed.short
    [ ! -s wanted ] || [ "$(cat wanted)" = "$(cat printed.short)" ] || fail "$line prints '$(cat printed.short)', not '$(cat wanted)'"
}
command=
: >wanted
while IFS= read -r line; do
    case $line in
    '    $ '*)
        [ -z "$command" ] || run_command "$command"
        command=${line#????\$ }
        : >wanted
        ;;
    '    '*) [ -z "$command" ] || printf '%s\n' "${line#????}" >>wanted ;;
    *)
        [ -z "$command" ] || run_command "$command"
        command=
        : >wanted
        ;;
    esac
done <"$source/docs/operating.md"
[ -z "$command" ] || run_command "$command"
[ $commands -gt 40 ] || fail "only $commands commands were found"
finish

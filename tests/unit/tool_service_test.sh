#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Labels: slow
# tool_service_test: nacre serve as a service: what it tells a service manager, sockets that it is given, and the installed unit files.
# NACRE_REQUIRE_SYSTEMD=1: systemd-analyze has to be there. Arguments: build directory, source directory.
build=$(cd "$1" && pwd)
source=$(cd "$2" && pwd)
. "$2/tests/support/lib/tool.sh" || exit 1

"$nacre" keygen client server >/dev/null || fail keygen
mkdir -p root
echo text >root/file
printf 'bind: "[::1]:0"\ncontexts: [server]\nroot: root\n' >serve.conf
if "$nacre" serve --config serve.conf --check-config 2>&1 | grep -q 'built without libyaml'; then
    echo "SKIPPED: this nacre was built without libyaml"
    exit 77
fi

# A service manager: passes sockets and a notification socket, and writes each notification as a line to told.
cat >manager.py <<'PYTHON'
import os, signal, socket, sys, threading
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
notify.bind("\0" + name[1:] if name[0] == "@" else name)
passed = []
for kind in sys.argv[2].split(",") if sys.argv[2] else []:
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    if kind != "unbound": s.bind(("::1", 0))
    if kind == "connected": s.connect(("::1", 9))
    if kind == "tcp": s.listen(5)
    passed.append(s)
    print(kind, s.getsockname()[1], file=open("ports", "a"))
child = os.fork()
if child == 0:
    os.environ["NOTIFY_SOCKET"] = name
    os.environ["WATCHDOG_USEC"] = "300000"
    if passed:
        os.environ["LISTEN_FDS"] = str(len(passed))
        os.environ["LISTEN_PID"] = str(os.getpid())
        kept = [os.dup(s.fileno()) for s in passed]
        kept = [os.dup2(fd, 100 + i) for i, fd in enumerate(kept)]
        for i, fd in enumerate(kept): os.dup2(fd, 3 + i)
    if sys.argv[2] in ("unbound", "connected"): signal.alarm(2)
    os.execv(sys.argv[3], sys.argv[3:])
print(child, file=open("child", "w"), flush=True)
def listen():
    while True:
        for line in notify.recv(4096).decode().splitlines(): print(line.split("=")[0], file=open("told", "a"), flush=True)
threading.Thread(target=listen, daemon=True).start()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
PYTHON
# manage NOTIFY_SOCKET SOCKETS ARGUMENT...: starts a server below it, and sets pid and url
manage() {
    rm -f child told ports
    : >served.out
    python3 manager.py "$1" "$2" "$nacre" serve "${@:3}" >served.out 2>served.err </dev/null &
    manager=$!
    for _ in $(seq 200); do [ -s served.out ] && [ -s child ] && break || sleep 0.05; done
    pid=$(cat child)
    servers+=("$pid")
    url=$(sed -n 's/^listening \(coap:\)/\1/p' served.out)
    [ -n "$url" ] || fail "it does not listen: $(cat served.err)"
}
manager_ends() {
    kill -TERM "$pid"
    wait $manager || fail "the server ended with $?: $(cat served.err)"
    unset 'servers[-1]'
}
told() { # NUMBER NAME
    for _ in $(seq 100); do
        [ "$(grep -c "^$2\$" told 2>/dev/null)" -ge "$1" ] && return
        sleep 0.05
    done
    fail "$2 was not told $1 times: $(cat told)"
}

# the_service_manager_is_told_when_the_server_is_ready_alive_reloading_and_ending
for name in "$work/notify" "@nacre-test-$$"; do
    manage "$name" '' --config serve.conf
    told 1 READY
    told 3 WATCHDOG
    kill -HUP "$pid"
    told 1 RELOADING
    told 2 READY
    manager_ends
    told 1 STOPPING
done

# a_server_that_hangs_gives_no_sign_of_life
manage "$work/notify2" '' --config serve.conf
told 1 WATCHDOG
kill -STOP "$pid"
before=$(grep -c WATCHDOG told)
sleep 0.5
[ "$(grep -c WATCHDOG told)" -le $((before + 1)) ] || fail 'a stopped server is alive'
kill -CONT "$pid"
manager_ends

# sockets_that_are_given_are_used_whatever_the_address_in_the_configuration_is
printf 'bind: "127.0.0.1:1"\ncontexts: [server]\nroot: root\n' >given.conf
manage "$work/notify3" tcp,udp --config given.conf --workers 2
[ "${url##*:}" = "$(sed -n 's/^udp //p' ports)" ] || fail "it listens at $url, not at $(cat ports)"
says served.out "listening coap+tcp://[::1]:$(sed -n 's/^tcp //p' ports)"
for scheme in "$url" "$(sed -n 's/^listening \(coap+tcp:\)/\1/p' served.out)"; do
    run 0 get "$scheme/file" --context client
    answers 'text
'
done
manager_ends
python3 manager.py "$work/notify4" tcp "$nacre" serve --config given.conf >out 2>err </dev/null && fail 'it serves without UDP'
says err 'LISTEN_FDS has no UDP socket'
python3 manager.py "$work/notify5" udp,udp "$nacre" serve --config given.conf >out 2>err </dev/null && fail 'it serves with two'
says err 'both for UDP'
for kind in unbound connected; do # no client would reach it
    python3 manager.py "$work/notify-$kind" $kind "$nacre" serve --config given.conf >out 2>err </dev/null && fail "it serves $kind"
    says err 'descriptor 3 cannot be used as a UDP socket'
done
# variables of another process are not for it
LISTEN_FDS=1 LISTEN_PID=1 timeout -s TERM 1 "$nacre" serve --config serve.conf >out 2>err
says out 'listening coap://[::1]:'

# the_installed_unit_starts_what_is_installed
if ! command -v systemd-analyze >/dev/null; then
    [ "${NACRE_REQUIRE_SYSTEMD:-0}" = 0 ] || fail 'systemd-analyze is not there'
    echo "SKIPPED: the unit files: systemd-analyze is not there"
    finish
fi
mkdir -p usr/bin usr/lib/systemd/system
cp "$nacre" usr/bin/nacre
sed "s#@NACRE_PROGRAM@#$work/usr/bin/nacre#" "$source/packaging/systemd/nacre.service.in" >usr/lib/systemd/system/nacre.service
cp "$source/packaging/systemd/nacre.socket" usr/lib/systemd/system/
systemd-analyze verify --man=no usr/lib/systemd/system/nacre.service usr/lib/systemd/system/nacre.socket >out 2>&1 ||
    fail "the unit: $(cat out)"
grep -v '^SKIP' out | grep -q . && fail "the unit: $(cat out)"
systemd-analyze security --offline=yes --threshold=15 --no-pager usr/lib/systemd/system/nacre.service >out 2>&1 ||
    fail "it is exposed: $(grep Overall out)"
sed '/^ProtectSystem/d; /^CapabilityBoundingSet/d; /^SystemCallFilter/d' usr/lib/systemd/system/nacre.service >open.service
systemd-analyze security --offline=yes --threshold=15 --no-pager "$PWD/open.service" >out 2>&1 && fail 'the threshold finds nothing'
if [ "$(id -u)" = 0 ] && command -v systemd-sysusers >/dev/null; then
    mkdir -p tree/etc tree/var/lib
    cp "$source"/packaging/systemd/nacre.sysusers.conf "$source"/packaging/systemd/nacre.tmpfiles.conf .
    systemd-sysusers --root="$work/tree" "$work/nacre.sysusers.conf" >out 2>&1 || fail "sysusers: $(cat out)"
    says tree/etc/passwd 'nacre:x:'
    systemd-tmpfiles --root="$work/tree" --create "$work/nacre.tmpfiles.conf" >out 2>&1 || fail "tmpfiles: $(cat out)"
    [ "$(stat -c %a tree/var/lib/nacre)" = 700 ] || fail "tmpfiles: $(ls -l tree/var/lib)"
else
    echo "SKIPPED: sysusers and tmpfiles: not root, or no systemd-sysusers"
fi
grep -q 'CMAKE_INSTALL_PREFIX:PATH=' "$build/CMakeCache.txt" || fail 'no installation'
if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; then
    systemd-run --wait --collect --quiet -p Type=notify -p RuntimeMaxSec=2 -p WorkingDirectory="$work" "$nacre" serve --config "$work/serve.conf" >out 2>&1
    grep -q 'Failed' out && fail "systemd: $(cat out)"
else
    echo "SKIPPED: a start by systemd: it does not run here, or not as root"
fi
finish

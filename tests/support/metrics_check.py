#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at what `nacre serve --metrics` serves. URL is what it prints ("metrics URL").

    metrics_check.py figures URL          parses /metrics strictly, and prints it as lines NAME{LABELS} VALUE
    metrics_check.py documented URL FILE  each metric has a row in FILE, and each row a metric
    metrics_check.py requests URL         hosts, methods, paths and headers that are refused, and those that are not
    metrics_check.py crowd URL            connections that send nothing: most are closed, and the server goes on
    metrics_check.py flood URL PID SECONDS   the processor time of the process under requests without a pause
    metrics_check.py get URL PATH         the status on the first line, then the body
"""
import http.client
import multiprocessing
import os
import re
import socket
import sys
import time
import urllib.parse

failures = []


def fail(text):
    failures.append(text)
    print('FAILED:', text, file=sys.stderr)


def host_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def get(url, path, method='GET', headers=None, body=None):
    connection = http.client.HTTPConnection(*host_of(url), timeout=20)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), text


NAME = r'[a-z][a-z0-9_]*'
LINE = re.compile(rf'({NAME})(?:\{{((?:{NAME}="[^"\\\n]*")(?:,{NAME}="[^"\\\n]*")*)\}})? (\d+(?:\.\d+)?)')


def parse(text):
    """Text format 0.0.4: {family: (type, help)}, {(name, labels): value}. A family is one block: HELP, TYPE, samples."""
    families, samples, current = {}, {}, None
    assert text.endswith('\n') and '\n\n' not in text, 'empty lines, or no newline at the end'
    for line in text[:-1].split('\n'):
        if line.startswith('# HELP '):
            name, help_text = line[7:].split(' ', 1)
            assert re.fullmatch('nacre_' + NAME, name) and name not in families and help_text.endswith('.'), line
            families[name], current = [None, help_text], name
        elif line.startswith('# TYPE '):
            name, kind = line[7:].split(' ')
            assert name == current and families[name][0] is None and kind in ('counter', 'gauge', 'histogram'), line
            assert (kind == 'counter') == name.endswith('_total'), f'{name} is a {kind}'
            families[name][0] = kind
        else:
            match = LINE.fullmatch(line)
            assert match and families[current][0], line
            name, labels, value = match.groups()
            suffixes = ('_bucket', '_sum', '_count') if families[current][0] == 'histogram' else ('',)
            assert name in [current + suffix for suffix in suffixes] and (name, labels) not in samples, line
            samples[name, labels] = float(value)
    for family, (kind, _) in families.items():
        assert any(name.startswith(family) for name, _ in samples), f'{family} has no value'
        if kind != 'histogram':
            continue
        for (name, labels), count in samples.items():
            if name != family + '_count':
                continue
            buckets = [(l, v) for (n, l), v in samples.items() if n == family + '_bucket' and l.startswith(labels + ',')]
            limits = [float(l.rsplit('le="', 1)[1][:-1].replace('+Inf', 'inf')) for l, _ in buckets]
            values = [v for _, v in buckets]
            assert limits == sorted(limits) and limits[-1] == float('inf'), f'{family} {labels}: limits'
            assert values == sorted(values) and values[-1] == count, f'{family} {labels}: counts'
    return families, samples


def figures(url):
    status, headers, text = get(url, '/metrics')
    assert status == 200 and headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8', (status, headers)
    return parse(text.decode('ascii'))


def print_figures(url):
    for (name, labels), value in figures(url)[1].items():
        print(name + ('{' + labels + '}' if labels else ''), f'{value:g}')


def documented(url, path):
    with open(path, encoding='utf-8') as file:
        rows = dict(re.findall(r'^\| `(nacre_[a-z0-9_]+)`[^|]*\| (\w+) ', file.read(), re.M))
    families = {name: kind for name, (kind, _) in figures(url)[0].items()}
    for name in sorted(families.keys() - rows.keys()):
        fail(f'{path} has no row for {name}')
    for name in sorted(rows.keys() - families.keys()):
        fail(f'{path} has a row for {name}, which is not served')
    for name in sorted(rows.keys() & families.keys()):
        if rows[name] != families[name]:
            fail(f'{path} says that {name} is a {rows[name]}; it is a {families[name]}')


def raw(url, request):
    with socket.create_connection(host_of(url), timeout=20) as s:
        s.sendall(request)
        got = b''
        try:
            while part := s.recv(65536):
                got += part
        except ConnectionResetError:
            pass
    return got.split(b'\r\n', 1)[0].decode()


def requests(url):
    host, port = host_of(url)
    for headers, wanted in [({}, 200), ({'Host': 'localhost'}, 200), ({'Host': f'LOCALHOST:{port}'}, 200), ({'Host': '192.0.2.7:80'}, 200),
                            ({'Host': '[2001:db8::7]'}, 200), ({'Host': 'evil.example'}, 421), ({'Host': f'evil.example:{port}'}, 421),
                            ({'Host': '127.0.0.1.evil.example'}, 421), ({'Host': 'localhost.evil.example'}, 421), ({'Host': ''}, 421),
                            ({'Host': '[evil.example]'}, 421), ({'Host': '127.0.0.1:80:80'}, 421)]:
        for path in '/', '/metrics', '/status.json':
            status = get(url, path, headers=headers)[0]
            if status != wanted:
                fail(f'GET {path} with {headers} is {status}, not {wanted}')
    for method, wanted in [('HEAD', 200), ('POST', 405), ('PUT', 405), ('DELETE', 405), ('OPTIONS', 405), ('BREW', 405)]:
        status, headers, body = get(url, '/', method=method, body=b'x' if method == 'POST' else None)
        if status != wanted or (method == 'HEAD' and body):
            fail(f'{method} is {status}, not {wanted}')
    for path, wanted in [('/metrics?x=1', 200), ('/metrics/', 404), ('/../etc/passwd', 404), ('/%2e%2e/x', 404), ('/<script>', 404)]:
        status, headers, body = get(url, path)
        if status != wanted or b'script' in body or headers['X-Content-Type-Options'] != 'nosniff':
            fail(f'GET {path} is {status}, not {wanted}')
    _, headers, _ = get(url, '/')
    policy = headers['Content-Security-Policy']
    if not policy.startswith("default-src 'none'; frame-ancestors 'none';") or 'unsafe' in policy or headers['Cache-Control'] != 'no-store':
        fail(f'the headers of / are {headers}')
    if get(url, '/')[1]['Content-Security-Policy'] == policy:
        fail('two pages have one nonce')
    line = f'GET / HTTP/1.1\r\nHost: {host}\r\n'.encode()
    for name, request in [('a long header', line + b'X: ' + b'x' * 100000 + b'\r\n\r\n'),
                          ('many headers', line + b''.join(b'X%d: y\r\n' % i for i in range(5000)) + b'\r\n'),
                          ('a long path', b'GET /' + b'x' * 100000 + b' HTTP/1.1\r\nHost: a\r\n\r\n'), ('no HTTP', b'\x16\x03\x01' * 400 + b'\r\n\r\n')]:
        status = raw(url, request)
        if status and not re.match(r'HTTP/1\.1 4', status):
            fail(f'{name} gets {status}')


def crowd(url):
    silent = [socket.create_connection(host_of(url), timeout=10) for _ in range(40)]
    for s in silent:
        s.sendall(b'GET / HTTP/1.1\r\n')
    time.sleep(1)
    open_ones = 0
    for s in silent:
        s.setblocking(False)
        try:
            open_ones += s.recv(1) != b''
        except BlockingIOError:
            open_ones += 1
        except ConnectionResetError:
            pass
    if not 1 <= open_ones <= 8:
        fail(f'{open_ones} of {len(silent)} silent connections are open, not 8 at most')
    for s in silent:
        s.close()
    for _ in range(100):
        try:
            status = get(url, '/healthz')[0]
            break
        except OSError:
            time.sleep(0.1)
    if status != 200:
        fail(f'after the crowd /healthz is {status}')


def cpu_of(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(') ', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def ask_until(url, end, done):
    """As many requests as this process can make; each is a connection."""
    request, num = f'GET /metrics HTTP/1.1\r\nHost: {host_of(url)[0]}\r\n\r\n'.encode(), 0
    while time.monotonic() < end:
        try:
            with socket.create_connection(host_of(url), timeout=5) as s:
                s.sendall(request)
                while s.recv(65536):
                    pass
                num += 1
        except OSError:
            pass
    done.put(num)


def flood(url, pid, seconds):
    before, began, done = cpu_of(pid), time.monotonic(), multiprocessing.Queue()
    askers = [multiprocessing.Process(target=ask_until, args=(url, began + float(seconds), done)) for _ in range(6)]
    for asker in askers:
        asker.start()
    num = sum(done.get() for _ in askers)
    for asker in askers:
        asker.join()
    share = (cpu_of(pid) - before) / (time.monotonic() - began)
    print(f'{num} requests, {share:.3f} of a core')
    if num == 0 or share > 0.16:  # an eighth, and the clock's ticks
        fail(f'{num} requests took {share:.3f} of a core')


def print_get(url, path):
    status, _, body = get(url, path)
    print(status)
    sys.stdout.write(body.decode())


{'figures': print_figures, 'documented': documented, 'requests': requests, 'crowd': crowd, 'flood': flood, 'get': print_get}[sys.argv[1]](*sys.argv[2:])
sys.exit(1 if failures else 0)

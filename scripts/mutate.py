#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutations of the sources that the tests should kill.

    scripts/mutate.py [--seed N] [--num N | --all] [--seconds N] [--enough N] [--again] [--build DIR] [--result FILE] [PATH...]

Picks mutations of the C files under PATH at random (--seed, 1), builds each in a copy of the tree in DIR (build-mutate) and runs
the fast unit tests on it until one fails: first those that killed others of its folder, then those whose names have words of
the file's path, then the rest, the quickest first, for --enough seconds (60) in all. The default is 100 mutations of
src/context, oscore, endpoint, transfer and store; --all tries each; --seconds ends the run after so long.

Each line of FILE (DIR/mutations.txt) is one result: "killed", "survived" or "unbuildable", the place, what was done, the
test that failed, and, for what survived, the change. A later run goes on where this one ended: what stands in FILE is not tried
again while its line of code is the same; what survived is, with --again. Needs git, cmake, ninja and cmocka.
"""
import argparse
import filecmp
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
DEFAULT = ['src/context', 'src/oscore', 'src/endpoint', 'src/transfer', 'src/store']
SLOW = 10.0  # seconds: a test that takes longer on the unchanged tree is left out
LIMIT = 10  # seconds for one test on a mutation, at least; a test that hangs kills it

SWAPS = [(r' < ', ' <= '), (r' <= ', ' < '), (r' > ', ' >= '), (r' >= ', ' > '), (r' == ', ' != '), (r' != ', ' == '),
         (r' && ', ' || '), (r' \|\| ', ' && '), (r' \+ 1\b', ''), (r' - 1\b', ''), (r' \+ ', ' - '), (r' - ', ' + '),
         (r'\breturn true;', 'return false;'), (r'\breturn false;', 'return true;'),
         (r'\breturn NACRE_ERR_\w+;', 'return NACRE_OK;'), (r'\bif \(!', 'if (')]
STATEMENT = re.compile(r'^(\s+)(?!return\b|const\b|static\b|case\b|default\b|break\b|continue\b|goto\b|else\b)'
                       r'((?:if \(.*\) )?)(\*?[a-z]\w*(?:(?:->|\.|\[)[^;=]*?)?(?: [-+|&]?= .*|\(.*\)|\+\+|--);)(\s*(?:/\*.*)?)$')
NUMBER = re.compile(r'(?<![\w.\[])([0-9]+)(?=[u,; )]|$)')


def mutations_of(path):
    """(path, line number, what, line, changed line) of each."""
    in_comment = False
    with open(os.path.join(SOURCE, path), encoding='utf-8') as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        if in_comment or line.lstrip().startswith(('/*', '*', '#', '//')):
            in_comment = '*/' not in line if not in_comment and line.lstrip().startswith('/*') else \
                in_comment and '*/' not in line
            continue
        end = line.find('/*')
        code, rest = (line, '') if end < 0 else (line[:end], line[end:])
        for pattern, new in SWAPS:
            for m in re.finditer(pattern, code):
                yield path, number, m.group(0).strip() + ' -> ' + (new.strip() or 'nothing'), line, \
                    code[:m.start()] + new + code[m.end():] + rest
        for m in NUMBER.finditer(code):
            if not re.match(r'\s+(static |#)', code) and '"' not in code:
                yield path, number, 'one more than ' + m.group(1), line, \
                    code[:m.start()] + str(int(m.group(1)) + 1) + code[m.end():] + rest
        m = STATEMENT.match(line)
        if m and not re.match(r'\s+\w+ \*?\w+ = ', line):
            yield path, number, 'statement removed', line, m.group(1) + m.group(2) + '(void)0;' + m.group(4)
        m = re.match(r'^(\s+(?:\} else |else )?if \()(.+)(\) (?:return\b.*;|[^()]*;|\{))$', code.rstrip())
        if m and balanced(m.group(2)):
            for value in 'false', 'true':
                yield path, number, 'condition ' + value, line, \
                    m.group(1) + value + (' && ' if value == 'false' else ' || ') + '(' + m.group(2) + ')' + m.group(3) + rest


def balanced(text):
    depth = 0
    for c in text:
        depth += (c == '(') - (c == ')')
        if depth < 0:
            return False
    return depth == 0


def run(args, limit=None, **more):
    try:
        return subprocess.run(args, timeout=limit, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, **more)
    except subprocess.TimeoutExpired:
        return None


class Tree:
    """The copy: its library is shared, so that a mutation costs one file and one link."""

    def __init__(self, folder):
        self.source, self.build = os.path.join(folder, 'tree'), os.path.join(folder, 'build')
        os.makedirs(self.source, exist_ok=True)
        for name in need(['git', '-C', SOURCE, 'ls-files', '-z', '-c', '-o', '--exclude-standard']).stdout.decode().split('\0'):
            self.copy(name)
        lists = os.path.join(self.source, 'CMakeLists.txt')
        with open(lists, encoding='utf-8') as file:
            text = file.read().replace('add_library(nacre-static STATIC', 'add_library(nacre-static SHARED')
        with open(lists, 'w', encoding='utf-8') as file:
            file.write(text)
        need(['cmake', '-S', self.source, '-B', self.build, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_C_FLAGS=-O1',
              '-DNACRE_SHARED=OFF', '-DNACRE_BENCH=OFF', '-DNACRE_TESTS=ON', '-DCMAKE_POSITION_INDEPENDENT_CODE=ON',
              '-DCMAKE_LINK_DEPENDS_NO_SHARED=ON'])
        need(['cmake', '--build', self.build, '-j1'])
        self.tests = self.time_tests()

    def copy(self, name):
        """Files that are the same keep their time, so that they are not built again."""
        old, new = os.path.join(SOURCE, name), os.path.join(self.source, name)
        if not os.path.isfile(old) or (os.path.exists(new) and filecmp.cmp(old, new, shallow=False)):
            return
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.copy(old, new)

    def time_tests(self):
        """{name: seconds} of the tests to run."""
        listed = json.loads(need(['ctest', '--test-dir', self.build, '-L', '^fast$', '--show-only=json-v1']).stdout)
        tests = {}
        for test in listed['tests']:
            command = test.get('command', [''])
            if not os.path.basename(command[0]).endswith('_test'):
                continue # scripts
            start = time.monotonic()
            done = run(command, SLOW, cwd=self.build)
            if done is not None and done.returncode == 0:
                tests[test['name']] = time.monotonic() - start
        return tests

    def put(self, path, number, line):
        """Replaces a line; None: puts the file back."""
        with open(os.path.join(SOURCE, path), encoding='utf-8') as file:
            lines = file.read().splitlines()
        if line is not None:
            lines[number - 1] = line
        with open(os.path.join(self.source, path), 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')

    def builds(self):
        return run(['cmake', '--build', self.build, '-j1', '--target', 'nacre-static']).returncode == 0

    def killer(self, names, enough):
        start = time.monotonic()
        for name in names:
            if time.monotonic() - start > enough:
                break
            done = run([os.path.join(self.build, 'tests', name)], LIMIT + 5 * self.tests[name], cwd=self.build)
            if done is None or done.returncode not in (0, 77):
                return name
        return None


def need(args):
    done = run(args)
    if done.returncode != 0:
        sys.exit('mutate: %s\n%s' % (' '.join(args), done.stdout.decode()[-3000:]))
    return done


def order(tests, path, killers):
    """Tests that most likely notice come first."""
    words = set(re.findall(r'[a-z0-9]+', path)) - {'src', 'c', 'core', 'server', 'client'}
    folder = os.path.dirname(path)

    def rank(name):
        return (-killers.get((folder, name), 0), -len(words & set(name.split('_'))), tests[name])
    return sorted(tests, key=rank)


def key(mutation):
    path, number, what, line, changed = mutation
    del number # other lines may come before it
    return '\t'.join((path, what, line.strip(), changed.strip()))


def read_results(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding='utf-8') as file:
        rows = [line.rstrip('\n').split('\t') for line in file if '\t' in line]
    return {'\t'.join((row[1].split(':')[0], row[2], row[4], row[5])): row for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--num', type=int, default=100)
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--seconds', type=float, default=float('inf'))
    parser.add_argument('--enough', type=float, default=60)
    parser.add_argument('--again', action='store_true')
    parser.add_argument('--build', default=os.path.join(SOURCE, 'build-mutate'))
    parser.add_argument('--result')
    parser.add_argument('paths', nargs='*', default=DEFAULT)
    args = parser.parse_args()
    folder = os.path.abspath(args.build)
    result = os.path.abspath(args.result or os.path.join(folder, 'mutations.txt'))
    files = sorted({os.path.relpath(f, SOURCE) for p in args.paths for f in
                    ([os.path.abspath(p)] if p.endswith('.c') else glob.glob(os.path.join(SOURCE, p, '**', '*.c'), recursive=True))})
    every = [m for f in files for m in mutations_of(f)]
    random.Random(args.seed).shuffle(every)
    chosen = every if args.all else every[:args.num]
    tree = Tree(folder)
    known, killers, counts = read_results(result), {}, {}
    start = time.monotonic()
    print('%d mutations of %d, %d tests' % (len(chosen), len(every), len(tree.tests)), flush=True)
    for mutation in chosen:
        path, number, what, line, changed = mutation
        if key(mutation) in known and not (args.again and known[key(mutation)][0] == 'survived'):
            verdict = known[key(mutation)][0]
        elif time.monotonic() - start > args.seconds:
            break
        else:
            tree.put(path, number, changed)
            name = None
            verdict = 'unbuildable'
            if tree.builds():
                name = tree.killer(order(tree.tests, path, killers), args.enough)
                verdict = 'killed' if name else 'survived'
            tree.put(path, number, None)
            if name:
                killers[os.path.dirname(path), name] = killers.get((os.path.dirname(path), name), 0) + 1
            row = '\t'.join((verdict, '%s:%d' % (path, number), what, name or '-', line.strip(), changed.strip()))
            print('%s %s:%d %s %s' % (verdict, path, number, what, name or ''), flush=True)
            if verdict == 'survived':
                print('  - %s\n  + %s' % (line.strip(), changed.strip()), flush=True)
            with open(result, 'a', encoding='utf-8') as out:
                out.write(row + '\n')
        counts[verdict] = counts.get(verdict, 0) + 1
    tree.builds()
    print(', '.join('%d %s' % (n, v) for v, n in sorted(counts.items())))


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the includes of src/, include/ and tools/ against the table in docs/architecture.md.

    scripts/layers.py            exit 1 with a line for each include that runs up, and for each circle of more than two files

The table has a row per folder: the folder, its public headers, and the folders that it may include. A file belongs to the
deepest folder that has a row. A circle is a set of files that include or call each other, directly or not; a .c and a .h of
one name count as one file. A circle of two files is accepted: they are one idea in two parts.
"""
import os
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.M)
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
DEFINITION = re.compile(r'^(?!static\b)[A-Za-z_][\w *]*?\b(\w+)\([^;{}]*\)\n\{', re.M)


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def read_table():
    """{folder: folders that it may include}, {public header: folder}"""
    allowed, headers = {}, {}
    rows = re.search(r'^\| folder \| public headers \| may include .*\n\|[-|]+\n((?:\|.*\n)+)', read('docs/architecture.md'), re.M)
    for row in rows.group(1).splitlines():
        cells = [re.findall(r'`([^`]+)`', cell) for cell in row.split('|')[1:4]]
        (folder,) = cells[0]
        allowed[folder] = set(cells[2])
        headers.update({'include/nacre/' + name: folder for name in cells[1]})
    for folder, below in allowed.items():
        unknown = below - allowed.keys()
        if unknown:
            sys.exit(f'layers: {folder} may include {", ".join(sorted(unknown))}, which has no row in docs/architecture.md')
    return allowed, headers


def sources():
    for top in ('include', 'src', 'tools'):
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names if name.endswith(('.c', '.h')))


def resolve(path, name, files):
    for candidate in (os.path.join(os.path.dirname(path), name), os.path.join('src', name), os.path.join('include', name)):
        candidate = os.path.normpath(candidate)
        if candidate in files:
            return candidate
    return None


def circles(graph):
    """The strongly connected components with more than one member: what each file reaches, and what reaches it."""
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for after in graph[todo.pop()] - seen:
                seen.add(after)
                todo.append(after)
        return seen
    reached = {node: reach(node) for node in graph}
    return {frozenset([node] + [other for other in reached[node] if node in reached[other]]) for node in graph if node in reached[node]}


def violations():
    allowed, headers = read_table()
    files = set(sources())

    def folder_of(path):
        if path.startswith('include/'):
            return headers.get(path)
        while path and path not in allowed:
            path = os.path.dirname(path)
        return path or None

    homeless = sorted(path for path in files if folder_of(path) is None)
    if homeless:
        sys.exit(f'layers: no row of the table in docs/architecture.md has {", ".join(homeless)}')
    graph = {os.path.splitext(path)[0]: set() for path in files}
    text = {path: read(path) for path in files}
    code = {path: NOT_CODE.sub(' ', text[path]) for path in files}
    defined_in = {name: path for path in files if path.startswith('src/') for name in DEFINITION.findall(code[path])}
    ups = []
    for path in sorted(files):
        included = [resolve(path, name, files) for name in INCLUDE.findall(text[path])]
        called = {defined_in.get(name) for name in re.findall(r'\w+', code[path])} if path.endswith('.c') else set()
        for target in [*included, *called]:
            if target is not None and os.path.splitext(target)[0] != os.path.splitext(path)[0]:
                graph[os.path.splitext(path)[0]].add(os.path.splitext(target)[0])
        ups += [f'{path} includes {target}' for target in included if target is not None
                and folder_of(target) != folder_of(path) and folder_of(target) not in allowed[folder_of(path)]]
    return ups, circles(graph)


def main():
    ups, rounds = violations()
    larger = [' '.join(sorted(circle)) for circle in rounds if len(circle) > 2]
    new = ups + [f'a circle of files: {circle}' for circle in sorted(larger)]
    print(''.join(f'layers: {line}\n' for line in new), end='')
    print(f'layers: {len(ups)} includes that run up, {len(larger)} circles of more than two files')
    return 1 if new else 0


sys.exit(main())

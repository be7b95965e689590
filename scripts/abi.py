#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares two files of abidw: abi.py BASELINE NEW CHANGELOG.

Prints each removed or changed public function, type and constant, and fails if the newest section of the changelog does not
name it. abidiff 2.2 misses changes of structs that are reached through pointers only."""
import re
import sys
import xml.etree.ElementTree as tree


def is_public(name):
    return name is not None and name.lower().startswith("nacre_") and not name.startswith("nacre__")


class Abi:
    def __init__(self, path):
        self.by_id, self.names = {}, {}
        root = tree.parse(path).getroot()
        for node in root.iter():
            if "id" in node.attrib and node.tag != "elf-symbol":
                self.by_id[node.attrib["id"]] = node
        for node in root.iter():
            name = node.get("name")
            if node.get("is-declaration-only") == "yes" or not is_public(name):
                continue
            if node.tag in ("class-decl", "union-decl"):
                self.names[name] = [node.get("size-in-bits")] + self.members(node)
            elif node.tag == "enum-decl":
                self.enumerators(node)
            elif node.tag == "function-decl" and node.get("elf-symbol-id"):
                self.names[name] = self.signature(node)
        for node in root.iter("enum-decl"):
            self.enumerators(node)

    def enumerators(self, node):
        for e in node.iter("enumerator"):
            if is_public(e.get("name")):
                self.names[e.get("name")] = e.get("value")

    def type(self, type_id):
        node = self.by_id.get(type_id)
        if node is None or node.get("name"):
            return node.get("name") if node is not None else "?"
        inner = self.type(node.get("type-id")) if node.get("type-id") else ""
        if node.tag == "function-type":
            inner = self.signature(node)
        if node.tag == "array-type-def":
            inner = f"{inner}[{node.get('size-in-bits')}]"
        return f"{node.tag}({node.get('const', '')}{inner})"

    def signature(self, node):
        return [self.type(part.get("type-id")) for part in node if part.tag in ("parameter", "return")] + [
            part.get("is-variadic", "") for part in node.iter("parameter")]

    def members(self, node):
        return [(m.get("layout-offset-in-bits"), v.get("name"), self.type(v.get("type-id")))
                for m in node.iter("data-member") for v in m.iter("var-decl")]


def main():
    baseline, new = Abi(sys.argv[1]).names, Abi(sys.argv[2]).names
    changelog = open(sys.argv[3], encoding="utf-8").read()
    newest = re.search(r"^## .*?\n(.*?)(^## |\Z)", changelog, re.M | re.S).group(1)
    said = set(re.findall(r"\w+", newest))
    unsaid = 0
    for name, what in sorted(baseline.items()):
        if new.get(name) == what:
            continue
        is_unsaid = name not in said
        unsaid += is_unsaid
        print(f"abi: {name} {'is gone' if name not in new else 'has changed'}{', and the changelog does not name it' * is_unsaid}")
    sys.exit(unsaid > 0)


main()

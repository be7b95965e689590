# SPDX-License-Identifier: MIT
"""Measures the objects compiled by bench/size.sh: reads the 32-bit ELF objects of a directory, follows relocations from entry
points (as a linker with --gc-sections does), and adds up sections and stack frames. Calls through pointers are a provider's and
are not counted, nor are the compiler's helpers and memcpy's family, which every firmware has."""
import glob
import struct
import sys

work, verbose = sys.argv[1], "-v" in sys.argv[2:]
PROTECT = ["nacre_protect_request", "nacre_protect_response", "nacre_unprotect_request", "nacre_unprotect_response"]
MESSAGES = PROTECT + ["nacre_message_parse", "nacre_verify_start"]
DEVICE = MESSAGES + ["nacre_context_init", "nacre_context_wipe", "nacre_context_needs", "nacre_context_confirm_reserved",
                     "nacre_context_confirm_window_lost", "nacre_context_set_replay", "nacre_protect_echo",
                     "nacre_options_init", "nacre_options_add", "nacre_options_add_uint", "nacre_options_finish",
                     "nacre_option_begin", "nacre_option_next", "nacre_message_write"]

EDHOC = ["nacre_edhoc_initiate", "nacre_edhoc_respond", "nacre_edhoc_receive", "nacre_edhoc_context", "nacre_edhoc_wipe"]

SHT_PROGBITS, SHT_SYMTAB, SHT_NOBITS, SHT_REL = 1, 2, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
R_ARM_THM_CALL, R_ARM_THM_JUMP24 = 10, 30

sections = {}  # (file, index) -> (name, kind, size)
links = {}  # (file, index) -> what its relocations name: sections of the file, or global names
calls = {}  # the same, but only calls and jumps
places = {}  # global function or object -> its section
names = {}  # section -> the function in it
sizes = {}  # object -> bytes


def text_at(data, start):
    return data[start:data.index(b"\0", start)].decode()


def read(path):
    data = open(path, "rb").read()
    (offset,) = struct.unpack_from("<I", data, 32)
    entry, number, strings = struct.unpack_from("<HHH", data, 46)
    heads = [struct.unpack_from("<10I", data, offset + i * entry) for i in range(number)]
    symbols = []
    for index, (name, kind, flags, _, _, size, *_) in enumerate(heads):
        if not flags & SHF_ALLOC or kind not in (SHT_PROGBITS, SHT_NOBITS):
            continue
        what = "bss" if kind == SHT_NOBITS else "data" if flags & SHF_WRITE else "text"
        sections[path, index] = (text_at(data, heads[strings][4] + name), what, size)
    for head in heads:
        if head[1] != SHT_SYMTAB:
            continue
        for at in range(head[4], head[4] + head[5], 16):
            name, _, size, info, _, place = struct.unpack_from("<IIIBBH", data, at)
            name = text_at(data, heads[head[6]][4] + name)
            symbols.append((name, place))
            if info >> 4 == 1 and place != 0:  # global and defined
                places[name] = (path, place)
                sizes[name] = size
            if info & 15 == 2:
                names[path, place] = name
    for head in heads:
        if head[1] != SHT_REL:
            continue
        source = (path, head[7])
        for at in range(head[4], head[4] + head[5], 8):
            _, info = struct.unpack_from("<II", data, at)
            name, place = symbols[info >> 8]
            target = (path, place) if place else name
            links.setdefault(source, set()).add(target)
            if info & 255 in (R_ARM_THM_CALL, R_ARM_THM_JUMP24):
                calls.setdefault(source, set()).add(target)


def resolve(target):
    return places.get(target) if isinstance(target, str) else target


def reach(entries, without=()):
    found, todo = {places[e] for e in without}, [places[e] for e in entries]
    while todo:
        at = todo.pop()
        if at is None or at in found or at not in sections:
            continue
        found.add(at)
        todo += [resolve(t) for t in links.get(at, ())]
    return found - {places[e] for e in without}


def total(found, kind):
    return sum(sections[at][2] for at in found if sections[at][1] == kind)


def deepest(at, frames, above=()):
    if at is None or at in above or at not in sections:
        return 0, []
    below = max((deepest(resolve(t), frames, above + (at,)) for t in calls.get(at, ())), default=(0, []))
    return frames.get((at[0], names.get(at)), 0) + below[0], [f"{names.get(at)} {frames.get((at[0], names.get(at)), 0)}"] + below[1]


def line(what, value, budget=None):
    verdict = "" if budget is None else f"budget {budget}: " + ("met" if value <= budget else "missed")
    print(f"{what:<62} {value:6d}  {verdict}".rstrip())


for path in sorted(glob.glob(work + "/*-*.o")):
    read(path)
frames = {}
for path in glob.glob(work + "/*.su"):
    for row in open(path):
        place, size, _ = row.rsplit("\t", 2)
        frames[path[:-3] + ".o", place.rsplit(":", 1)[1]] = int(size)

everything = {at for at in sections if not sections[at][0].startswith(".ARM")}
if "small" in sys.argv[2:]:
    line("text of EDHOC with NACRE_EDHOC_SMALL: method 3, by kid", total(reach(EDHOC), "text"), 6144)
    sys.exit()
line("text: parse, protect, unprotect", total(reach(MESSAGES), "text"), 8192)
line("... with NACRE_NO_PROXY_URI", total(reach(MESSAGES, ["nacre__proxy_uri_split"]), "text"), 8192)
line("... with contexts, sequence numbers, Echo, making options", total(reach(DEVICE), "text"))
line("text of every function of the core", total(everything, "text"))
line("text of EDHOC, both roles, without credentials", total(reach(EDHOC), "text"), 6144)
line("data", total(everything, "data"), 0)
line("bss", total(everything, "bss"), 0)
for entry in PROTECT:
    depth, way = deepest(places[entry], frames)
    line("stack of " + entry, depth, 512)
    other, _ = deepest(places[entry], frames, (places["nacre__proxy_uri_split"],))
    if other != depth:
        line("... with NACRE_NO_PROXY_URI", other, 512)
    if verbose:
        print("    " + " > ".join(str(n) for n in way))
for entry in EDHOC[:3]:
    depth, way = deepest(places[entry], frames)
    line("stack of " + entry, depth, 1536)
    if verbose:
        print("    " + " > ".join(str(n) for n in way))
read(work + "/sizeof.o")
line("nacre_context, keys by handle", sizes["context_size"], 112)
line("nacre_request_id", sizes["request_id_size"])
line("nacre_edhoc", sizes["edhoc_size"], 600)
if verbose:
    for at in sorted(reach(MESSAGES) | reach(EDHOC), key=lambda at: -sections[at][2]):
        print(f"{sections[at][2]:6d} {sections[at][0]} ({at[0].rsplit('/', 1)[1]})")

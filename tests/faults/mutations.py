"""Ways in which files go wrong: bytes, lines, numbers, headers, archives, JSON values, each by a random generator.

`mutate` knows a file by its ending. What it makes may still be a good file.
"""

import gzip
import io
import json
import pathlib
import re
import struct
import zipfile
import zlib

import numpy as np

BOMB_BLOCKS = 192  # of 2^24 bytes
NUMBERS = ["nan", "-nan", "inf", "-inf", "-1", "0", "-0.0", "1e300", "-1e300", "1e-300", "1e400", "9" * 30,
           "-" + "9" * 30, "1" * 5000, "1,5", "1.2.3", "0x10", "1_0", "1e", "--1", "*******", "1.0D-3", "\u0661\u0662",
           "?", "", "4294967296"]
_NUMBER = re.compile(rb"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_WORDS = [0, 1, -1, 2, 3, 7, 100, 2**15, 10**5, 10**6, 2**31 - 1, -2**31]
_FLOATS = [0.0, -1.0, 1e-30, 1e30, np.nan, np.inf, -np.inf, 1e300]
_VALUES = [None, True, "", "x" * 3000, "a\nb\x1b[31m", [], {}, [[1]], {"a": {"b": 1}}, -1, 0, 1, 2.5, 1e300, -1e-300,
           float("nan"), float("inf"), 10**6, 10**9, 2**31, 2**63, 10**30, 10**400, "10", "nan", 7, 12, 511, 4096]


def mutate(rng: np.random.Generator, content: bytes, name: str) -> bytes:
    """The content of a file of that name after one to three mishaps."""
    own = _OWN.get(pathlib.PurePath(name).suffix, _text)
    for _ in range(_choose(rng, [1, 1, 1, 2, 3])):
        bomb = len(content) > 5 * 2**19  # made by the mishap before; not to be unpacked here
        change = own if rng.random() < 0.75 and not bomb else _bytes
        content = change(rng, content, name)
    return content


def _choose(rng, items):
    return items[rng.integers(len(items))]


def _span(rng, content):
    start, stop = sorted(rng.integers(0, len(content) + 1, 2))
    return int(start), int(stop)


# Any file.

def _flip(rng, content):
    content = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 9)):
        content[place] = rng.integers(256)
    return bytes(content)


def _cut_middle(rng, content):
    start, stop = _span(rng, content)
    return content[:start] + content[stop:]


def _double(rng, content):
    start, stop = _span(rng, content)
    return content[:stop] + content[start:stop] + content[stop:]


def _insert(rng, content):
    place, count = rng.integers(len(content) + 1), rng.integers(1, 2000)
    return content[:place] + _choose(rng, [bytes(count), rng.bytes(count), b"\xff" * count]) + content[place:]


def _bytes(rng, content, name):
    if not content:
        return rng.bytes(rng.integers(0, 300))
    return _choose(rng, [
        _flip, _flip, _cut_middle, _double, _insert, lambda _, whole: whole[:rng.integers(len(whole))],
        lambda _, whole: whole[rng.integers(len(whole)):], lambda _, whole: b"",
        lambda _, whole: whole[len(whole) // 2:] + whole[:len(whole) // 2]])(rng, content)


# Text.

def _number(rng, content):
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    hit = _choose(rng, found)
    return content[:hit.start()] + _choose(rng, NUMBERS).encode() + content[hit.end():]


def _column_of_numbers(rng, content):
    """Another number in one column of every line that has so many."""
    lines, place, number = content.split(b"\n"), rng.integers(5), _choose(rng, NUMBERS).encode()
    for i, line in enumerate(lines):
        found = list(_NUMBER.finditer(line))
        if len(found) > place:
            lines[i] = line[:found[place].start()] + number + line[found[place].end():]
    return b"\n".join(lines)


def _drop_column(rng, content):
    place = rng.integers(6)
    return b"\n".join(b" ".join(word for i, word in enumerate(line.split()) if i != place)
                      for line in content.split(b"\n"))


def _lines(rng, content):
    lines = content.split(b"\n")
    first, second = rng.integers(0, len(lines), 2)
    what = rng.integers(6)
    if what == 0:
        del lines[first]
    elif what == 1:
        lines[first], lines[second] = lines[second], lines[first]
    elif what == 2:
        lines[first:first] = [lines[second]] * 10_000
    elif what == 3:
        del lines[min(first, second):max(first, second)]
    elif what == 4:
        rng.shuffle(lines)
    else:
        lines[first:first] = [_choose(rng, [b"", b"0.1 1 1", b"data_", b"loop_", b"ENDMDL", b"END", b"# x"])] * 100_000
    return b"\n".join(lines)


def _long(rng, content):
    """A very long line, or one much longer, of a thing that patterns stumble over."""
    piece = _choose(rng, [b" ", b"9", b"(", b"[", b"nm ", b"nm" + b" " * 20_000, b"angstr", b",", b"0,0", b"a", b"\t",
                          b"1 ", b"\"", b"'", b"{", b"data_", b"\n \n", b"q[1/nm]"])
    filler = piece * (200_000 // len(piece))
    place = _choose(rng, [0, len(content), content.find(b"\n") + 1, rng.integers(len(content) + 1)])
    return content[:place] + filler + _choose(rng, [b"", b"x", b"\n"]) + content[place:]


def _encoding(rng, content):
    text = content.decode("utf-8", "replace")
    place = rng.integers(len(text) + 1)
    odd = _choose(rng, ["\u00e9", "\u0661", "\x1b[2J", "\x00", "\u2028", "\x85", "\ufeff"])
    odd = text[:place] + odd + text[place:]
    return _choose(rng, [
        lambda: text.encode("utf-16"), lambda: text.encode("utf-16-le"), lambda: text.encode("utf-32"),
        lambda: b"\xef\xbb\xbf" + content, lambda: odd.encode("utf-8"), lambda: odd.encode("latin-1", "replace"),
        lambda: content.replace(b"\n", b"\r\n"), lambda: content.replace(b"\n", b"\r"),
        lambda: content.replace(b".", b","), lambda: content.upper(), lambda: content.replace(b" ", b"\t")])()


def _text(rng, content, name):
    return _choose(rng, [_number, _number, _column_of_numbers, _drop_column, _lines, _lines, _long, _encoding])(
        rng, content)


# CCP4/MRC.

def _ccp4(rng, content, name):
    content = bytearray(content)
    # Sizes, mode, starts, intervals, cell, axes, statistics, space group, symmetry, origin, stamps.
    word = int(_choose(rng, [*range(10), *range(7, 24), 23, 49, 50, 51, 52, 53, 54, 55, rng.integers(256)]))
    number = (np.int32(_choose(rng, _WORDS)) if rng.random() < 0.6 else np.float32(min(_choose(rng, _FLOATS), 3e38)))
    if len(content) >= 4 * word + 4:
        content[4 * word:4 * word + 4] = number.tobytes()
    if rng.random() < 0.2 and len(content) > 1100:
        _spoil_values(rng, content, 1024, np.float32)
    return bytes(content)


def _spoil_values(rng, content: bytearray, start: int, dtype) -> None:
    size = np.dtype(dtype).itemsize
    place = start + size * int(rng.integers((len(content) - start) // size))
    with np.errstate(over="ignore"):
        content[place:place + size] = np.array(_choose(rng, _FLOATS)).astype(dtype).tobytes()


# NumPy.

def _npy(rng, content, name):
    end = content.find(b"\n") + 1
    header = content[10:end].decode("latin-1").strip()
    what = rng.integers(6)
    if not end or not header.startswith("{"):
        return _bytes(rng, content, name)
    if what == 0 and re.search(r"<f[48]", header) and len(content) - end > 16:
        spoilt = bytearray(content)
        _spoil_values(rng, spoilt, end, re.search(r"<f[48]", header)[0])
        return bytes(spoilt)
    if what == 1:
        descr = _choose(rng, [
            "|O", "<f2", "<f4", ">f8", "<f16", "<c16", "|b1", "|i1", "<i8", "<u8", "<U4", "|S8", "|V16", "<M8[s]",
            "<f3", "", "f8,(2,)f4", "a3", "<U999999999", "|u1", "<f4\x00"])
        header = re.sub(r"'descr': '[^']*'", lambda _: f"'descr': '{descr}'", header)
    elif what in (2, 3):
        shape = _choose(rng, [
            "()", "(0,)", "(8, 8)", "(8, 8, 8, 1)", "(-1,)", "(100000, 100000, 100000)", "(1000, 1000, 1000)",
            "(2**70,)", f"({2**70},)", "(True, 8, 64)", "(2.0,)", "[8, 8, 8]", "('a',)", "None", "(512, 1, 1)",
            "(2, 2, 700)", "(" + "1, " * 70 + ")", f"({2**31}, {2**31}, 0)", "(300000000,)", "(3, 3)"])
        header = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {shape}", header)
    elif what == 4:
        header = _choose(rng, [
            header.replace("False", "True"), header.replace("True", "1"), header.replace("False", "'no'"),
            header.replace(")", "L)"), "{" + "[" * 3000, "{'descr': '<f8'}", "3", "{[]: 1}", "  {'a'\n:  (", "(" * 9000,
            header.replace("'shape'", "'form'"), header[:-3], header + "x", "import os", "'''", "{**1}", "\\"])
    else:
        return content[:6] + bytes([int(rng.integers(5)), int(rng.integers(3))]) + _choose(
            rng, [content[8:10], b"\xff\xff", b"\x00\x00"]) + content[10:]
    line = header.encode("utf-8", "replace") + b"\n"
    return content[:8] + struct.pack("<H", min(len(line), 65535)) + line + content[end:]


def _bomb(header: bytes) -> tuple[bytes, int]:
    """A header and gigabytes of zeros, deflated to three megabytes, and their size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)  # may be repeated: it looks back at nothing
    return first + BOMB_BLOCKS * block + packer.flush(), len(header) + BOMB_BLOCKS * 2**24


def gz_bomb(header: bytes) -> bytes:
    """A .gz of 3 MB that unpacks to 3 GB, which begin with a header."""
    packed, size = _bomb(header)
    # Without its checksum: who comes so far as to compare it has unpacked it.
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + struct.pack("<II", 0, size)


def npz_bomb(name: str) -> bytes:
    """An archive of 3 MB with one array, of that name, of 3 GB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (BOMB_BLOCKS * 2**24,)})
    packed, size = _bomb(header.getvalue())
    encoded = f"{name}.npy".encode()
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(packed), size, len(encoded), 0)
    local = b"PK\3\4" + common + encoded + packed
    central = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + encoded
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def _npz(rng, content, name):
    what = rng.integers(20)
    if what == 0:
        return npz_bomb(_choose(rng, _names(content) or ["xyz.npy"]).removesuffix(".npy"))
    if what < 5:  # a field of a record of the archive
        found = [hit.start() for hit in re.finditer(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)", content)]
        if not found:
            return _bytes(rng, content, name)
        changed = bytearray(content)
        place = _choose(rng, found) + int(rng.integers(4, 46))
        width = _choose(rng, [1, 2, 4])
        value = _choose(rng, [0, 1, 7, 9, 12, 14, 99, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1]) & (256**width - 1)
        changed[place:place + width] = value.to_bytes(width, "little")
        return bytes(changed)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [(entry, archive.read(entry)) for entry in archive.namelist()]
    except Exception:  # spoilt by an earlier mishap
        return _bytes(rng, content, name)
    if not entries:
        return content
    i = rng.integers(len(entries))
    label, value = entries[i]
    if what < 14:
        entries[i] = (label, _npy(rng, value, label))
    elif what == 14:
        entries[i] = (label, entries[rng.integers(len(entries))][1])
    elif what == 15:
        del entries[i]
    elif what == 16:
        entries.insert(i, (_choose(rng, ["../x.npy", "x" * 5000, "a\nb.npy", "\u00e9.npy", "y.txt", "x/"]), value))
    elif what == 17:
        made = io.BytesIO()
        np.save(made, _choose(rng, [np.array([{}], object), np.zeros((0,)), np.array("x" * 3000), np.full(3, 1e300),
                                    np.array([b"\xff\xfe"]), np.zeros((3, 3)), np.array(2**63, np.uint64)]))
        entries[i] = (label, made.getvalue())
    elif what == 18 and value:
        spoilt = bytearray(value)
        for place in rng.integers(min(128, len(value) - 1), len(value), 4):  # behind the header
            spoilt[place] = rng.integers(256)
        entries[i] = (label, bytes(spoilt))
    else:
        entries[i] = (label, _bytes(rng, value, label))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", _choose(rng, [0, 8, 8, 12])) as archive:
        for label, value in entries:
            archive.writestr(label, value)
    return made.getvalue()


def _names(content: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.namelist()
    except Exception:
        return []


# JSON.

def _json(rng, content, name):
    try:
        value = json.loads(content)
    except Exception:
        return _text(rng, content, name)
    places = list(_places(value))
    what = rng.integers(10)
    if what == 0 or not places:
        return _choose(rng, [b"[" * 100_000, b"null", b"{}", b"[]", b'{"a":' * 50_000, b"1" * 10_000, b"\xff{}"])
    holder, key = _choose(rng, places)
    if what == 1:
        del holder[key]
    elif what == 2 and isinstance(holder, dict):
        holder["x" * int(rng.integers(1, 3000))] = 1
    else:
        holder[key] = _choose(rng, _VALUES)
    return json.dumps(value).encode()


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


# gzip.

def _gz(rng, content, name):
    if rng.random() < 0.3:
        return _bytes(rng, content, name)
    try:
        inner = gzip.decompress(content)
    except Exception:
        return _bytes(rng, content, name)
    if rng.random() < 0.1:
        return gz_bomb(inner[:1024])
    return gzip.compress(mutate(rng, inner, name.removesuffix(".gz")), 1)


_OWN = {".ccp4": _ccp4, ".map": _ccp4, ".mrc": _ccp4, ".npy": _npy, ".npz": _npz, ".json": _json, ".gz": _gz}

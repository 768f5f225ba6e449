"""Reads the items of a CIF that a crystal needs, also from a CIF that a strict parser refuses.

gemmi reads the file. Where gemmi refuses it (an unclosed quote, an item twice, a stray word), the needed items are cut
out line by line: an unclosed quote ends with its line, and an unclosed text field before the next needed item; an item
without a value is dropped; a loop of uneven length loses the lines with too many or too few values. Tags are lower
case, with "_" for the "." of mmCIF.
"""

import re
from typing import Any, NamedTuple

import gemmi

# What tags of needed items begin with; the last two tell the user which crystal it is.
_NEEDED = ("_cell_", "_symmetry", "_space_group", "_chemical_formula_", "_diffrn_radiation", "_diffrn_source",
           "_refln_", "_diffrn_refln_", "_shelx_hkl_file", "_shelx_res_file", "_iucr_refine_", "_twin_",
           "_exptl_crystal_f_000", "_publ_section_title", "_journal_")
_WORD = re.compile(r"""'(?P<single>(?:[^']|'(?=\S))*)'(?=\s|$)|"(?P<double>(?:[^"]|"(?=\S))*)"(?=\s|$)"""
                   r"""|(?P<open>['"].*)|(?P<comment>\#.*)|(?P<plain>\S+)""")


# A text field ends at a semicolon; where it is not closed, before a needed item or a loop.
_FIELD_END = re.compile(f";|(?:{'|'.join(_NEEDED)})|loop_|data_", re.IGNORECASE)


class CifBlock(NamedTuple):
    """The needed items of one data block of a CIF.

    Attributes:
      name: the name behind `data_`.
      values: value of each item outside loops.
      loops: the columns of each loop, by tag.
    """

    name: str
    values: dict[str, str]
    loops: tuple[dict[str, list[str]], ...]

    def value(self, *tags: str) -> str:
        """Returns the first value that one of the tags has, outside or inside a loop; "" if none has any."""
        for tag in tags:
            found = [self.values[tag]] if tag in self.values else []
            found += [value for loop in self.loops for value in loop.get(tag, ())[:1]]
            for text in found:
                if text.strip() not in ("", "?", "."):
                    # The first row of an embedded file may begin with blanks that are part of its columns.
                    return text.strip("\r\n").rstrip() if "\n" in text else text.strip()
        return ""

    def loop(self, tag: str) -> dict[str, list[str]]:
        """Returns the first loop that has a tag, or an empty dict."""
        return next((loop for loop in self.loops if tag in loop), {})


def read_blocks(text: str) -> tuple[list[CifBlock], list[str]]:
    """Returns the blocks of a CIF in their order, and notes on what a strict parser refused."""
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        message = re.sub(r"^string:", "line ", " ".join(str(error).split()))
        blocks, notes = _cut_out(text)
        return blocks, [f"a strict parser refuses the CIF ({message[:120]}); the needed items are cut out around the "
                        "fault", *notes]
    return [_from_gemmi(block) for block in document], []


def _from_gemmi(block: gemmi.cif.Block) -> CifBlock:
    """Returns the needed items of a block that gemmi has read."""
    values: dict[str, str] = {}
    loops: list[dict[str, list[str]]] = []
    for item in block:
        pair: Any = item.pair
        if pair is not None:
            tag = _normal(pair[0])
            if tag.startswith(_NEEDED):
                values.setdefault(tag, gemmi.cif.as_string(pair[1]) if pair[1] not in ("?", ".") else "")
        elif item.loop is not None:
            tags = [_normal(tag) for tag in item.loop.tags]
            if any(tag.startswith(_NEEDED) for tag in tags):
                width = len(tags)
                cells = [gemmi.cif.as_string(value) if value[:1] in "'\";" else value for value in item.loop.values]
                loops.append({tag: cells[place::width] for place, tag in enumerate(tags)})
    return CifBlock(block.name, values, tuple(loops))


def _normal(tag: str) -> str:
    """Returns a tag in lower case, with "_" for the "." of mmCIF."""
    return tag.lower().replace(".", "_")


class _Token(NamedTuple):
    """A word of a CIF: "data", "loop", "tag", "value" or "other" (save frames), its text and its line."""

    kind: str
    text: str
    line: int


def _tokens(text: str) -> list[_Token]:
    """Returns the words of a CIF; a text field (lines between semicolons) is one value."""
    tokens: list[_Token] = []
    lines = text.splitlines()
    place = 0
    while place < len(lines):
        line = lines[place]
        if not line.startswith(";"):
            tokens += _words(line, place + 1)
            place += 1
            continue
        end = next((number for number in range(place + 1, len(lines)) if _FIELD_END.match(lines[number])), len(lines))
        tokens.append(_Token("value", "\n".join([line[1:], *lines[place + 1:end]]), place + 1))
        place = end
        if end < len(lines) and lines[end].startswith(";"):
            tokens += _words(lines[end][1:], end + 1)
            place += 1
    return tokens


def _words(line: str, number: int) -> list[_Token]:
    """Returns the words of a line outside text fields; a quote that is not closed ends with the line."""
    tokens = []
    for match in _WORD.finditer(line):
        if match["comment"] is not None:
            break
        if match["plain"] is None:
            text = next(part for part in (match["single"], match["double"], match["open"]) if part is not None)
            tokens.append(_Token("value", text[1:].rstrip() if match["open"] is not None else text, number))
            continue
        word, lower = match["plain"], match["plain"].lower()
        if lower.startswith("data_"):
            tokens.append(_Token("data", word[5:], number))
        elif lower == "loop_":
            tokens.append(_Token("loop", "", number))
        elif word.startswith("_") and len(word) > 1:
            tokens.append(_Token("tag", _normal(word), number))
        elif lower.startswith(("save_", "global_", "stop_")):
            tokens.append(_Token("other", word, number))
        else:
            tokens.append(_Token("value", word, number))
    return tokens


def _cut_out(text: str) -> tuple[list[CifBlock], list[str]]:
    """Returns the needed items of a CIF that a strict parser refuses, and notes."""
    tokens = _tokens(text)
    notes: list[str] = []
    blocks: list[tuple[str, dict[str, str], list[dict[str, list[str]]]]] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        place += 1
        if token.kind == "data":
            blocks.append((token.text, {}, []))
            continue
        if token.kind not in ("tag", "loop"):
            continue
        if not blocks:
            blocks.append(("", {}, []))
        if token.kind == "tag":
            if place < len(tokens) and tokens[place].kind == "value":
                value = tokens[place].text
                place += 1
                if token.text.startswith(_NEEDED):
                    blocks[-1][1].setdefault(token.text, "" if value in ("?", ".") else value)
            continue
        tags, values = [], []
        while place < len(tokens) and tokens[place].kind == "tag":
            tags.append(tokens[place].text)
            place += 1
        while place < len(tokens) and tokens[place].kind == "value":
            values.append(tokens[place])
            place += 1
        if any(tag.startswith(_NEEDED) for tag in tags):
            rows = _loop_rows(values, len(tags), notes)
            blocks[-1][2].append({tag: [row[column] for row in rows] for column, tag in enumerate(tags)})
    return [CifBlock(name, pairs, tuple(loops)) for name, pairs, loops in blocks], notes


def _loop_rows(values: list[_Token], width: int, notes: list[str]) -> list[list[str]]:
    """Returns the rows of a loop; if its values make no whole rows, those lines that hold one row each."""
    if len(values) % width == 0:
        return [[token.text for token in values[place:place + width]] for place in range(0, len(values), width)]
    lines: dict[int, list[str]] = {}
    for token in values:
        lines.setdefault(token.line, []).append(token.text)
    faults = [number for number, row in lines.items() if len(row) != width]
    notes.append(f"a loop of {width} columns has {len(values)} values: {len(faults)} lines without {width} values are "
                 f"left out, the first is line {faults[0]}")
    return [row for row in lines.values() if len(row) == width]

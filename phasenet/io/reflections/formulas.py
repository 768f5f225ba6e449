"""Reads chemical formulas and lists of elements, as CIFs, SHELX files and command lines write them."""

import re
from collections.abc import Iterable

import gemmi

_TOKEN = re.compile(r"(?P<open>[(\[{])|(?P<close>[)\]}])(?P<times>\d+\.?\d*|\.\d+)?n?|(?P<charge>\d*[+-])"
                    r"|(?P<element>[A-Z][a-z]?|[a-z]{1,2})\s?(?P<count>(?:\d+\.?\d*|\.\d+)(?![\d.]*[+-]))?(?:\(\d+\))?")
_MAX_COUNT = 1e6
_LABEL = re.compile(r"\$?([A-Za-z]{1,2})(?![A-Za-z])")


def element_symbol(word: str) -> str | None:
    """Returns the symbol of the element that a label begins with ("ZN", "Zn2+", "O1-", "$C"), or None."""
    match = _LABEL.match(word.strip().strip("'\""))
    if match is None:
        return None
    symbol = match[1].capitalize()
    return symbol if gemmi.Element(symbol).atomic_number > 0 else None


def parse_formula(text: str) -> dict[str, float]:
    """Returns the number of atoms of each element of a formula: "C15 H12 N2 O", "C15H12N2O", "C2 H4 O, 0.5(H2 O)".

    Raises:
      ValueError: the text is no formula; the message names the part that is not understood.
    """
    total: dict[str, float] = {}
    for moiety in re.split(r"[,;·∙•*]", text.strip().strip("'\"")):
        moiety = moiety.strip()
        if not moiety:
            continue
        leading = re.match(r"(\d*\.?\d+)\s*(?=[A-Za-z(\[{])", moiety)
        factor = float(leading[1]) if leading else 1.0
        for element, count in _parse_moiety(moiety[leading.end():] if leading else moiety).items():
            total[element] = total.get(element, 0.0) + factor * count
    if any(count > _MAX_COUNT for count in total.values()):
        raise ValueError(f"more than {_MAX_COUNT:g} atoms of an element")
    if not total:
        raise ValueError(f"no element in {text.strip()[:60]!r}")
    return total


def _parse_moiety(text: str) -> dict[str, float]:
    """Returns the counts of one part of a formula; brackets may nest and may be multiplied."""
    stack: list[dict[str, float]] = [{}]
    place = 0
    while place < len(text):
        if text[place] in " \t_~^":
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"{text[place:place + 20]!r} is not understood")
        place = match.end()
        if match["open"]:
            stack.append({})
        elif match["close"]:
            if len(stack) == 1:
                raise ValueError("a bracket is closed that was not opened")
            inner, times = stack.pop(), float(match["times"] or 1)
            for element, count in inner.items():
                stack[-1][element] = stack[-1].get(element, 0.0) + times * count
        elif match["element"]:
            symbol = element_symbol(match["element"])
            if symbol is None and len(match["element"]) == 1:  # "ZN", all in capitals
                symbol = element_symbol(text[match.start():match.start() + 2])
                if symbol is not None:
                    match = _TOKEN.match(text[:match.start()] + symbol + text[match.start() + 2:], match.start())
                    assert match is not None
                    place = match.end()
            if symbol is None:
                raise ValueError(f"{match['element']!r} is no element")
            stack[-1][symbol] = stack[-1].get(symbol, 0.0) + float(match["count"] or 1)
    if len(stack) > 1:
        raise ValueError("a bracket is not closed")
    return stack[0]


def parse_elements(elements: str | Iterable[str]) -> tuple[str, ...]:
    """Returns the symbols of a list of elements: "C,H,N,O", "C H N O" or ("C", "H", "N", "O").

    Raises:
      ValueError: a word is no element, or none is given.
    """
    words = re.split(r"[\s,;]+", elements.strip()) if isinstance(elements, str) else [str(word) for word in elements]
    symbols = []
    for word in filter(None, words):
        symbol = element_symbol(word) if word.isalpha() else None
        if symbol is None:
            raise ValueError(f"{word[:20]!r} is no element; expected symbols such as C,H,N,O")
        symbols.append(symbol)
    if not symbols:
        raise ValueError("the list of elements is empty; expected symbols such as C,H,N,O")
    return tuple(dict.fromkeys(symbols))


def format_formula(counts: dict[str, float]) -> str:
    """Returns counts as a formula, C and H first, such as C15 H12 N2 O."""
    order = sorted(counts, key=lambda symbol: ({"C": 0, "H": 1}.get(symbol, 2), symbol))
    return " ".join(symbol + ("" if counts[symbol] == 1 else f"{counts[symbol]:g}") for symbol in order)

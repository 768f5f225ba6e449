"""Reads from the text of a file what it says about the unit of q: the unit itself, lengths such as Rg, the instrument.

Text is first brought to one spelling (`_normalize`), then searched for reciprocal lengths. A statement next to the name
of the q column counts before all others. Called by `units` and by the readers of columns and of sasCIF.
"""

import re
from typing import NamedTuple

_MAX_HEADER = 200_000  # characters of a header that are searched for lengths and instruments

# Spellings that `_normalize` replaces, in this order; its results are "^-1", the letters Å and u, and plain blanks.
_REPLACEMENTS = [(re.compile(pattern), replacement) for pattern, replacement in (
    ("\u212b|A\u030a|&Aring;|&angst;|\\\\AA(?![A-Za-z])|\\\\(?:angstrom|r ?A)(?![A-Za-z])",
     "\u00c5"),
    ("[\u00b5\u03bc]|&micro;|\\\\mu ?", "u"),
    (r"\\(?:mathrm|mathregular|textrm|text|rm|unit|si|SI)(?![A-Za-z]) ?|\\[,;: ]|\$|&nbsp;|~", ""),
    (r"\\per ?\\nano ?\\met(?:er|re)(?![A-Za-z])", "1/nm"),
    ("\\\\per ?\u00c5", "1/\u00c5"),
    (r"<sup>|\\textsuperscript ?|\*\*|:sup:`", "^"),
    (r"</sup>|`", ""),
    ("[\u2212\u2010\u2011\u2013\u207b\u00af\ufe63]", "-"),
    ("-? ?\u00b9", lambda match: "^-1" if "-" in match[0] else "1"),
    (r"\^ ?(?:[({] ?)?- ?1(?!\d)(?: ?[)}])?", "^-1"),
    (r"\{ ?(\u00c5|nm) ?\}", r"\1"),
    (r"\^\^", "^"),
)]

_WORDS = {  # names of lengths that stand for a unit in any context, without regard to case
    "1/A": "ang(?:str(?:oe|\u00f6|o)?ms?)?|\u00c5ngstr(?:oe|\u00f6|o)ms?|\u00c5",
    "1/nm": "nm|nano-?met(?:er|re)s?",
    "1/um": "um|micron(?:s|meters?|metres?)?|micro-?met(?:er|re)s?",
    "1/m": "met(?:er|re)s?",
}
_LETTERS = {"1/A": "A", "1/m": "m"}  # of these single letters, fewer spellings count as a unit
_ANY_WORD = "|".join(_WORDS.values())
_END = r"(?![\w/^]|\.\w|-\w)"  # the unit ends here: no longer word, power, path or name of a file
_FREE = r"(?<![\w/.\\^])"
_RECIPROCAL = re.compile(
    rf"{_FREE}1 ?/ ?(?P<over>(?i:{_ANY_WORD})|A|m){_END}"
    rf"|(?<![A-Za-z0-9])(?P<power>(?i:{_ANY_WORD})|A|m) ?\^-1(?!\d)"
    rf"|(?<![A-Za-z0-9])(?<!\d )(?P<minus>(?i:{_ANY_WORD})|A|m) ?- ?1{_END}"
    rf"|(?<![A-Za-z])(?i:inverse|reciprocal|per)[ _-]?(?P<per>(?i:{_ANY_WORD})){_END}"
    rf"|(?<![A-Za-z])(?P<bare>nm|\u00c5|A)_?inv{_END}|(?<![A-Za-z])[Ii]nv[ _]?(?P<inv>(?i:{_ANY_WORD})|A){_END}"
    r"|(?<![A-Za-z0-9])(?:q_?inv_?(?P<name>A)|(?:q|[qQ]_)(?P<column>A|nm|NM|\u00c5)"
    r"|[qQ] ?[\[(] ?(?P<length>A|nm|\u00c5) ?[\])])(?![A-Za-z0-9^*/-])")
# The name of the q column, before a unit: "q", "Q (", "Qz, unit: ", `<Q unit="`, "scattering vector / ".
_Q_BEFORE = re.compile(
    r"(?:^|[^A-Za-z0-9.])(?:[qQ][xyzr]?|[sS]|[qQ][- ]?(?:vector|values?)|(?i:momentum[ _-]?transfer|"
    r"scatt(?:ering)?\.?[ _-]?vector|magnitude of q)(?: ?,? ?\(?[qQsS]\)?)?)"
    r"(?:[ _,:;=@/|*\[({<>\"']|\((?=\()|units?(?![A-Za-z])|in(?![A-Za-z])){0,16}$")
_ALTERNATIVE = re.compile(r"[ )\]}]{0,3}(?:or|oder|\|)[ (\[{]{0,3}")
_OPENED, _CLOSED = re.compile(r"[\[({] ?$"), re.compile(r" ?[\])}]")

_NUMBER = r"[-+]?(?:\d{1,20}\.?\d{0,20}|\.\d{1,20})(?:[eEdD][-+]?\d{1,3})?"
_LENGTH_UNIT = r"nm|nanomet(?:er|re)s?|\u00c5|A|[Aa]ng(?:str(?:oe|\u00f6|o)ms?)?"
_LENGTH = re.compile(
    r"(?<![A-Za-z])(?:(?P<rg>[Rr]_?\{?[gG]\}?|[Rr]adius of gyration)|(?P<dmax>[Dd]_?\{?max\}?|DMAX"
    r"|[Mm]aximum (?:characteristic size|particle (?:size|dimension)|dimension|diameter|size)))(?![\w-])"
    rf" ?(?:[\[(] ?(?P<before>{_LENGTH_UNIT}) ?[\])])?[\"' ]{{0,3}}[:=,]?[\"' ]{{0,3}}(?P<value>{_NUMBER})(?![\w.])"
    rf" ?(?:(?:\+/?-|\u00b1) ?{_NUMBER})? ?[\[(]?(?P<after>(?:{_LENGTH_UNIT})(?![\w^*/-]))?")

# Beamlines whose reduction writes one unit of q, as far as we know them.
_INSTRUMENTS = (
    ("1/nm", re.compile(r"\b(?:EMBL[ ,_-]{0,3}(?:Hamburg[ ,_-]{0,3})?(?:P12|X33)|PETRA[ -]?III[ ,_-]{0,3}P12"
                        r"|(?:ESRF[ ,_-]{0,3})?BM29)\b")),
    ("1/A", re.compile(r"\b(?:SIBYLS|ALS[ ,_-]{0,3}(?:BL)?12\.3\.1|SSRL[ ,_-]{0,3}(?:BL)?4-2|BL4-2|BioCAT"
                       r"|APS[ ,_-]{0,3}18-?ID|MacCHESS|NSLS-II[ ,_-]{0,3}(?:LiX|16-?ID)|Diamond[ ,_-]{0,3}B21"
                       r"|SOLEIL[ ,_-]{0,3}SWING|Australian Synchrotron)\b")))


class StatedLength(NamedTuple):
    """A length of the particle that a text gives.

    Attributes:
      kind: "Rg" or "D_max".
      value: the number, positive.
      unit: "A", "nm", or None if the text gives no unit.
    """

    kind: str
    value: float
    unit: str | None


def find_stated_unit(text: str) -> str | None:
    """Returns the unit of q that a text names: "1/A", "1/nm" or "1/m"; None if it names none, or several.

    A unit next to the name of q counts before units elsewhere, such as that of another quantity. `1/cm` is the unit of
    the intensity, never of q. A bare `A-1`, `m-1` or `1/m` may belong to a name, so it counts only in brackets or next
    to the name of q.

    Args:
      text: a line or the whole text around a table.
    """
    near, all_named = _find_reciprocal_lengths(text)
    named = near or all_named
    return named.pop() if len(named) == 1 and "1/um" not in named else None


def states_inverse_micrometre(text: str) -> bool:
    """Returns whether a text says that q is in 1/um, the unit of light scattering, which is not read.

    Args:
      text: a line or the whole text around a table.
    """
    return _find_reciprocal_lengths(text)[0] == {"1/um"}


def find_stated_lengths(text: str) -> list[StatedLength]:
    """Returns the radii of gyration and the largest dimensions that a text gives, in their order.

    Args:
      text: the text around a table, such as a header of GNOM or of RAW.
    """
    found = []
    for match in _LENGTH.finditer(" ".join(_normalize(text[:_MAX_HEADER]).split())):
        unit = match["before"] or match["after"]
        value = float(match["value"].lower().replace("d", "e"))
        if 1e-6 < value < 1e6:
            found.append(StatedLength("Rg" if match["rg"] else "D_max", value,
                                      unit and ("nm" if unit.startswith("n") else "A")))
    return found


def find_instrument(text: str) -> tuple[str, str] | None:
    """Returns the unit in which an instrument named in a text writes q, and its name; None without or with several.

    Args:
      text: the text around a table.
    """
    found = {unit: match[0] for unit, pattern in _INSTRUMENTS if (match := pattern.search(text[:_MAX_HEADER]))}
    return next(iter(found.items())) if len(found) == 1 else None


def _normalize(text: str) -> str:
    """Returns a text with one spelling of Angstrom, micro, minus and powers, and single blanks."""
    text = " ".join(text.split())  # on a long run of blanks the patterns would backtrack for hours
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def _find_reciprocal_lengths(text: str) -> tuple[set[str], set[str]]:
    """Returns the units that stand next to the name of q in a text, and all units of q."""
    text = _normalize(text)
    near: set[str] = set()
    all_named: set[str] = set()
    end, was_near = -1, False
    for match in _RECIPROCAL.finditer(text):
        kind = str(match.lastgroup)
        unit = _unit_of(match[kind])
        start = match.start()
        before = text[max(start - 40, 0):start]
        is_near = kind in ("name", "column", "length") or _Q_BEFORE.search(before) is not None
        is_near |= was_near and _ALTERNATIVE.fullmatch(text[end:start][:12]) is not None
        end, was_near = match.end(), is_near
        bracketed = _OPENED.search(before) is not None and _CLOSED.match(text, end) is not None
        short = match[kind] in _LETTERS.values()
        doubtful = unit == "1/m" or (short and kind == "minus")
        if doubtful and not (is_near or bracketed or (text == match[0] and kind != "minus")):
            continue
        all_named.add(unit)
        if is_near:
            near.add(unit)
    return near, all_named


def _unit_of(length: str) -> str:
    """Returns the unit of q for the name of a length."""
    for unit, letter in _LETTERS.items():
        if length == letter:
            return unit
    return next(unit for unit, words in _WORDS.items() if re.fullmatch(words, length, re.IGNORECASE))

"""Reads the pages of a PDF that Chromium printed: their text and the pictures in them."""

import re
import zlib
from typing import NamedTuple


class PrintedPage(NamedTuple):
    """A page.

    Attributes:
      text: what it says, in the order in which it was drawn, without spaces.
      pictures: the bytes of the pixels of each picture.
    """

    text: str
    pictures: list[bytes]


def read_pages(data: bytes) -> list[PrintedPage]:
    """Returns the pages of a PDF."""
    objects = {int(number): body for number, body in re.findall(rb"(?s)\n(\d+) 0 obj\n(.*?)\nendobj", data)}
    pages = [body for body in objects.values() if re.search(rb"/Type\s*/Page\b", body)]
    return [_read_page(page, objects) for page in pages]


def _read_page(page: bytes, objects: dict[int, bytes]) -> PrintedPage:
    text, pictures = _read_content(page, objects[int(_find(rb"/Contents (\d+) 0 R", page))], objects)
    # Without the spaces, and without the ligature that the font has.
    return PrintedPage("".join(text.split()).replace("\ufb01", "fi"), pictures)


def _read_content(resources: bytes, body: bytes, objects: dict[int, bytes]) -> tuple[str, list[bytes]]:
    """Returns the text and the pictures of a stream of drawing commands, and of the streams that it draws."""
    numbers = dict(re.findall(rb"/([FX]\d+) (\d+) 0 R", resources))
    text, pictures, letters = "", [], {}
    for font, glyphs, drawn in re.findall(rb"/(F\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)>|/(X\d+) Do", _unpack(body)):
        if font:
            letters = _read_letters(objects[int(numbers[font])], objects)
        elif glyphs:
            text += "".join(letters.get(int(glyphs[i:i + 4], 16), "") for i in range(0, len(glyphs), 4))
        else:
            other = objects[int(numbers[drawn])]
            if b"/Subtype /Image" in other:
                pictures.append(_unpack(other))
            else:
                words, more = _read_content(other.split(b"stream")[0], other, objects)
                text, pictures = text + words, pictures + more
    return text, pictures


def _read_letters(font: bytes, objects: dict[int, bytes]) -> dict[int, str]:
    """Returns the letter of each glyph of a font."""
    table = _unpack(objects[int(_find(rb"/ToUnicode (\d+) 0 R", font))]).decode()
    letters = {}
    for block in re.findall(r"(?s)beginbfchar(.*?)endbfchar", table):
        for glyph, letter in re.findall(r"<(\w+)> <(\w+)>", block):
            letters[int(glyph, 16)] = bytes.fromhex(letter).decode("utf-16-be")
    for block in re.findall(r"(?s)beginbfrange(.*?)endbfrange", table):
        for first, last, letter in re.findall(r"<(\w+)> <(\w+)> <(\w+)>", block):
            for step in range(int(last, 16) - int(first, 16) + 1):
                letters[int(first, 16) + step] = chr(int(letter, 16) + step)
    return letters


def _unpack(body: bytes) -> bytes:
    return zlib.decompress(_find(rb"(?s)stream\r?\n(.*)\r?\nendstream", body))


def _find(pattern: bytes, body: bytes) -> bytes:
    found = re.search(pattern, body)
    assert found, pattern
    return found[1]

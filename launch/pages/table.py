"""Writes a page with one table of results, which is sorted by a click on a heading and needs no network.

`launch.reconstruction.batch_table` calls `write`. The rows are in the page's text, so it can be read without scripts.
"""

import html
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from launch import app
from launch.pages import page
from launch.pages.templates import fill_template
from launch.plotting.style import ANGSTROM

_SIGNS = (("chi^2", "\N{GREEK SMALL LETTER CHI}\N{SUPERSCRIPT TWO}"), (" +- ", " \N{PLUS-MINUS SIGN} "),
          ("1/A", f"1/{ANGSTROM}"))


class Cell(NamedTuple):
    """A cell of the table.

    Attributes:
      text: what it shows.
      order: by which the rows are sorted; None sorts by the text, and an empty text comes last.
      link: the address that the text leads to; "" for none.
      title: shown when the pointer rests on it.
      status: the kind of verdict, which colours the text; "" for none.
      more: a smaller text below.
    """

    text: str
    order: float | None = None
    link: str = ""
    title: str = ""
    status: str = ""
    more: str = ""


def write(path: str | os.PathLike, about: str, title: str, lead: str, headings: Sequence[str],
          rows: Sequence[Sequence[Cell]], sections: Sequence[tuple[str, Sequence[str]]], caption: str) -> None:
    """Writes the page; all texts may hold any characters.

    Args:
      path: the file.
      about: what kind of page it is.
      title: its heading.
      lead: a sentence below it.
      headings: of the columns.
      rows: the cells of each row, one for each heading. The first is the row's name.
      sections: (heading, lines) of each section below the table; one without lines is left out.
      caption: below the table.
    """
    head = "".join(f'<th scope="col"><button type="button">{_typeset(heading)}</button></th>' for heading in headings)
    body = "\n".join(f"<tr>{''.join(_render_cell(cell, i == 0) for i, cell in enumerate(row))}</tr>" for row in rows)
    below = "\n".join(
        f"<section>\n<h2>{_typeset(heading)}</h2>\n<ul>{''.join(f'<li>{_typeset(line)}</li>' for line in lines)}</ul>"
        "\n</section>" for heading, lines in sections if lines)
    content = fill_template(page.read_part("table.html"), {
        "scripts": page.read_part("table.js"), "about": _typeset(about), "title": _typeset(title),
        "lead": _typeset(lead), "head": head, "body": body, "caption": _typeset(caption), "sections": below})
    app.write_text(path, page.frame(f"{_typeset(about)}: {_typeset(title)}", ("page.css", "table.css"), content))


def _render_cell(cell: Cell, is_name: bool) -> str:
    """Returns the markup of a cell."""
    text = html.escape(cell.text) if is_name else _typeset(cell.text)
    if cell.link:
        text = f'<a href="{html.escape(cell.link)}">{text}</a>'
    elif is_name:
        text = f"<span>{text}</span>"
    if cell.status:
        text = f'<strong data-status="{html.escape(cell.status)}">{text}</strong>'
    if cell.more:
        text += f'<span class="more">{_typeset(cell.more)}</span>'
    order = "" if cell.order is None else f' data-order="{cell.order:.10g}"'
    title = f' title="{html.escape(cell.title)}"' if cell.title else ""
    return f'<th scope="row"{title}>{text}</th>' if is_name else f"<td{order}{title}>{text}</td>"


def _typeset(text: str) -> str:
    """Returns a text as markup, with typographic signs in place of those of a terminal."""
    for plain, sign in _SIGNS:
        text = text.replace(plain, sign)
    text = re.sub(r"(^|[ (])-(?=\d)", "\\1\N{MINUS SIGN}", text)
    return html.escape(re.sub(r"(\d) A\b", rf"\1 {ANGSTROM}", text))

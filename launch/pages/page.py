"""Writes report.html, one file that shows a result: text, styles, scripts, libraries and data are in it.

The page fetches nothing, so it can be sent or archived alone. `launch.solution.page`, `launch.crystals.page` and
`launch.reconstruction.page` call `write` with the data of their kind of result.
"""

import base64
import html
import json
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from launch import app
from launch.pages import scales
from launch.pages.templates import fill_template
from launch.plotting import style

NAME = "report.html"
_FOLDER = pathlib.Path(__file__).parent
_LIBRARIES = {"3Dmol-min.js": "3dmol.LICENSE", "uPlot.iife.min.js": "uplot.LICENSE"}
_SCRIPTS = ("elements.js", "print.js", "page.js", "surface.js", "balls.js", "sticks.js", "scene.js", "charts.js",
            "sections.js")
_ABOUT = {"reconstruction": "Shape from a scattering curve", "solution": "Atoms from a Patterson map",
          "crystal": "Atoms of a measured crystal"}
_COLOURS = {"blue": style.BLUE, "red": style.RED, "grey": style.GREY, "green": style.GREEN, "orange": style.ORANGE,
            "light": style.LIGHT}


def write(folder: pathlib.Path, kind: str, title: str, payload: dict[str, Any]) -> None:
    """Writes report.html into a folder.

    Args:
      folder: the output folder; it must exist.
      kind: "reconstruction", "solution" or "crystal"; the .html and .js files of this name in launch/pages make the
        body.
      title: title of the page, any text.
      payload: the data that the scripts show. Arrays, NumPy's numbers and named tuples become JSON, NaN becomes null.
        Its "rows" are the table (name, value, remark) at the top; `write` adds "scales": what is good and bad in each.
    """
    payload = payload | {"scales": scales.scales_of(payload["rows"])}
    app.write_text(folder / NAME, render_page(kind, title, payload))


def render_page(kind: str, title: str, payload: dict[str, Any]) -> str:
    """Returns the text of report.html; for the arguments see `write`."""
    parts = {"about": _ABOUT[kind], "body": read_part(f"{kind}.html"),
             "libraries": "\n".join(_read_library(name, licence) for name, licence in _LIBRARIES.items()),
             "scripts": "\n".join(read_part(name) for name in (*_SCRIPTS, f"{kind}.js")),
             "payload": _to_script_json(payload)}
    return frame(html.escape(title), ("vendor/uPlot.min.css", "page.css"), fill_template(read_part("page.html"), parts),
                 images="data: blob:")


def frame(title: str, styles: Sequence[str], body: str, images: str = "data:") -> str:
    """Returns the text of a page that fetches nothing.

    Args:
      title: of the page, as markup.
      styles: names of the style sheets of this folder; the colours of the figures come before them.
      body: content of the body, as markup.
      images: where images may come from, in the words of a content security policy.
    """
    colours = f":root {{{''.join(f'--{name}: {value};' for name, value in _COLOURS.items())}}}"
    return fill_template(read_part("frame.html"), {
        "title": title, "images": images, "styles": "\n".join([colours, *map(read_part, styles)]), "body": body})


def pack_map(values: np.ndarray, low: float, high: float) -> dict[str, Any]:
    """Returns a map in 256 steps, deflated, in base64; `unpack` in page.js restores the map.

    A step is finer than what a surface or the colours of a section can show. A map of 31^3 voxels takes a few kB.

    Args:
      values: (X, Y, Z); values outside the range are clipped to it.
      low: value of step 0.
      high: value of step 255, above `low`.

    Returns:
      {"size": [X, Y, Z], "low", "high", "data": base64 of the deflated bytes in C order}.
    """
    steps = np.rint((np.asarray(values, np.float64) - low) * (255 / (high - low)))
    steps = np.clip(steps, 0, 255).astype(np.uint8)
    return {"size": list(values.shape), "low": low, "high": high,
            "data": encode_base64(zlib.compress(steps.tobytes(), 9))}


def encode_base64(data: bytes) -> str:
    """Returns bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def round_to_digits(values: np.ndarray, digits: int = 6) -> list[Any]:
    """Returns numbers as nested lists, rounded to `digits` significant digits to keep the page small.

    Args:
      values: (...) numbers, at least one axis.
      digits: number of significant digits; a plot shows no more than 6.
    """
    values = np.asarray(values, np.float64)
    if values.ndim > 1:
        return [round_to_digits(row, digits) for row in values]
    return [float(f"{x:.{digits}g}") for x in values]


def select_provenance(log: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of log.json that determines the result: flags, code revision, versions, and weights.

    Args:
      log: content of log.json.
    """
    weights = {key: log["weights"][key] for key in ("name", "sha256", "step", "revision") if key in log["weights"]}
    return {"flags": log["flags"], "revision": log["revision"], "versions": log["versions"], "weights": weights}


def _to_script_json(payload: dict[str, Any]) -> str:
    """Returns JSON for a script element, without "<", so that no file name can end the element or begin a comment."""
    return json.dumps(app.to_json_types(payload), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _read_library(name: str, licence: str) -> str:
    """Returns the text of a vendored library, headed by its licence."""
    return f"/*!\n{read_part(f'vendor/{licence}').strip()}\n*/\n{read_part(f'vendor/{name}').strip()}"


def read_part(name: str) -> str:
    """Returns the text of a file of this folder."""
    return (_FOLDER / name).read_text(encoding="utf-8")

"""One file that shows a result: text, styles, scripts, libraries and data are all in it, and nothing is fetched."""

import base64
import html
import json
import pathlib
import zlib
from typing import Any

import numpy as np

from launch import app
from launch.pages.templates import filled
from launch.plotting import style

NAME = "report.html"
_FOLDER = pathlib.Path(__file__).parent
_LIBRARIES = {"3Dmol-min.js": "3dmol.LICENSE", "uPlot.iife.min.js": "uplot.LICENSE"}
_SCRIPTS = ("elements.js", "page.js", "surface.js", "balls.js", "scene.js", "charts.js", "sections.js")
_ABOUT = {"reconstruction": "Shape from a scattering curve", "solution": "Atoms from a Patterson map"}
_COLOURS = {"blue": style.BLUE, "red": style.RED, "grey": style.GREY, "green": style.GREEN, "orange": style.ORANGE,
            "light": style.LIGHT}


def write(folder: pathlib.Path, kind: str, title: str, payload: dict[str, Any]) -> None:
    """report.html of a kind: "reconstruction" or "solution", whose .html and .js lie here.

    title: any text, a file's name.   payload: what the scripts show; arrays, NumPy's numbers and named tuples are
    understood, NaN becomes null.
    """
    app.write_text(folder / NAME, text(kind, title, payload))


def text(kind: str, title: str, payload: dict[str, Any]) -> str:
    """The whole page."""
    colours = "".join(f"--{name}: {value};" for name, value in _COLOURS.items())
    parts = {"title": html.escape(title), "about": _ABOUT[kind], "body": _read(f"{kind}.html"),
             "styles": f":root {{{colours}}}\n" + _read("vendor/uPlot.min.css") + "\n" + _read("page.css"),
             "libraries": "\n".join(_library(name, licence) for name, licence in _LIBRARIES.items()),
             "scripts": "\n".join(_read(name) for name in (*_SCRIPTS, f"{kind}.js")), "payload": _data(payload)}
    return filled(_read("page.html"), parts)


def packed(values: np.ndarray, low: float, high: float) -> dict[str, Any]:
    """A map (X, Y, Z) in 256 steps from low to high, deflated: what page.js unpacks.

    A step is finer than a line of a surface or a colour of a section; a map of 31^3 takes a few kB.
    """
    steps = np.rint((np.asarray(values, np.float64) - low) * (255 / (high - low)))
    steps = np.clip(steps, 0, 255).astype(np.uint8)
    return {"size": list(values.shape), "low": low, "high": high, "data": encoded(zlib.compress(steps.tobytes(), 9))}


def encoded(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def rounded(values: np.ndarray, digits: int = 6) -> list[Any]:
    """Numbers (...) as nested lists, of so many significant digits: no eye, no plot sees more."""
    values = np.asarray(values, np.float64)
    return [rounded(row, digits) for row in values] if values.ndim > 1 else [float(f"{x:.{digits}g}") for x in values]


def provenance(log: dict[str, Any]) -> dict[str, Any]:
    """Of a log what the result hangs on: flags, code, versions, and the weights without their training."""
    weights = {key: log["weights"][key] for key in ("name", "sha256", "step", "revision") if key in log["weights"]}
    return {"flags": log["flags"], "revision": log["revision"], "versions": log["versions"], "weights": weights}


def _data(payload: dict[str, Any]) -> str:
    """JSON that cannot end its script element, nor begin a comment in it, whatever a file is called."""
    return json.dumps(app.plain(payload), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _library(name: str, licence: str) -> str:
    return f"/*!\n{_read(f'vendor/{licence}').strip()}\n*/\n{_read(f'vendor/{name}').strip()}"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")

"""The Python interface: what the guides show of it runs, and its pages build from the docstrings."""

import pathlib
import re
import shutil

import numpy as np
import pdoc
import pdoc.render
import pytest

import phasenet
import saxsae
from saxsae.bank.descent import DescentSettings

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCKS = [block for guide in sorted(ROOT.glob("*/README.md"))
          for block in re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)]


def block(word):
    """The one block of the guides with this word."""
    (found,) = (text for text in BLOCKS if word in text)
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the guides' paths lead to the examples."""
    shutil.copytree(ROOT / "phasenet" / "examples", tmp_path / "phasenet" / "examples")
    shutil.copy(ROOT / "saxsae" / "examples" / "three_lobes.dat", tmp_path / "curve.dat")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_solve_as_in_the_guide(folder, monkeypatch, capsys):
    monkeypatch.setitem(phasenet.solve.__kwdefaults__, "refine", False)  # half of its time
    names = {}
    exec(block("phasenet.solve("), names)
    solution = names["solution"]
    assert solution.positions.shape == (6, 3) and float(solution.agreement.correlation) > 0.99
    assert "6 atoms" in capsys.readouterr().out


def test_reconstruct_as_in_the_guide(folder, monkeypatch, capsys):
    monkeypatch.setitem(saxsae.reconstruct.__kwdefaults__, "num_models", 2)
    monkeypatch.setitem(saxsae.reconstruct.__kwdefaults__, "descent", DescentSettings(steps=2))
    names = {}
    exec(block("saxsae.reconstruct("), names)
    assert 15 < names["result"].radius_angstrom < 80 and np.isfinite(names["result"].chi_squared)
    assert (folder / "curve.ccp4").stat().st_size > 31**3
    assert "misfit" in capsys.readouterr().out


def test_the_pages_build(tmp_path):
    """As `python -m pdoc -d google phasenet saxsae` does; a warning would be an error."""
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("phasenet", "saxsae", output_directory=tmp_path)
    page = (tmp_path / "phasenet" / "pipeline.html").read_text(encoding="utf-8")
    assert phasenet.solve.__doc__.partition("\n")[0] in page and "<h6" in page  # a heading, as of the arguments
    modules = [path for package in ("phasenet", "saxsae") for path in (ROOT / package).rglob("*.py")]
    assert len(list(tmp_path.rglob("*.html"))) >= len(modules)

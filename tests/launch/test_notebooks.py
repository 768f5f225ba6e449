"""The notebooks run, in little; what is committed of them has its outputs, and nothing of the machine they ran on."""

import pathlib
import re

import jax
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "launch" / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def texts_and_pictures(notebook):
    """All that the cells printed, and how many pictures they show."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return ("".join(output.text for output in outputs if output.output_type == "stream"),
            sum("image/png" in output.get("data", {}) for output in outputs))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_in_little(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTEBOOK_SMALL", "1")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    _, committed_pictures = texts_and_pictures(notebook)
    NotebookClient(notebook, timeout=600, kernel_name="python3",
                   resources={"metadata": {"path": str(tmp_path)}}).execute()
    text, pictures = texts_and_pictures(notebook)
    assert pictures == committed_pictures > 2
    assert f"on {jax.device_count()} {jax.default_backend()} device(s)" in text
    assert "finished after 2 steps" in text
    if name == "phasenet":
        assert "6 of 6 atoms" in text
        assert re.search(r"P 1 21/c 1: 20 atoms, R1 0\.0\d+, solved", text)
    elif name == "crystals":
        assert re.search(r"released: [01] of 1 solved", text)
    else:
        assert float(re.search(r"15 A resolution: ([\d.]+)", text)[1]) > 0.6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed(name):
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    text, pictures = texts_and_pictures(notebook)
    assert pictures > 2 and "finished after" in text
    assert not re.search(r"/\w+/\w|\w+@\w|\bhost", text)
    assert path.stat().st_size < 500_000
    # As people find them: what makes them small is for this test alone.
    assert "finished after 2 steps" not in text


def test_there_is_one_for_each_problem():
    assert NAMES == ["crystals", "phasenet", "saxsae"]

"""The form, the docstrings and the types of the code, as ruff (.ruff.toml) and mypy (setup.cfg) see them."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(*command):
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)


def test_ruff_finds_nothing():
    done = run("ruff", "check", "--no-cache", "--output-format=concise", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_demands_docstrings(tmp_path):
    sample = tmp_path / "sample.py"
    sample.write_text("def area(side):\n    return side**2\n")
    done = run("ruff", "check", "--no-cache", f"--config={ROOT / '.ruff.toml'}", str(sample))
    assert done.returncode == 1 and "D103" in done.stdout


@pytest.mark.slow
def test_mypy_finds_nothing(tmp_path):
    done = run("mypy", f"--cache-dir={tmp_path}", "phasenet", "saxsae", "launch", "configs")
    assert done.returncode == 0, done.stdout + done.stderr

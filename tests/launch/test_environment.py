"""launch/environment: exact versions where they can be had, a word where they cannot, nothing installed twice.

A stand-in for the environment's Python notes what it is asked to install.
"""

import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "launch" / "environment"
PYTHON = """#!/usr/bin/env bash
root="$(cd "$(dirname "$0")/../.." && pwd -P)"
case "$*" in
    *version_info\\[:2\\]*) echo 3.99 ;;
    *"pip install"*)
        echo "$*" >> "$root/calls"
        if [[ "$*" == *--constraint* ]]; then [[ ! -e "$root/refuse" ]]; fi ;;
esac
"""


@pytest.fixture
def root(tmp_path):
    """A checkout in which Python is 3.99."""
    (tmp_path / "launch" / "constraints").mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "launch")
    for name in ("setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_text("")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def call(root, *extra):
    """Returns what is said, and what was installed since the last call."""
    done = subprocess.run([root / "launch" / "environment", *extra], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = root / "calls"
    installed = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return done.stdout, installed


def test_without_a_list_for_this_python_the_ranges_serve_and_it_is_said(root):
    said, installed = call(root)
    assert "no versions for Python 3.99" in said and len(installed) == 1 and "--constraint" not in installed[0]
    assert call(root) == ("", [])


def test_the_list_of_this_python_is_used(root):
    (root / "launch/constraints/python3.99.txt").write_text("jax==1\n")
    said, installed = call(root, "test")
    assert "cannot" not in said and len(installed) == 1 and "python3.99.txt" in installed[0]
    assert call(root, "test") == ("", [])
    (root / "launch/constraints/python3.99.txt").write_text("jax==2\n")
    assert len(call(root, "test")[1]) == 1


def test_where_the_list_cannot_be_installed_the_ranges_serve_and_it_is_said(root):
    (root / "launch/constraints/python3.99.txt").write_text("jax==1\n")
    (root / "refuse").touch()
    said, installed = call(root)
    assert "cannot be installed" in said and len(installed) == 2 and "--constraint" not in installed[1]


def test_the_test_extra_serves_for_the_page_but_not_for_an_accelerator(root):
    call(root, "test")
    assert call(root) == call(root, "serve") == ("", [])
    assert "[cuda]" in call(root, "cuda")[1][0]

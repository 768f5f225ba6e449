"""Paths of shipped files: found from any folder where they are read, never where something is written."""

import pathlib

import pytest

from launch.machine.shipped_files import resolve_arguments

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAP = "phasenet/examples/six_atoms.npy"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("given", "expected"), [
    ([f"--patterson={MAP}"], [f"--patterson={ROOT / MAP}"]),
    (["--patterson", MAP], ["--patterson", str(ROOT / MAP)]),
    (["--reflections=phasenet/examples/made_crystal.hkl"],
     [f"--reflections={ROOT}/phasenet/examples/made_crystal.hkl"]),
    (["--config=configs/patterson_paper/twin.py:box18"], [f"--config={ROOT}/configs/patterson_paper/twin.py:box18"]),
])
def test_an_input_is_taken_from_the_installation_and_named(given, expected):
    resolved, replaced = resolve_arguments(["launch", *given, "--seed=1"])
    assert resolved == ["launch", *expected, "--seed=1"]
    assert len(replaced) == 1 and (ROOT / replaced[0]).is_file()


@pytest.mark.parametrize("argument", [
    f"--output={MAP}", f"--json={MAP}", "--workdir=configs/phasenet_small.py", "--patterson=phasenet/examples/none.npy",
    "--patterson=six_atoms.npy", "--config.corpus=saxsae/examples/three_lobes.pdb", MAP])
def test_everything_else_stays(argument):
    assert resolve_arguments(["launch", argument]) == (["launch", argument], [])


def test_a_file_that_is_here_is_used(elsewhere):
    (elsewhere / MAP).parent.mkdir(parents=True)
    (elsewhere / MAP).write_bytes(b"")
    assert resolve_arguments([f"--patterson={MAP}"]) == ([f"--patterson={MAP}"], [])

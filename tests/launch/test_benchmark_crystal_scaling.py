"""Suite crystal_scaling and its picture: what is handed to the child processes and counted; never a time."""

import json
import pathlib
import sys

import launched
import numpy as np
import pytest

from launch.benchmarks import children
from launch.benchmarks.suites.crystals import crystal_scaling, solve_alone
from launch.plotting import crystal_scaling as picture
from launch.plotting.missing import MissingInput
from phasenet.crystal.made import arrays
from phasenet.errors import InputError
from phasenet.io.npz import read_npz

ROOT = pathlib.Path(__file__).resolve().parents[2]
VOLUMES = {1.0: (300, 450), 1.5: (300,)}


def details(atoms, d_min, start=1, solved=True):
    return {"atoms": atoms, "d_min": d_min, "start": start, "solved": solved, "cpu_seconds": 0.01 * atoms**2,
            "compile_cpu_seconds": 5.0, "peak_gigabytes": 0.3}


@pytest.fixture
def seen(monkeypatch):
    """The crystals that child processes were given, and their resolutions."""
    given = []

    def run(command):
        assert command[:3] == [sys.executable, "-m", "launch.benchmarks.suites.crystals.solve_alone"]
        path, d_min, result = command[3:]
        crystal = arrays.unpack(read_npz(path, arrays.NAMES), 0)
        given.append((crystal, float(d_min)))
        atoms = len(crystal.positions)
        answer = details(atoms, float(d_min)) | {"wall_seconds": 1.0}
        del answer["peak_gigabytes"]
        pathlib.Path(result).write_text(json.dumps(answer))
        return children.Finished(9.0, 8.0, 4e8, "")

    monkeypatch.setattr(crystal_scaling.children, "run", run)
    return given


def test_each_crystal_is_solved_in_a_child_process(seen):
    rows = []
    summary = crystal_scaling.run(rows.append, volumes=VOLUMES, crystals_per_volume=2)
    assert [d_min for _, d_min in seen] == [1.0] * 4 + [1.5] * 2
    for crystal, _ in seen:
        assert crystal.operators.symbol == "P -1" and crystal.kind == "organic"
    # The same crystals at each resolution, and other ones of the same volume.
    np.testing.assert_array_equal(seen[0][0].positions, seen[4][0].positions)
    assert not np.array_equal(seen[0][0].cell, seen[1][0].cell)
    assert all(row.details["peak_gigabytes"] == 0.4 and row.peer == "" for row in rows)
    assert rows[-1].id == f"300 A^3, crystal 1, 1.5 A, {len(seen[-1][0].positions)} atoms"
    assert summary["crystals at 1 A"] == summary["solved at 1 A"] == 4 and summary["solved at 1.5 A"] == 2
    assert summary["exponent of CPU time at 1 A"] == pytest.approx(2)
    assert summary["atoms of the largest solved at 1 A"] == max(len(crystal.positions) for crystal, _ in seen)


def test_a_run_is_resumed(seen, tmp_path):
    path = str(tmp_path / "result.json")
    first = crystal_scaling.run(lambda row: None, path, {1.5: (300,)}, 2)
    assert crystal_scaling.run(lambda row: None, path, {1.5: (300,)}, 2) == first and len(seen) == 2
    crystal_scaling.run(lambda row: None, path, VOLUMES, 2)
    assert len(seen) == 6


def test_where_nothing_can_be_measured_the_first_error_is_told(monkeypatch):
    def fail(command):
        raise RuntimeError("no memory")

    monkeypatch.setattr(crystal_scaling.children, "run", fail)
    with pytest.raises(InputError, match="no memory"):
        crystal_scaling.run(lambda row: None, volumes={1.5: (300,)}, crystals_per_volume=1)


def test_the_summary_counts_what_is_not_solved():
    items = [details(10, 1.2), details(20, 1.2), details(40, 1.2, start=3), details(80, 1.2, 16, solved=False)]
    summary = crystal_scaling.summarize(items)
    assert summary["crystals at 1.2 A"] == 4 and summary["solved at 1.2 A"] == 3
    assert summary["atoms of the largest solved at 1.2 A"] == 40
    assert summary["exponent of CPU time at 1.2 A"] == pytest.approx(2)
    assert crystal_scaling.summarize(items[3:]) == {"crystals at 1.2 A": 1, "solved at 1.2 A": 0}


@pytest.mark.slow
def test_a_child_solves_its_crystal():
    crystal = crystal_scaling.make_crystal(300, 0)
    found = crystal_scaling.measure(crystal_scaling.ScalingCase("small", 300, 0, 1.0))
    assert found["solved"] and found["status"] == "solved" and found["start"] >= 1
    assert found["atoms"] == len(crystal.positions) and found["reflections"] > 300
    assert found["compile_cpu_seconds"] > 0 and found["peak_gigabytes"] > 0.05


def test_a_crystal_without_a_model_is_not_solved():
    crystal = crystal_scaling.make_crystal(300, 0)
    found = solve_alone._judge(crystal, None)
    assert not found["solved"] and found["start"] == 0


def test_the_picture_shows_how_each_crystal_was_solved(tmp_path):
    rows = [details(10, 1.5), details(20, 1.5, start=3), details(40, 1.5, 16, solved=False), details(150, 1.0)]
    other = {"suite": "memory", "details": {"peak_gigabytes": 1.0}}
    results = [{"task": "benchmark", "items": [other, *({"suite": "crystal_scaling", "details": row} for row in rows)]},
               {"task": "crystals", "items": [{}]}]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results[0]))
    done = launched.run("launch.figures", "--figure=crystal_scaling", f"--results={path}",
                        f"--output={tmp_path / 'out'}")
    assert done.returncode == 0 and done.stderr == ""
    assert "1.5 A: 1 from the first start, 1 from a later start, 1 not solved" in done.stdout
    assert (tmp_path / "out" / "crystal_scaling.png").stat().st_size > 5000
    assert picture.draw(tmp_path / "again.png", results) == {
        "1.0 A": {"from the first start": 1, "from a later start": 0, "not solved": 0},
        "1.5 A": {"from the first start": 1, "from a later start": 1, "not solved": 1}}
    with pytest.raises(MissingInput, match="--suite=crystal_scaling"):
        picture.draw(tmp_path / "none.png", [{"task": "benchmark", "items": [other]}, results[1]])

"""Suite crystals: both programs get the same data and are judged alike; never a time."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from launch.benchmarks.suites.crystals import made_crystals, suite
from launch.evaluation import crystals as evaluation
from phasenet.crystal.lattice import inverse_spacing, orthogonalization_matrix
from phasenet.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def solvers(monkeypatch):
    """Ours knows all made crystals, the peer P 21 21 21 alone; both keep what they were given."""
    seen = {"trained": [], "untrained": [], "peer": []}

    def solve(groups, reflections, cell, composition, **options):
        true = made_crystals.make_crystal(groups[0].symbol, 1.0)
        network = "trained" if options["weights"] is not None else "untrained"
        seen[network].append((len(reflections.hkl), composition, options["num_starts"]))
        one = types.SimpleNamespace(positions=true.positions[:13], elements=true.elements[:13], status="solved",
                                    r1=0.04, num_starts=1)
        return (types.SimpleNamespace(solution=one, operators=groups[0]),)

    def run(command):
        problem = json.loads(pathlib.Path(command[2]).read_text())
        seen["peer"].append(problem)
        right = "x+1/2,-y+1/2,-z" in problem["operators"]
        true = made_crystals.make_crystal("P 21 21 21", 1.0).positions
        maps = {"P1": np.random.default_rng(0).random((65, 3)).tolist(),
                "measured amplitudes": (-true + [0.5, 0.0, 0.5]).tolist() if right else []}
        pathlib.Path(command[3]).write_text(json.dumps(
            {"maps": maps, "correlation": 0.98, "cpu_seconds": 0.5, "wall_seconds": 0.6}))

    monkeypatch.setattr(suite, "solve_in_groups", solve)
    monkeypatch.setattr(suite, "choose_group", lambda tried: tried[0])
    monkeypatch.setattr(suite.children, "run", run)
    return seen


def test_both_get_the_same_cut_data_and_are_judged_alike(solvers):
    rows = []
    summary = suite.run(rows.append, resolutions=(1.0, 1.5))
    assert [row.details["d_min"] for row in rows] == [1.0, 1.5]
    assert summary["solved at 1 A"] == 2 and summary["peer at 1 A"] == 1
    assert summary["peer CPU s at 1.5 A"] == 0.5 and summary["CPU ratio where both solve at 1 A"] > 0
    assert [bar.holds for bar in summary["bars"]] == [True, True]
    assert summary["untrained at 1 A"] == summary["untrained at 1.5 A"] == 2
    assert len(solvers["peer"]) == 4
    assert [starts for _, _, starts in solvers["trained"]] == [1, suite.NUM_STARTS] * 4  # each first start is untimed
    # Where no network phases, the untrained iteration is not run again.
    assert solvers["untrained"] == solvers["trained"][4:]
    for problem, (count, composition, _) in zip(solvers["peer"], solvers["trained"][::2], strict=True):
        assert len(problem["hkl"]) == len(problem["intensity"]) == len(problem["sigma"]) == count
        assert problem["num_atoms"] == sum(composition.values()) == 52
        assert problem["seconds"] == suite.PEER_SECONDS and "positions" not in problem
    widest = [inverse_spacing(np.array(problem["hkl"]), problem["cell"]).max() for problem in solvers["peer"]]
    np.testing.assert_allclose(widest, [1, 1, 1 / 1.5, 1 / 1.5], rtol=0.02)
    first, second = rows[0].details["crystals"]
    assert first["solved"] and not first["peer_solved"] and first["peer_fraction_atoms"] < 0.5
    assert second["peer_fraction_atoms"] == 1 and "maps" not in str(second)


def test_a_run_is_resumed(solvers, tmp_path):
    path = str(tmp_path / "result.json")
    first = suite.run(lambda row: None, resolutions=(1.0,), json_path=path)
    assert suite.run(lambda row: None, resolutions=(1.0,), json_path=path) == first
    assert len(solvers["peer"]) == 2
    suite.run(lambda row: None, resolutions=(1.0,), peer_seconds=1.0, json_path=path)
    assert len(solvers["peer"]) == 4


def test_a_crystal_that_ours_cannot_begin_is_not_solved(solvers, monkeypatch):
    def refuse(*args, **options):
        raise InputError("no start of 16 gave a map with peaks")

    monkeypatch.setattr(suite, "solve_in_groups", refuse)
    rows = []
    summary = suite.run(rows.append, resolutions=(1.0,))
    assert summary["solved at 1 A"] == 0 and not summary["bars"][0].holds
    assert "no start" in rows[0].details["crystals"][0]["error_of_ours"]
    assert rows[0].details["cpu_ratio_where_both_solve"] is None


def test_where_nothing_can_be_measured_the_first_error_is_told():
    with pytest.raises(InputError, match="at 1.2 A could be measured: bad file"):
        suite.summarize(1.2, [{"id": "a", "error": "bad file"}])


@pytest.mark.parametrize("symbol", made_crystals.CELLS)
def test_a_made_crystal_is_a_molecule_without_contacts(symbol):
    crystal = made_crystals.make_crystal(symbol, 1.2)
    matrix = orthogonalization_matrix(crystal.cell)
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
    offsets = crystal.positions[:, None, None] - crystal.positions[None, :, None] + shifts
    distances = np.sort(np.linalg.norm(offsets @ matrix.T, axis=-1).reshape(len(crystal.positions), -1))
    assert np.allclose(distances[:, 0], 0) and np.allclose(distances[:, 1], 1.45, atol=1e-6)
    flat = distances[:, 1:]
    assert ((flat > 2.29) | np.isclose(flat, 1.45)).all()
    again = made_crystals.make_crystal(symbol, 1.2)
    np.testing.assert_array_equal(again.reflections.intensity, crystal.reflections.intensity)
    assert sum(crystal.composition.values()) == len(crystal.positions) == len(crystal.elements) == 52


@pytest.mark.skipif(importlib.util.find_spec("cctbx") is None, reason="cctbx is not installed")
def test_charge_flipping_solves_a_made_crystal():
    crystal = made_crystals.make_crystal("P 21 21 21", 0.84)
    found = suite.theirs(crystal, evaluation.match_distance(0.84), 30.0)
    assert found["solved"] and found["correlation"] > 0.9 and "error" not in found
    assert found["runs"] >= 1 and found["iterations"] > 10


@pytest.mark.skipif(importlib.util.find_spec("cctbx") is None, reason="cctbx is not installed")
def test_charge_flipping_stops_in_time():
    crystal = made_crystals.make_crystal("P 1 21/c 1", 1.5)
    found = suite.theirs(crystal, evaluation.match_distance(1.5), 0.0)
    assert not found["solved"] and found["runs"] == 0 and found["correlation"] is None


def test_a_failing_peer_is_told(monkeypatch, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no such group')")
    monkeypatch.setattr(suite, "_CHILD", broken)
    with pytest.raises(RuntimeError, match="no such group"):
        suite.theirs(made_crystals.make_crystal("P 21 21 21", 1.5), 0.5, 1.0)


# Launches share names of flags, so each is imported in a process of its own; the suite only writes what it was given.
_LAUNCH = """
import json, pathlib, sys
from launch import app, benchmark
def run(report, **options):
    pathlib.Path("options.json").write_text(json.dumps(options))
    pathlib.Path("out.json.partial").write_text("{}")
    return {"bars": []}
benchmark.load_suite = lambda name: run
app.run(benchmark.main)
"""


def launch(folder, *arguments):
    return subprocess.run([sys.executable, "-c", _LAUNCH, *arguments], cwd=folder, capture_output=True, text=True,
                          check=False, env=os.environ | {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize(("arguments", "message"), [
    (["--suite=conv", "--crystals=folder"], "--crystals has no meaning for --suite=conv, only for suite crystals"),
    (["--suite=crystals", "--resolutions=1.0,good"], "'good' is no resolution from 0.3 to 5 Angstrom"),
    (["--suite=crystals", "--resolutions=1.0,1.00"], "give different numbers, at least one")])
def test_flags_that_do_not_fit_are_refused(arguments, message, tmp_path):
    done = launch(tmp_path, *arguments)
    assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "options.json").exists()


def test_flags_become_the_suites_options(tmp_path):
    done = launch(tmp_path, "--suite=crystals", "--crystals=folder", "--resolutions=0.84,1.2", "--peer_seconds=5",
                  "--json=out.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "options.json").read_text()) == {
        "crystals": "folder", "resolutions": [0.84, 1.2], "peer_seconds": 5.0, "json_path": "out.json"}
    assert (tmp_path / "out.json").is_file() and not (tmp_path / "out.json.partial").exists()

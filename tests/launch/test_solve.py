"""launch.solve and the maker of its example: what they write, say and refuse.

The weights here are random on a tiny problem: what is held is the way through, not the network.
"""

import json
import pathlib
import shutil
import types

import gemmi
import jax
import launched
import numpy as np
import pytest
from report_pages import payload_of
from same_files import assert_same_files

from launch.machine import provenance
from launch.solution import report, sections
from phasenet import metrics, pretrained
from phasenet.errors import InputError
from phasenet.io.ccp4 import write_map
from phasenet.maps import density, patterson, reflections, synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.networks import published
from phasenet.pipeline import Solution
from phasenet.preparation import PreparedMap
from phasenet.search import certificate, peaks
from phasenet.search.network_stage import SelectedAtoms

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROBLEM = synthesis.Problem(atoms=AtomRules(num_atoms=3, inner_box=5.0), grid=16)
PITCH = 0.5


def read_table(path):
    return np.loadtxt(path, delimiter=",", skiprows=1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Tiny random weights, weights that see nothing, and an example made with its maker."""
    folder = tmp_path_factory.mktemp("inputs")
    architecture = published.ConvolutionalArchitecture(features=4, outer_kernel=3, inner_kernel=3, inner_layers=2)
    params = published.PattersonNetwork(architecture).init(jax.random.key(1), np.zeros((1, 16, 16, 16), np.float32))
    pretrained.save(folder / "tiny", params, architecture, PROBLEM, {"about": "random"})
    pretrained.save(folder / "blind", jax.tree.map(np.zeros_like, params), architecture, PROBLEM, {})
    made = launched.run("launch.datasets.make_patterson_example", f"--output={folder}",
                        f"--weights={folder / 'tiny'}", "--seed=5")
    assert made.returncode == 0, made.stderr
    assert "three_atoms.npy (16 x 16 x 16 voxels)" in made.stdout
    values = np.load(folder / "three_atoms.npy")
    # The same map in the forms that people have.
    write_map(folder / "map.ccp4", np.fft.fftshift(values) * 40, PITCH, np.full(3, -8 * PITCH))
    np.save(folder / "amplitudes.npy", np.sqrt(np.maximum(np.fft.rfftn(values).real, 0)))
    for name, place in (("nan", (3, 4, 5)), ("one_sided", (3, 0, 0))):
        spoilt = values.copy()
        spoilt[place] = np.nan if name == "nan" else values.max() / 2
        np.save(folder / f"{name}.npy", spoilt)
    np.save(folder / "flat.npy", values[:8])
    np.save(folder / "wide.npy", np.asarray(synthesis.simulate_patterson(
        jax.random.key(0), 2 * read_table(folder / "three_atoms.csv")[:, 1:], PROBLEM._replace(grid=24))))
    return types.SimpleNamespace(folder=folder, values=values)


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    """The CCP4 map solved."""
    folder = tmp_path_factory.mktemp("solved")

    def again():
        finished = launched.run("launch.solve", f"--patterson={inputs.folder / 'map.ccp4'}",
                          f"--weights={inputs.folder / 'tiny'}", f"--output={folder / 'made' / 'here'}", "--seed=3",
                          f"--json={folder / 'also.json'}")
        assert finished.returncode == 0, finished.stderr
        return finished

    finished = again()
    return types.SimpleNamespace(output=finished.stdout, errors=finished.stderr, folder=folder / "made" / "here",
                                 log=json.loads((folder / "made" / "here" / "log.json").read_text()),
                                 also=json.loads((folder / "also.json").read_text()), again=again)


def test_the_example_is_made_of_its_table(inputs):
    atoms = read_table(inputs.folder / "three_atoms.csv")[:, 1:]
    assert atoms.shape == (3, 3) and np.abs(atoms).max() <= 2.5 and np.abs(atoms.mean(0)).max() < 1e-4
    expected = np.asarray(patterson.patterson(density.density(atoms, 16)))
    np.testing.assert_allclose(inputs.values, expected, atol=1e-5 * expected.max())
    assert inputs.values.dtype == np.float32 and inputs.values.argmax() == 0


def test_it_says_what_it_read_and_found(done):
    assert done.errors == ""
    summary = done.log["summary"]
    for words in ("map.ccp4: 16 x 16 x 16 voxels", *done.log["notes"], "in the middle, at voxel (8, 8, 8)",
                  "voxel edge 0.5 A, from the map's header", "holds F000", "3 atoms, estimated from the map's sum",
                  f"{summary['correlation']:.4f}", f"{summary['r_factor']:.4f}",
                  "determines neither the hand nor the origin",
                  f"written to {done.folder}"):
        assert words in done.output
    names = {file.name for file in done.folder.iterdir()}
    assert names == {"positions.csv", "positions.xyz", "positions.pdb", "sections.png", "report.html", "log.json"}
    assert all(name in done.output for name in names)
    assert (done.folder / "sections.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_same_seed_gives_the_same_files(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / "before")
    done.again()
    assert_same_files(tmp_path / "before", done.folder)


def test_the_log_is_whole(inputs, done):
    log = done.log
    assert log == done.also
    assert payload_of((done.folder / "report.html").read_text(encoding="utf-8"))["summary"] == log["summary"]
    assert log["input"]["kind"] == "patterson" and log["input"]["has_f000"] and log["pitch_angstrom"] == PITCH
    assert log["flags"]["seed"] == 3 and log["flags"]["num_atoms"] is None and log["problem"]["grid"] == 16
    assert log["flags"]["refine"] is True and log["flags"]["json"].endswith("also.json") and len(log["flags"]) == 21
    assert log["weights"]["sha256"] == provenance.weights_digest(inputs.folder / "tiny")
    assert log["weights"]["about"] == "random"
    assert log["versions"]["jax"] == jax.__version__ and log["revision"]
    assert log["summary"]["num_atoms"] == 3 <= log["summary"]["candidates"] == len(log["candidates"]["heights"])
    errors = np.array(log["annealing"]["errors"])
    assert errors.shape[1] == len(log["annealing"]["swaps"]) and errors[:, -1].min() <= errors[:, 0].min()
    assert log["timing"]["wall_seconds"] > 0


def test_the_atoms_are_the_same_in_all_files_and_fit_as_said(inputs, done):
    rows = read_table(done.folder / "positions.csv")
    atoms = rows[:, 1:4]
    np.testing.assert_allclose(rows[:, 4:7], atoms * PITCH, atol=1e-4)
    np.testing.assert_allclose(rows[:, 7:], done.log["deviations_voxels"], atol=1e-4)
    np.testing.assert_allclose(done.log["positions_voxels"], atoms, atol=1e-4)
    np.testing.assert_allclose(done.log["positions_angstrom"], atoms * PITCH, atol=1e-4)
    np.testing.assert_allclose(atoms.mean(0), 0, atol=1e-3)
    structure = gemmi.read_structure(str(done.folder / "positions.pdb"))
    np.testing.assert_allclose([found.atom.pos.tolist() for found in structure[0].all()], atoms * PITCH, atol=1e-3)
    xyz = np.loadtxt(done.folder / "positions.xyz", skiprows=2, usecols=(1, 2, 3))
    np.testing.assert_allclose(xyz, atoms * PITCH, atol=1e-4)
    # The figure of merit by another way: Pearson over all voxels. The atoms were moved to their mean since.
    calculated = np.asarray(patterson.patterson(density.density(atoms, 16)))
    correlation = np.corrcoef(calculated.ravel(), inputs.values.ravel())[0, 1]
    assert done.log["summary"]["correlation"] == pytest.approx(correlation, abs=0.04)


def test_a_search_from_a_network_that_knows_nothing_is_exact_and_certified(inputs, done):
    true = read_table(inputs.folder / "three_atoms.csv")[:, 1:]
    matching = metrics.match(np.array(done.log["positions_voxels"], np.float32), true.astype(np.float32))
    assert matching.matched.all() and float(matching.distance.max()) < 2e-3
    assert done.log["summary"]["status"] == "solved" and "\nSolved: " in done.output
    assert done.log["summary"]["largest_deviation_voxels"] < 0.01


def test_amplitudes_are_solved_alike(inputs, done, tmp_path):
    finished = launched.run("launch.solve", f"--amplitudes={inputs.folder / 'amplitudes.npy'}", "--num_atoms=4",
                            "--pitch=2", "--picker=peaks", "--norefine", f"--weights={inputs.folder / 'tiny'}",
                            f"--output={tmp_path}")
    assert finished.returncode == 0, finished.stderr
    log = json.loads((tmp_path / "log.json").read_text())
    assert log["input"]["kind"] == "amplitudes" and log["pitch_angstrom"] == 2
    assert "half of reciprocal space" in finished.stdout and "indicate 3.0 atoms, not 4" in finished.stdout
    assert read_table(tmp_path / "positions.csv").shape == (4, 7) and log["problem"]["atoms"]["num_atoms"] == 4


@pytest.mark.parametrize(("flags", "code", "words"), [
    (["--patterson={}/missing.npy"], 1, "missing.npy: no such file"),
    (["--patterson={}/nan.npy"], 1, "nan.npy: the value at index (3, 4, 5) is nan"),
    (["--patterson={}/flat.npy"], 1, "flat.npy: the shape is (8, 16, 16); expected a cubic map"),
    (["--patterson={}/one_sided.npy"], 1, "one_sided.npy: not a Patterson map: P(u) and P(-u) differ"),
    (["--patterson={}/wide.npy"], 1, "24 voxels per edge, the weights are for 16"),
    (["--patterson={}/three_atoms.npy", "--weights=nobodys"], 1, "weights 'nobodys'"),
    (["--patterson={}/three_atoms.npy", "--num_atoms=0"], 1, "num_atoms"),
    (["--patterson={}/three_atoms.npy", "--num_atoms=200"], 1, "num_atoms=200: too many for min_distance=2.0"),
    (["--patterson={}/three_atoms.npy", "--weights={}/blind", "--norefine"], 1,
     "3 atoms are asked for, but the network's map gives only 0 candidate positions"),
    (["--patterson={}/three_atoms.npy", "--pitch=-1"], 1, "--pitch=-1"),
    (["--amplitudes={}/map.ccp4"], 1, "map.ccp4: neither a NumPy array"),
    ([], 2, "patterson"),
    (["--patterson={}/three_atoms.npy", "--amplitudes={}/amplitudes.npy"], 2, "patterson")])
def test_mistakes_end_in_one_line(inputs, tmp_path, flags, code, words):
    flags = [flag.format(inputs.folder) for flag in flags]
    if not any(flag.startswith("--weights") for flag in flags):
        flags.append(f"--weights={inputs.folder / 'tiny'}")
    finished = launched.run("launch.solve", *flags, f"--output={tmp_path / 'out'}")
    assert finished.returncode == code, finished.stderr
    assert finished.stderr.count("\n") == 1 and words in finished.stderr
    assert not list(tmp_path.rglob("positions.*"))


def test_an_output_that_is_a_file_is_refused(inputs, tmp_path):
    (tmp_path / "taken").write_text("precious")
    finished = launched.run("launch.solve", f"--patterson={inputs.folder / 'three_atoms.npy'}",
                      f"--weights={inputs.folder / 'tiny'}", f"--output={tmp_path / 'taken' / 'below'}")
    assert finished.returncode == 1 and "is a file" in finished.stderr
    assert (tmp_path / "taken").read_text() == "precious"


def test_fewer_candidates_than_atoms_are_refused_with_both_numbers():
    valid = np.arange(8) < 3
    candidates = peaks.Candidates(np.zeros((8, 3)), np.where(valid, 0.4, 0.0), valid)
    agreement = reflections.Agreement(0.5, 0.5)
    found = SelectedAtoms(np.zeros((4, 3)), np.arange(4) < 3, candidates, agreement, np.ones((1, 1)))
    prepared = PreparedMap(np.zeros((16,) * 3), PROBLEM._replace(atoms=AtomRules(num_atoms=4)), True, 4.0, ())
    positions = np.where(found.valid[:, None], found.positions, np.nan)
    answer = Solution(positions, None, agreement, None, found, None, prepared)
    with pytest.raises(InputError, match="4 atoms are asked for, .* only 3 candidate positions"):
        report.check_enough_candidates(answer)
    report.check_enough_candidates(answer._replace(positions=found.positions))


def test_a_poor_fit_is_called_one():
    numbers = {"num_atoms": 3, "candidates": 9, "correlation": 0.95, "r_factor": 0.1, "status": None}

    def table(**other):
        return report.format_table(numbers | other, {"wall_seconds": 1.0, "cpu_seconds": 2.0})

    assert "do not explain" not in table() and "olved" not in table()
    assert "do not explain" in table(correlation=0.5)
    assert "only a part of the map" in table(r_factor=0.5)
    for status in certificate.STATUSES:
        assert f"\n{status.capitalize()}: " in table(status=status)


def test_without_refinement_the_networks_atoms_are_the_answer(inputs, tmp_path):
    finished = launched.run("launch.solve", f"--patterson={inputs.folder / 'three_atoms.npy'}", "--norefine",
                      f"--weights={inputs.folder / 'tiny'}", f"--output={tmp_path}")
    assert finished.returncode == 0, finished.stderr
    log = json.loads((tmp_path / "log.json").read_text())
    assert log["summary"]["status"] is None and log["deviations_voxels"] is None
    assert "olved:" not in finished.stdout and read_table(tmp_path / "positions.csv").shape == (3, 4)


def test_the_sections_that_hold_most_are_shown():
    values = np.zeros((16,) * 3)
    values[8, 8, 8] = 100.0
    for place, height in (((4, 8, 11), 3.0), ((3, 8, 14), 2.0), ((3, 8, 15), 2.1)):
        values[place] = height
        values[tuple(np.mod(16 - np.array(place), 16))] = height
    assert sections.choose_heights(values) == [0, 3, 7]

"""Held-out structures: their curves, a bank without their relatives, what is stated of them and what is true."""

import functools
import json

import launched
import numpy as np
import pytest
from made_bodies import make_atoms
from scipy import ndimage

from launch.datasets import held_out
from launch.datasets.held_out import HeldOut
from launch.evaluation import confidence as task
from phasenet.errors import InputError
from saxsae import confidence, pretrained
from saxsae.io.structures.corpus import write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.io.structures.voxelized_corpus import VoxelizedCorpus, write_voxelized
from saxsae.profiles.guinier import fit_guinier
from saxsae.shapes.batches import voxelize_many

pytestmark = [pytest.mark.slow, pytest.mark.optimized]


def globule(name, seed):
    rng = np.random.default_rng(seed)
    points, _ = make_atoms(rng.uniform(14, 22, 3), seed)
    elements = rng.choice((6, 7, 8), len(points), p=(0.63, 0.18, 0.19))
    return Structure(points.astype(np.float32), elements.astype(np.uint8), "atoms", name, pdb_id=f"{seed}abc")


@pytest.fixture(scope="module")
def weights():
    return pretrained.load()


def test_the_validation_split_is_listed_in_one_order(tmp_path):
    structures = [globule(f"body{seed}", seed) for seed in range(5)]
    write_archive(tmp_path / "structures.npz", structures)
    bits, r_max = voxelize_many([one.xyz_angstrom for one in structures], [None] * 5, lambda _: None)
    names = np.array([one.name for one in structures])
    paths = str(tmp_path / "structures.npz"), str(tmp_path / "corpus.npz")
    write_voxelized(paths[1], VoxelizedCorpus(bits, r_max, names, np.array([""] * 5), np.array(["made"] * 5),
                                              np.array([0, 1, 1, 0, 1], np.uint8)))
    found = held_out.list_held_out(*paths)
    assert {one.id for one in found} == {"body1", "body2", "body4"}
    assert [one.id for one in held_out.list_held_out(*paths)] == [one.id for one in found]
    write_voxelized(paths[1], VoxelizedCorpus(bits, r_max, names, np.array([""] * 5), np.array(["made"] * 5),
                                              np.zeros(5, np.uint8)))
    with pytest.raises(InputError, match="no structure of the validation split"):
        held_out.list_held_out(*paths)


def test_the_curve_is_that_of_the_structure_with_its_water():
    structure = globule("body", 3)
    first, again = (held_out.simulate(structure, 7) for _ in range(2))
    np.testing.assert_array_equal(first.intensity, again.intensity)
    rg = np.sqrt(((structure.xyz_angstrom - structure.xyz_angstrom.mean(0))**2).sum(1).mean())
    guinier = fit_guinier(first.q_inv_angstrom, first.intensity, first.sigma)
    assert guinier.valid and -0.02 < guinier.rg_angstrom / rg - 1 < 0.15  # bound water enlarges it
    assert np.abs((first.intensity - first.exact) / np.hypot(first.sigma, 0.05 * first.exact + 1e-3)).mean() < 1.5


def test_relatives_are_not_chosen(weights):
    """A structure of the bank, decoded, is its own relative."""
    bank = weights.bank
    row = next(number for number, r_max in enumerate(bank.r_max_angstrom) if 25 < r_max < 27)
    decoded = np.asarray(held_out._decode(weights, bank.codes[row:row + 1]))[0]
    inner = ndimage.binary_erosion(decoded > 0.5)  # an atom fills the voxels around it
    points = (np.argwhere(inner) - 15) * bank.r_max_angstrom[row] / 0.9 / 15
    structure = Structure(points.astype(np.float32), np.full(len(points), 6, np.uint8), "atoms", "own",
                          pdb_id=next(pdb_id for pdb_id in bank.pdb_ids if pdb_id))
    left = held_out.without_relatives(weights, structure).bank
    gone = np.isnan(left.profiles).all((1, 2, 3))
    assert gone[row] and gone[bank.pdb_ids.index(structure.pdb_id)]
    assert len(left.names) == len(bank.names) and gone.sum() < 0.02 * len(gone)


@pytest.fixture(scope="module")
def item(weights):
    return task.evaluate_structure(HeldOut(globule("body", 3), 7), weights, num_models=6, stages=("bank",))


def test_an_item_says_what_is_true_and_what_was_stated(item):
    assert 0.8 < item["correlation"] <= 1 and 8 < item["true_resolution_angstrom"] < 60
    assert len(item["features"]) == len(confidence.FEATURES) and np.isfinite(item["features"]).all()
    voxels, filled = np.array(item["voxels"]), np.array(item["filled"])
    assert voxels.sum() == 32**3 and (filled <= voxels).all()
    assert filled[0] < 0.05 * voxels[0] and filled[-1] > 0.6 * voxels[-1]
    json.dumps(item)


def test_constants_are_fitted_and_released(item, tmp_path):
    rng = np.random.default_rng(0)
    items = [item | {"id": str(number), "correlation": 1 - 0.1 * np.exp(0.2 * rng.normal()),
                     "features": (np.array(item["features"]) + 0.1 * rng.normal(size=len(item["features"]))).tolist()}
             for number in range(40)] + [{"id": "bad", "error": "no"}]
    (tmp_path / "held_out.json").write_text(json.dumps({"items": items}), encoding="utf-8")
    fit = functools.partial(launched.run, "launch.datasets.fit_confidence", f"--output={tmp_path / 'release'}")
    done = fit(f"--evaluation={tmp_path / 'held_out.json'}")
    assert done.returncode == 0, done.stderr
    assert "expected_correlation_90_holds" in done.stdout
    model = pretrained.load(str(tmp_path / "release")).confidence
    assert "was made with other weights" in done.stdout
    (tmp_path / "few.json").write_text(json.dumps({"items": items[:12]}), encoding="utf-8")
    few = fit(f"--evaluation={tmp_path / 'few.json'}")
    assert few.returncode == 1 and "12 structures without an error; 30 are needed" in few.stderr
    stated = confidence.predict(model, np.array(item["features"]))
    assert stated.expected_correlation == pytest.approx(0.9, abs=0.02)
    (tmp_path / "held_out.json").write_text("{}", encoding="utf-8")
    done = fit(f"--evaluation={tmp_path / 'held_out.json'}")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_each_structure_is_judged_by_the_others(item):
    rng = np.random.default_rng(1)
    items = [item | {"id": str(number), "correlation": 0.9 + 0.01 * rng.normal(),
                     "features": (np.array(item["features"]) + rng.normal(size=len(item["features"]))).tolist()}
             for number in range(30)] + [{"id": "bad", "error": "no"}]
    items[7]["correlation"] = -0.9
    stated = {one["id"]: one for one in task.cross_validate(items)}
    assert len(stated) == 30
    own = stated["7"]["expected_correlation_90"]
    assert own[0] > 0.5  # its own failure did not widen it
    assert min(one["expected_correlation_90"][0] for one in stated.values()) < own[0]
    assert sum(count for _, _, count in task.measure_reliability(list(stated.values()))) == 30 * 32**3


def test_the_summary_counts_the_intervals_that_hold():
    items = [{"id": str(number), "correlation": 0.9, "true_resolution_angstrom": 20.0, "cpu_seconds": 1.0,
              "r_max_ratio": 1.0, "voxels": [1] * 11, "filled": [0] * 5 + [1] * 6, "features": [0.0] * 8,
              "expected_correlation": 0.92, "resolution_angstrom": 22.0,
              "expected_correlation_90": (0.95, 0.99) if number in (1, 2) else (0.8, 0.95), "occupancy": [0.5] * 11,
              "resolution_angstrom_90": (15.0, 30.0)} for number in range(8)]
    summary = task.summarize(items)
    reliable = task.measure_reliability(items)
    assert reliable[-1] == (0.5, 1.0, 8)
    assert summary["count"] == 8 and summary["expected_correlation_90_holds"] == 0.75
    assert summary["resolution_angstrom_90_holds"] == 1 and summary["mean_error_of_expected_correlation"] > 0
    shown = [line.split() for line in task.format_summary(summary, reliable, []).splitlines()]
    assert ["stated", "filled", "voxels"] in shown and ["0.50", "1.00", "8"] in shown


def test_curves_are_grouped_by_how_many_structures_fit_them():
    items = [{"num_fitting": count, "correlation": correlation} for count, correlation in (
        (0, 0.7), (0, 0.8), (1, 0.9), (99, 0.94), (10, 0.92), (5000, 0.95), (None, 0.1))] + [{"error": "no"}]
    found = task.group_by_ambiguity(items)
    assert [(row["fitting"], row["count"]) for row in found] == [
        ("none", 2), ("1 to 9", 1), ("10 to 99", 2), ("1000 and more", 1)]
    np.testing.assert_allclose([row["correlation"] for row in found], [0.75, 0.9, 0.93, 0.95])
    assert "10 to 99" in task.format_summary({}, [], found)

"""launch.evaluate --task=crystals: atoms are compared over origins and hands, and the summary counts them."""

import json

import numpy as np
import pytest
from made_crystals import make_crystal

from launch.evaluation import crystals
from launch.plotting import crystal_verdicts
from launch.plotting.missing import MissingInput
from phasenet import crystal_pipeline
from phasenet.crystal.lattice import orthogonalization_matrix
from phasenet.crystal.made import arrays
from phasenet.crystal.made.crystals import draw_crystal
from phasenet.crystal.refinement import verdict
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.errors import InputError

pytestmark = pytest.mark.optimized

SYMBOL = "P 1 21/c 1"


@pytest.fixture
def folder(tmp_path):
    made = make_crystal(SYMBOL)
    inner = tmp_path / "made"
    inner.mkdir()
    rows = np.column_stack([made.reflections.hkl, made.reflections.intensity, made.reflections.sigma])
    np.savetxt(inner / "merged.csv", rows, delimiter=",", header="h,k,l,Fsq,sigma", comments="", fmt="%.6g")
    lines = ["label,element,x,y,z,occ_crystallographic"]
    lines += [f"A{i},{element},{x},{y},{z},1.0"
              for i, (element, (x, y, z)) in enumerate(zip(made.elements, made.positions, strict=True))]
    (inner / "atoms.csv").write_text("\n".join(lines) + "\n")
    (inner / "source.json").write_text(json.dumps({"cell": list(made.cell), "space_group": SYMBOL, "formula": "C8 N2"}))
    return tmp_path


def test_a_crystal_is_read_without_its_answer_near_the_solver(folder):
    listed = crystals.list_crystals(str(folder))
    assert [one.id for one in listed] == ["made"]
    crystal = crystals.read_published(listed[0].path)
    assert len(crystal.positions) == 48 and crystal.composition == make_crystal(SYMBOL).composition
    with pytest.raises(InputError, match="merged.csv"):
        crystals.list_crystals(str(folder / "made"))


@pytest.mark.slow
def test_a_made_crystal_is_solved(folder):
    item = {"id": "made"} | crystals.evaluate_crystal(folder / "made", None, 4, 0)
    assert item["solved"] and item["status"] == "solved" and item["fraction_elements"] == 1
    summary = crystals.summarize([item, {"id": "other", "error": "bad"}])
    assert summary["fraction_solved"] == 0.5 and summary["wrongly_solved"] == 0 and summary["failed"] == 1
    text = crystals.format_summary([item, {"id": "other", "error": "bad"}], summary)
    assert "failed: other: bad" in text and "100%" in crystals.format_crystal(item)


@pytest.mark.slow
def test_a_made_crystal_is_solved_without_its_group_and_composition(folder):
    item = crystals.evaluate_crystal(folder / "made", None, 4, 0, unknown_group=True, composition="elements")
    assert item["solved"] and item["group_rank"] == 1 and item["space_group_found"] == SYMBOL


@pytest.mark.slow
def test_permuted_intensities_are_not_called_solved(folder):
    item = crystals.evaluate_crystal(folder / "made", 1.2, 2, 0, permuted=True)
    assert item["status"] == "not solved" and not item["solved"] and item["starts"] >= 2


def test_atoms_are_compared_over_shifts_and_hands():
    made = make_crystal("P 21 21 21")
    matrix = orthogonalization_matrix(made.cell)
    true, sources = expand_to_cell(made.positions, made.operators, made.cell)
    names = tuple(made.elements[source] for source in sources)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(true))
    moved = (-true + [0.5, 0.0, 0.5] + 0.003 * rng.normal(size=true.shape))[order]
    elements = [names[i] for i in order]
    fraction, right, rms = crystals.compare_atoms(moved, elements, true, names, matrix, 0.3)
    assert fraction == 1 and right == 1 and 0.02 < rms < 0.1
    laid = crystals.superpose_atoms(moved, true, matrix, 0.3)
    np.testing.assert_array_equal(order[laid.nearest], np.arange(len(true)))
    offset = laid.hand * moved[laid.nearest] + laid.shift - true
    assert np.abs((offset - np.rint(offset)) @ matrix.T).max() < 0.3 and laid.matched.all()
    assert crystals.compare_atoms(rng.random((48, 3)), elements, true, names, matrix, 0.3)[0] < 0.4
    assert crystals.compare_atoms(np.zeros((0, 3)), [], true, names, matrix, 0.3)[0] == 0


@pytest.mark.slow
def test_a_crystal_with_an_inversion_is_not_left_in_a_group_without(folder):
    made = make_crystal("P -1")
    lower, right = make_crystal("P 1").operators, made.operators
    tried = crystal_pipeline.solve_in_groups([lower, right], made.reflections, made.cell, made.composition,
                                             radiation="xray", num_starts=6, seed=0)
    best = crystal_pipeline.choose_group(tried)
    assert best.operators is right and best.solution.status == "solved" and not best.has_extra_inversion
    assert len(tried) == 2


def test_made_crystals_are_measured_for_an_evaluation(tmp_path):
    drawn = [draw_crystal(np.random.default_rng(seed), (250.0, 350.0), kind="organic")
             for seed in (1, 2)]
    np.savez(tmp_path / "set.npz", **arrays.pack(drawn))
    listed = crystals.list_crystals(str(tmp_path / "set.npz"))
    assert [one.id for one in listed] == ["00000", "00001"]
    read = crystals.read_published(listed[1].path)
    assert read.composition == drawn[1].composition and len(read.positions) == len(read.elements)
    heavy = sum(count for element, count in read.composition.items() if element != "H")
    assert heavy == len(read.positions) and len(read.reflections.hkl) > 100
    again = crystals.read_published(listed[1].path)
    np.testing.assert_array_equal(read.reflections.intensity, again.reflections.intensity)
    with pytest.raises(InputError, match="missing.npz"):
        crystals.list_crystals(str(tmp_path / "missing.npz"))


def test_the_figure_of_verdicts_counts_right_wrong_and_permuted(tmp_path):
    item = {"r1": 0.05, "reflections_per_parameter": 9.0, "solved": True, "status": "solved"}
    results = [{"task": "crystals", "items": [item, item | {"solved": False, "r1": 0.4, "status": "not solved"}]},
               {"task": "crystals", "permuted": True, "items": [item | {"solved": False}, {"id": "x", "error": "bad"}]},
               {"task": "phasing", "items": [{}]}]
    counts = crystal_verdicts.draw(tmp_path / "figure.png", results)
    assert (tmp_path / "figure.png").stat().st_size > 5000
    assert counts == {"right": 1, "right, called solved": 1, "wrong": 1, "wrong, called solved": 0,
                      "intensities permuted": 1, "intensities permuted, called solved": 1}
    with pytest.raises(MissingInput, match="--task=crystals"):
        crystal_verdicts.draw(tmp_path / "figure.png", results[2:])


def test_right_structures_are_counted_by_r1_over_the_limit():
    limit = verdict.r1_limits(9.0)[0]
    item = {"r1": 0.9 * limit, "reflections_per_parameter": 9.0, "solved": True}
    few = item | {"reflections_per_parameter": 1.0}
    results = [{"task": "crystals", "items": [item, item | {"solved": False}, item | {"r1": limit}, few,
                                              item | {"r1": 1.2 * limit, "solved": False}, {"id": "x", "error": "bad"},
                                              item | {"r1": 0.0}, item | {"r1": 9 * limit, "solved": False}]},
               # The limit of structures whose composition was not given is lower by a tenth: this one lies beyond.
               {"task": "crystals", "composition": "elements", "items": [item | {"r1": 0.95 * limit}]},
               {"task": "crystals", "permuted": True, "items": [item]}, {"task": "phasing", "items": [{}]}]
    counted = {one.label: (one.right, one.total) for one in crystal_verdicts.count_by_ratio(results)}
    assert counted == {"0 to 0.5": (1, 1), "0.5 to 0.75": (0, 0), "0.75 to 1": (2, 3), "1 to 1.25": (1, 2),
                       "1.25 to 1.5": (0, 0), "1.5 to 2": (0, 0), "over 2": (0, 1), "too few\nreflections": (1, 1)}


def test_the_interval_of_a_share_is_wilsons():
    # The ends are where the share lies 1.6449 standard deviations of its own from what was counted.
    low, high = crystal_verdicts.wilson_interval(8, 10)
    for end in (low, high):
        assert abs(0.8 - end) / np.sqrt(end * (1 - end) / 10) == pytest.approx(1.6449, rel=1e-6)
    assert low < 0.8 < high
    assert crystal_verdicts.wilson_interval(5, 5)[1] == 1 and crystal_verdicts.wilson_interval(0, 5)[0] == 0

"""The Laue group that made data show, with and without noise, twinning, merging and false metrics."""

import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, find_absences
from phasenet.crystal.measured.cell_check import axis_limits, find_axis_scale, metric_mismatch
from phasenet.crystal.measured.laue_symmetry import (
    centring_letter,
    find_laue_symmetry,
    lattice_operators,
    lattice_rotations,
)
from phasenet.crystal.measured.merging import merge


@pytest.mark.parametrize("symbol, system, name", [
    ("P -1", "triclinic", "-1"), ("P 1 21/c 1", "monoclinic", "2/m"), ("P 21 21 21", "orthorhombic", "mmm"),
    ("P 41", "tetragonal", "4/m"), ("P 41 21 2", "tetragonal", "4/mmm"), ("P 31", "hexagonal", "-3"),
    ("P 31 2 1", "hexagonal", "-3m"), ("P 3 1 2", "hexagonal", "-3m"), ("P 63", "hexagonal", "6/m"),
    ("P 61 2 2", "hexagonal", "6/mmm"), ("P 21 3", "cubic", "m-3"), ("P 4 3 2", "cubic", "m-3m"),
    ("P -1", "cubic", "-1"), ("P 1 2 1", "orthorhombic", "2/m"), ("P 2 2 21", "tetragonal", "mmm"),
])
def test_the_laue_group_is_that_of_the_crystal_and_not_of_its_cell(made, symbol, system, name):
    reflections, cell, operators = made.crystal(symbol, system, d_min=1.2, count=5)
    shown = find_laue_symmetry(reflections, cell).shown
    assert shown.name == name and not shown.num_untested
    expected = {rotation.tobytes() for rotation in np.concatenate([operators.rotations, -operators.rotations])}
    assert {rotation.tobytes() for rotation in shown.rotations} == expected
    assert shown.r_int == pytest.approx(merge(reflections, operators.rotations).statistics.r_int, nan_ok=True)


def test_all_subgroups_of_a_cubic_lattice_are_tried(made):
    # The rotation group 432 has 30 subgroups.
    reflections, cell, _ = made.crystal("P -1", "cubic", d_min=1.5, count=5)
    assert len(find_laue_symmetry(reflections, cell).groups) == 30
    assert len(lattice_rotations(cell, "F")) == 24 and len(lattice_rotations(made.CELLS["hexagonal"], "R")) == 6


def test_data_merged_before_are_recognised(made):
    reflections, cell, operators = made.crystal("P 21 21 21", "orthorhombic", d_min=1.0)
    merged = merge(reflections, operators.rotations).reflections
    symmetry = find_laue_symmetry(merged, cell)
    assert symmetry.shown.name == "mmm" and symmetry.merged_before and np.isnan(symmetry.shown.r_int)


@pytest.mark.parametrize("symbol, system, name", [
    ("P 21 21 21", "tetragonal", "mmm"), ("P 1 21/c 1", "orthorhombic", "2/m"), ("P 3 1 2", "hexagonal", "-3m"),
    ("P 21 3", "cubic", "m-3"),
])
def test_data_merged_before_do_not_show_the_symmetry_of_a_higher_metric(made, symbol, system, name):
    reflections, cell, operators = made.crystal(symbol, system, d_min=1.2, count=5)
    symmetry = find_laue_symmetry(merge(reflections, operators.rotations).reflections, cell)
    assert symmetry.shown.name == name and symmetry.merged_before
    expected = {rotation.tobytes() for rotation in np.concatenate([operators.rotations, -operators.rotations])}
    assert {rotation.tobytes() for rotation in symmetry.shown.rotations} == expected


def test_half_of_the_data_in_p1_are_not_taken_for_merged_ones(made):
    reflections, cell, _ = made.crystal("P -1", "orthorhombic", d_min=1.0, count=6)
    kept = np.random.default_rng(0).uniform(size=len(reflections.hkl)) < 0.3
    symmetry = find_laue_symmetry(Intensities(*(column[kept] for column in reflections)), cell)
    assert symmetry.shown.name == "-1"


def test_a_partial_twin_is_not_a_symmetry(made):
    cell, operators = made.CELLS["orthorhombic"], made.group("P 1 21/c 1")
    hkl = made.half_sphere(cell, 1.0)
    one = np.abs(made.structure_factors(hkl, cell, operators, made.random_atoms(12))) ** 2
    two = np.abs(made.structure_factors(hkl * [1, 1, -1], cell, operators, made.random_atoms(12))) ** 2
    symmetry = find_laue_symmetry(made.measure(hkl, 0.65 * one + 0.35 * two), cell)
    assert symmetry.shown.name == "2/m"
    tests = {tuple(np.diag(test.rotation)): test for test in symmetry.rotations}
    assert tests[-1, 1, -1].holds and not tests[-1, -1, 1].holds
    assert tests[-1, -1, 1].correlation > 0.6 > 0.3 > tests[-1, -1, 1].r_pairs


def test_noisy_electron_data_keep_their_symmetry(made):
    reflections, cell, operators = made.crystal("P 1 21/n 1", "monoclinic", d_min=1.0, noise=0.3)
    assert find_laue_symmetry(reflections, cell, radiation="electron").shown.name == "2/m"


@pytest.mark.parametrize("letter", "PABCIFR")
def test_the_letter_of_a_lattice_is_read_back(letter):
    lattice = lattice_operators(letter)
    assert centring_letter(lattice) == letter
    counts = {"P": 1, "F": 4, "R": 3}
    hkl = np.array(np.meshgrid(*[range(12)] * 3)).reshape(3, -1).T
    assert (~find_absences(hkl, lattice)).mean() == pytest.approx(1 / counts.get(letter, 2))


@pytest.mark.parametrize("axis, factor", [(0, 1.21), (1, 0.85), (2, 1.12)])
def test_a_wrong_edge_is_found_by_the_sphere_that_the_data_fill(made, axis, factor):
    reflections, cell, operators = made.crystal("P 1 21/c 1", "monoclinic", d_min=0.95)
    hkl = merge(reflections, operators.rotations).hkl
    assert find_axis_scale(hkl, cell, operators).factor == 1
    wrong = cell.copy()
    wrong[axis] *= factor
    scale = find_axis_scale(hkl, wrong, operators)
    assert scale.axis == axis and scale.factor * factor == pytest.approx(1, abs=0.03)
    assert scale.best_overlap > 0.96 > scale.overlap
    limits = axis_limits(hkl, wrong, operators.rotations)
    assert (np.argmax(limits) if factor > 1 else np.argmin(limits)) == axis


def test_a_cell_that_breaks_its_symmetry_is_measured(made):
    assert metric_mismatch(made.CELLS["cubic"], made.group("P 4 3 2").rotations) == pytest.approx(0, abs=1e-12)
    assert metric_mismatch(made.CELLS["cubic"] * [1.01, 1, 1, 1, 1, 1], made.group("P 2 3").rotations) == (
        pytest.approx(1.01**2 - 1, rel=1e-6))
    skew = np.array([8, 9, 10, 90.5, 100, 90])
    expected = 2 * np.sin(np.radians(0.5))
    assert metric_mismatch(skew, made.group("P 1 2 1").rotations) == pytest.approx(expected, rel=1e-3)

"""Mean |E^2 - 1|, |L|, twin fractions and pseudo-translations of made crystals against theory."""

import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, find_absences
from phasenet.crystal.measured.intensity_statistics import (
    estimate_twin_fraction,
    find_neighbor_vectors,
    find_pseudo_translations,
    intensity_statistics,
    log_odds_centrosymmetric,
)
from phasenet.crystal.measured.merging import merge, select_reflections
from phasenet.crystal.measured.wilson import normalized_intensities


def statistics_of(made, symbol, system, twin=None, fraction=0.5, count=40, d_min=0.75):
    cell, operators = made.CELLS[system], made.group(symbol)
    hkl = made.half_sphere(cell, d_min)
    atoms = made.random_atoms(count)
    intensity = np.abs(made.structure_factors(hkl, cell, operators, atoms)) ** 2
    if twin is not None:
        partner = np.abs(made.structure_factors(hkl @ np.array(twin), cell, operators, atoms)) ** 2
        intensity = (1 - fraction) * intensity + fraction * partner
    merged = merge(made.measure(hkl, intensity, noise=0.01), operators.rotations)
    merged = select_reflections(merged, ~find_absences(merged.hkl, operators))
    e2, sigma = normalized_intensities(merged, cell)
    return intensity_statistics(merged, e2, sigma, operators, np.ones(len(e2), bool)), merged, operators


TWO_ALONG_C_OF_MONOCLINIC = [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]


@pytest.mark.parametrize("symbol, system, mean, mean_l, e4", [
    ("P 1", "triclinic", 0.736, 0.5, 2), ("P -1", "triclinic", 0.968, 2 / np.pi, 3),
    ("P 21 21 21", "orthorhombic", 0.736, 0.5, 2), ("P 1 21/c 1", "monoclinic", 0.968, 2 / np.pi, 3),
])
def test_statistics_are_wilsons(made, symbol, system, mean, mean_l, e4):
    found = statistics_of(made, symbol, system)[0]
    assert found.mean_e2_minus_1 == pytest.approx(mean, abs=5 * found.mean_e2_minus_1_sigma)
    assert found.mean_abs_l == pytest.approx(mean_l, abs=0.03)
    assert found.mean_e4 == pytest.approx(e4, abs=0.12 * e4)
    assert np.sign(found.log_odds_centrosymmetric) == (1 if mean > 0.9 else -1)


def test_the_cumulative_distribution_is_howells(made):
    # Howells, Phillips & Rogers, Acta Cryst. 3, 210 (1950): N(z) = 1 - exp(-z) without a centre of symmetry.
    found = statistics_of(made, "P 1", "triclinic")[0]
    np.testing.assert_allclose(found.cumulative, 1 - np.exp(-np.arange(1, 11) / 10), atol=0.03)


def test_a_perfect_twin_has_the_statistics_of_the_sum_of_two(made):
    twin = np.diag([-1, -1, 1])
    found = statistics_of(made, "P 1", "orthorhombic", twin)[0]
    # Two independent exponentials averaged: mean |z - 1| = 4 / e^2, mean |L| = 3/8 (Padilla & Yeates 2003).
    assert found.mean_e2_minus_1 == pytest.approx(4 / np.e**2, abs=0.03)
    assert found.mean_abs_l == pytest.approx(0.375, abs=0.02)
    assert found.mean_l2 == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("symbol, centric", [("P 1", 0.0), ("P -1", 1.0)])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_the_h_test_finds_the_twin_fraction(made, symbol, centric, fraction):
    twin = np.diag([-1, -1, 1])
    _, merged, operators = statistics_of(made, symbol, "orthorhombic", twin, fraction)
    test = estimate_twin_fraction(merged, operators.rotations, twin, centric)
    assert test.fraction == pytest.approx(fraction, abs=0.05)


@pytest.mark.parametrize("symbol", ["P 1", "C 1 2 1", "F 2 2 2", "I 2 2 2", "R 3:H"])
def test_neighbours_are_reflections_of_the_lattice(made, symbol):
    steps = find_neighbor_vectors(made.group(symbol))
    assert len(steps) and not find_absences(steps, made.group(symbol)._replace(symbol="")).any() or symbol == "R 3:H"
    assert (steps % 2 == 0).all()


def test_the_odds_grow_with_the_number_of_reflections_to_a_limit():
    few, many, most = (log_odds_centrosymmetric(0.968, count) for count in (10, 1000, 10**6))
    assert 0 < few < many and most < 3.5
    assert log_odds_centrosymmetric(0.736, 1000) < -2 and abs(log_odds_centrosymmetric(0.85, 1000)) < 0.7


@pytest.mark.parametrize("offset, height", [(0.0, 1.0), (0.01, 0.75)])
def test_a_pseudo_translation_is_a_patterson_peak(made, offset, height):
    cell, operators = made.CELLS["triclinic"], made.group("P 1")
    atoms = made.random_atoms(12)
    shifted = atoms + [0.5, 0.5, 0.0] + offset * np.random.default_rng(5).standard_normal(atoms.shape)
    hkl = made.half_sphere(cell, 1.0)
    intensity = np.abs(made.structure_factors(hkl, cell, operators, np.concatenate([atoms, shifted]))) ** 2
    merged = merge(made.measure(hkl, intensity + 1e-3), operators.rotations)
    e2, _ = normalized_intensities(merged, cell)
    peaks = find_pseudo_translations(merged, e2, cell, operators)
    np.testing.assert_allclose(peaks[0].vector % 1, [0.5, 0.5, 0.0], atol=0.02)
    assert peaks[0].height == pytest.approx(height, abs=0.2) and peaks[0].length > 3


def test_an_ordinary_crystal_has_no_pseudo_translation(made):
    _, merged, operators = statistics_of(made, "P 1", "triclinic")
    e2, _ = normalized_intensities(merged, made.CELLS["triclinic"])
    assert not find_pseudo_translations(merged, e2, made.CELLS["triclinic"], operators)


def test_centring_is_no_pseudo_translation(made):
    cell, operators = made.CELLS["monoclinic"], made.group("C 1 2 1")
    hkl = made.half_sphere(cell, 1.0)
    hkl = hkl[~find_absences(hkl, operators)]
    merged = merge(
        Intensities(hkl, np.abs(made.structure_factors(hkl, cell, operators, made.random_atoms(20))) ** 2,
                    np.ones(len(hkl))), operators.rotations)
    e2, _ = normalized_intensities(merged, cell)
    assert all(peak.height < 0.5 for peak in find_pseudo_translations(merged, e2, cell, operators))


def test_too_few_reflections_give_no_figures(made):
    found, _, _ = statistics_of(made, "F d -3 m:2", "cubic", count=1, d_min=3.0)
    assert np.isnan(found.mean_abs_l)

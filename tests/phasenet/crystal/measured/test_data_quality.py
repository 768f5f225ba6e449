"""Completeness and strength by resolution, against gemmi and against how the data were made."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, inverse_spacing
from phasenet.crystal.measured.data_quality import assess_quality, cc_half, possible_reflections
from phasenet.crystal.measured.merging import merge


@pytest.mark.parametrize("symbol, system", [
    ("P -1", "triclinic"), ("P 1 21/n 1", "monoclinic"), ("C 1 2/c 1", "monoclinic"), ("P b c a", "orthorhombic"),
    ("P 41 21 2", "tetragonal"), ("R -3 c:H", "hexagonal"), ("P 63/m", "hexagonal"), ("F d -3 m:2", "cubic"),
])
def test_possible_reflections_are_as_many_as_gemmi_counts(made, symbol, system):
    cell = made.CELLS[system]
    theirs = gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.find_spacegroup_by_name(symbol), 1.0, unique=True)
    assert len(possible_reflections(cell, made.group(symbol), 1.0)) == len(theirs)


def test_completeness_is_the_share_that_was_kept(made):
    reflections, cell, operators = made.crystal("P 1 21/c 1", "monoclinic", d_min=0.9)
    inverse_d = inverse_spacing(reflections.hkl, cell)
    # The merged data lose all of 60% of the reflections above 1/A, and every one below 0.12 1/A.
    merged = merge(reflections, operators.rotations)
    unique_inverse_d = inverse_spacing(merged.hkl, cell)
    lost = (unique_inverse_d < 0.12) | ((unique_inverse_d > 1.0) & (np.arange(len(merged.hkl)) % 5 < 3))
    kept = ~lost[merged.unique_index]
    reflections = Intensities(*(column[kept] for column in reflections))
    assert inverse_d.max() > 1.08
    merged = merge(reflections, operators.rotations)
    quality = assess_quality(reflections, merged, cell, operators)
    possible = inverse_spacing(possible_reflections(cell, operators, quality.d_min), cell)
    assert quality.low_angle_completeness == pytest.approx(1 - (possible < 0.12).sum() / (possible < 0.2).sum())
    assert len(quality.missing_low_angle) == (possible < 0.12).sum()
    assert quality.shells[-1].completeness == pytest.approx(0.4, abs=0.12)
    assert quality.d_95_percent == pytest.approx(1.0, abs=0.03)
    assert sum(shell.num_possible for shell in quality.shells) == len(possible)


def test_the_end_of_the_data_is_where_they_were_made_noise(made):
    reflections, cell, operators = made.crystal("P 21 21 21", "orthorhombic", d_min=0.8)
    inverse_d = inverse_spacing(reflections.hkl, cell)
    intensity, sigma = reflections.intensity.copy(), reflections.sigma.copy()
    noise = inverse_d > 1 / 0.95
    random = np.random.default_rng(3)
    sigma[noise] = intensity.mean()
    intensity[noise] = sigma[noise] * random.standard_normal(noise.sum())
    reflections = Intensities(reflections.hkl, intensity, sigma)
    quality = assess_quality(reflections, merge(reflections, operators.rotations), cell, operators)
    assert quality.noise_criterion == "I/sigma" and quality.d_noise == pytest.approx(0.95, abs=0.04)
    assert quality.shells[-1].mean_i_over_sigma < 0.5 and quality.shells[0].mean_i_over_sigma > 8


def test_strong_data_have_no_end(made):
    reflections, cell, operators = made.crystal("P -1", "triclinic")
    quality = assess_quality(reflections, merge(reflections, operators.rotations), cell, operators)
    assert quality.noise_criterion == "" and quality.d_noise == quality.d_min
    assert quality.completeness == 1


def test_cc_half_is_that_of_drawn_halves(made):
    cell = made.CELLS["triclinic"]
    random = np.random.default_rng(4)
    half = made.half_sphere(cell, 1.2)
    truth = random.exponential(size=len(half))
    hkl = np.repeat(half, 8, axis=0)
    intensity = np.repeat(truth, 8) + 2.0 * random.standard_normal(len(hkl))
    reflections = Intensities(hkl, intensity, np.full(len(hkl), 2.0))
    merged = merge(reflections, np.eye(3)[None])
    rows = intensity.reshape(-1, 8)
    drawn = []
    for _ in range(20):
        order = random.permuted(np.tile(np.arange(8), (len(rows), 1)), axis=1)
        shuffled = np.take_along_axis(rows, order, axis=1)
        drawn.append(np.corrcoef(shuffled[:, :4].mean(1), shuffled[:, 4:].mean(1))[0, 1])
    assert cc_half(reflections, merged, np.ones(len(half), bool)) == pytest.approx(np.mean(drawn), abs=0.02)


def test_cc_half_needs_repeated_measurements(made):
    reflections, cell, operators = made.crystal("P -1", "triclinic")
    merged = merge(reflections, operators.rotations)
    assert np.isnan(cc_half(reflections, merged, np.ones(len(merged.hkl), bool)))

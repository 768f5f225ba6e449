"""Merging against gemmi, against the published definitions, and against closed forms."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, find_absences
from phasenet.crystal.measured.merging import epsilon_and_centric, find_rows, laue_rotations, merge, unique_indices
from phasenet.errors import InputError

GROUPS = ["P -1", "P 1 21/c 1", "C 1 2/c 1", "P 21 21 21", "P n m a", "P 41 21 2", "P 31 2 1", "R 3:H", "R -3 c:H",
          "P 63/m", "I a -3", "F d d 2"]


def measurements(made, symbol="P 21 21 21", repeats=3, seed=0):
    """Every reflection of a sphere to 1.5 A, measured several times with sigmas that differ."""
    half = made.half_sphere(made.CELLS["orthorhombic"], 1.5)
    hkl = np.repeat(np.concatenate([half, -half]), repeats, axis=0)
    operators = made.group(symbol)
    intensity = np.abs(made.structure_factors(hkl, made.CELLS["orthorhombic"], operators, made.random_atoms(6))) ** 2
    random = np.random.default_rng(seed)
    sigma = (0.05 * intensity + 0.02 * intensity.mean()) * random.uniform(0.5, 2, len(hkl))
    return Intensities(hkl, intensity + sigma * random.standard_normal(len(hkl)), sigma), operators


def test_means_and_indices_agree_with_gemmi(made):
    reflections, operators = measurements(made)
    merged = merge(reflections, operators.rotations)
    theirs = gemmi.Intensities()
    cell = gemmi.UnitCell(*made.CELLS["orthorhombic"])
    theirs.set_data(cell, gemmi.SpaceGroup("P 2 2 2"), reflections.hkl, reflections.intensity, reflections.sigma)
    theirs.merge_in_place(gemmi.DataType.Mean)
    rows = find_rows(merged.hkl, unique_indices(theirs.miller_array, operators.rotations))
    assert len(theirs.miller_array) == len(merged.hkl) and (rows >= 0).all()
    np.testing.assert_allclose(merged.intensity[rows], theirs.value_array, rtol=1e-9)
    np.testing.assert_array_equal(merged.multiplicity[rows], theirs.nobs_array)


def test_r_values_agree_with_gemmi(made):
    reflections, operators = measurements(made)
    # With one sigma for all, gemmi's denominator, n times the weighted mean, is the sum of the intensities.
    reflections = reflections._replace(sigma=np.full(len(reflections.sigma), reflections.sigma.mean()))
    statistics = merge(reflections, operators.rotations).statistics
    theirs = gemmi.Intensities()
    cell = gemmi.UnitCell(*made.CELLS["orthorhombic"])
    theirs.set_data(cell, gemmi.SpaceGroup("P 2 2 2"), reflections.hkl, reflections.intensity, reflections.sigma)
    theirs.prepare_for_merging(gemmi.DataType.Mean)
    theirs = theirs.calculate_merging_stats(None, use_weights="Y")[0]
    assert statistics.r_int == pytest.approx(theirs.r_merge(), rel=1e-9)
    assert statistics.r_meas == pytest.approx(theirs.r_meas(), rel=1e-9)
    assert statistics.r_pim == pytest.approx(theirs.r_pim(), rel=1e-9)


def test_figures_of_three_measurements_by_hand():
    reflections = Intensities(np.array([[1, 2, 3], [-1, -2, -3], [0, 0, 2]]), np.array([100.0, 110.0, 50.0]),
                              np.array([1.0, 2.0, 5.0]))
    merged = merge(reflections, np.eye(3)[None])
    mean = (100 / 1 + 110 / 4) / 1.25
    row = find_rows(merged.hkl, np.array([[1, 2, 3]]))[0]
    assert merged.intensity[row] == pytest.approx(mean)
    scatter = (100 - mean) ** 2 + (110 - mean) ** 2 / 4
    assert scatter > 1 and merged.sigma[row] == pytest.approx(np.sqrt(scatter / 1.25))
    assert merged.statistics.r_int == pytest.approx(10 / 210)
    assert merged.statistics.r_meas == pytest.approx(np.sqrt(2) * 10 / 210)
    assert merged.statistics.r_pim == pytest.approx(10 / 210)
    assert merged.statistics.r_sigma == pytest.approx((merged.sigma[row] + 5) / (mean + 50))


def test_the_sigma_is_that_of_the_weights_where_the_scatter_is_smaller():
    reflections = Intensities(np.array([[1, 2, 3]] * 4), np.full(4, 7.0), np.full(4, 2.0))
    assert merge(reflections, np.eye(3)[None]).sigma == pytest.approx([1.0])


@pytest.mark.parametrize("symbol", GROUPS)
def test_equivalents_have_one_index_and_others_do_not(made, symbol):
    hkl = np.random.default_rng(0).integers(-6, 7, size=(200, 3))
    rotations = laue_rotations(made.group(symbol).rotations)
    orbits = np.stack([hkl @ rotation for rotation in rotations], axis=1)
    largest = [max(orbit.tolist(), key=lambda row: row[::-1]) for orbit in orbits]
    np.testing.assert_array_equal(unique_indices(hkl, rotations), largest)


@pytest.mark.parametrize("symbol", GROUPS)
def test_absences_epsilon_and_centric_agree_with_gemmi(made, symbol):
    hkl = np.array(np.meshgrid(*[range(-5, 6)] * 3)).reshape(3, -1).T.astype(np.int32)
    theirs = gemmi.find_spacegroup_by_name(symbol).operations()
    operators = made.group(symbol)
    hkl = hkl[hkl.any(1)]
    np.testing.assert_array_equal(find_absences(hkl, operators), theirs.systematic_absences(hkl).astype(bool))
    epsilon, centric = epsilon_and_centric(hkl, operators.rotations)
    np.testing.assert_array_equal(epsilon, theirs.epsilon_factor_without_centering_array(hkl))
    np.testing.assert_array_equal(centric, theirs.centric_flag_array(hkl).astype(bool))


def test_friedel_mates_kept_apart_have_opposite_indices(made):
    half = made.half_sphere(made.CELLS["orthorhombic"], 2.0)
    hkl = np.concatenate([half, -half])
    operators = made.group("P 21 21 21")
    together = merge(Intensities(hkl, np.ones(len(hkl)), np.ones(len(hkl))), operators.rotations)
    apart = merge(Intensities(hkl, np.ones(len(hkl)), np.ones(len(hkl))), operators.rotations, keep_friedel_mates=True)
    assert len(apart.hkl) == len(together.hkl) + (~together.centric).sum()
    mates = find_rows(apart.hkl, -apart.hkl)
    assert ((mates >= 0) == ~apart.centric).all()
    assert (find_rows(together.hkl, apart.hkl) >= 0).sum() == len(together.hkl)


def test_an_outlier_is_flagged_and_kept(made):
    reflections, operators = measurements(made)
    spoilt = reflections.intensity.copy()
    spoilt[17] += 100 * reflections.sigma[17] + 1000
    merged = merge(reflections._replace(intensity=spoilt), operators.rotations)
    before = merge(reflections, operators.rotations)
    assert merged.is_outlier[17] and merged.statistics.num_outliers <= 2 + before.statistics.num_outliers
    row = merged.unique_index[17]
    assert merged.multiplicity[row] == before.multiplicity[row] and merged.sigma[row] > 3 * before.sigma[row]


@pytest.mark.parametrize("bad", [{"hkl": [[0, 0, 0]]}, {"sigma": [0.0]}, {"intensity": [np.nan]}])
def test_what_cannot_be_merged_is_named(bad):
    row = {"hkl": [[1, 0, 0]], "intensity": [1.0], "sigma": [1.0]} | bad
    with pytest.raises(InputError, match="reflection 1"):
        merge(Intensities(*(np.array(row[name]) for name in ("hkl", "intensity", "sigma"))), np.eye(3)[None])

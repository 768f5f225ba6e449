"""The reflections that are compared: Parseval, cropping, and the two figures of merit."""

import numpy as np
import pytest

from phasenet.maps import patterson, reflections


def random_map(seed, n=8):
    return np.random.default_rng(seed).random((n,) * 3).astype(np.float32)


@pytest.mark.parametrize("h_max", [None, 2.5])
def test_half_of_reciprocal_space(h_max):
    which = reflections.select_reflections(8, h_max)
    radius = patterson.index_radius(8).ravel()
    kept = np.arange(8 * 8 * 5) if h_max is None else np.flatnonzero(radius <= h_max)
    np.testing.assert_array_equal(which.flat_index, kept)
    assert which.grid == 8 and which.weights.dtype == np.float32
    if h_max is None:
        assert which.weights.sum() == pytest.approx(1)  # 8^3 reflections of weight 8^-3
    assert set(np.round(which.weights * 8**3, 3).tolist()) == {1, 2}


def test_structure_factors_are_sums_over_voxels():
    rho, which = random_map(0), reflections.select_reflections(8, 2.5)
    factors = np.asarray(reflections.structure_factors(rho, which))
    h, k, l = np.unravel_index(which.flat_index, (8, 8, 5))
    x, y, z = np.meshgrid(*[np.arange(8)] * 3, indexing="ij")
    for place in (0, 5, 17, len(h) - 1):
        phase = 2 * np.pi * (h[place] * x + k[place] * y + l[place] * z) / 8
        assert factors[0, place] == pytest.approx((rho * np.cos(phase)).sum(), abs=1e-3)
        assert factors[1, place] == pytest.approx(-(rho * np.sin(phase)).sum(), abs=1e-3)


def test_weights_are_those_of_parseval():
    rho, which = random_map(1), reflections.select_reflections(8)
    factors = reflections.structure_factors(rho, which)
    assert float((which.weights * factors**2).sum()) == pytest.approx(float((rho.astype(float) ** 2).sum()), rel=1e-5)


def test_observed_intensities_are_those_of_the_density():
    rho = random_map(2)
    for h_max in (None, 3.0):
        which = reflections.select_reflections(8, h_max)
        observed = reflections.observed_intensities(patterson.patterson(rho), which)
        expected = (reflections.structure_factors(rho, which) ** 2).sum(0)
        np.testing.assert_allclose(observed, expected, rtol=1e-4, atol=1e-2)


def test_a_cropped_map_loses_nothing_while_the_atoms_are_near_each_other():
    small = np.zeros((16,) * 3, np.float32)
    small[4:12, 4:12, 4:12] = random_map(3)
    which = reflections.select_reflections(16)
    expected = np.abs(np.fft.rfftn(small)).ravel() ** 2
    for n in (16, 20, 24):
        cropped = reflections.observed_intensities(patterson.patterson(np.pad(small, (n - 16) // 2)), which)
        np.testing.assert_allclose(cropped, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_agreement_is_the_correlation_of_the_two_maps():
    first, second = random_map(4), random_map(5)
    which = reflections.select_reflections(8)
    intensities = [reflections.observed_intensities(patterson.patterson(rho), which) for rho in (first, second)]
    maps = []
    for rho in (first, second):
        maps.append(np.asarray(patterson.patterson(rho), float).ravel())
    found = reflections.agreement(*intensities, which)
    assert float(found.correlation) == pytest.approx(np.corrcoef(*maps)[0, 1], abs=1e-4)
    # R by a sum over all of reciprocal space, without F000.
    calculated, observed = (np.abs(np.fft.fftn(rho.astype(float))).ravel()[1:] for rho in (first, second))
    scale = (calculated * observed).sum() / (calculated**2).sum()
    expected = np.abs(observed - scale * calculated).sum() / observed.sum()
    assert float(found.r_factor) == pytest.approx(expected, abs=1e-4)


def test_agreement_does_not_see_scale_or_f000():
    which = reflections.select_reflections(8)
    observed = np.array(reflections.observed_intensities(patterson.patterson(random_map(6)), which))
    calculated = 3 * observed
    calculated[0] = 1e7
    found = reflections.agreement(calculated, observed, which)
    assert float(found.correlation) == pytest.approx(1, abs=1e-5) and float(found.r_factor) < 1e-4
    # Noise makes some observed intensities negative: they count as none.
    observed[5] = -3.0
    assert np.isfinite(reflections.agreement(calculated, observed, which).r_factor)
    nothing = reflections.agreement(0 * observed, observed, which)
    assert float(nothing.correlation) == 0 and float(nothing.r_factor) == pytest.approx(1)

"""Concentration series: closed forms of lines, their errors, and which interaction is named."""

import numpy as np
import pytest

from saxsae.analysis.concentration_series import (
    ATTRACTION,
    MIXED,
    NONE_SEEN,
    REPULSION,
    analyze_series,
    fit_line,
    is_divided_by_concentration,
)

C = np.array([1.0, 2.5, 5.0, 10.0])


def test_values_on_a_line_give_the_line():
    line = fit_line(C, 20.0 - 0.3 * C, np.array([0.1, 0.2, 0.1, 0.4]))
    assert (line.at_zero, line.slope) == pytest.approx((20.0, -0.3), rel=1e-12)
    assert line.reduced_chi_squared == pytest.approx(0, abs=1e-20) and line.direction == -1


def test_errors_of_two_points_propagate():
    line = fit_line([2.0, 6.0], [10.0, 12.0], [0.3, 0.4])
    assert (line.at_zero, line.slope) == pytest.approx((9.0, 0.5))
    assert line.slope_error == pytest.approx(0.5 / 4)  # sqrt(0.3^2 + 0.4^2) over the distance
    assert line.at_zero_error == pytest.approx(np.hypot(6 * 0.3, 2 * 0.4) / 4)
    assert np.isnan(line.reduced_chi_squared)


def test_it_is_the_weighted_least_squares_of_numpy():
    rng = np.random.default_rng(0)
    c, sigma = rng.uniform(1, 10, 9), rng.uniform(0.1, 1, 9)
    value = 5 + 2 * c + 0.1 * sigma * rng.normal(size=9)  # less scatter than sigma: the errors are those of sigma
    line = fit_line(c, value, sigma)
    (slope, at_zero), covariance = np.polyfit(c, value, 1, w=1 / sigma, cov="unscaled")
    assert (line.slope, line.at_zero) == pytest.approx((slope, at_zero))
    assert (line.slope_error, line.at_zero_error) == pytest.approx(np.sqrt(np.diag(covariance)))


def test_scatter_beyond_sigma_raises_the_errors():
    c, value = np.arange(1.0, 9.0), 30 + np.array([1, -1] * 4)
    small, large = fit_line(c, value, np.full(8, 0.01)), fit_line(c, value, np.full(8, 0.001))
    assert small.slope_error == pytest.approx(large.slope_error)  # sigma cancels
    assert small.slope_error == pytest.approx(np.sqrt(small.reduced_chi_squared) * 0.01 / np.sqrt(42))
    assert small.direction == 0


def test_noise_alone_moves_as_often_as_two_standard_errors_say():
    rng = np.random.default_rng(1)
    c, sigma = np.linspace(1, 10, 12), np.linspace(0.2, 0.5, 12)
    found = [fit_line(c, 20 + sigma * rng.normal(size=12), sigma) for _ in range(1000)]
    assert 0.02 < np.mean([line.direction != 0 for line in found]) < 0.07  # 4.6% of a Gaussian; fewer where raised
    assert np.std([line.at_zero for line in found]) == pytest.approx(found[0].at_zero_error, rel=0.1)


@pytest.mark.parametrize(("rg_slope", "virial", "interaction"), [
    (0.0, 0.0, NONE_SEEN), (-0.1, 0.01, REPULSION), (0.0, 0.01, REPULSION), (0.1, -0.01, ATTRACTION),
    (0.1, 0.0, ATTRACTION), (0.1, 0.01, MIXED)])
def test_the_interaction_is_named(rg_slope, virial, interaction):
    # I(0) = K c / (1 + 2 A2 M c), with K = 50 and 2 A2 M = virial.
    i0 = 50 * C / (1 + virial * C)
    found = analyze_series(C, 20 + rg_slope * C, np.full(4, 0.1), i0, 0.005 * i0)
    assert found.interaction == interaction
    assert found.rg_angstrom.at_zero == pytest.approx(20)
    assert found.i0_per_concentration.at_zero == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize("virial", [-0.02, 0.0, 0.05])
def test_intensities_divided_by_the_concentration_are_told(virial):
    i0 = 50 * C / (1 + virial * C)
    assert not is_divided_by_concentration(C, i0)
    assert is_divided_by_concentration(C, i0 / C)
    assert not is_divided_by_concentration([5.0, 5.5], [5.0, 5.0])  # too near to each other


@pytest.mark.parametrize(("c", "sigma"), [([1.0], [1.0]), ([2.0, 2.0], [1.0, 1.0]), ([1.0, 2.0], [1.0, 0.0]),
                                          ([1.0, np.nan], [1.0, 1.0]), ([1.0, 2.0], [1.0, np.nan])])
def test_what_fixes_no_line_is_refused(c, sigma):
    with pytest.raises(ValueError, match="two different|positive"):
        fit_line(c, np.ones(len(c)), sigma)


def test_a_concentration_of_zero_is_refused():
    with pytest.raises(ValueError, match="concentrations must be positive"):
        analyze_series([0.0, 1.0], [20.0, 20.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0])

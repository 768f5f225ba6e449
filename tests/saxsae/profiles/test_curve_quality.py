"""The measures of a curve: each sees what it is for, and nothing in a good curve."""

import types

import numpy as np
import pytest

from saxsae.profiles.curve_quality import count_flare_points, measure_quality
from saxsae.profiles.guinier import fit_guinier

Q = np.linspace(0.01, 0.35, 250)


def sphere(radius=30.0, q=Q):
    x = q * radius
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def curve(intensity, noise=0.002, q=Q, **more):
    sigma = noise * np.sqrt(np.abs(intensity) + 0.05)
    return types.SimpleNamespace(q_inv_angstrom=q, sigma=sigma,
                                 intensity=intensity + sigma * np.random.default_rng(0).standard_normal(q.size), **more)


def measure(made):
    return measure_quality(made, fit_guinier(made.q_inv_angstrom, made.intensity, made.sigma))


def test_a_good_curve_shows_nothing():
    found = measure(curve(sphere()))
    assert found.rg_angstrom == pytest.approx(30 * np.sqrt(0.6), rel=0.03)
    assert found.low_q_excess == found.negative_share == 0 and found.plateau < 0.003 and abs(found.level) < 0.003
    assert abs(found.guinier_curvature) < 0.1 and found.kratky < 0.3 and found.low_q_signal > 500
    assert found.q_rg_start < 0.5 and found.points == Q.size


def test_a_constant_background_is_a_plateau_of_its_size():
    found = measure(curve(sphere() + 0.1))
    assert found.plateau == found.level == pytest.approx(0.1 / 1.1, rel=0.05)


def test_a_thin_rod_is_no_plateau():
    x = np.linspace(0, 1, 200)[1:] * Q[:, None] * 300.0  # over the cosine of the angle with q
    rod = np.mean(np.sinc(x / 2 / np.pi) ** 2, axis=1) * np.exp(-(Q * 8) ** 2 / 2)
    found = measure(curve(rod, q=Q))
    assert found.plateau == 0 and found.level > 0


def test_over_subtraction_is_negative_at_high_q():
    found = measure(curve(sphere() - 0.03))
    assert found.level == pytest.approx(-0.03, abs=0.003) and found.plateau == 0
    assert measure(curve(sphere(), negative_share=0.2)).negative_share == 0.2


def test_the_points_before_the_guinier_region_are_compared_with_its_line():
    aggregates = 0.5 * np.exp(-((Q * 150) ** 2) / 3) + 0.2 * (1 + (Q * 300) ** 2) ** -1
    assert measure(curve(sphere() + aggregates)).low_q_excess > 0.08


def test_the_curvature_of_the_guinier_plot_has_a_sign():
    assert measure(curve(sphere() - 0.6 * np.exp(-((Q / 0.02) ** 2)))).guinier_curvature < -0.25
    assert measure(curve(sphere() + 2 * (1 + (Q * 100) ** 2) ** -2)).guinier_curvature > 0.3


def test_a_masked_beamstop_leaves_nothing_to_divide_by():
    masked = sphere()
    masked[:40] = 0
    found = measure(curve(masked, noise=1e-9))
    assert np.isnan(found.level) or np.isfinite(found.level)
    nothing = types.SimpleNamespace(q_inv_angstrom=Q, intensity=0 * Q, sigma=1 + 0 * Q)
    assert np.isnan(measure(nothing).level)


def test_the_steep_fall_towards_a_minimum_is_no_flare():
    late = Q > 0.15
    assert count_flare_points(curve(sphere(25.0)[late], q=Q[late]), 25.0) == 0


def test_a_difference_curve_has_no_signal_at_low_q():
    assert measure(curve(sphere(29.0) * 0.9 - sphere(30.0))).low_q_signal < 0


def test_a_flat_curve_keeps_its_level():
    assert measure(curve(np.ones_like(Q))).level == pytest.approx(1, abs=0.05)


def test_flares_that_no_particle_of_this_size_can_make_end_where_they_end():
    q = np.linspace(0.01, 0.3, 300)
    flare = 50 * np.exp(-((q - 0.01) / 0.01))
    end = count_flare_points(curve(sphere(25.0, q) + flare, q=q), 25.0)
    assert 0.03 < q[end] < 0.09
    assert count_flare_points(curve(sphere(25.0, q), q=q), 30.0) == 0

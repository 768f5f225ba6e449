"""The way from a curve to a shape, at a small size, with the released weights and a sphere whose curve is known."""

import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae import genetic, pretrained, reconstruction
from saxsae.io.curves import Curve

SETTINGS = genetic.Settings(population=16, elites=4, generations=4)


@pytest.fixture(scope="module")
def weights():
    return pretrained.load()


def sphere_curve(radius: float, points: int = 150) -> Curve:
    """I(q) of a sphere (Angstrom) with 1% noise and up."""
    q = np.linspace(0.2 / radius, 0.25, points)
    x = q * radius
    intensity = (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    sigma = 0.01 * intensity + 2e-4
    noisy = intensity + sigma * np.random.default_rng(0).normal(size=points)
    return Curve(q, 1e3 * noisy, 1e3 * sigma, "1/A", ("made",), "sphere.dat", False, 3)


def reconstruct(curve, weights, **options):
    return reconstruction.reconstruct(curve, weights, settings=SETTINGS, **options)


@pytest.fixture(scope="module")
def found(weights):
    return reconstruct(sphere_curve(25.0), weights, num_models=2)


def test_what_comes_out_fits_together(found):
    assert found.density.shape == (31, 31, 31) and found.models.shape == (2, 31, 31, 31)
    assert 0 <= found.density.min() and found.density.max() <= 1.001
    low, high = 1.16 * found.guinier.rg_angstrom, 3.2 * found.guinier.rg_angstrom
    assert low * 0.94 <= found.radius_angstrom <= high * 1.06
    assert found.guinier.rg_angstrom == pytest.approx(25 * np.sqrt(0.6), rel=0.03)
    assert found.pitch_angstrom == pytest.approx(found.model_radii.max() / 13.5, rel=1e-5)
    assert found.q_inv_angstrom.max() <= 0.2 and len(found.fit) == len(found.q_inv_angstrom)
    again = np.mean(((found.intensity - found.fit) / found.sigma) ** 2)
    assert found.chi_squared == pytest.approx(again)
    # The bins are the same fit seen coarser; the best run is first.
    assert found.model_chi_squared[0] == found.model_chi_squared.min() < 100
    assert (np.diff(found.history.best[:, : SETTINGS.generations]) <= 0).all()
    assert "made" in found.notes


def test_the_same_seed_gives_the_same_and_a_run_does_not_depend_on_the_others(found, weights):
    again = reconstruct(sphere_curve(25.0), weights, num_models=2)
    np.testing.assert_array_equal(again.density, found.density)
    alone = reconstruct(sphere_curve(25.0), weights, num_models=1)  # on one device instead of two
    assert np.isclose(found.model_chi_squared, alone.model_chi_squared[0], rtol=1e-4).any()


def test_a_given_radius_stays(weights):
    given = reconstruct(sphere_curve(25.0), weights, num_models=1, radius=30.0)
    assert given.radius_angstrom == pytest.approx(30.0)


def test_units_of_intensity_do_not_matter_and_a_background_is_found(weights):
    curve = sphere_curve(25.0)
    shifted = curve._replace(intensity=1e-9 * (curve.intensity + 20.0), sigma=1e-9 * curve.sigma)
    flat = reconstruct(shifted, weights, num_models=1, radius=28.0, background=True)
    assert flat.background == pytest.approx(20e-9, rel=0.5)
    assert reconstruct(shifted, weights, num_models=1, radius=28.0).background == 0.0


def test_past_every_order_the_pair_distances_serve(weights):
    large = reconstruct(sphere_curve(110.0), weights, num_models=1)
    assert large.order is None and np.isfinite(large.chi_squared)
    assert any("pair distances" in note for note in large.notes)


def test_without_a_guinier_region_the_radius_is_sought_everywhere(weights):
    curve = sphere_curve(25.0)
    keep = curve.q_inv_angstrom > 0.12
    cut = curve._replace(q_inv_angstrom=curve.q_inv_angstrom[keep], intensity=curve.intensity[keep],
                         sigma=curve.sigma[keep])
    found = reconstruct(cut, weights, num_models=1)
    assert not found.guinier.valid
    assert any("no Guinier region" in note for note in found.notes)


@pytest.mark.parametrize("options, word", [
    ({"radius": -3.0}, "radius"), ({"radius": float("nan")}, "radius"), ({"q_max": 0.0}, "q_max"),
    ({"num_models": 0}, "num_models"), ({"initial": "guess"}, "initial"), ({"q_max": 0.009}, "points")])
def test_mistakes_are_one_line(weights, options, word):
    with pytest.raises(InputError, match=word) as caught:
        reconstruct(sphere_curve(25.0), weights, **options)
    assert "\n" not in str(caught.value)

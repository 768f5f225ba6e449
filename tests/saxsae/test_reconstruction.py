"""The way from a curve to a shape, at a small size, with the released weights and a sphere whose curve is known."""

import jax
import numpy as np
import pytest
from made_bodies import sphere_curve
from scipy import ndimage

from phasenet.errors import InputError
from saxsae import genetic, genetic_search, preparation, pretrained, reconstruction
from saxsae.profiles.guinier import radius_bounds
from saxsae.shapes import densities, voxels

pytestmark = pytest.mark.slow

SETTINGS = genetic.EvolutionSettings(population=16, elites=4, generations=4)


@pytest.fixture(scope="module")
def weights():
    return pretrained.load()


def reconstruct(curve, weights, **options):
    return reconstruction.reconstruct(curve, weights, settings=SETTINGS, stages=("evolve",), **options)


@pytest.fixture(scope="module")
def seen() -> list[genetic.EvolutionState]:
    return []


@pytest.fixture(scope="module")
def found(weights, seen):
    """Free radius, two runs on two devices."""
    return reconstruct(sphere_curve(25.0), weights, num_models=2, progress=seen.append)


def test_what_comes_out_fits_together(found):
    assert found.density.shape == (31, 31, 31) and found.models.shape == (2, 31, 31, 31)
    assert 0 <= found.density.min() and found.density.max() <= 1.001
    low, high = radius_bounds(found.guinier.rg_angstrom)
    assert low * 0.94 <= found.radius_angstrom <= high * 1.06
    assert found.radius_angstrom == found.model_radii[0]
    assert found.guinier.rg_angstrom == pytest.approx(25 * np.sqrt(0.6), rel=0.03)
    assert found.pitch_angstrom == pytest.approx(found.model_radii.max() / 13.5, rel=1e-5)
    assert found.q_inv_angstrom.max() <= 0.2 and len(found.fit) == len(found.q_inv_angstrom)
    assert found.order == 20 and "made" in found.notes
    assert found.rsc[0] == pytest.approx(1, abs=1e-3) and 0.3 < found.rsc[1] <= 1


def test_chi_squared_and_scale_are_those_of_the_measured_points(found):
    residual = (found.intensity - found.fit) / found.sigma
    assert found.chi_squared == pytest.approx(np.mean(residual**2))
    # No more points than bins: the loop fitted the very points.
    assert len(residual) <= preparation.NUM_POINTS
    assert found.chi_squared == pytest.approx(found.model_chi_squared[0], rel=0.02)
    # Any other scale is worse.
    slope = np.sum((found.intensity - found.fit) * found.fit / found.sigma**2)
    assert abs(slope) < 1e-6 * np.sum((found.fit / found.sigma) ** 2)
    assert found.background == 0 and 0 < found.relative_residual < 1


def test_histories_belong_to_their_models(found, seen):
    assert (np.diff(found.model_chi_squared) >= 0).all()
    assert (np.diff(found.history.best) <= 0).all()
    np.testing.assert_array_equal(found.generations, SETTINGS.generations - 1)
    np.testing.assert_allclose(found.history.best[:, -1], found.model_chi_squared)
    np.testing.assert_allclose(found.history.radius[:, -1], found.model_radii)
    assert [int(state.generation.max()) for state in seen] == [0, SETTINGS.generations - 1]
    np.testing.assert_allclose(np.sort(seen[-1].chi_squared[:, 0]), found.model_chi_squared)


def test_models_are_single_pieces_within_the_sphere(found, weights, seen):
    shapes = np.asarray(genetic_search.decode_shapes(
        weights.network, weights.params, weights.threshold, seen[-1].latents[0, :4]))
    for shape in shapes:
        assert ndimage.label(shape)[1] == 1
        assert not shape[~voxels.sphere_mask()].any()


def test_the_same_seed_gives_the_same_and_a_run_does_not_depend_on_the_others(found, weights):
    again = reconstruct(sphere_curve(25.0), weights, num_models=2)
    np.testing.assert_array_equal(again.density, found.density)
    alone = reconstruct(sphere_curve(25.0), weights, num_models=1)  # on one device instead of two
    assert np.isclose(found.model_chi_squared, alone.model_chi_squared[0], rtol=1e-4).any()


@pytest.fixture(scope="module")
def given(weights):
    """Radius given, genes drawn number by number, one run."""
    return reconstruct(sphere_curve(25.0), weights, num_models=1, radius=30.0, initial="distribution")


def test_a_given_radius_stays(given):
    np.testing.assert_array_equal(given.model_radii, np.float32(30.0))
    np.testing.assert_array_equal(given.history.radius, np.float32(30.0))
    assert given.pitch_angstrom == pytest.approx(voxels.pitch(30.0), rel=1e-6)


def test_another_radius_compiles_nothing(given, weights, caplog):
    with jax.log_compiles():
        other = reconstruct(sphere_curve(25.0), weights, num_models=1, radius=33.0, seed=3, initial="distribution")
        assert other.order == given.order and "XLA compilation" not in caplog.text
        # Nor does another process, which finds the programs of the search in the compilation cache.
        jax.clear_caches()
        genetic_search._compile_search.cache_clear()
        reconstruct(sphere_curve(25.0), weights, num_models=1, radius=36.0, initial="distribution")
    found = [line for line in caplog.text.splitlines() if "'jit__fun'" in line]  # JAX's name of what is pmapped
    assert len(found) == 2 and all("compilation cache hit" in line for line in found), found


def test_the_density_is_the_blurred_mean(given):
    sigma = densities.BLUR_ANGSTROM / given.pitch_angstrom
    expected = ndimage.gaussian_filter(given.models[0], sigma, mode="constant", truncate=8)
    np.testing.assert_allclose(given.density, expected, atol=1e-4)


def test_units_of_intensity_do_not_matter_and_a_background_is_found(weights):
    curve = sphere_curve(25.0)
    shifted = curve._replace(intensity=1e-9 * (curve.intensity + 20.0), sigma=1e-9 * curve.sigma)
    flat = reconstruct(shifted, weights, num_models=1, radius=28.0, background=True)
    assert flat.background == pytest.approx(20e-9, rel=0.5)
    constant = np.sum((flat.intensity - flat.fit) / flat.sigma**2)
    assert abs(constant) < 1e-6 * np.sum(flat.intensity / flat.sigma**2)


def test_past_every_order_the_pair_distances_serve(weights):
    large = reconstruct(sphere_curve(110.0), weights, num_models=1)
    assert large.order is None and np.isfinite(large.chi_squared)
    assert any("pair distances" in note for note in large.notes)


def test_without_a_guinier_region_the_size_must_be_known(weights):
    curve = sphere_curve(25.0)
    keep = curve.q_inv_angstrom > 0.12
    cut = curve._replace(q_inv_angstrom=curve.q_inv_angstrom[keep], intensity=curve.intensity[keep],
                         sigma=curve.sigma[keep])
    with pytest.raises(InputError, match="^no shape: no Guinier region"):
        reconstruct(cut, weights, num_models=1)
    found = reconstruct(cut, weights, num_models=1, radius=30.0)
    assert not found.guinier.valid and found.verdict.status != "shape"
    assert found.q_inv_angstrom[0] == cut.q_inv_angstrom[0]  # nothing flares


def test_a_flare_is_not_fitted_where_the_size_is_known(weights):
    curve = sphere_curve(25.0)
    q = curve.q_inv_angstrom
    keep = q > 0.055
    flare = 3000 * curve.intensity[0] * np.exp(-(q / 0.008))
    cut = curve._replace(q_inv_angstrom=q[keep], intensity=(curve.intensity + flare)[keep], sigma=curve.sigma[keep])
    found = reconstruct(cut, weights, num_models=1, radius=28.0)
    assert not found.guinier.valid and found.q_inv_angstrom[0] > 0.07
    assert any("too steep for this size" in note for note in found.notes)


def test_the_verdict_is_that_of_the_curve_and_the_models(weights):
    found = reconstruct(sphere_curve(25.0), weights, num_models=2)
    assert found.verdict.measures["rg_angstrom"] == found.guinier.rg_angstrom
    assert {"misfit", "rsc_with_best"} <= set(found.verdict.measures)


@pytest.mark.parametrize("options, word", [
    ({"radius": -3.0}, "radius"), ({"radius": float("nan")}, "radius"), ({"q_max": 0.0}, "q_max"),
    ({"num_models": 0}, "num_models"), ({"initial": "guess"}, "initial"), ({"q_max": 0.009}, "points")])
def test_mistakes_are_one_line(weights, options, word):
    with pytest.raises(InputError, match=word) as caught:
        reconstruct(sphere_curve(25.0), weights, **options)
    assert "\n" not in str(caught.value)


def test_averaging_superposes_other_poses_and_hands():
    """Three arms of different lengths, and their mirror image turned: one shape for a curve."""
    x, y, z = np.indices((31,) * 3) - 15
    shape = (np.abs(x) < 9) & (np.abs(y) < 3) & (np.abs(z) < 3)
    shape |= (x > 3) & (x < 9) & (np.abs(z) < 3) & (y > 0) & (y < 10)
    shape |= (x < -3) & (x > -9) & (np.abs(y) < 3) & (z > 0) & (z < 7)
    turned = np.flip(shape, 2).transpose(1, 2, 0)
    _, models, pitch, rsc = genetic_search.superpose_and_average(
        np.stack([shape, turned]).astype(np.float32), np.array([30.0, 30.0], np.float32))
    assert pitch == pytest.approx(voxels.pitch(30.0), rel=1e-6)
    assert rsc[1] > 0.9
    assert np.corrcoef(models[0].reshape(-1), models[1].reshape(-1))[0, 1] > 0.9

"""The Patterson map against an autocorrelation written out; invariances, resolution, noise and scales."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import density, patterson


def random_map(seed, n):
    return np.random.default_rng(seed).random((n,) * 3).astype(np.float32)


@pytest.fixture(scope="module")
def patterson_of():
    return jax.jit(patterson.patterson, static_argnames="h_max")


@pytest.fixture(scope="module")
def density_of():
    """A map of 12^3 voxels, of float32 positions."""
    function = jax.jit(functools.partial(density.density, grid=12))
    return lambda positions: np.asarray(function(np.asarray(positions, np.float32)))


def test_against_a_brute_force_autocorrelation(patterson_of):
    rho = random_map(0, 6)
    expected = np.zeros((6,) * 3)
    for shift in itertools.product(range(6), repeat=3):
        for place in itertools.product(range(6), repeat=3):
            there = tuple((a + b) % 6 for a, b in zip(place, shift, strict=True))
            expected[shift] += float(rho[place]) * float(rho[there])
    np.testing.assert_allclose(patterson_of(rho), expected, rtol=1e-5)


def test_the_same_for_a_shift_and_for_the_inverse(patterson_of, density_of):
    positions = np.random.default_rng(1).uniform(-3, 3, (4, 3))
    rho = density_of(positions)
    expected = patterson_of(rho)
    assert float(expected.max()) == float(expected[0, 0, 0]) > 5
    for other in (np.roll(rho, (3, -4, 1), (0, 1, 2)), rho[::-1, ::-1, ::-1],
                  density_of(positions + np.array([2, 0, -5])), density_of(-positions)):
        np.testing.assert_allclose(patterson_of(other), expected, atol=1e-4)
    # What it is not the same for: another arrangement.
    assert np.abs(patterson_of(density_of(positions * [1, 1, -1])) - expected).max() > 0.5


def test_origin_and_vectors(patterson_of, density_of):
    """Two atoms: peaks at 0 and at plus and minus the vector between them, and the centred view."""
    found = np.asarray(patterson_of(density_of([[0.5, 0.5, 0.5], [3.5, -1.5, 2.5]])))
    ends = [(0, 0, 0), (3, 10, 2), (9, 2, 10)]
    assert np.unravel_index(found.argmax(), found.shape) == ends[0]
    assert found[ends[1]] == pytest.approx(found[ends[0]] / 2, rel=1e-4)
    assert found[ends[2]] == pytest.approx(found[ends[0]] / 2, rel=1e-4)
    view = np.asarray(patterson.move_origin_to_middle(found))
    assert view[6, 6, 6] == found[0, 0, 0] and view[9, 4, 8] == found[ends[1]]
    np.testing.assert_array_equal(patterson.move_origin_to_middle(found[None])[0], view)  # a batch's axis is left alone


def test_asymmetry(patterson_of):
    found = np.array(patterson_of(random_map(2, 8)))
    assert float(patterson.asymmetry(found)) < 1e-6
    found[1, 2, 3] += 0.25 * found.max()
    assert float(patterson.asymmetry(found)) == pytest.approx(0.25, rel=1e-4)
    assert float(patterson.asymmetry(np.zeros((4, 4, 4), np.float32))) == 0


def test_h_max_is_a_sphere(patterson_of):
    rho = random_map(3, 8)
    axis = np.fft.fftfreq(8, 1 / 8)
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis)))
    whole = np.abs(np.fft.fftn(rho.astype(float))) ** 2
    for h_max in (0.5, 2.0, 3.7, 4.0):
        expected = np.fft.ifftn(np.where(radius <= h_max, whole, 0)).real
        np.testing.assert_allclose(patterson_of(rho, h_max=h_max), expected, rtol=1e-5, atol=1e-3)
    for h_max in (radius.max(), None):
        np.testing.assert_allclose(patterson_of(rho, h_max=h_max), np.fft.ifftn(whole).real, rtol=1e-5)
    np.testing.assert_allclose(patterson.index_radius(8), radius[:, :, :5])


def test_multiplicity_counts_every_reflection():
    counts = np.broadcast_to(patterson.multiplicity(8), (8, 8, 5))
    assert counts.sum() == 8**3
    rho = random_map(4, 8)
    assert (patterson.intensities(rho) * counts).sum() / 8**3 == pytest.approx((rho.astype(float) ** 2).sum(), rel=1e-5)


def test_intensities_and_back():
    rho = random_map(5, 8)
    values = patterson.intensities(rho)
    np.testing.assert_allclose(values, np.abs(np.fft.rfftn(rho)) ** 2, rtol=1e-4)
    np.testing.assert_allclose(patterson.from_intensities(values), patterson.patterson(rho), rtol=1e-5)


def test_noise_is_that_of_a_measurement():
    """Of the level asked for in every plane, the same for Friedel mates, independent otherwise."""
    n, fraction = 16, 0.1
    noisy = np.asarray(patterson.add_noise(jax.random.key(0), jnp.full((n, n, n // 2 + 1), 100.0), fraction))
    relative = noisy / 100 - 1
    for plane in range(n // 2 + 1):  # in the planes 0 and n/2 each pair of mates counts once
        pairs = n**2 / 2 if plane in (0, n // 2) else n**2
        assert relative[:, :, plane].std() == pytest.approx(fraction, rel=5 / np.sqrt(2 * pairs))
        assert abs(relative[:, :, plane].mean()) < 5 * fraction / np.sqrt(pairs)
    for plane in (0, n // 2):
        mate = np.roll(noisy[::-1, ::-1, plane], 1, (0, 1))
        np.testing.assert_array_equal(noisy[:, :, plane], mate)
    within = relative[:, :, 3]
    mate = np.roll(within[::-1, ::-1], 1, (0, 1))
    assert abs(np.corrcoef(within.ravel(), mate.ravel())[0, 1]) < 0.3
    assert abs(np.corrcoef(relative[:, :, 3].ravel(), relative[:, :, 4].ravel())[0, 1]) < 0.3


def test_the_noisy_map_is_real_and_centrosymmetric_and_loses_none_of_the_noise():
    values = patterson.intensities(random_map(6, 8))
    noisy = patterson.add_noise(jax.random.key(1), values, 0.2)
    found = patterson.from_intensities(noisy)
    assert float(patterson.asymmetry(found)) < 1e-6
    # irfftn would silently average mates that differ: nothing was averaged.
    np.testing.assert_allclose(np.fft.rfftn(np.asarray(found, float)).real, noisy, rtol=1e-4, atol=1e-2)
    assert np.abs(noisy / values - 1).max() > 0.3


def test_noise_never_makes_an_intensity_negative_and_none_changes_nothing():
    values = jnp.ones((8, 8, 5))
    loud = np.asarray(patterson.add_noise(jax.random.key(2), values, 3.0))
    assert loud.min() == 0 and (loud == 0).mean() == pytest.approx(0.37, abs=0.12)
    np.testing.assert_array_equal(patterson.add_noise(jax.random.key(2), values, 0.0), values)
    assert (loud != np.asarray(patterson.add_noise(jax.random.key(3), values, 3.0))).any()


def test_scales(patterson_of, density_of):
    found = np.asarray(patterson_of(density_of([[0, 0, 0], [4.2, 0, 0], [0, 4.5, -3]])))
    np.testing.assert_array_equal(patterson.scale_for_network(found, "raw"), found)
    np.testing.assert_allclose(patterson.scale_for_network(found, "origin"), found / found[0, 0, 0], rtol=1e-6)
    axis = np.minimum(np.arange(12), 12 - np.arange(12))
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    rms = np.sqrt((found[distance > 3] ** 2).mean())
    np.testing.assert_allclose(patterson.scale_for_network(found, "rms"), found / rms, rtol=1e-5, atol=1e-6)
    for scale in ("origin", "rms"):  # whatever the units of the map were
        np.testing.assert_allclose(patterson.scale_for_network(7 * found, scale),
                                   patterson.scale_for_network(found, scale), rtol=1e-5)
    with pytest.raises(ValueError, match="scale='max': expected one of raw, origin, rms"):
        patterson.scale_for_network(found, "max")

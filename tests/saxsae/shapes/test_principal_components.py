"""Principal components by randomized iteration, against a known subspace and the full decomposition."""

import numpy as np
import pytest

from saxsae.shapes import principal_components


@pytest.fixture(scope="module")
def planted():
    """Rows (300, 500) in a plane of 5 dimensions, with a little noise; the plane's basis, mean and spreads."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(500, 5)))[0]
    spread = np.array([9.0, 7.0, 5.0, 3.0, 2.0])
    code = rng.normal(size=(300, 5)) * spread
    mean = rng.random(500)
    rows = code @ basis.T + mean + 0.01 * rng.normal(size=(300, 500))
    return rows.astype(np.float32), basis, mean


def test_a_planted_plane_is_found(planted):
    rows, basis, _ = planted
    found = principal_components.fit_components(rows, 5)
    assert found.basis.shape == (500, 5) and found.sd.shape == (5,)
    # Cosines of the angles between the two planes.
    np.testing.assert_allclose(np.linalg.svd(found.basis.T @ basis)[1], 1, atol=1e-4)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(5), atol=1e-4)


def test_it_equals_the_full_decomposition(planted):
    rows, _, _ = planted
    centred = rows - rows.mean(0)
    _, scale, axes = np.linalg.svd(centred, full_matrices=False)
    found = principal_components.fit_components(rows, 5)
    np.testing.assert_allclose(found.sd, scale[:5] / np.sqrt(len(rows)), rtol=1e-3)
    np.testing.assert_allclose(np.abs((found.basis * axes[:5].T).sum(0)), 1, atol=1e-3)
    assert (np.diff(found.sd) < 0).all()
    # Without a gap in the spectrum as well: what 20 components leave is what the best 20 leave.
    noise = np.random.default_rng(1).normal(size=(200, 400)).astype(np.float32)
    found = principal_components.fit_components(noise, 20)
    left = ((noise - found.decode(found.encode(noise))) ** 2).sum()
    best = (np.linalg.svd(noise - noise.mean(0), compute_uv=False)[20:] ** 2).sum()
    assert best * (1 - 1e-4) <= left <= 1.01 * best


def test_codes_are_white_and_decode_to_the_rows(planted):
    rows, _, mean = planted
    found = principal_components.fit_components(rows, 5)
    code = found.encode(rows)
    np.testing.assert_allclose(code.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(code.T @ code / len(code), np.eye(5), atol=1e-2)
    np.testing.assert_allclose(found.decode(code), rows, atol=0.06)
    np.testing.assert_allclose(found.decode(np.zeros((1, 5)))[0], rows.mean(0), atol=1e-4)


def test_a_seed_decides_all(planted):
    rows, _, _ = planted
    one, same, other = (principal_components.fit_components(rows, 3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.basis, same.basis)
    np.testing.assert_allclose(np.abs((one.basis * other.basis).sum(0)), 1, atol=1e-3)

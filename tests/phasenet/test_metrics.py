"""Matching up to inversion, by hand."""

import jax
import numpy as np
import pytest

from phasenet import metrics

TRUE = np.array([[0, 0, 0], [4, 0, 0], [0, 5, 0], [0, 0, 3]], np.float32)


def test_atoms_in_another_order_all_match():
    order = [2, 0, 3, 1]
    shifts = np.array([[0.1, 0, 0], [0, 0.2, 0], [0, 0, -0.3], [0.4, 0, 0]], np.float32)
    found = metrics.match((TRUE + shifts)[order], TRUE)
    assert found.matched.all() and not found.inverted
    np.testing.assert_array_equal(found.nearest, np.argsort(order))
    np.testing.assert_allclose(found.distance, [0.1, 0.2, 0.3, 0.4], rtol=1e-5)
    assert float(metrics.mean_error(found)) == pytest.approx(0.25)


def test_the_other_hand_matches_as_well():
    found = metrics.match(-TRUE, TRUE)
    assert found.matched.all() and found.inverted
    np.testing.assert_allclose(found.distance, 0, atol=1e-6)
    # More matches count first; of as many, the nearer hand.
    assert metrics.match(np.array([[4, 0, 0.5], [-4, 0, 0.1]], np.float32), TRUE[1:2]).matched.all()
    one = np.array([[1, 0, 0]], np.float32)
    for position, inverted in ((0.9, False), (-0.9, True), (0.1, False), (-0.1, True)):
        assert bool(metrics.match(np.array([[position, 0, 0]], np.float32), one).inverted) == inverted


def test_only_mutual_neighbours_match():
    """One found atom between two true ones belongs to the nearer alone."""
    true = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    found = metrics.match(np.array([[0.4, 0, 0], [9, 0, 0]], np.float32), true)
    np.testing.assert_array_equal(found.matched, [True, False])
    np.testing.assert_array_equal(found.nearest, [0, 0])
    np.testing.assert_allclose(found.distance, [0.4, 0.6], rtol=1e-5)
    assert float(metrics.mean_error(found)) == pytest.approx(0.4)


def test_the_cutoff():
    shifted = TRUE + np.array([[0, 0, 0], [0.9, 0, 0], [0, 1.1, 0], [0, 0, 0]], np.float32)
    assert metrics.match(shifted, TRUE).matched.all()
    near = metrics.match(shifted, TRUE, cutoff=1.0)
    np.testing.assert_array_equal(near.matched, [True, True, False, True])
    np.testing.assert_allclose(near.distance, [0, 0.9, 1.1, 0], atol=1e-5)
    assert float(metrics.mean_error(near)) == pytest.approx(0.3, rel=1e-5)


def test_missing_atoms_and_those_that_do_not_count():
    few = metrics.match(TRUE[:2], TRUE)
    np.testing.assert_array_equal(few.matched, [True, True, False, False])
    valid = np.array([True, False, True, False])
    # What does not count may be anything.
    found = np.where(valid[:, None], TRUE, np.float32(np.nan))
    some = metrics.match(found, TRUE, found_valid=valid)
    np.testing.assert_array_equal(some.matched, valid)
    assert float(metrics.mean_error(some)) == 0 and np.isfinite(some.distance).all()
    nothing = metrics.match(TRUE, TRUE, found_valid=np.zeros(4, bool))
    assert not nothing.matched.any() and np.isinf(nothing.distance).all()
    assert np.isnan(metrics.mean_error(nothing))


def test_more_found_than_true():
    extra = np.concatenate([TRUE, [[20, 0, 0], [0.5, 0, 0]]]).astype(np.float32)
    found = metrics.match(extra, TRUE)
    assert found.matched.all()
    np.testing.assert_array_equal(found.nearest, np.arange(4))


def test_under_jit_and_vmap():
    batch = np.stack([TRUE + 0.1, -TRUE])
    found = jax.jit(jax.vmap(lambda f: metrics.match(f, TRUE, cutoff=1.0)))(batch)
    assert found.matched.all() and found.matched.shape == (2, 4)
    np.testing.assert_array_equal(found.inverted, [False, True])
    np.testing.assert_allclose(jax.vmap(metrics.mean_error)(found), [0.1 * np.sqrt(3), 0], atol=1e-5)

"""Duplicates are found in any pose, with noise and floppy ends; other shapes are not."""

import numpy as np
import pytest

from saxsae.shapes import duplicates
from saxsae.shapes.duplicates import best_correlation, find_candidates, make_comparable

pytestmark = pytest.mark.optimized


def chain(seed, atoms=400):
    """A compact random walk with protein-like density."""
    rng = np.random.default_rng(seed)
    xyz = np.cumsum(rng.normal(size=(atoms, 3)), 0)
    xyz = (xyz - xyz.mean(0)) / xyz.std() * 9.0
    return xyz * [1.3, 1.0, 0.8]


def turned(xyz, seed, mirror=False):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    q *= np.sign(np.linalg.det(q)) * (-1 if mirror else 1)
    return xyz @ q.T + 50.0


@pytest.mark.parametrize("mirror", [False, True])
def test_the_same_in_another_pose(mirror):
    xyz = chain(0)
    reference, copy = make_comparable(xyz), make_comparable(turned(xyz, 1, mirror))
    assert list(find_candidates(reference, [copy])) == [0]
    assert best_correlation(reference, copy) > duplicates.CORRELATION


def test_a_round_shape_has_no_axes_to_go_by():
    points = np.random.default_rng(2).normal(size=(2000, 3))
    points = 14 * points / np.linalg.norm(points, axis=-1, keepdims=True)
    # Two dents break the symmetry, the moments hardly.
    dents = np.array([[14, 0, 0], [0, 10, 10]])
    keep = (np.linalg.norm(points[:, None] - dents, axis=-1) > 6).all(-1)
    reference, copy = make_comparable(points[keep]), make_comparable(turned(points[keep], 3))
    assert best_correlation(reference, copy) > 0.9


def test_noise_and_a_floppy_end():
    xyz = chain(4)
    rng = np.random.default_rng(5)
    end = max(xyz, key=np.linalg.norm)
    tail = end * (1 + 0.04 * np.arange(1, 5))[:, None]  # sets another r_max
    other = np.concatenate([xyz + rng.normal(size=xyz.shape) * 0.3, tail])
    reference, copy = make_comparable(xyz), make_comparable(turned(other, 6))
    assert copy.r_max > 1.1 * reference.r_max
    assert list(find_candidates(reference, [copy])) == [0]
    assert best_correlation(reference, copy) > 0.9


def test_other_shapes_are_told_apart():
    reference = make_comparable(chain(7))
    others = [make_comparable(turned(chain(seed), seed)) for seed in range(8, 14)]
    assert max(best_correlation(reference, other) for other in others) < 0.85


def test_candidates_by_size_and_form():
    xyz = chain(15)
    same, larger, longer = xyz, 1.3 * xyz, xyz * [1.3, 0.9, 0.9]
    shapes = [make_comparable(turned(p, i)) for i, p in enumerate((same, larger, longer))]
    assert list(find_candidates(make_comparable(xyz), shapes)) == [0]
    assert len(find_candidates(make_comparable(xyz), [])) == 0


def test_beads_of_the_same_shape():
    def inside(points):
        centres = np.array([[-14, 0, 0], [6, 0, 0], [12, 14, 0]])
        return points[(np.linalg.norm(points[:, None] - centres, axis=-1) < 12).any(-1)]

    atoms = inside(np.random.default_rng(16).uniform(-30, 30, (10_000, 3)))
    beads = inside((np.argwhere(np.ones((21,) * 3)) - 10) * 3.0)
    reference, copy = make_comparable(atoms), make_comparable(turned(beads, 17), 3.0)
    assert list(find_candidates(reference, [copy])) == [0]
    assert best_correlation(reference, copy) > 0.85

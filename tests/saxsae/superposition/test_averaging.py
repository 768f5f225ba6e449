"""Maps superposed on their mean."""

import numpy as np
import pytest

from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition import averaging


def body():
    x, y, z = (np.indices((GRID,) * 3) - CENTRE).astype(np.float32)
    shape = np.exp(-0.5 * ((x / 5)**2 + (y / 3)**2 + (z / 2.5)**2))
    return (shape + 0.8 * np.exp(-0.5 * (((x - 5)**2 + (y - 4)**2 + (z - 2)**2) / 4))).astype(np.float32)


def test_turned_and_mirrored_copies_become_one():
    one = body()
    copies = np.stack([one, one.transpose(1, 2, 0), one[::-1].transpose(2, 1, 0), one[:, ::-1]])
    found = averaging.superpose_on_mean(copies, np.full(4, 2.0))
    assert found.pitch_angstrom == 2.0 and found.correlations.min() > 0.995
    np.testing.assert_allclose(found.maps, np.broadcast_to(one, copies.shape), atol=0.06)


def test_sizes_differ_by_their_pitches():
    one = body()
    found = averaging.superpose_on_mean(np.stack([one, one]), np.array([2.0, 1.6]))
    assert found.pitch_angstrom == pytest.approx(1.9)
    volumes = found.maps.sum((1, 2, 3)) * found.pitch_angstrom**3
    assert volumes[1] / volumes[0] == pytest.approx((1.6 / 2.0)**3, rel=0.02)


def test_a_single_map_stays_as_it_is():
    found = averaging.superpose_on_mean(body()[None], np.array([2.0]))
    np.testing.assert_allclose(found.maps[0], body(), atol=1e-5)

"""Traits of shapes: solid, hollow, ring, thin, in pieces."""

import numpy as np
import pytest

from saxsae.shapes.descriptors import describe, name_difficulties

INDEX = np.indices((31,) * 3) - 15
RADIUS = np.linalg.norm(INDEX, axis=0)
BALL = RADIUS <= 13


def test_a_ball():
    found = describe(BALL)
    assert found.filled_fraction == pytest.approx((13 / 15) ** 3, rel=0.02)
    assert found.rg_over_r_max == pytest.approx(13 * np.sqrt(0.6) / 13.5, rel=0.01)
    assert (found.pieces, found.cavity_fraction, found.centre_filled) == (1, 0, 1)
    assert found.surface_fraction < 0.3
    assert name_difficulties(found) == "compact"


def test_a_shell_has_a_cavity_as_large_as_its_hole():
    shell = BALL & (RADIUS > 6)
    found = describe(shell)
    assert found.cavity_fraction == pytest.approx((RADIUS <= 6).sum() / shell.sum())
    assert name_difficulties(found) == "cavities, empty centre"


def test_a_ring_is_empty_in_the_middle_but_open():
    ring = (np.hypot(np.hypot(INDEX[0], INDEX[1]) - 10, INDEX[2]) <= 3.2)
    found = describe(ring)
    assert found.cavity_fraction == 0 and found.centre_filled == 0
    assert name_difficulties(found) == "empty centre"


def test_thin_rods_apart():
    rods = np.zeros((31,) * 3, bool)
    rods[3:28, 12:14, 15] = rods[3:28, 18:20, 15] = True
    found = describe(rods)
    assert found.pieces == 2 and found.surface_fraction == 1
    assert name_difficulties(found).startswith("thin or flexible") and name_difficulties(found).endswith("in pieces")


def test_a_shape_at_the_edge_of_the_grid_and_a_single_voxel():
    assert describe(np.ones((31,) * 3, bool)).cavity_fraction == 0
    point = np.zeros((31,) * 3, bool)
    point[0, 0, 0] = True
    assert describe(point).surface_fraction == 1 and describe(point).pieces == 1

"""saxsae.shapes.connectivity against scipy's labels."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from saxsae.shapes import connectivity
from saxsae.shapes.voxels import sphere_mask

main_region = jax.jit(connectivity.main_region)


def blobs(seed: int, count: int) -> np.ndarray:
    """Boolean (31, 31, 31): balls at random places."""
    rng = np.random.default_rng(seed)
    axis = np.arange(31)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    filled = np.zeros((31,) * 3, bool)
    for _ in range(count):
        centre, radius = rng.uniform(3, 27, 3), rng.uniform(1.5, 6)
        filled |= ((grid - centre) ** 2).sum(-1) <= radius**2
    return filled


def largest(filled: np.ndarray) -> tuple[np.ndarray, int]:
    """The largest region by faces, and the number of regions."""
    labels, count = ndimage.label(filled)
    sizes = np.bincount(labels.reshape(-1))[1:]
    return labels == 1 + sizes.argmax(), count


@pytest.mark.parametrize("seed", range(12))
def test_largest_of_a_few_regions(seed):
    filled = blobs(seed, 2 + seed % 4)
    density = np.random.default_rng(seed).uniform(size=filled.shape).astype(np.float32)
    expected, count = largest(filled)
    region, outside = main_region(filled, density)
    region = np.asarray(region)
    if count <= 3:
        np.testing.assert_array_equal(region, expected)
    labels, _ = ndimage.label(filled)
    assert len(np.unique(labels[region])) == 1 and labels[region][0] > 0  # one region, all of it
    assert region.sum() == (labels == labels[region][0]).sum()
    assert float(outside) == pytest.approx(1 - region.sum() / filled.sum(), abs=1e-6)


def test_dust_does_not_hide_the_region_with_the_densest_voxel():
    filled = sphere_mask() & (np.indices((31,) * 3).sum(0) % 7 == 0)  # many single voxels
    ball = ((np.indices((31,) * 3) - 15) ** 2).sum(0) <= 36
    filled |= ball
    expected, count = largest(filled)
    assert count > 100
    region, _ = main_region(filled, ball.astype(np.float32))
    np.testing.assert_array_equal(region, expected)


def test_a_larger_region_without_the_densest_voxel_wins():
    filled = np.zeros((31,) * 3, bool)
    filled[2:5, 2:5, 2:5] = True
    filled[10:20, 10:20, 10:20] = True
    density = np.where(filled, 0.5, 0.0).astype(np.float32)
    density[3, 3, 3] = 1.0
    region, outside = main_region(filled, density)
    assert np.asarray(region).sum() == 1000 and np.asarray(region)[15, 15, 15]
    assert float(outside) == pytest.approx(27 / 1027, abs=1e-6)


def test_faces_connect_and_edges_do_not():
    filled = np.zeros((31,) * 3, bool)
    filled[5, 5, 5:9] = True
    filled[6, 5, 9] = True  # meets the row at an edge only
    region, _ = main_region(filled, filled.astype(np.float32))
    assert np.asarray(region).sum() == 4


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_long_winding_tube_is_one_region(axes):
    filled = np.zeros((31,) * 3, bool)
    for row in range(0, 31, 2):  # a meander through one plane, corner to corner
        filled[:, row, 0] = True
        if row < 30:
            filled[-1 if row % 4 == 0 else 0, row + 1, 0] = True
    filled = filled.transpose(axes)
    region, outside = main_region(filled, filled.astype(np.float32))
    np.testing.assert_array_equal(region, filled)
    assert float(outside) == 0


def test_empty_and_full_maps():
    empty = np.zeros((31,) * 3, bool)
    region, outside = main_region(empty, empty.astype(np.float32))
    assert not np.asarray(region).any() and np.isfinite(float(outside))
    region, outside = main_region(~empty, empty.astype(np.float32))
    assert np.asarray(region).all() and float(outside) == 0


def test_batches_and_packing():
    maps = np.stack([blobs(seed, 3) for seed in range(4)])
    density = np.random.default_rng(0).normal(size=maps.shape).astype(np.float32)  # logits as well
    together, _ = jax.jit(jax.vmap(connectivity.main_region))(maps, density)
    for filled, values, region in zip(maps, density, together, strict=True):
        np.testing.assert_array_equal(region, main_region(filled, values)[0])
        np.testing.assert_array_equal(
            connectivity.unpack_rows(connectivity.pack_rows(filled)), filled)


def test_many_maps_give_the_regions_of_each(monkeypatch):
    monkeypatch.setattr(connectivity, "_CHUNK", 3)
    density = np.random.default_rng(3).normal(size=(7, 31, 31, 31)).astype(np.float32)
    mask = np.indices((31,) * 3).sum(0) < 50
    together = jax.jit(connectivity.main_regions)(density, 0.3, mask)
    for region, values in zip(together, density, strict=True):
        np.testing.assert_array_equal(region, main_region((values > 0.3) & mask, values)[0])

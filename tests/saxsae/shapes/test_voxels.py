"""Atoms to voxels: the geometry of the grid, against closed forms and a brute-force twin."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saxsae.shapes import voxels


@pytest.fixture
def atoms():
    """(200, 3) Angstrom about their mean, r_max 37 A."""
    xyz = np.random.default_rng(3).normal(size=(200, 3)) * [12, 8, 5]
    xyz -= xyz.mean(0)
    return (xyz * 37 / np.linalg.norm(xyz, axis=-1).max()).astype(np.float32)


def centres(r_max):
    """Voxel centres (31, 31, 31, 3) in Angstrom, as design says: (i - 15) R / 15 with R = r_max / 0.9."""
    axis = (np.arange(31) - 15) * (r_max / 0.9) / 15
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)


def brute(xyz, r_max, contact):
    limit = max(contact, 0.8 * r_max / 0.9 / 15)
    distance = np.linalg.norm(centres(r_max)[..., None, :] - xyz, axis=-1).min(-1)
    return (distance <= limit) & (np.linalg.norm(centres(r_max), axis=-1) <= r_max / 0.9 * (1 + 1e-9))


def voxelized(xyz, r_max, contact=3.0, reach=None, mask=None):
    mask = np.ones(len(xyz), bool) if mask is None else mask
    return np.asarray(voxels.voxelize(jnp.asarray(xyz, jnp.float32), mask, r_max, contact,
                                      reach=reach or voxels.reach_in_voxels(r_max, contact)))


@pytest.mark.parametrize("r_max", [13.5, 40.0, 150.0])
def test_one_atom_fills_what_its_contact_reaches(r_max):
    xyz = np.array([[0.31, -0.17, 0.08]]) * r_max
    filled = voxelized(xyz, r_max)
    np.testing.assert_array_equal(filled, brute(xyz, r_max, 3.0))
    ball = 4 / 3 * np.pi * max(3.0 / voxels.pitch(r_max), 0.8) ** 3
    assert abs(filled.sum() - ball) < max(3, 0.05 * ball)


def test_the_farthest_atom_lies_at_nine_tenths_of_the_sphere():
    r_max = 54.0
    assert voxels.pitch(r_max) == pytest.approx(4.0)
    filled = voxelized(np.array([[54.0, 0, 0]]), r_max)
    # 13.5 voxels from the centre: the two neighbours on the axis, and what lies within 3.2 A.
    assert filled[28, 15, 15] and filled[29, 15, 15]
    assert filled.sum() == 2


@pytest.mark.parametrize(("r_max", "contact"), [(37.0, 3.0), (37.0, 6.1), (12.0, 3.0), (90.0, 3.0)])
def test_it_equals_the_brute_force_twin(atoms, r_max, contact):
    xyz = atoms * r_max / 37
    filled = voxelized(xyz, r_max, contact)
    twin = brute(xyz, r_max, contact)
    # Rounding alone may decide at the very limit.
    assert (filled != twin).sum() <= 2
    np.testing.assert_array_equal(voxelized(xyz, r_max, contact, reach=voxels.reach_in_voxels(r_max, contact) + 1),
                                  filled)


def test_padding_rows_fill_nothing_and_a_batch_is_a_vmap(atoms):
    padded = np.concatenate([atoms, np.zeros((56, 3), np.float32)])
    mask = np.arange(256) < 200
    reach = voxels.reach_in_voxels(30.0)
    np.testing.assert_array_equal(voxelized(padded, 37.0, mask=mask), voxelized(atoms, 37.0))
    radii = jnp.array([37.0, 45.0, 30.0])
    batch = jax.vmap(lambda r: voxels.voxelize(padded, mask, r, reach=reach))(radii)
    for one, r_max in zip(batch, radii, strict=True):
        np.testing.assert_array_equal(one, voxelized(padded, float(r_max), reach=reach, mask=mask))


def test_a_structure_is_centred_on_its_mean_wherever_it_lay(atoms):
    moved, r_max = voxels.voxelize_structure(atoms + [100.0, -50.0, 7.0])
    assert r_max == pytest.approx(37.0, rel=1e-5)
    assert (moved != voxelized(atoms, 37.0)).sum() <= 2
    # Size is all in r_max, once voxels are so large that their pitch decides.
    big, _ = voxels.voxelize_structure(atoms * 4.0)
    bigger, _ = voxels.voxelize_structure(atoms * 8.0)
    assert (big != bigger).sum() <= 2


def test_beads_touch_at_their_spacing():
    assert voxels.contact_distance() == 3.0
    assert voxels.contact_distance(2.0) == 3.0
    assert voxels.contact_distance(10.0) == pytest.approx(8.7)
    # A dense lattice of beads leaves no holes: all within its box is filled.
    axis = np.arange(-2, 3) * 8.0
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    filled, r_max = voxels.voxelize_structure(lattice, 8.0)
    inner = (np.abs(centres(r_max)) <= 16.0).all(-1)
    assert filled[inner].all()


def test_a_single_position_is_no_structure():
    with pytest.raises(ValueError, match="two distinct positions"):
        voxels.voxelize_structure(np.ones((4, 3)))


def test_the_sphere_holds_the_voxels_it_says():
    mask = voxels.sphere_mask()
    assert mask.sum() == 14147
    for axis in range(3):
        np.testing.assert_array_equal(mask, np.flip(mask, axis))


def test_packing_is_undone_bit_for_bit():
    maps = np.random.default_rng(0).random((2, 3, 31, 31, 31)) > 0.6
    bits = voxels.pack(maps)
    assert bits.shape == (2, 3, 3724) and bits.dtype == np.uint8
    np.testing.assert_array_equal(jax.jit(voxels.unpack)(bits), maps.astype(np.float32))
    with pytest.raises(ValueError, match="3724"):
        voxels.unpack(bits[..., :-1])


def test_padding_adds_zeros_at_the_end():
    maps = np.random.default_rng(0).random((2, 31, 31, 31)).astype(np.float32)
    padded = np.asarray(voxels.pad(maps))
    assert padded.shape == (2, 32, 32, 32)
    np.testing.assert_array_equal(padded[:, :31, :31, :31], maps)
    assert padded.sum(dtype=np.float64) == maps.sum(dtype=np.float64)


def test_a_quarter_turn_is_exact():
    rng = np.random.default_rng(0)
    density = jnp.asarray(rng.random((31, 31, 31)) > 0.5, jnp.float32)
    about_z = jnp.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # x to y, y to -x
    turned = np.asarray(jax.jit(voxels.rotate)(density, about_z))
    np.testing.assert_allclose(turned, np.rot90(density, 1, (0, 1)), atol=1e-5)
    np.testing.assert_allclose(voxels.rotate(density, jnp.eye(3)), density, atol=1e-6)


def test_what_is_turned_lies_where_the_matrix_takes_it(atoms):
    rotation = np.asarray(voxels.random_rotation(jax.random.key(5)))
    first = voxelized(atoms, 37.0, 6.1)
    turned = np.asarray(voxels.rotate(jnp.asarray(first), rotation)) > 0.5
    made = voxelized(atoms @ rotation.T, 37.0, 6.1)
    assert np.corrcoef(turned.ravel(), made.ravel())[0, 1] > 0.9
    assert np.corrcoef(first.ravel(), made.ravel())[0, 1] < 0.7


def test_random_rotations_are_rotations_and_uniform():
    keys = jax.random.split(jax.random.key(0), 10_000)
    matrices = np.asarray(jax.jit(jax.vmap(voxels.random_rotation))(keys), np.float64)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), matrices.shape),
                               atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-5)
    # Under the Haar measure each entry is uniform in (-1, 1), and the angle has the density (1 - cos) / pi.
    quantiles = np.quantile(matrices.reshape(-1, 9), np.linspace(0.05, 0.95, 19), axis=0)
    np.testing.assert_allclose(quantiles, np.linspace(-0.9, 0.9, 19)[:, None].repeat(9, 1), atol=0.03)
    angle = np.sort(np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    np.testing.assert_allclose((angle - np.sin(angle)) / np.pi, np.linspace(0, 1, len(angle)), atol=0.02)


def test_symmetries_are_the_48_images_on_the_grid():
    occupancy = (np.random.default_rng(0).random((31, 31, 31)) > 0.5).astype(np.float32) * voxels.sphere_mask()
    keys = jax.random.split(jax.random.key(0), 400)
    drawn = {np.asarray(one).tobytes() for one in jax.jit(jax.vmap(voxels.random_symmetry, (None, 0)))(occupancy, keys)}
    images = {np.ascontiguousarray(occupancy.transpose(order)[::a, ::b, ::c]).tobytes()
              for order in itertools.permutations(range(3)) for a, b, c in itertools.product((1, -1), repeat=3)}
    assert drawn == images and len(drawn) == 48


def test_radius_of_gyration_of_a_box():
    density = np.zeros((31, 31, 31))
    density[3:13, 4:10, 20:28] = 0.5
    expected = 2.5 * np.sqrt((10**2 + 6**2 + 8**2) / 12)
    assert voxels.radius_of_gyration(density, 2.5) == pytest.approx(expected, rel=1e-6)

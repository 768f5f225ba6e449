"""Point atoms: their waves, the reflections they are compared at, and clusters cut from a periodic map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import density, patterson, point_atoms, reflections

ATOMS = jnp.array([[0.3, -2.2, 1.7], [2.9, 1.1, -0.6], [-2.5, 0.4, -1.9]])


@pytest.mark.parametrize("s_max", [0.15, 0.3, 0.5])
def test_the_reflections_are_one_of_each_friedel_pair(s_max):
    model = point_atoms.make_point_model(16, s_max)
    h = np.rint(model.vectors.T * 16).astype(int)
    seen = {tuple(row) for row in np.concatenate([h, -h])}
    inside = np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3, indexing="ij"), -1).reshape(-1, 3)
    radius = np.linalg.norm(inside, axis=1) / 16
    assert seen == {tuple(row) for row in inside[(radius <= s_max + 1e-9) & (radius > 0)]}
    assert len(seen) == 2 * len(h)
    assert (np.diff(model.radius) >= 0).all()


def test_within_keeps_the_first_and_their_order():
    model = point_atoms.make_point_model(16, 0.4)
    cut = point_atoms.truncate_model(model, 0.2)
    np.testing.assert_array_equal(cut.flat_index, point_atoms.make_point_model(16, 0.2).flat_index)
    assert cut.vectors.shape == (3, len(cut.flat_index)) == (3, len(cut.form))


def test_waves_are_the_exponentials():
    model = point_atoms.make_point_model(16, 0.5)
    cosines, sines = point_atoms.atom_structure_factors(ATOMS, model)
    expected = model.form * np.exp(2j * np.pi * np.asarray(ATOMS, np.float64) @ model.vectors)
    np.testing.assert_allclose(cosines, expected.real, atol=1e-5)
    np.testing.assert_allclose(sines, expected.imag, atol=1e-5)


@pytest.mark.parametrize(("shape", "least"), [(("sphere", 0.0), 0.99), (("gaussian", 60.0), 0.99999)])
def test_its_intensities_are_those_of_the_voxels_but_for_aliases(shape, least):
    form_factor, b_factor = shape
    model = point_atoms.make_point_model(20, 0.3, form_factor, b_factor)
    voxels = density.density(ATOMS, 20, form_factor=form_factor, b_factor=b_factor)
    exact = patterson.intensities(voxels).ravel()[model.flat_index]
    cosines, sines = point_atoms.atom_structure_factors(ATOMS, model)
    point = cosines.sum(0) ** 2 + sines.sum(0) ** 2
    assert float((exact * point).sum() / jnp.linalg.norm(exact) / jnp.linalg.norm(point)) > least
    np.testing.assert_allclose(point, exact, atol=0.03 * float(exact.max()))


def test_a_map_is_cropped_about_its_origin():
    voxels = density.density(ATOMS, 32)
    model = point_atoms.make_point_model(20, 0.3)
    cropped = reflections.observed_intensities(patterson.patterson(voxels), model)
    small = patterson.intensities(density.density(ATOMS, 20)).ravel()[model.flat_index]
    np.testing.assert_allclose(cropped, small, atol=1e-3)
    which = reflections.select_reflections(20)
    np.testing.assert_allclose(reflections.observed_intensities(patterson.patterson(voxels), which)[model.flat_index],
                               cropped, atol=1e-3)


def test_a_cluster_is_cut_where_the_map_is_empty():
    shift = jax.random.uniform(jax.random.key(0), (3, 3), minval=-3, maxval=3).round()
    scattered = ATOMS + jnp.array([9.3, -4.1, 0.2]) + 11.0 * shift
    found = point_atoms.unwrap(scattered, 11.0)
    np.testing.assert_allclose(found, ATOMS - ATOMS.mean(0), atol=1e-4)

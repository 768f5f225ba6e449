"""Atoms fitted to a map of them: where peaks are apart, where they clash, and where there are none."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.search import fitting, peaks

PROBLEM = synthesis.Problem(atoms=AtomRules(num_atoms=3, inner_box=6.0), grid=16)


@functools.partial(jax.jit, static_argnums=1)
def fit(answer, problem=PROBLEM):
    return fitting.fit_atoms(answer, problem)


def worst(found, atoms, problem=PROBLEM):
    """Largest distance of an atom to the nearest place found, or to its inverse where the target has both."""
    places = np.concatenate([found.positions, -found.positions]) if problem.target == "pair" else found.positions
    return np.linalg.norm(np.asarray(atoms)[:, None] - places, axis=-1).min(1).max()


@pytest.mark.slow
@pytest.mark.parametrize("atoms", [
    [[2.3, -1.1, 0.4], [-2.0, 2.2, 1.3], [0.1, 0.2, -2.6]],
    [[2.0, 1.0, 0.5], [-2.3, -0.8, -0.6], [1.5, -2.0, 2.5]],  # one on the inverse of another, 0.4 voxel away
    [[2.0, 1.0, 0.5], [2.0, -1.0, 0.5], [0.6, 0.1, -0.3]],  # one touches another, one its own inverse
])
def test_the_atoms_of_a_true_map(atoms):
    atoms = jnp.array(atoms)
    found = fit(synthesis.network_target(atoms, PROBLEM))
    assert found.valid.all() and worst(found, atoms) < 0.02


def test_peaks_lose_what_the_fit_keeps():
    atoms = jnp.array([[2.0, 1.0, 0.5], [-2.9, -0.8, -0.6], [1.5, -2.0, 2.5]])
    answer = synthesis.network_target(atoms, PROBLEM)
    assert worst(fit(answer), atoms) < 0.02 < 0.3 < worst(peaks.find_peaks(answer), atoms)


@pytest.mark.slow
def test_single_targets_and_gaussian_atoms():
    atoms = jnp.array([[2.3, -1.1, 0.4], [-2.0, 2.2, 1.3], [0.1, 0.2, -2.6]])
    for problem in (PROBLEM._replace(target="single"), PROBLEM._replace(form_factor="gaussian", b_factor=30.0)):
        assert worst(fit(synthesis.network_target(atoms, problem), problem), atoms, problem) < 0.05


def test_heights_tell_what_is_not_there():
    atoms = jnp.array([[2.3, -1.1, 0.4], [-2.0, 2.2, 1.3]])
    found = fit(synthesis.network_target(atoms, PROBLEM))
    assert found.heights[1] > 0.3 and found.heights[2] < 0.05
    assert (np.diff(found.heights) <= 0).all()
    empty = fit(jnp.zeros((16, 16, 16)))
    assert np.isfinite(empty.positions).all() and (np.abs(empty.heights) < 1e-6).all()

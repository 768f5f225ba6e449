"""Examples from their keys: input, target and atoms belong together, whatever the batch; problems that cannot be."""

import functools

import jax
import numpy as np
import pytest

from phasenet.maps import patterson, synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.maps.synthesis import Problem

TINY = Problem(atoms=AtomRules(num_atoms=3, inner_box=5.0), grid=16)
LONE = Problem(atoms=AtomRules(num_atoms=1, inner_box=4.0), grid=8)
KEYS = jax.random.split(jax.random.key(0), 4)


@pytest.fixture(scope="module")
def batch():
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(functools.partial(synthesis.make_example, problem=TINY)))(KEYS))


def test_shapes_and_the_pair(batch):
    assert batch.patterson.shape == batch.target.shape == (4, 16, 16, 16)
    assert batch.positions.shape == (4, 3, 3) and batch.valid.all()
    # The atoms and their inverse together are their own inverse, to the last bit; each counts a half.
    np.testing.assert_array_equal(batch.target, batch.target[:, ::-1, ::-1, ::-1])
    np.testing.assert_allclose(batch.target.sum((1, 2, 3)), 3 * 4 * np.pi / 3, rtol=1e-5)
    assert 0.25 < batch.target.max() <= 1 + 1e-5


def test_the_input_is_the_patterson_map_of_the_atoms(batch):
    for positions, found in zip(batch.positions, batch.patterson, strict=True):
        rho = np.asarray(synthesis.atom_map(positions, TINY), float)
        expected = np.fft.fftshift(np.fft.ifftn(np.abs(np.fft.fftn(rho)) ** 2).real)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.unravel_index(found.argmax(), found.shape) == (8, 8, 8)


@pytest.mark.parametrize("change", [
    {}, {"target": "single", "centred": False}, {"scale": "rms"}, {"scale": "origin"}, {"h_max": 5.0},
    {"form_factor": "gaussian", "b_factor": 30.0}, {"atoms": TINY.atoms._replace(stay_inside=False)}])
def test_the_large_map_of_a_small_box_is_made_in_little(change):
    problem = TINY._replace(grid=24, **change)
    example = jax.jit(functools.partial(synthesis.make_example, problem=problem))(KEYS[0])
    measured = synthesis.simulate_patterson(KEYS[0], example.positions, problem)
    np.testing.assert_allclose(example.patterson, synthesis.network_input(measured, problem), atol=1e-4)
    np.testing.assert_allclose(example.target, synthesis.network_target(example.positions, problem), atol=1e-5)
    made = str(jax.make_jaxpr(functools.partial(synthesis.make_example, problem=problem))(KEYS[0]))
    exact = set(change) & {"h_max", "form_factor", "atoms"}
    assert ("fft_lengths=(24, 24, 24)" in made) == bool(exact)
    assert ("fft_lengths=(16, 16, 16)" in made) != bool(exact)


def test_an_example_does_not_depend_on_its_batch(batch):
    pair = jax.jit(jax.vmap(functools.partial(synthesis.make_example, problem=TINY)))(KEYS[2:])
    for field in ("patterson", "target", "positions"):
        np.testing.assert_allclose(getattr(pair, field), getattr(batch, field)[2:], atol=1e-4)
    assert np.abs(batch.positions[0] - batch.positions[1]).max() > 0.1


def test_a_lone_atom_is_at_most_a_half():
    target = jax.jit(functools.partial(synthesis.network_target, problem=LONE._replace(target="single")))
    pair = jax.jit(functools.partial(synthesis.network_target, problem=LONE))
    place = np.array([[0.5, 0.5, -1.5]], np.float32)
    assert float(target(place).max()) == pytest.approx(0.5, abs=1e-5)
    np.testing.assert_allclose(pair(place), target(place) + target(-place), atol=1e-5)
    # At the corner of eight voxels each holds an eighth of it: little above the peaks' threshold of 0.25.
    assert float(target(np.array([[1, 1, -1]], np.float32)).max()) == pytest.approx(np.pi / 12, abs=1e-5)
    # At the centre it is its own inverse.
    assert float(pair(np.array([[0, 0, 0]], np.float32)).sum()) == pytest.approx(4 * np.pi / 3, rel=1e-5)


def test_noise_resolution_and_form_factor_are_measured():
    problem = LONE._replace(noise=0.1, h_max=3.0, form_factor="gaussian", b_factor=30.0)
    place = np.array([[0.2, 0.1, -0.3]], np.float32)
    found = jax.jit(functools.partial(synthesis.simulate_patterson, problem=problem))(jax.random.key(1), place)
    clean = patterson.intensities(jax.jit(functools.partial(synthesis.atom_map, problem=problem))(place))
    measured = np.fft.rfftn(np.asarray(found, float)).real
    within = patterson.index_radius(8) <= 3
    assert np.abs(measured[~within]).max() < 1e-3
    ratio = measured[within] / np.asarray(clean)[within]
    assert ratio.std() == pytest.approx(0.1, rel=0.3) and ratio.mean() == pytest.approx(1, abs=0.05)
    assert float(patterson.asymmetry(found)) < 1e-5


def test_how_the_network_takes_it():
    found = np.random.default_rng(0).random((8,) * 3).astype(np.float32)
    np.testing.assert_array_equal(synthesis.network_input(found, LONE._replace(centred=False)), found)
    np.testing.assert_array_equal(synthesis.network_input(found, LONE), patterson.move_origin_to_middle(found))
    scaled = synthesis.network_input(found, LONE._replace(scale="origin"))
    assert float(scaled[4, 4, 4]) == pytest.approx(1)


@pytest.mark.parametrize(("change", "message"), [
    ({"atoms": AtomRules(num_atoms=0)}, "num_atoms=0"),
    ({"grid": 4}, "grid=4: expected a multiple of 4, at least 8"), ({"grid": 18}, "grid=18: expected a multiple of 4"),
    ({"grid": 40.0}, "grid=40.0: expected a multiple of 4"),
    ({"grid": 8}, "inner_box=12.0: expected at most the grid, 8"),
    ({"form_factor": "cube"}, "form_factor='cube': expected one of sphere, gaussian"),
    ({"form_factor": "gaussian"}, "b_factor=0.0: a Gaussian atom needs more than 0"),
    ({"h_max": 0.0}, "h_max=0.0: expected more than 0"), ({"h_max": float("nan")}, "h_max=nan: expected more than 0"),
    ({"noise": -0.1}, "noise=-0.1: expected at least 0"), ({"noise": float("nan")}, "noise=nan: expected at least 0"),
    ({"target": "both"}, "target='both': expected one of pair, single"),
    ({"scale": "max"}, "scale='max': expected one of raw, origin, rms")])
def test_problems_that_cannot_be(change, message):
    synthesis.check_problem(Problem())
    with pytest.raises(ValueError, match=message):
        synthesis.check_problem(Problem()._replace(**change))

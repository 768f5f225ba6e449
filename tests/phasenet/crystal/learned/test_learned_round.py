"""Before training the learned round is the untrained one; filters and conditions mean the same on any lattice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet import crystal_pretrained
from phasenet.crystal import grids, normalisation, phasing
from phasenet.crystal.learned import features, iteration
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.learned.learned_round import LearnedArchitecture

pytestmark = pytest.mark.optimized

TINY = LearnedArchitecture(width=5, filters=2)


def describe(crystal, d_min=None):
    unique = normalisation.merge_equivalents(crystal.reflections, crystal.cell, crystal.operators)
    amplitudes = normalisation.normalise(unique, crystal.composition, "xray")
    grid = grids.build_grid(unique.hkl, crystal.cell, crystal.operators, amplitudes.d_min)
    constraint = phasing.constrain(amplitudes.sharpened, grid, amplitudes.d_min)
    return grid, features.describe_crystal(constraint, grid, unique, crystal.composition, amplitudes.d_min)


def weights(perturbed=0.0):
    params = crystal_pretrained.init_params(jax.random.key(0), TINY)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + perturbed * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return LearnedWeights(TINY, jax.tree.unflatten(structure, moved))


@pytest.mark.parametrize("symbol", ["P 1", "P 1 21/c 1"])
def test_before_training_the_learned_rounds_are_the_untrained_ones(symbol, made_crystal):
    grid, data = describe(made_crystal(symbol))
    state = phasing.draw_phases([0, 1], 0, data.constraint, grid.shape)
    untrained_state, untrained = phasing.run_rounds(state, data.constraint, 7)
    learned_state, learned = iteration.run_rounds(weights(), state, data, 7)
    np.testing.assert_allclose(learned.density, untrained.density, atol=1e-5)
    np.testing.assert_allclose(learned.agreement, untrained.agreement, atol=1e-5)
    for found, expected in zip(learned_state, untrained_state, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    other = iteration.run_rounds(weights(perturbed=0.1), state, data, 7)[1]
    assert np.abs(other.density - untrained.density).max() > 0.1


def test_a_symmetric_map_stays_symmetric(made_crystal):
    grid, data = describe(made_crystal("P 21 21 21"))
    noise = grids.average_over_group(np.random.default_rng(0).normal(size=grid.shape), grid)
    state = phasing.state_from_maps(noise[None], [0], data.constraint, grid.shape)
    density = np.asarray(iteration.run_rounds(weights(perturbed=0.1), state, data, 3)[1].density[0])
    for permutation in grid.permutations:
        np.testing.assert_allclose(density.ravel()[permutation], density.ravel(), atol=1e-3 * np.abs(density).max())


def test_every_weight_has_a_finite_gradient(made_crystal):
    grid, data = describe(made_crystal("P 1"))
    state = phasing.draw_phases([0], 0, data.constraint, grid.shape)
    trained = weights(perturbed=0.1)

    def total(params):
        density = iteration.run_rounds(LearnedWeights(TINY, params), state, data, jnp.int32(2))[1].density
        return jnp.square(density).mean()

    gradient = jax.jacfwd(total)(trained.params)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0


def test_filters_see_atoms_at_their_distance_on_any_lattice():
    """The shell of 1.42 A about one point: largest at that distance along each axis, whatever the pitch."""
    values = []
    for cell, shape in (((9.0, 9.0, 9.0), (60, 60, 60)), ((9.0, 7.0, 8.0), (64, 54, 60))):
        index = np.meshgrid(*(np.fft.fftfreq(edge, 1 / edge) for edge in shape[:2]), np.arange(shape[2] // 2 + 1),
                            indexing="ij")
        s = np.sqrt(sum((h / edge) ** 2 for h, edge in zip(index, cell, strict=True)))
        profiles = features.filter_profiles(jnp.asarray(s, jnp.float32))
        assert profiles.shape == (features.NUM_PROFILES, *s.shape)
        shell = np.fft.irfftn(np.asarray(profiles[7]), s=shape, axes=(0, 1, 2)) * np.prod(shape) / np.prod(cell)
        for axis in range(3):
            line = np.moveaxis(shell, axis, 0)[:shape[axis] // 2, 0, 0]
            assert line.argmax() * cell[axis] / shape[axis] == pytest.approx(1.42, abs=0.15)
            values.append(line.max())
    np.testing.assert_allclose(values, values[0], rtol=0.1)


def test_conditions_are_bounded_and_tell_crystals_apart(made_crystal):
    common = {"d_min": 1.4, "volume": 540.0, "num_atoms": 30, "completeness": 1.0, "noise": 0.05, "contrast": 1.0}
    np.testing.assert_allclose(features.scale_conditions(**common), 0, atol=1e-6)
    for name, value in (("d_min", 1.8), ("volume", 800.0), ("completeness", 0.5), ("noise", 0.2), ("contrast", 3.0)):
        changed = np.asarray(features.scale_conditions(**common | {name: value}))
        assert (np.abs(changed) > 0.2).sum() == 1
    extreme = features.scale_conditions(**common | {"noise": 1e3, "volume": 1e6, "contrast": 1e4})
    assert np.abs(extreme).max() <= 3
    described = np.asarray(describe(made_crystal("P -1"))[1].conditions)
    assert described[0] == pytest.approx(3 * (1.0 - 1.4), abs=0.1)
    assert described[2] == pytest.approx(0, abs=0.05)
    assert described[4] == pytest.approx(np.log(17 / np.sqrt((7 * 36 + 2 * 49 + 2 * 64 + 289) / 12)), abs=0.01)

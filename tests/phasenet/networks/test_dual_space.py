"""The dual-space network: its rounds against a twin, what it works on in closed form, and a case solved untrained."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasenet import metrics
from phasenet.maps import density, patterson, synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.maps.synthesis import Problem
from phasenet.networks import dual_space, losses
from phasenet.networks.dual_space import DualSpaceArchitecture, DualSpaceNetwork, Round
from phasenet.search import network_stage

PROBLEM = Problem(atoms=AtomRules(num_atoms=3, inner_box=6.0), grid=16, target="single")
ATOMS = np.array([[1.3, 0.4, -1.2], [-1.8, 1.6, 0.3], [0.5, -2.0, 0.9]], np.float32)
SMALL = DualSpaceArchitecture(width=4, filters=2, projected_filters=1)
WIDTH = SMALL.atom_width


def data_of(problem=PROBLEM, positions=ATOMS):
    intensities = patterson.intensities(synthesis.atom_map(jnp.asarray(positions), problem))
    return dual_space.prepare_input(intensities, problem, WIDTH)


def true_transform(positions=ATOMS):
    return dual_space.transform_of_atoms(jnp.asarray(positions, jnp.float32), 16, WIDTH)


def true_map(positions=ATOMS):
    return jnp.fft.irfftn(true_transform(positions), s=(16,) * 3)


@pytest.fixture(scope="module")
def params():
    return DualSpaceNetwork(SMALL, PROBLEM).init(jax.random.key(0), None)


@pytest.mark.slow
def test_untrained_it_is_relaxed_reflect_reflect_with_a_soft_threshold(params):
    data = data_of()
    begin = dual_space.draw_start(jax.random.key(1), data)
    one_round = jax.jit(Round(SMALL).apply)
    state, found = one_round(params, begin, data)
    second, _ = one_round(params, state, data)

    # In the iteration's own words: x the iterate, P the projection on the amplitudes, D the density.
    def sparse(x):
        return x / (1 + np.exp(-4 * (x / (2.2 * np.sqrt((x**2).mean())) - 1)))

    def projected(x):
        f = np.fft.rfftn(x)
        return np.fft.irfftn(np.asarray(data.amplitudes) * f / np.abs(f), s=x.shape, axes=(0, 1, 2))

    x = np.asarray(begin.projected, np.float64)  # its memory is half of it
    np.testing.assert_allclose(found, sparse(x), atol=2e-4)
    for after in (state, second):
        x = x + 0.5 * (projected(2 * sparse(x) - x) - sparse(x))
        np.testing.assert_allclose(after.memory + 0.5 * after.projected, x, atol=2e-3)


def test_a_projected_map_has_the_measured_amplitudes_and_keeps_the_rest():
    data = data_of(PROBLEM._replace(h_max=5.0))
    values = jax.random.normal(jax.random.key(2), (16,) * 3)
    projected, transform = dual_space.impose_amplitudes(values, data)
    before = np.fft.rfftn(values)
    np.testing.assert_allclose(transform, np.fft.rfftn(projected), atol=1e-3)
    measured = np.asarray(data.measured)
    assert 0 < measured.sum() < measured.size and not np.asarray(data.amplitudes)[~measured].any()
    np.testing.assert_allclose(np.abs(transform)[measured], data.amplitudes[measured], atol=1e-3)
    np.testing.assert_allclose(np.asarray(transform)[~measured], before[~measured], atol=1e-3)
    turned = np.asarray(transform)[measured] * np.conj(before[measured])
    assert (np.abs(turned.imag) < 1e-3 * np.abs(turned) + 1e-2).all() and turned.real.min() > -1e-2


@pytest.mark.parametrize("problem", [PROBLEM, PROBLEM._replace(form_factor="gaussian", b_factor=20.0)])
def test_amplitudes_are_those_of_gaussian_atoms(problem):
    data, true = data_of(problem), true_transform()
    # Near the corners of reciprocal space voxels fold back what lies beyond, and an atom's transform is near 0.
    near = patterson.index_radius(16) < 7
    tolerance = 0.05 * float(abs(true[0, 0, 0]))
    np.testing.assert_allclose(np.asarray(data.amplitudes)[near], np.abs(true)[near], atol=tolerance)
    lone = true_map(np.zeros((1, 3)))
    assert float(lone.max()) == float(lone[0, 0, 0]) == pytest.approx(1.0, abs=1e-4)
    assert float(dual_space.correlate_patterson_maps(true_map(), data)) > 0.995
    noise = jax.random.normal(jax.random.key(3), (16,) * 3)
    assert float(dual_space.correlate_patterson_maps(noise, data)) < 0.8


@pytest.mark.parametrize(("form_factor", "b_factor"), [("sphere", 0.0), ("gaussian", 15.0)])
def test_the_mean_transform_of_an_atom_is_the_mean_over_places(form_factor, b_factor):
    values = density.mean_transform(12, form_factor, b_factor)
    places = jax.random.uniform(jax.random.key(4), (2000, 1, 3))
    make = functools.partial(density.density, grid=12, form_factor=form_factor, b_factor=b_factor)
    waves = [np.fft.fftfreq(12), np.fft.fftfreq(12), np.fft.rfftfreq(12)]
    wave = np.stack(np.meshgrid(*waves, indexing="ij"), -1)
    # A place is told from the middle of the map, a voxel's value stands for its middle.
    offsets = np.asarray(places)[:, 0] + 6 - 0.5
    maps = np.fft.rfftn(np.asarray(jax.jit(jax.vmap(make))(places)), axes=(1, 2, 3))
    centred = maps * np.exp(2j * np.pi * np.einsum("xyzc,nc->nxyz", wave, offsets))
    np.testing.assert_allclose(centred.mean(0), values, atol=0.05)
    assert values[0, 0, 0] == pytest.approx(density.ATOM_VOLUME)


def test_the_answer_shows_half_the_atoms_density_in_the_middle():
    found = true_map(ATOMS + np.array([5.0, -7.0, 3.0]) - 0.5)
    shown = dual_space.move_atoms_to_centre(dual_space.render_as_target(found, PROBLEM, WIDTH), PROBLEM.atoms.inner_box)
    target = synthesis.network_target(jnp.asarray(ATOMS), PROBLEM)
    np.testing.assert_allclose(shown, target, atol=0.12)
    assert float(shown.max()) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("shift", [(0, 0, 0), (3, -2, 7), (0.5, 0.25, -0.4)])
@pytest.mark.parametrize("hand", [1, -1])
def test_the_loss_knows_no_shift_and_no_hand(shift, hand):
    value = losses.correlation_of_maps(2 * true_map(hand * ATOMS + np.array(shift)) - 0.3, true_transform())
    assert float(value) == pytest.approx(1.0, abs=0.02)


@pytest.mark.slow
def test_the_loss_is_low_for_other_atoms_and_has_a_gradient():
    def correlation(positions):
        return losses.correlation_of_maps(true_map(positions), true_transform())

    wrong = jnp.asarray(ATOMS) * jnp.array([1.0, 1.0, -1.6])
    assert float(correlation(wrong)) < 0.8
    one = jnp.asarray(ATOMS).at[0, 0].add(0.5)
    slope = jax.grad(correlation)(one)
    assert slope[0, 0] < -0.05 and np.isfinite(slope).all()
    step = 1e-2
    difference = (correlation(one.at[0, 0].add(step)) - correlation(one.at[0, 0].add(-step))) / (2 * step)
    assert float(slope[0, 0]) == pytest.approx(float(difference), rel=0.05)


@pytest.fixture(scope="module")
def solved(params):
    """A search of the untrained network, and its answer's way to atoms."""
    architecture = SMALL._replace(rounds=120, starts=6, good=0.998)

    @jax.jit
    def run(key):
        measured = synthesis.simulate_patterson(key, jnp.asarray(ATOMS), PROBLEM)
        network = DualSpaceNetwork(architecture, PROBLEM)
        found = dual_space.find_map(params, data_of(), architecture)
        return found, network_stage.solve_with_network(key, measured, lambda one: network.apply(params, one[None])[0],
                                                       PROBLEM)

    return run(jax.random.key(5))


@pytest.mark.slow
def test_a_small_case_is_solved_untrained(solved):
    found, solution = solved
    assert float(found.correlation) >= 0.998 and 1 <= int(found.starts) <= 6
    assert float(losses.correlation_of_maps(found.density, true_transform())) > 0.9
    matching = metrics.match(solution.positions, jnp.asarray(ATOMS - ATOMS.mean(0)))
    assert matching.matched.all() and float(matching.distance.max()) < 0.3
    assert float(solution.agreement.correlation) > 0.98
    assert solution.candidates.valid.sum() == 3  # one hand: no inverses beside them


def test_a_search_that_finds_nothing_good_gives_its_best(params):
    data = data_of()
    few = SMALL._replace(rounds=2, starts=3, good=2.0)
    found = jax.jit(dual_space.find_map, static_argnums=2)(params, data, few)
    assert int(found.starts) == 3
    assert float(found.correlation) == pytest.approx(float(dual_space.correlate_patterson_maps(found.density, data)),
                                                     abs=1e-4)
    one = jax.jit(dual_space.find_map, static_argnums=2)(params, data, few._replace(starts=1))
    assert float(found.correlation) >= float(one.correlation)


@pytest.mark.parametrize(("name", "value"), [
    ("width", 0), ("filters", -1), ("projected_filters", 1.5), ("rounds", 0), ("starts", "a"), ("atom_width", 0.0),
    ("good", float("nan"))])
def test_sizes_that_make_no_network_are_told(name, value):
    with pytest.raises(ValueError, match=f"^{name}={value}: expected"):
        dual_space.check_dual_space(SMALL._replace(**{name: value}))
    dual_space.check_dual_space(SMALL._replace(filters=0, projected_filters=0))

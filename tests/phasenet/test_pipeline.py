"""phasenet.solve with the released weights on the shipped example, and what it refuses."""

import pathlib

import jax
import numpy as np
import pytest

import phasenet
from phasenet import metrics, pipeline, preparation, pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.search import certificate

pytestmark = pytest.mark.slow

EXAMPLES = pathlib.Path(phasenet.__file__).parent / "examples"


@pytest.fixture(scope="module")
def weights():
    return pretrained.load()


@pytest.fixture(scope="module")
def shipped():
    return np.load(EXAMPLES / "six_atoms.npy")


def test_the_shipped_example_is_solved(weights, shipped):
    atoms = np.loadtxt(EXAMPLES / "six_atoms.csv", delimiter=",", skiprows=1)[:, 1:]
    # On any scale, with the origin in the middle, from any seed.
    answer = phasenet.solve(np.fft.fftshift(3e4 * shipped), weights, seed=7)
    matching = metrics.match(answer.selected.positions, atoms)
    assert matching.matched.all() and matching.distance.max() < 0.3
    assert answer.selected.agreement.correlation > 0.99 and answer.prepared.has_f000
    exact = metrics.match(answer.positions, atoms)
    assert exact.matched.all() and exact.distance.max() < 1e-3 and answer.status == "solved"
    assert answer.agreement.correlation > 0.99999 and (answer.standard_deviations < 1e-3).all()
    # Nobody said that there are six, nor where.
    rules = weights.problem.atoms._replace(num_atoms=6, inner_box=9.0)
    assert answer.prepared.problem == weights.problem._replace(grid=24, atoms=rules)
    assert answer.prepared.notes[-1].startswith("6 atoms, estimated from the map's sum and power (6.0")


def test_without_f000_as_many_atoms_as_the_weights_have_are_assumed_and_said(weights, shipped):
    problem = weights.problem._replace(atoms=weights.problem.atoms._replace(num_atoms=6))
    answer = phasenet.solve(shipped - shipped.mean(), weights._replace(problem=problem), refine=False)
    assert answer.status is None and answer.search is None and answer.standard_deviations is None
    assert not answer.prepared.has_f000 and answer.prepared.problem.atoms.num_atoms == 6
    assert answer.prepared.notes[-1].startswith("6 atoms are assumed, the number that the weights were trained for")


def test_a_number_of_atoms_that_sum_and_power_tell_wrongly_is_settled_by_the_certificate():
    true = np.array([[1.3, -2.0, 0.4], [-1.9, 0.2, -1.5], [0.6, 1.8, 1.1]], np.float32)
    problem = synthesis.Problem(atoms=synthesis.AtomRules(4, 5.0), grid=16)
    values = np.asarray(synthesis.simulate_patterson(jax.random.key(0), true, problem))
    prepared = preparation.prepare(values, problem, "map")
    # As if for four atoms: sum and power were taken as theirs.
    prepared = prepared._replace(patterson=prepared.patterson * np.float32((4 / 3) ** 2), notes=())
    found, counted = pipeline._try_other_counts(jax.random.key(1), None, prepared, 3.6, 0.0)
    assert certificate.STATUSES[int(found.status)] == "solved"
    assert counted.notes == ("4 atoms do not solve the map, 3 atoms do",) and counted.problem.atoms.num_atoms == 3
    np.testing.assert_allclose(counted.patterson, values, rtol=0.03, atol=1e-3 * values.max())
    matching = metrics.match(found.answer.atoms.positions, true - true.mean(0))
    assert matching.matched.all() and matching.distance.max() < 0.02


def test_an_estimate_that_leaves_no_other_number_of_atoms_leaves_the_result_as_it_is():
    problem = synthesis.Problem(atoms=synthesis.AtomRules(num_atoms=1))
    prepared = preparation.PreparedMap(np.zeros((40,) * 3, np.float32), problem, True, 0.9, ())
    found = object()
    assert pipeline._try_other_counts(jax.random.key(0), found, prepared, 0.9, 0.0) == (found, prepared)


def test_what_is_no_patterson_map_is_refused_before_anything_is_solved(weights, shipped):
    with pytest.raises(InputError, match="^my map: not a Patterson map"):
        phasenet.solve(np.random.default_rng(0).random((24, 24, 24)), weights, name="my map")
    for wrong, words in ((np.zeros((4, 4)), "shape"), (np.zeros((4, 4, 5)), "shape"), (np.zeros((0, 0, 0)), "shape"),
                         (np.where(shipped == shipped.max(), np.nan, shipped), "index .0, 0, 0. is nan")):
        with pytest.raises(InputError, match=f"^the map: .*{words}"):
            phasenet.solve(wrong, weights)
    with pytest.raises(InputError, match="^num_atoms=100: too many for min_distance=2.0"):
        phasenet.solve(shipped, weights, num_atoms=100)


def test_nothing_else_is_exported():
    with pytest.raises(AttributeError, match="module 'phasenet' has no attribute 'solved'"):
        phasenet.solved  # noqa: B018

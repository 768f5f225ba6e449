"""Classical starts: few atoms far apart are found from the Patterson map's own peaks."""

import jax
import jax.numpy as jnp
import pytest

from phasenet import metrics
from phasenet.maps import point_atoms, synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import atom_search, refinement, superposition

PROBLEM = Problem(atoms=AtomRules(num_atoms=5, inner_box=14.0), grid=32)


@pytest.mark.slow
def test_a_superposition_needs_only_to_be_refined():
    positions, valid = draw_atoms(jax.random.key(1), PROBLEM.atoms)
    assert valid
    case = atom_search.make_search_problem(synthesis.simulate_patterson(jax.random.key(1), positions, PROBLEM), PROBLEM)

    @jax.jit
    def solved(data):
        starts = superposition.find_starts(data, case.model, 5, 1.9, 4)
        refined, normal = refinement.refine(refinement.atoms_at(starts[0]), data, case.model, 15)
        return starts, refined.positions, normal.cost

    starts, refined, cost = solved(case.observations)
    assert starts.shape == (4, 5, 3)
    # Another peak, another start.
    assert len({tuple(start[1].tolist()) for start in starts}) == 4
    for start in starts:
        apart = jnp.linalg.norm(start[:, None] - start, axis=-1) + 99 * jnp.eye(5)
        assert float(apart.min()) >= 1.5
    assert float(cost) < 1e-3
    matching = metrics.match(point_atoms.unwrap(refined, 32.0), positions)
    assert float(jnp.where(matching.matched, matching.distance, jnp.inf).max()) < 0.1

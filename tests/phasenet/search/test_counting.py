"""The number of atoms: which are tried, and which is certified."""

import jax
import jax.numpy as jnp
import pytest

from phasenet import metrics
from phasenet.maps import absolute_scale, synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from phasenet.maps.synthesis import Problem
from phasenet.search import certificate, counting
from phasenet.search.atom_search import SearchSettings
from phasenet.search.refinement import Level


@pytest.mark.parametrize(("estimate", "expected"), [
    (10.1, (10, 11)), (9.8, (10, 9)), (1.2, (1, 2)), (20.0, (20, 19, 21, 18, 22)), (0.4, (1,))])
def test_the_nearest_numbers_are_tried_first(estimate, expected):
    assert counting.likely_counts(estimate) == expected


@pytest.mark.slow
def test_without_f000_the_scale_goes_with_the_number():
    """That a wrong number is tried first and given up: test_pipeline.py."""
    problem = Problem(AtomRules(4, 7.0), grid=20)
    positions, valid = draw_atoms(jax.random.key(0), problem.atoms)
    assert valid
    measured = synthesis.simulate_patterson(jax.random.key(1), positions, problem)
    measured = measured - measured.mean()  # no F000
    asked = problem._replace(atoms=problem.atoms._replace(num_atoms=5))
    settings = SearchSettings(levels=(Level((0.1, 0.2, 0.3), 15),), starts_per_level=(2,), rounds=6)
    scaled = absolute_scale.put_on_absolute_scale(3 * measured, asked, has_f000=False)
    number, found = counting.search_counts(jax.random.key(0), scaled, asked, (4,), has_f000=False, settings=settings)
    assert number == 4
    assert int(found.status) == certificate.SOLVED
    matching = metrics.match(found.answer.atoms.positions, positions)
    assert float(jnp.where(matching.matched, matching.distance, jnp.inf).max()) < 1e-3


def test_no_number_at_all_is_an_error():
    with pytest.raises(ValueError, match="expected at least one number"):
        counting.search_counts(jax.random.key(0), jnp.zeros((20,) * 3), Problem(AtomRules(4, 7.0), grid=20), (),
                               has_f000=True)

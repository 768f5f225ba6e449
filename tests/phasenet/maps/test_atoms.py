"""Random atoms obey their rules, come from their key alone, and rules that cannot be met are refused."""

import functools

import jax
import numpy as np
import pytest

from phasenet.maps import atoms
from phasenet.maps.atoms import AtomRules

DRAWS = 24


@functools.lru_cache
def drawn(rules):
    """(DRAWS, n, 3) positions and their validity, compiled once for each set of rules."""
    positions, valid = jax.jit(jax.vmap(functools.partial(atoms.draw_atoms, rules=rules)))(
        jax.random.split(jax.random.key(0), DRAWS))
    return np.asarray(positions), np.asarray(valid)


def smallest_distances(positions):
    distance = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
    return np.where(np.eye(positions.shape[1], dtype=bool), np.inf, distance).min((1, 2))


@pytest.mark.parametrize("rules", [
    AtomRules(), AtomRules(num_atoms=4, inner_box=5.0, min_distance=2.5)])
def test_atoms_obey_the_rules(rules):
    positions, valid = drawn(rules)
    assert valid.all() and positions.shape == (DRAWS, rules.num_atoms, 3)
    np.testing.assert_allclose(positions.mean(1), 0, atol=1e-5)
    assert np.abs(positions).max() <= rules.inner_box / 2
    assert smallest_distances(positions).min() >= rules.min_distance - 1e-5
    # They fill their room: some atom comes near every face, some pair near the smallest distance.
    assert (positions.max((0, 1)) > 0.4 * rules.inner_box).all()
    assert (positions.min((0, 1)) < -0.4 * rules.inner_box).all()
    assert smallest_distances(positions).min() < rules.min_distance + 0.5
    assert len(np.unique(positions[:, 0, 0])) == DRAWS


def test_forty_atoms_in_a_box_of_twelve():
    rules = AtomRules(num_atoms=40)
    positions, valid = jax.jit(functools.partial(atoms.draw_atoms, rules=rules))(jax.random.key(1))
    assert valid and np.abs(positions).max() <= 6
    assert smallest_distances(np.asarray(positions)[None])[0] >= 2 - 1e-5


def test_the_looser_rule_of_the_public_code():
    """Atoms centred on their mean may then leave the box, by no more than the mean was off."""
    positions, valid = drawn(AtomRules(num_atoms=4, inner_box=12.25, min_distance=3.0, stay_inside=False))
    assert valid.all() and smallest_distances(positions).min() >= 3 - 1e-5
    np.testing.assert_allclose(positions.mean(1), 0, atol=1e-5)
    assert np.abs(positions).max() > 12.25 / 2
    assert np.ptp(positions, axis=1).max() <= 12.25


def test_the_reserved_corner():
    base = AtomRules(num_atoms=4, inner_box=8.0, corner=3.0)
    inside = {}
    for rule in atoms.CORNER_RULES:
        positions, valid = drawn(base._replace(corner_rule=rule))
        assert valid.all() and np.abs(positions).max() <= 4
        inside[rule] = ((positions > 1).all(-1) | (positions < -1).all(-1)).any(-1)
        np.testing.assert_array_equal(jax.vmap(functools.partial(atoms.in_corner, rules=base))(positions).any(-1),
                                      inside[rule])
    assert not inside["empty"].any() and inside["filled"].all() and 0 < inside["any"].sum() < DRAWS


def test_in_corner_by_hand():
    rules = AtomRules(inner_box=12.0, corner=4.0)  # beyond 2 on all axes, one sign
    positions = np.array([[3, 3, 3], [-3, -3, -3], [3, 3, 1.9], [3, -3, 3], [2, 3, 3], [0, 0, 0]], np.float32)
    np.testing.assert_array_equal(atoms.in_corner(positions, rules), [True, True, False, False, False, False])
    np.testing.assert_array_equal(atoms.in_corner(atoms.invert(positions), rules), atoms.in_corner(positions, rules))


def test_a_key_is_a_set_of_atoms():
    rules = AtomRules(num_atoms=4, inner_box=5.0, min_distance=2.5)
    key = jax.random.split(jax.random.key(0), DRAWS)[3]
    alone, valid = jax.jit(functools.partial(atoms.draw_atoms, rules=rules))(key)
    assert valid
    np.testing.assert_allclose(alone, drawn(rules)[0][3], atol=1e-6)
    other, _ = jax.jit(functools.partial(atoms.draw_atoms, rules=rules))(jax.random.key(99))
    assert np.abs(other - alone).max() > 0.1


def test_a_lone_atom_lies_at_the_centre():
    positions, valid = drawn(AtomRules(num_atoms=1, inner_box=0.5))
    assert valid.all() and not positions.any()


def test_what_hardly_exists_is_marked_invalid(monkeypatch):
    monkeypatch.setattr(atoms, "_MAX_DRAWS", 5)
    # The mean of two atoms is in the middle: none reaches the outermost corner unless both do.
    rules = AtomRules(num_atoms=2, inner_box=10.0, corner=0.01, corner_rule="filled")
    positions, valid = atoms.draw_atoms(jax.random.key(0), rules)
    assert not valid and np.isfinite(positions).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"num_atoms": 0}, "num_atoms=0: expected a whole number, at least 1"),
    ({"num_atoms": 2.5}, "num_atoms=2.5: expected a whole number"),
    ({"inner_box": 0.0}, "inner_box=0.0: expected a finite number above 0"),
    ({"inner_box": float("nan")}, "inner_box=nan: expected a finite number above 0"),
    ({"inner_box": float("inf")}, "inner_box=inf: expected a finite number above 0"),
    ({"min_distance": -1.0}, "min_distance=-1.0: expected at least 0"),
    ({"min_distance": float("nan")}, "min_distance=nan: expected at least 0"),
    ({"num_atoms": 200}, "num_atoms=200: too many for min_distance=2.0 in a box of 12.0 voxels"),
    ({"inner_box": 2.0}, "num_atoms=10: too many"),
    ({"corner_rule": "full"}, "corner_rule='full': expected one of any, empty, filled"),
    ({"corner": -1.0}, "corner=-1.0: expected 0 to 6, half the inner box"),
    ({"corner": 6.5}, "corner=6.5: expected 0 to 6, half the inner box"),
    ({"corner": float("nan")}, "corner=nan: expected 0 to 6, half the inner box"),
    ({"corner_rule": "filled"}, "corner=0.0: expected more than 0 with corner_rule='filled'")])
def test_rules_that_cannot_be_met_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        atoms.check_rules(AtomRules()._replace(**change))
    atoms.check_rules(AtomRules())


def test_dense_rules_that_are_accepted_can_be_met():
    """40 atoms fill 15% of the room of their box, the corners that their spheres cannot reach included."""
    rules = AtomRules(num_atoms=40, inner_box=8.4)
    atoms.check_rules(rules)
    with pytest.raises(ValueError, match="too many"):
        atoms.check_rules(rules._replace(inner_box=5.45))
    positions, valid = jax.jit(functools.partial(atoms.draw_atoms, rules=rules))(jax.random.key(0))
    assert valid and smallest_distances(np.asarray(positions)[None])[0] >= 2 - 1e-5

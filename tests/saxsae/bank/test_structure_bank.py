"""Profiles of the bank in few numbers."""

import numpy as np
import pytest
from made_bodies import make_bank

from saxsae.bank import structure_bank
from saxsae.bank.structure_bank import ProfileComponents

pytestmark = pytest.mark.optimized

BODIES = [(20 * a, 20 * b, 20) for a in (1, 1.3, 1.7, 2.2) for b in (1, 1.2, 1.5)]


def test_a_made_shape_is_known_and_a_structure_without_a_pdb_id_is_none():
    bank = make_bank(BODIES[:3])
    names = ("1abc_A", structure_bank.name_made_shape("rod", 7), "a structure that was made by others")
    found = bank._replace(names=names, pdb_ids=("1abc", "", ""))
    assert found.is_made.tolist() == [False, True, False]


def test_components_in_half_precision_give_the_profiles():
    bank = make_bank(BODIES)
    stored = structure_bank.compress_profiles(bank.profiles, len(BODIES) - 1)
    halves = ProfileComponents(stored.scores.astype(np.float16), *stored[1:])
    found = structure_bank.expand_profiles(halves)
    assert found.shape == bank.profiles.shape and found.dtype == np.float32
    scale = bank.profiles[:, :, :1] * np.array([1, 30, 900])[:, None]  # what the parts weigh at a contrast of 0.03
    assert np.abs((found - bank.profiles) / scale)[..., :100].max() < 0.02
    few = structure_bank.expand_profiles(structure_bank.compress_profiles(bank.profiles, 1))
    assert np.abs(few - bank.profiles)[:, :, 0].max() > 10 * np.abs(found - bank.profiles)[:, :, 0].max()
    np.testing.assert_array_equal(bank.profiles_of(equal_atoms=True), bank.profiles[:, 1])

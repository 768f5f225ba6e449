"""Operators go to gemmi and back unchanged, and an inversion is seen."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import lattice


@pytest.mark.parametrize("symbol", ["P 1", "P 1 21/c 1", "I 41 2 2", "R 3 :H", "F d -3 m"])
def test_operators_go_to_gemmi_and_back(symbol):
    group = gemmi.SpaceGroup(symbol)
    operators = lattice.operators_of(group)
    assert gemmi.find_spacegroup_by_ops(lattice.group_of(operators)).xhm() == group.xhm()
    again = lattice.operators_of(lattice.group_of(operators), operators.symbol)
    rows = [np.column_stack([one.rotations.reshape(-1, 9), one.translations]) for one in (operators, again)]
    np.testing.assert_array_equal(*(np.unique(row, axis=0) for row in rows))
    # A translation may be negative.
    moved = lattice.group_of(operators._replace(translations=operators.translations - 1))
    assert gemmi.find_spacegroup_by_ops(moved).xhm() == group.xhm()


def test_an_inversion_is_seen():
    assert lattice.has_inversion(lattice.operators_of(gemmi.SpaceGroup("P 1 21/c 1")))
    assert not lattice.has_inversion(lattice.operators_of(gemmi.SpaceGroup("P n a 21")))

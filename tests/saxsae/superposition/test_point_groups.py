"""The names of the point groups that can be imposed."""

import pytest

from phasenet.errors import InputError
from saxsae.superposition.point_groups import GROUP_NAMES, SymmetryGroup, parse_group


@pytest.mark.parametrize("name", ["C1", "C13", "D1", "D7", "T", "I", "3", "", "C2v"])
def test_other_groups_are_refused_in_one_line(name):
    with pytest.raises(InputError, match=r"expected C2 to C12 or D2 to D6") as refusal:
        parse_group(name)
    assert "\n" not in str(refusal.value)


def test_names_are_read_in_either_case():
    assert parse_group(" d3 ") == SymmetryGroup(3, dihedral=True)


def test_every_name_is_that_of_its_group():
    assert len(set(GROUP_NAMES)) == 11 + 5
    assert all(parse_group(name).name == name for name in GROUP_NAMES)

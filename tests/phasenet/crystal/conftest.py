"""Made crystals for the tests of this folder."""

import pytest
from made_crystals import make_crystal, structure_factors_by_gemmi


@pytest.fixture(scope="session")
def made_crystal():
    """Makes a crystal in a space group; the same arguments give the same one."""
    return make_crystal


@pytest.fixture(scope="session")
def gemmi_structure_factors():
    """Calculates structure factors by direct summation in gemmi."""
    return structure_factors_by_gemmi

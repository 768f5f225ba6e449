"""Made crystals: no clashes, sensible bonds, the density of real ones, the same from the same seed."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import lattice
from phasenet.crystal.made import crystals, unit_cells
from phasenet.errors import InputError

GROUPS = ("P 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1")


def draw(seed, **given):
    return crystals.draw_crystal(np.random.default_rng(seed), **({"volumes": (300.0, 1500.0)} | given))


@pytest.fixture(scope="module", params=range(6))
def crystal(request):
    return draw(request.param)


def neighbours(crystal):
    """Distances (n, all images) from each independent atom, itself left out."""
    images, atoms = crystals.expand(crystal.positions, crystal.operators, crystal.cell)
    cells = np.stack(np.meshgrid(*[[-2, -1, 0, 1, 2]] * 3, indexing="ij"), -1).reshape(-1, 3)
    difference = (images[:, None] + cells).reshape(-1, 3) - crystal.positions[:, None]
    distance = np.linalg.norm(difference @ lattice.orthogonalization_matrix(crystal.cell).T, axis=-1)
    return np.where(distance < 1e-3, np.inf, distance), np.repeat(atoms, len(cells))


def test_no_atoms_clash_and_none_is_bound_too_often(crystal):
    distance, others = neighbours(crystal)
    elements = np.array(crystal.elements)
    light = np.isin(elements, ["C", "N", "O", "F", "B"])
    between_light = distance[np.ix_(light, light[others])]
    assert between_light.min() > 1.05
    # Between a bond and the distance of two atoms on one atom there is nothing.
    assert not ((between_light > 1.65) & (between_light < 1.95)).any()
    bonds = (between_light < 1.65).sum(1)
    assert bonds.max() <= 4


def test_the_density_is_that_of_real_crystals(crystal):
    volume = np.linalg.det(lattice.orthogonalization_matrix(crystal.cell))
    heavy = sum(count for element, count in crystal.composition.items() if element != "H")
    assert 14.5 < volume / heavy < 24.5
    assert heavy == len(crystal.elements) * len(crystal.operators.rotations)
    assert crystal.composition["H"] == len(crystal.hydrogens) * len(crystal.operators.rotations)


def test_hydrogen_atoms_are_bound_to_one_atom(crystal):
    matrix = lattice.orthogonalization_matrix(crystal.cell)
    images, _ = crystals.expand(crystal.positions, crystal.operators, crystal.cell)
    difference = crystal.hydrogens[:, None] - images
    distance = np.sort(np.linalg.norm((difference - np.round(difference)) @ matrix.T, axis=-1), 1)
    assert distance[:, 0].min() > 0.8 and distance[:, 0].max() < 1.6
    assert distance[:, 1].min() > 1.5


def test_the_same_seed_gives_the_same_crystal():
    one, two, other = draw(3), draw(3), draw(4)
    np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(one.b_iso, two.b_iso)
    assert one.elements == two.elements and one.positions.shape != other.positions.shape


@pytest.mark.parametrize("symbol", GROUPS)
def test_a_group_that_is_asked_for_is_taken(symbol):
    crystal = draw(1, volumes=(900.0, 1200.0), space_groups=(symbol,))
    assert crystal.operators.symbol == symbol


def test_a_volume_without_room_for_a_molecule_is_refused():
    with pytest.raises(InputError, match="raise the volume"):
        draw(0, volumes=(100.0, 110.0), space_groups=("P b c a",))


@pytest.mark.parametrize("symbol", sorted(unit_cells.FREQUENCIES))
def test_a_cell_has_the_metric_of_its_group(symbol):
    operators = lattice.operators_of(gemmi.SpaceGroup(symbol))
    cell = unit_cells.draw_cell(np.random.default_rng(0), 2000.0, operators)
    matrix = lattice.orthogonalization_matrix(cell)
    assert np.linalg.det(matrix) == pytest.approx(2000.0)
    for rotation in operators.rotations:
        turned = matrix @ rotation @ np.linalg.inv(matrix)
        np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-9)


def test_images_on_a_special_position_are_one_atom():
    operators = lattice.operators_of(gemmi.SpaceGroup("P -1"))
    cell = np.array([8.0, 9.0, 10.0, 90.0, 90.0, 90.0])
    positions, atoms = crystals.expand(np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.3]]), operators, cell)
    np.testing.assert_array_equal(atoms, [0, 1, 1])
    np.testing.assert_allclose(positions, [[0.5, 0.5, 0.0], [0.1, 0.2, 0.3], [0.9, 0.8, 0.7]], atol=1e-12)

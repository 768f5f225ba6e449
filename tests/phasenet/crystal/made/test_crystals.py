"""Made crystals: no clashes, sensible bonds, the density of real ones, the same from the same seed."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import lattice, symmetry_copies
from phasenet.crystal.made import crystals, packing, unit_cells
from phasenet.crystal.made.chemistry import contacts, ligands
from phasenet.errors import InputError

GROUPS = ("P 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1")


def draw(seed, **given):
    return crystals.draw_crystal(np.random.default_rng(seed), **({"volumes": (300.0, 1500.0)} | given))


@pytest.fixture(scope="module", params=[("organic", 0), ("organic", 1), ("organic", 2), ("complex", 3), ("complex", 4)],
                ids=lambda param: f"{param[0]} {param[1]}")
def crystal(request):
    return draw(request.param[1], kind=request.param[0])


def neighbours(crystal):
    """Distances (n, all images) from each independent atom, itself left out."""
    images, atoms = symmetry_copies.expand_to_cell(crystal.positions, crystal.operators, crystal.cell)
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
    assert 14.5 < volume / heavy < 26
    assert crystal.composition["H"] == len(crystal.hydrogens) * len(crystal.operators.rotations)


def test_hydrogen_atoms_are_bound_to_one_atom(crystal):
    matrix = lattice.orthogonalization_matrix(crystal.cell)
    images, _ = symmetry_copies.expand_to_cell(crystal.positions, crystal.operators, crystal.cell)
    difference = crystal.hydrogens[:, None] - images
    distance = np.sort(np.linalg.norm((difference - np.round(difference)) @ matrix.T, axis=-1), 1)
    assert distance[:, 0].min() > 0.8 and distance[:, 0].max() < 1.6
    assert distance[:, 1].min() > 1.5


def test_the_same_seed_gives_the_same_crystal():
    one, two, other = draw(3), draw(3), draw(4)
    np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(one.b_iso, two.b_iso)
    assert one.elements == two.elements and one.positions.shape != other.positions.shape


def test_a_metal_atom_on_a_special_position_counts_once_and_has_its_ligands_around():
    for seed in range(20):
        crystal = draw(seed, kind="complex", space_groups=("P -1",))
        metals = [place for place, element in enumerate(crystal.elements) if element in ligands.METALS]
        assert len(metals) >= 1
        distance, _ = neighbours(crystal)
        radius = ligands.METALS[crystal.elements[metals[0]]].radius
        bonds = np.sort(distance[metals[0]])[:2]
        assert radius + 0.3 < bonds[0] and bonds[1] < radius + 1.5
        if crystal.composition[crystal.elements[metals[0]]] == 1:  # of two operators
            np.testing.assert_allclose(2 * crystal.positions[metals[0]] % 1 % 1, 0, atol=1e-6)
            assert bonds[0] == pytest.approx(bonds[1], abs=1e-6)
            return
    pytest.fail("no metal atom lies on an inversion centre")


def test_a_molecule_on_an_inversion_centre_is_whole():
    operators = lattice.operators_of(gemmi.SpaceGroup("P -1"))
    cell = np.array([9.0, 10.0, 11.0, 85.0, 95.0, 100.0])
    for seed in range(10):
        grown = packing.fill_cell(np.random.default_rng(seed), cell, operators, packing.Contents((9,), is_special=True))
        if grown is not None:
            assert grown.site_symmetries[grown.molecules[0]].order == 2
            heavy = [x for x, element in zip(grown.positions, grown.elements, strict=True) if element[0] != "H"]
            first = grown.fractionalization @ heavy[0]
            centre = np.round(2 * grown.fractionalization @ np.mean(heavy, 0)) / 2
            across = [np.linalg.norm(grown.orthogonalization @ (2 * (grown.fractionalization @ x - place)))
                      for x in heavy for place in (centre, np.round(2 * first) / 2)]
            assert min(across) == pytest.approx(1.5, abs=0.06)  # a bond through the centre
            return
    pytest.fail("no molecule found room")


def test_ions_keep_the_distances_of_their_radii():
    for seed in range(3):
        crystal = draw(seed, kind="mineral")
        distance, others = neighbours(crystal)
        elements = np.array(crystal.elements)
        limits = contacts.limits_between_ions(elements, elements[others])
        assert (distance - limits).min() > -0.2 - 1e-6
        anions = np.isin(elements, contacts.ANIONS)
        assert 0 < anions.sum() < len(elements)
        nearest = distance[np.ix_(anions, ~anions[others])].min(1)
        assert np.median(nearest) < 3.3


@pytest.mark.parametrize("symbol", GROUPS)
def test_a_group_that_is_asked_for_is_taken(symbol):
    crystal = draw(1, volumes=(900.0, 1200.0), space_groups=(symbol,), kind="organic")
    assert crystal.operators.symbol == symbol


def test_a_volume_without_room_for_a_molecule_is_refused():
    with pytest.raises(InputError, match="raise the volume"):
        draw(0, kind="organic", volumes=(100.0, 110.0), space_groups=("P b c a",))


def test_a_kind_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="one of organic, complex, mineral"):
        draw(0, kind="organics")


def test_a_group_is_drawn_as_often_by_its_short_symbol():
    short, full = ([unit_cells.draw_space_group(np.random.default_rng(seed), 900.0, symbols).symbol
                    for seed in range(30)] for symbols in (("P21/c", "P212121"), ("P 1 21/c 1", "P 21 21 21")))
    assert short == full and len(set(full)) == 2


@pytest.mark.parametrize("symbol", sorted(unit_cells.FREQUENCIES))
def test_a_cell_has_the_metric_of_its_group(symbol):
    operators = lattice.operators_of(gemmi.SpaceGroup(symbol))
    cell = unit_cells.draw_cell(np.random.default_rng(0), 2000.0, operators)
    matrix = lattice.orthogonalization_matrix(cell)
    assert np.linalg.det(matrix) == pytest.approx(2000.0)
    for rotation in operators.rotations:
        turned = matrix @ rotation @ np.linalg.inv(matrix)
        np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-9)

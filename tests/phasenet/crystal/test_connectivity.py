"""Bonds across the faces of a cell, molecules put together, and the copies that pictures show."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import connectivity, lattice, symmetry_copies

GROUPS = ("P 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1")
_SALT = np.array([5.64, 5.64, 5.64, 90.0, 90.0, 90.0])


def scattered(crystal):
    """The atoms of a made crystal, each at a symmetry copy and a lattice translation of its own."""
    rng = np.random.default_rng(1)
    operators = crystal.operators
    chosen = rng.integers(len(operators.rotations), size=len(crystal.elements))
    moved = np.einsum("nij,nj->ni", operators.rotations[chosen], crystal.positions) + operators.translations[chosen]
    return moved + rng.integers(-2, 3, size=moved.shape)


@pytest.mark.parametrize("symbol", GROUPS)
def test_scattered_atoms_become_one_molecule(symbol, made_crystal):
    crystal = made_crystal(symbol)
    matrix = lattice.orthogonalization_matrix(crystal.cell)
    given = scattered(crystal)
    placed = connectivity.assemble(given, crystal.elements, crystal.cell, crystal.operators)
    assert not placed.molecules.any()
    # The distances within the molecule, which neither symmetry nor translation changes.
    apart = [np.linalg.norm((x[:, None] - x[None]) @ matrix.T, axis=-1)
             for x in (placed.positions, connectivity.assemble(
                 crystal.positions, crystal.elements, crystal.cell, crystal.operators).positions)]
    np.testing.assert_allclose(apart[0], apart[1], atol=1e-9)
    assert apart[0].max() < 7.5
    assert (np.abs(placed.positions.mean(0) - 0.5) <= 0.5 + 1e-9).all()
    # Each atom is the copy that an operator of its rotation makes, but for a lattice translation.
    operators = crystal.operators
    shift = placed.positions - np.einsum("nij,nj->ni", placed.rotations, given)
    for rotation, move in zip(placed.rotations, shift, strict=True):
        off = move - operators.translations[(operators.rotations == rotation).all((1, 2))]
        assert np.abs(off - np.rint(off)).max(1).min() < 1e-9


def test_bonds_and_lengths_of_a_salt():
    operators = lattice.operators_of(gemmi.SpaceGroup("F m -3 m"))
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    bonds = connectivity.find_bonds(positions, ("Na", "Cl"), _SALT, operators)
    of_sodium = bonds.first == 0
    assert of_sodium.sum() == 6 and (bonds.second[of_sodium] == 1).all()  # and no bond from Na to Na
    np.testing.assert_allclose(bonds.lengths, 2.82)
    places = (operators.rotations[bonds.operators] @ positions[bonds.second][..., None])[..., 0]
    places = places + operators.translations[bonds.operators] + bonds.shifts
    apart = np.linalg.norm((places - positions[bonds.first]) * 5.64, axis=1)
    np.testing.assert_allclose(apart, 2.82)


def test_a_cation_is_bonded_to_anions_only():
    longest = connectivity.longest_bonds(("Na", "Si", "O"), ("Na", "Si", "O"))
    np.testing.assert_array_equal(longest > 0, [[False, False, True], [False, True, True], [True, True, True]])
    assert not connectivity.longest_bonds(("Na",), ("O", "Na"), with_cations=False).any()


def unique_of(positions, elements, cell, operators):
    """Unique atoms, assembled, and as a picture."""
    placed = connectivity.assemble(np.asarray(positions), elements, cell, operators)
    unique = symmetry_copies.prepare_unique(placed.positions, placed.molecules, elements, cell, operators)
    return unique, symmetry_copies.show_unique(unique)


def test_a_salt_fills_its_cell_with_faces_and_corners_and_grows_its_neighbours():
    operators = lattice.operators_of(gemmi.SpaceGroup("F m -3 m"))
    unique, shown = unique_of([[0, 0, 0], [0.5, 0.5, 0.5]], ("Na", "Cl"), _SALT, operators)
    assert unique.molecules.tolist() == [0, 1]  # a cation makes no molecule, but lies beside its neighbour
    assert np.linalg.norm((unique.positions[1] - unique.positions[0]) * 5.64) == pytest.approx(2.82)
    cell = symmetry_copies.fill_cell(unique)
    assert sorted(np.bincount(cell.sources)) == [13, 14]
    assert len(symmetry_copies.bonded_pairs(cell, unique)) == 54
    np.testing.assert_array_equal(symmetry_copies.site_multiplicities(unique.positions, _SALT, operators), [4, 4])
    assert len(symmetry_copies.grow(shown, unique).sources) == 2 + 5 + 5


def test_a_network_grows_by_its_bonds():
    operators, cell = lattice.operators_of(gemmi.SpaceGroup("P m -3 m")), np.array([3.2, 3.2, 3.2, 90.0, 90.0, 90.0])
    unique, shown = unique_of([[0, 0, 0], [0.5, 0, 0]], ("Si", "O"), cell, operators)
    for count in (2 + 5 + 1, 2 + 5 + 1 + 5 + 5):
        shown = symmetry_copies.grow(shown, unique)
        assert len(shown.sources) == count
    assert np.bincount(symmetry_copies.fill_cell(unique).sources).tolist() == [8, 12]


def test_the_cell_holds_whole_molecules_and_molecules_grow_their_neighbours(made_crystal):
    crystal = made_crystal("P -1")
    unique, shown = unique_of(scattered(crystal), crystal.elements, crystal.cell, crystal.operators)
    cell = symmetry_copies.fill_cell(unique)
    assert len(cell.sources) == 24
    assert len(symmetry_copies.bonded_pairs(cell, unique)) == 24  # a ring of six atoms with six others, twice
    grown = symmetry_copies.grow(shown, unique)
    assert len(grown.sources) % 12 == 0 and len(grown.sources) > 24
    np.testing.assert_array_equal(grown.sources[:12], np.arange(12))
    np.testing.assert_allclose(
        np.einsum("aij,aj->ai", grown.turns, unique.positions[grown.sources]) + grown.moves, grown.positions)


def test_half_a_molecule_on_an_inversion_is_completed():
    operators = lattice.operators_of(gemmi.SpaceGroup("P -1"))
    cell = np.array([8.0, 9.0, 10.0, 90.0, 100.0, 90.0])
    # C-C across the inversion, and its O.
    unique, shown = unique_of([[0.09, 0.0, 0.0], [0.15, 0.14, 0.0]], ("C", "O"), cell, operators)
    assert sorted(symmetry_copies.grow(shown, unique).sources.tolist()) == [0, 0, 1, 1]
    filled = symmetry_copies.fill_cell(unique)
    assert len(filled.sources) == 4 and len(symmetry_copies.bonded_pairs(filled, unique)) == 3


def test_images_on_a_special_position_are_one_atom():
    operators = lattice.operators_of(gemmi.SpaceGroup("P -1"))
    cell = np.array([8.0, 9.0, 10.0, 90.0, 90.0, 90.0])
    positions, atoms = symmetry_copies.expand_to_cell(np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.3]]), operators, cell)
    np.testing.assert_array_equal(atoms, [0, 1, 1])
    np.testing.assert_allclose(positions, [[0.5, 0.5, 0.0], [0.1, 0.2, 0.3], [0.9, 0.8, 0.7]], atol=1e-12)

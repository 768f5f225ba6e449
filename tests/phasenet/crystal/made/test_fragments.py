"""Fragments have the geometry that chemistry gives them."""

import numpy as np
import pytest

from phasenet.crystal.made.chemistry import fragments, ligands

LIBRARY = fragments.organic_fragments()[0]
OTHERS = (*fragments.solvents()[0], *fragments.counter_ions()[0], *(each.fragment for each in ligands.ligands()[0]))
by_name = {fragment.name: fragment for fragment in LIBRARY}


def distances(fragment):
    return np.linalg.norm(fragment.positions[:, None] - fragment.positions, axis=-1)


@pytest.mark.parametrize("fragment", [*LIBRARY, *OTHERS], ids=lambda fragment: fragment.name)
def test_bonds_have_usual_lengths_and_other_atoms_keep_apart(fragment):
    distance = distances(fragment)[np.triu_indices(len(fragment.elements), 1)]
    assert not ((distance < 1.1) | ((distance > 1.9) & (distance < 2.1))).any()
    np.testing.assert_allclose(np.linalg.norm(fragment.site_directions, axis=1), 1, atol=1e-12)


@pytest.mark.parametrize(("name", "atoms", "bonds", "sites"), [
    ("benzene", 6, 6, 6), ("pyridine", 6, 6, 5), ("indole", 9, 10, 7), ("anthracene", 14, 16, 10),
    ("uracil", 8, 8, 4), ("pyranose", 6, 6, 10), ("carboxyl", 3, 2, 2), ("trifluoromethyl", 4, 3, 1)])
def test_a_fragment_has_its_atoms_bonds_and_sites(name, atoms, bonds, sites):
    fragment = by_name[name]
    assert len(fragment.elements) == atoms and len(fragment.site_atoms) == sites
    assert ((distances(fragment) < 1.9).sum() - atoms) / 2 == bonds


def test_benzene_is_a_regular_hexagon_with_sites_outwards():
    benzene = by_name["benzene"]
    np.testing.assert_allclose(np.linalg.norm(benzene.positions, axis=1), 1.39, atol=1e-9)
    np.testing.assert_allclose(benzene.site_directions, benzene.positions[benzene.site_atoms] / 1.39, atol=1e-9)


def test_sites_of_a_chair_are_tetrahedral():
    chair = by_name["cyclohexane"]
    for atom in range(6):
        bonds = [chair.positions[other] - chair.positions[atom] for other in (atom - 1, (atom + 1) % 6)]
        ways = [*(bond / np.linalg.norm(bond) for bond in bonds), *chair.site_directions[chair.site_atoms == atom]]
        cosines = (np.array(ways) @ np.array(ways).T)[np.triu_indices(4, 1)]
        np.testing.assert_allclose(np.rad2deg(np.arccos(cosines)), 109.5, atol=3)


def test_bond_lengths_are_those_of_the_tables():
    length = fragments.bond_length
    assert length("C", False, "C", False) == pytest.approx(1.53, abs=0.01)
    assert length("C", True, "C", True) == pytest.approx(1.48, abs=0.01)
    assert length("C", False, "O", False) == pytest.approx(1.425, abs=0.01)
    assert length("O", False, "C", True) == length("C", True, "O", False) == pytest.approx(1.36, abs=0.01)
    assert length("C", True, "Br", False) == pytest.approx(1.90, abs=0.02)
    assert not fragments.can_bond("O", "O") and fragments.can_bond("N", "S")


@pytest.mark.parametrize("shape", ["line", "tetrahedron", "square", "pyramid", "octahedron", "cube", "stool"])
def test_corners_of_a_polyhedron_keep_apart(shape):
    corners = ligands.corners_of(shape)
    np.testing.assert_allclose(np.linalg.norm(corners, axis=1), 1)
    cosines = (corners @ corners.T)[np.triu_indices(len(corners), 1)]
    assert np.rad2deg(np.arccos(np.clip(cosines, -1, 1))).min() > 70


@pytest.mark.parametrize("ligand", ligands.ligands()[0], ids=lambda ligand: ligand.fragment.name)
def test_nothing_of_a_ligand_stands_in_the_way_of_the_metal(ligand):
    donors = ligand.fragment.positions[list(ligand.donors)]
    metal = donors.mean(0) + (1.4 if ligand.is_chelate else 2.0) * ligand.towards
    others = np.delete(ligand.fragment.positions, ligand.donors, axis=0)
    assert np.linalg.norm(ligand.towards) == pytest.approx(1)
    assert not len(others) or np.linalg.norm(others - metal, axis=1).min() > 2.3
    spread = np.linalg.norm(donors - metal, axis=1)
    assert np.ptp(spread) < 1e-6 or ligand.is_ring and np.ptp(spread) < 0.05

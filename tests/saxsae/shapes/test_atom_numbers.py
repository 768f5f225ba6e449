"""Size and mass of atoms against brute force and known compositions."""

import numpy as np
import pytest

from saxsae.shapes.atom_numbers import atom_mass, largest_distance, weighted_rg


@pytest.mark.parametrize("axes", [(1, 1, 1), (1, 1, 6), (5, 5, 1)])
def test_the_largest_distance_is_that_of_all_pairs(axes):
    xyz = np.random.default_rng(0).normal(size=(1500, 3)) * axes + 100.0
    brute = max(np.linalg.norm(xyz - one, axis=1).max() for one in xyz)
    assert largest_distance(xyz.astype(np.float32)) == pytest.approx(brute, rel=1e-5)
    assert largest_distance(np.ones((1, 3))) == 0.0


def test_the_radius_of_gyration_weighs_atoms():
    xyz = np.array([[0.0, 0, 0], [4.0, 0, 0]])
    assert weighted_rg(xyz, np.ones(2)) == pytest.approx(2.0)
    assert weighted_rg(xyz, np.array([3.0, 1.0])) == pytest.approx(np.sqrt(3.0))


def test_the_mass_of_lysozyme_and_of_a_nucleotide():
    # Hen egg-white lysozyme, C613 N193 O185 S10 and 951 hydrogens: 14.3 kDa.
    lysozyme = np.repeat([6, 7, 8, 16], [613, 193, 185, 10])
    assert atom_mass(lysozyme) == pytest.approx(14.31, rel=0.01)
    # The mean of the four deoxynucleotides in DNA is 0.3089 kDa: C 9.75, N 3.75, O 6, P 1.
    dna = np.repeat([6, 7, 8, 15], [39, 15, 24, 4])
    assert atom_mass(dna) == pytest.approx(4 * 0.3089, rel=0.015)

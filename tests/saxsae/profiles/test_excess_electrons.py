"""Excess electrons of atoms in water, against the sum over pairs of atoms with their own amplitudes."""

import numpy as np
import pytest
from made_bodies import make_atoms

from saxsae.profiles import excess_electrons, hydration, simulation
from saxsae.shapes import densities

Q = np.linspace(0.005, 0.3, 40)
ELEMENTS = (6, 7, 8, 16)


def debye_sum(xyz, numbers, q):
    """I(q) of atoms with their own amplitudes, over all pairs."""
    amplitudes = {number: excess_electrons.amplitude(number, q) for number in ELEMENTS}
    of_atoms = np.stack([amplitudes[number] for number in numbers])
    distance = np.sqrt(((xyz[:, None] - xyz)**2).sum(-1))
    return np.array([of_atoms[:, i] @ np.sinc(distance * q[i] / np.pi) @ of_atoms[:, i] for i in range(len(q))])


def protein_like(axes, seed):
    """Atoms, and elements of which the polar ones are more frequent near the surface."""
    xyz, r_max = make_atoms(axes, seed)
    depth = np.sqrt(((xyz / axes)**2).sum(1))
    rng = np.random.default_rng(seed)
    polar = rng.random(len(xyz)) < 0.1 + 0.35 * depth
    return xyz, r_max, np.where(polar, rng.choice((7, 8), len(xyz)), rng.choice((6, 16), len(xyz), p=(0.992, 0.008)))


@pytest.mark.parametrize(("axes", "seed"), [((22, 18, 15), 0), ((28, 16, 14), 1), ((24, 24, 10), 2), ((35, 14, 12), 3)])
def test_points_with_the_growth_of_the_mean_atom_are_the_sum_over_elements(axes, seed):
    xyz, r_max, numbers = protein_like(axes, seed)
    atoms, shell, excess = hydration.densities_of_structure(xyz, numbers, r_max).astype(np.float32)
    found, equal = (np.asarray(hydration.profiles_of_parts(density, shell, Q.astype(np.float32), np.float32(r_max), 40,
                                                           density is atoms))[0] for density in (excess, atoms))
    expected = debye_sum(xyz, numbers, Q)
    error, error_of_equal = (np.abs(profile * expected[0] / profile[0] / expected - 1) for profile in (found, equal))
    assert np.median(error[Q < 0.2]) < 0.012
    assert np.median(error[Q < 0.2]) < 0.4 * np.median(error_of_equal[Q < 0.2])


def test_the_excess_is_that_of_proteins():
    """A mean atom has the excess of 17.2 A^3 at 0.42 - 0.334 e/A^3, and carbon next to none."""
    carbon, nitrogen, oxygen, other = excess_electrons.excess_electrons(np.array([6, 7, 8, 30]))
    assert other == pytest.approx(hydration.PROTEIN_EXCESS * densities.ATOM_VOLUME_ANGSTROM3, rel=0.12)
    assert abs(carbon) < 0.1 * nitrogen and oxygen == pytest.approx(nitrogen, rel=0.15)
    assert excess_electrons.mean_growth(np.array([0.0]))[0] == pytest.approx(1)


def test_atoms_of_unknown_elements_count_alike():
    weights = hydration.element_weights(np.full(5, 6))
    np.testing.assert_allclose(weights, weights[0])
    assert weights[0] == pytest.approx(1, rel=0.12)


def test_the_sum_over_pairs_of_atoms_of_unknown_elements_takes_the_mean_atom():
    """Alpha carbons with the excess of carbon would all but vanish beside their bound water."""
    xyz, _ = make_atoms((20, 18, 16))
    xyz = xyz[::8]
    trace, known = (simulation.solution_intensity(xyz, np.full(len(xyz), number), Q, 0.02) for number in (6, 7))
    assert 0.05 < trace[0] / known[0] < 1
    np.testing.assert_allclose(trace[0], simulation.solution_intensity(xyz, np.zeros(len(xyz), int), Q, 0.02)[0])

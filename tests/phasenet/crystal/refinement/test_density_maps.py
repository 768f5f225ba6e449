"""Density maps are on an absolute scale: electrons are counted, and the true model leaves no difference."""

import numpy as np
import pytest
from made_models import true_atoms

from phasenet.crystal import form_factors, lattice
from phasenet.crystal.refinement import density_maps

GROUPS = ("P 1", "P 1 21/c 1", "C 1 2/c 1")


def maps_of(crystal, atoms, scale=2.5**0.5, radiation="xray"):
    phased = density_maps.phase_reflections(crystal.reflections, atoms, scale, crystal.cell, crystal.operators,
                                            radiation)
    return density_maps.compute_maps(phased, crystal.cell, crystal.operators, crystal.composition, radiation)


def volume_of(crystal):
    return np.linalg.det(lattice.orthogonalization_matrix(crystal.cell))


@pytest.mark.parametrize("symbol", GROUPS)
def test_electrons_are_counted_and_the_true_model_leaves_nothing(symbol, made_crystal):
    crystal = made_crystal(symbol, d_min=0.8, noise=1e-4)
    maps = maps_of(crystal, true_atoms(crystal))
    volume = volume_of(crystal)
    electrons = sum(count * form_factors.atomic_number(symbol) for symbol, count in crystal.composition.items())
    assert maps.density.mean() * volume == pytest.approx(electrons)
    spacing = crystal.cell[:3] / maps.density.shape
    assert (spacing <= 0.8 / 3).all()
    assert np.abs(maps.difference).max() < 0.01 * maps.density.max()
    # Chlorine has the highest peak, within a voxel of its place; a sphere of 0.9 A holds most of its electrons.
    chlorine = crystal.positions[crystal.elements.index("Cl")]
    offset = np.stack(np.meshgrid(*[np.arange(n) / n for n in maps.density.shape], indexing="ij"), -1) - chlorine
    offset -= np.rint(offset)
    distance = np.linalg.norm(offset @ lattice.orthogonalization_matrix(crystal.cell).T, axis=-1)
    held = maps.density[distance < 0.9].sum() * volume / maps.density.size
    assert 12 < held < 18
    images = crystal.operators.rotations @ chlorine + crystal.operators.translations
    highest = np.array(np.unravel_index(maps.density.argmax(), maps.density.shape)) / maps.density.shape
    apart = images - highest
    assert np.linalg.norm((apart - np.rint(apart)) * crystal.cell[:3], axis=1).min() < 0.4


def test_a_missing_atom_is_the_highest_difference(made_crystal):
    crystal = made_crystal("P 1 21/c 1", d_min=0.8, noise=1e-4)
    atoms = true_atoms(crystal)
    kept = [number for number in range(12) if number != 6]
    rest = atoms._replace(**{name: getattr(atoms, name)[kept] for name in atoms._fields if name != "elements"},
                          elements=tuple(atoms.elements[number] for number in kept))
    maps = maps_of(crystal, rest)
    highest, deepest = density_maps.find_extremes(maps.difference, atoms.positions, crystal.cell, crystal.operators)
    assert highest.atom == 6 and highest.distance < 0.3 and highest.height > 3 and deepest.height < 0
    np.testing.assert_allclose(highest.position, crystal.positions[6], atol=0.04)
    assert maps.unit == "e/A^3"


def test_other_radiations_have_their_units(made_crystal):
    crystal = made_crystal("P -1")
    for radiation, unit in (("electron", "V"), ("neutron", "fm/A^3")):
        maps = maps_of(crystal, true_atoms(crystal), radiation=radiation)
        assert maps.unit == unit and abs(maps.density.mean()) < 1e-6 * maps.density.max()

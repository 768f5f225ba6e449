"""Grids, phasing in P1, the origin, symmetric maps and peaks."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal import grids, lattice, normalisation, origin, phasing
from phasenet.crystal.refinement import peaks

GROUPS = ("P 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1")


def prepare(crystal):
    unique = normalisation.merge_equivalents(crystal.reflections, crystal.cell, crystal.operators)
    amplitudes = normalisation.normalise(unique, crystal.composition, "xray")
    grid = grids.build_grid(unique.hkl, crystal.cell, crystal.operators, amplitudes.d_min)
    return unique, amplitudes, grid


def true_map(crystal, unique, amplitudes, grid, structure_factors):
    """Sharpened map with the true phases."""
    factors = structure_factors(crystal.structure, unique.hkl)
    return grids.map_from_structure_factors(amplitudes.sharpened * factors / np.abs(factors), grid)


def asymmetric_distance(found, crystal, grid):
    """Distance in Angstrom of each true atom from the nearest mate of a found one."""
    images = [found @ rotation.T + translation for rotation, translation
              in zip(crystal.operators.rotations, crystal.operators.translations, strict=True)]
    return peaks.shortest_distances(crystal.positions, np.concatenate(images), grid).min(1)


@pytest.mark.parametrize("symbol", [*GROUPS, "P 63/m m c", "P 41 3 2", "R -3 c:H", "F d d 2", "I 41/a m d:2"])
def test_operators_map_the_grid_onto_itself(symbol):
    group = gemmi.SpaceGroup(symbol)
    edges = {"cubic": (9, 9, 9, 90, 90, 90), "hexagonal": (9, 9, 14, 90, 90, 120), "trigonal": (9, 9, 14, 90, 90, 120),
             "tetragonal": (9, 9, 14, 90, 90, 90)}
    cell = np.array(edges.get(group.crystal_system_str(), (8, 9, 14, 90, 90, 90)), float)
    operators = lattice.operators_of(group)
    shape = grids.choose_shape(cell, operators, 1.0)
    assert (np.array(shape) >= grids.POINTS_PER_D_MIN * cell[:3] - 0.2).all()
    ratio = np.array(shape)[:, None] / np.array(shape)
    for rotation, translation in zip(operators.rotations, operators.translations, strict=True):
        for moved in (rotation * ratio, translation * shape):
            np.testing.assert_allclose(moved, np.round(moved), atol=1e-6)


@pytest.mark.parametrize("symbol", GROUPS)
def test_a_map_of_structure_factors_shows_the_atoms_and_the_symmetry(symbol, made_crystal, gemmi_structure_factors):
    crystal = made_crystal(symbol, noise=1e-4)
    unique, amplitudes, grid = prepare(crystal)
    density = true_map(crystal, unique, amplitudes, grid, gemmi_structure_factors)
    for permutation in grid.permutations:
        np.testing.assert_allclose(density.ravel()[permutation], density.ravel(), atol=1e-6 * density.max())
    found = peaks.select_unique(*peaks.find_peaks(density, 200), grid, cell_count=12 * len(grid.rotations))
    assert len(found.heights) == 12
    assert (found.multiplicities == 1).all()
    assert asymmetric_distance(found.positions, crystal, grid).max() < 0.15


@pytest.mark.parametrize("symbol", GROUPS[1:])
def test_the_origin_is_found_between_voxels(symbol, made_crystal, gemmi_structure_factors):
    crystal = made_crystal(symbol, noise=1e-4)
    unique, amplitudes, grid = prepare(crystal)
    density = true_map(crystal, unique, amplitudes, grid, gemmi_structure_factors)
    shift = np.array([0.1234, 0.4321, 0.2718])
    symmetric = origin.symmetrise(origin.shift_map(density, -shift), grid)
    assert symmetric.overlap > 0.9
    # Permitted origins keep the operators: (1 - R) times the rest of the shift is a lattice vector.
    rest = symmetric.shift - shift
    residual = peaks.nearest_image(rest - rest @ np.swapaxes(grid.rotations, 1, 2), grid) @ grid.metric_root
    assert np.linalg.norm(residual, axis=-1).max() < 0.1


def test_peaks_on_special_positions_are_averaged():
    operators = lattice.operators_of(gemmi.SpaceGroup("P 4/m m m"))
    cell = np.array([8.0, 8.0, 9.0, 90.0, 90.0, 90.0])
    grid = grids.build_grid(np.array([[1, 0, 0]]), cell, operators, 1.0)
    places = np.array([[0.02, 0.01, 0.01], [0.3, 0.31, 0.51], [0.1, 0.2, 0.3], [0.2, 0.1, 0.7]])
    found = peaks.select_unique(places, np.array([4.0, 3.0, 2.0, 1.0]), grid)
    np.testing.assert_array_equal(found.multiplicities, [16, 4, 1])
    np.testing.assert_allclose(found.positions, [[0, 0, 0], [0.305, 0.305, 0.5], [0.1, 0.2, 0.3]], atol=1e-9)


def test_lattice_centring_counts_as_a_lattice_vector():
    operators = lattice.operators_of(gemmi.SpaceGroup("C 1 2/c 1"))
    grid = grids.build_grid(np.array([[2, 0, 0]]), np.array([12.0, 8, 9, 90, 105, 90]), operators, 1.0)
    assert peaks.shortest_distances(np.array([[0.1, 0.2, 0.3]]), np.array([[0.6, 0.7, 0.3]]), grid)[0, 0] < 1e-9


def test_phasing_from_random_phases_shows_the_atoms(made_crystal):
    crystal = made_crystal("P -1")
    _, amplitudes, grid = prepare(crystal)
    constraint = phasing.constrain(amplitudes.sharpened, grid)
    state = phasing.draw_phases([0, 1], 0, constraint, grid.shape)
    _, maps = phasing.run_rounds(state, constraint, grid.shape, 150)
    assert maps.agreement.max() > 0.93
    symmetric = origin.symmetrise(np.asarray(maps.density[maps.agreement.argmax()], float), grid)
    assert symmetric.overlap > 0.25
    assert symmetric.density.shape == grid.shape


def test_starts_run_side_by_side_as_they_run_alone(made_crystal):
    crystal = made_crystal("P 1")
    _, amplitudes, grid = prepare(crystal)
    constraint = phasing.constrain(amplitudes.sharpened, grid)
    both = phasing.run_rounds(phasing.draw_phases([0, 1], 0, constraint, grid.shape), constraint, grid.shape, 3)
    alone = phasing.run_rounds(phasing.draw_phases([1], 0, constraint, grid.shape), constraint, grid.shape, 3)
    np.testing.assert_allclose(both[1].density[1], alone[1].density[0], atol=1e-4)


def test_unmeasured_reflections_are_left_to_the_map(made_crystal):
    crystal = made_crystal("P 1")
    _, amplitudes, grid = prepare(crystal)
    constraint = phasing.constrain(amplitudes.sharpened, grid)
    state, _ = phasing.run_rounds(phasing.draw_phases([0], 0, constraint, grid.shape), constraint, grid.shape, 5)
    transform = np.abs(np.fft.rfftn(np.asarray(state.projected[0])))
    known = np.asarray(constraint.measured)
    np.testing.assert_allclose(transform[known], np.asarray(constraint.amplitudes)[known], rtol=1e-2, atol=0.5)
    assert not known[0, 0, 0]
    assert transform[0, 0, 0] > 1
    assert transform[~known].max() > 1


def test_shifts_are_projected_onto_those_that_the_site_symmetry_allows():
    operators = lattice.operators_of(gemmi.SpaceGroup("P 4/m m m"))
    grid = grids.build_grid(np.array([[1, 0, 0]]), np.array([8.0, 8.0, 9.0, 90, 90, 90]), operators, 1.0)
    for position, free in (((0, 0, 0), 0), ((0, 0, 0.3), 1), ((0.2, 0.21, 0.1), 2), ((0.1, 0.2, 0.3), 3)):
        place, projection, multiplicity = peaks.to_special_position(np.array(position), grid)
        assert np.trace(projection) == pytest.approx(free)
        np.testing.assert_allclose(projection @ projection, projection)
        assert multiplicity == 16 / (1, 2, 8, 16)[free]
        assert peaks.to_special_position(place + 0.001 * projection @ [1, 2, 3], grid)[2] == multiplicity

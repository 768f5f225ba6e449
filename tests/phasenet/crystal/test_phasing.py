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
    found = peaks.select_unique(*peaks.find_peaks_in_cell(density, 200), grid, cell_count=12 * len(grid.rotations))
    assert len(found.heights) == 12
    assert (found.site_orders == 1).all()
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
    np.testing.assert_array_equal(found.site_orders, [16, 4, 1])
    np.testing.assert_allclose(found.positions, [[0, 0, 0], [0.305, 0.305, 0.5], [0.1, 0.2, 0.3]], atol=1e-9)


def test_lattice_centring_counts_as_a_lattice_vector():
    operators = lattice.operators_of(gemmi.SpaceGroup("C 1 2/c 1"))
    grid = grids.build_grid(np.array([[2, 0, 0]]), np.array([12.0, 8, 9, 90, 105, 90]), operators, 1.0)
    assert peaks.shortest_distances(np.array([[0.1, 0.2, 0.3]]), np.array([[0.6, 0.7, 0.3]]), grid)[0, 0] < 1e-9


def test_phasing_from_random_phases_shows_the_atoms(made_crystal):
    crystal = made_crystal("P -1")
    _, amplitudes, grid = prepare(crystal)
    constraint = phasing.constrain(amplitudes.sharpened, grid, amplitudes.d_min)
    state = phasing.draw_phases([0, 1], 0, constraint, grid.shape)
    _, maps = phasing.run_rounds(state, constraint, 150)
    assert maps.agreement.max() > 0.93
    symmetric = origin.symmetrise(np.asarray(maps.density[maps.agreement.argmax()], float), grid)
    assert symmetric.overlap > 0.25
    assert symmetric.density.shape == grid.shape


def test_starts_run_side_by_side_as_they_run_alone(made_crystal):
    crystal = made_crystal("P 1")
    _, amplitudes, grid = prepare(crystal)
    constraint = phasing.constrain(amplitudes.sharpened, grid, amplitudes.d_min)
    both = phasing.run_rounds(phasing.draw_phases([0, 1], 0, constraint, grid.shape), constraint, 3)
    alone = phasing.run_rounds(phasing.draw_phases([1], 0, constraint, grid.shape), constraint, 3)
    np.testing.assert_allclose(both[1].density[1], alone[1].density[0], atol=1e-4)


def test_unmeasured_reflections_are_left_to_the_map(made_crystal):
    crystal = made_crystal("P 1")
    _, amplitudes, grid = prepare(crystal)
    constraint = phasing.constrain(amplitudes.sharpened, grid, amplitudes.d_min)
    state, _ = phasing.run_rounds(phasing.draw_phases([0], 0, constraint, grid.shape), constraint, 5)
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
        place, projection, site_order = peaks.to_special_position(np.array(position), grid)
        assert np.trace(projection) == pytest.approx(free)
        np.testing.assert_allclose(projection @ projection, projection)
        assert site_order == 16 / (1, 2, 8, 16)[free]
        assert peaks.to_special_position(place + 0.001 * projection @ [1, 2, 3], grid)[2] == site_order


def test_unmeasured_reflections_within_the_resolution_stay_whole_in_half_of_the_starts(made_crystal):
    crystal = made_crystal("P 1")
    unique, amplitudes, _ = prepare(crystal)
    weak = unique.intensity < 3 * unique.intensity.mean()  # the strongest were not measured
    grid = grids.build_grid(unique.hkl[weak], crystal.cell, crystal.operators, amplitudes.d_min)
    constraint = phasing.constrain(amplitudes.sharpened[weak], grid, amplitudes.d_min)
    state = phasing.draw_phases([0, 4, 8], 0, constraint, grid.shape)
    np.testing.assert_array_equal(np.asarray(state.share).ravel(), np.float32([0.7, 1.0, 0.7]))
    # The same start three times: only the share differs.
    state = state._replace(**{name: getattr(state, name)[:1].repeat(3, 0) for name in ("projected", "memory")})
    after, density = phasing._run_round(state, constraint)
    current = np.asarray(state.memory + phasing.STEP * state.projected)
    reflected = np.fft.rfftn(2 * np.asarray(density) - current, axes=(1, 2, 3))
    kept = np.fft.rfftn(np.asarray(after.projected), axes=(1, 2, 3))
    unmeasured, within = ~np.asarray(constraint.measured), np.asarray(constraint.within)
    unmeasured[0, 0, 0] = False
    for start, share in enumerate((0.7, 1.0, 0.7)):
        for places, expected in ((unmeasured & within, share), (unmeasured & ~within, 0.7)):
            np.testing.assert_allclose(kept[start][places], expected * reflected[start][places], atol=0.02)


@pytest.mark.parametrize("d_min,gain", [(1.0, 1.0), (1.3, 1.0), (1.6, 1.1), (3.0, 1.25)])
def test_the_density_is_raised_where_atoms_are_not_resolved(d_min, gain, made_crystal):
    _, amplitudes, grid = prepare(made_crystal("P 1"))
    assert float(phasing.constrain(amplitudes.sharpened, grid, d_min).gain) == pytest.approx(gain)

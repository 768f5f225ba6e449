"""Twins by a rotation of the lattice: detwinning and fractions in closed form, made twins solved, no twin invented."""

import functools
import json

import gemmi
import numpy as np
import pytest

from phasenet.crystal import normalisation, solve
from phasenet.crystal.lattice import Intensities, inverse_spacing, operators_of
from phasenet.crystal.made import measurement
from phasenet.crystal.made.crystals import draw_crystal
from phasenet.crystal.measured.merging import find_rows, unique_indices
from phasenet.crystal.refinement import least_squares, twinning
from phasenet.crystal.refinement.least_squares import CrystalAtoms

pytestmark = pytest.mark.optimized

TWOFOLD = np.diag([1, -1, -1])


@functools.cache
def make(symbol, seed=3):
    """A made organic crystal of some 600 A^3; a monoclinic one gets right angles."""
    crystal = draw_crystal(np.random.default_rng(seed), (500.0, 700.0), (symbol,), "organic")
    right = np.array([*crystal.cell[:3], 90.0, 90.0, 90.0])
    return crystal._replace(cell=right) if symbol == "P 1 21 1" else crystal


def measure(crystal, law, fraction, d_min=0.9, noise=0.03):
    """Unique intensities of a twin, with errors of `noise` of each and of 1% of their mean."""
    group = gemmi.find_spacegroup_by_name(crystal.operators.symbol)
    hkl = np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*crystal.cell), group, d_min), np.int32)
    first, second = (np.abs(measurement.structure_factors(crystal, rows))**2 for rows in (hkl, hkl @ law.T))
    intensity = (1 - fraction) * first + fraction * second
    sigma = np.hypot(noise * intensity, 1e-9 + noise / 3 * intensity.mean())
    return Intensities(hkl, intensity + sigma * np.random.default_rng(1).normal(size=len(hkl)), sigma)


def permute(reflections, cell, seed=0):
    """The intensities exchanged among reflections of like resolution."""
    order = np.argsort(inverse_spacing(reflections.hkl, cell), kind="stable")
    rng = np.random.default_rng(seed)
    mixed = np.concatenate([rng.permutation(shell) for shell in np.array_split(order, len(order) // 20 + 1)])
    hkl = reflections.hkl.copy()
    hkl[order] = hkl[mixed]
    return reflections._replace(hkl=hkl)


def run(crystal, reflections, num_starts=4):
    return solve.solve_crystal(reflections, crystal.cell, crystal.operators, crystal.composition,
                               num_starts=num_starts)


@pytest.mark.parametrize("cell, symbol, laws", [
    ((7.0, 8.0, 9.0, 90, 90, 90), "P 21 21 21", []),
    ((7.0, 8.0, 9.0, 90, 104, 90), "P 1 21 1", []),
    ((7.0, 8.0, 9.0, 90, 90, 90), "P 1 21 1", [[1, 0, 0, 0, -1, 0, 0, 0, -1]]),
    ((7.58, 10.288, 12.082, 90, 108.365, 90), "P 1 21/c 1", [[1, 0, 0, 0, -1, 0, -1, 0, -1]]),
    ((8.0, 8.0, 9.0, 90, 90, 90), "P 4/n :2", [[1, 0, 0, 0, -1, 0, 0, 0, -1]])])
def test_the_laws_are_rotations_of_the_lattice_that_the_group_lacks(cell, symbol, laws):
    found = twinning.find_twin_laws(np.array(cell, float), operators_of(gemmi.SpaceGroup(symbol)))
    assert [law.ravel().tolist() for law in found] == laws


def test_each_coset_gives_one_law():
    for symbol, count in (("P -3", 3), ("P -3 m 1", 1), ("P 6/m", 1), ("P 1", 11)):
        operators = operators_of(gemmi.SpaceGroup(symbol))
        laws = twinning.find_twin_laws(np.array([8.0, 8, 9, 90, 90, 120]), operators)
        assert len(laws) == count
        assert all(np.linalg.det(law) == pytest.approx(1) for law in laws)


def test_a_law_is_written_with_its_indices():
    assert twinning.describe_law(np.array([[1, 0, 0], [0, -1, 0], [-1, 0, -1]])) == "h' = h, k' = -k, l' = -h-l"


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.45])
def test_detwinning_inverts_twinning(fraction):
    crystal = make("P 1 21 1")
    both, one = (normalisation.merge_equivalents(measure(crystal, TWOFOLD, share, noise=1e-9), crystal.cell,
                                                 crystal.operators) for share in (fraction, 0.0))
    single = twinning.detwin(both, crystal.operators, TWOFOLD, fraction)
    np.testing.assert_array_equal(single.hkl, one.hkl)
    np.testing.assert_allclose(single.intensity, one.intensity, atol=1e-5 * one.intensity.mean())


def test_detwinning_propagates_errors_and_leaves_out_what_has_no_partner():
    crystal = make("P 1 21 1")
    both = normalisation.merge_equivalents(measure(crystal, TWOFOLD, 0.3), crystal.cell, crystal.operators)
    rows = find_rows(unique_indices(both.hkl, crystal.operators.rotations),
                     unique_indices(both.hkl @ TWOFOLD, crystal.operators.rotations))
    alone = int(np.flatnonzero(rows != np.arange(len(rows)))[0])
    kept = np.arange(len(rows)) != alone
    single = twinning.detwin(type(both)(*(column[kept] for column in both)), crystal.operators, TWOFOLD, 0.3)
    assert len(single.hkl) == len(both.hkl) - 2
    full = twinning.detwin(both, crystal.operators, TWOFOLD, 0.3)
    expected = np.hypot(0.7 * both.sigma[alone], 0.3 * both.sigma[rows[alone]]) / 0.4
    np.testing.assert_allclose(full.sigma[alone], expected)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("symbol", ["P 1 21 1", "P -3"])
def test_a_right_model_shows_the_fraction(symbol, fraction):
    crystal = make(symbol)
    law = twinning.find_twin_laws(crystal.cell, crystal.operators)[0]
    unique = normalisation.merge_equivalents(measure(crystal, law, fraction), crystal.cell, crystal.operators)
    fit = twinning.fit_fraction(unique, *intensities_of(crystal, unique, law, crystal.positions))
    assert fit.fraction == pytest.approx(fraction, abs=max(3 * fit.sigma, 0.005))
    assert fit.sigma < 0.02
    assert (fit.significance > 10) == (fraction > 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_model_shows_no_second_component(seed):
    crystal = make("P 1 21 1")
    unique = normalisation.merge_equivalents(measure(crystal, TWOFOLD, 0.0), crystal.cell, crystal.operators)
    places = np.random.default_rng(seed).random(crystal.positions.shape)
    assert twinning.fit_fraction(unique, *intensities_of(crystal, unique, TWOFOLD, places)).significance < 5


def intensities_of(crystal, unique, law, positions):
    """|F(h)|^2 and |F(M h)|^2 of the crystal's atoms at other places, without its hydrogen."""
    elements, n = tuple(sorted(set(crystal.elements))), len(positions)
    atoms = CrystalAtoms(positions, crystal.elements, crystal.b_iso, np.ones(n), np.tile(np.eye(3), (n, 1, 1)),
                         np.ones(n, int))
    first = least_squares.build_model(unique, crystal.cell, crystal.operators, elements, "xray")
    partner = twinning.build_partner(unique, law, crystal.cell, crystal.operators, elements, "xray")
    second = least_squares.show_second_component(first._replace(partner=partner))
    return tuple(np.abs(least_squares.structure_factors(atoms, one))**2 for one in (first, second))


def test_derivatives_of_a_twin_are_those_of_its_amplitudes():
    crystal = make("P -3")
    law = twinning.find_twin_laws(crystal.cell, crystal.operators)[0]
    unique = normalisation.merge_equivalents(measure(crystal, law, 0.3, d_min=1.5), crystal.cell, crystal.operators)
    elements, n = tuple(sorted(set(crystal.elements))), len(crystal.positions)
    model = least_squares.build_model(unique, crystal.cell, crystal.operators, elements, "xray")._replace(
        partner=twinning.build_partner(unique, law, crystal.cell, crystal.operators, elements, "xray"),
        twin_fraction=0.3)
    atoms = CrystalAtoms(crystal.positions, crystal.elements, crystal.b_iso, np.ones(n), np.tile(np.eye(3), (n, 1, 1)),
                         np.ones(n, int))

    def amplitudes(moved):
        return least_squares.calculate_amplitudes(least_squares.structure_factors(moved, model), moved, model)

    value, jacobian = least_squares.derivatives(atoms, model, ("b_iso",))
    np.testing.assert_allclose(value, amplitudes(atoms))
    step = 1e-4
    for atom in range(n):
        above, below = (amplitudes(atoms._replace(b_iso=atoms.b_iso + sign * step * np.eye(n)[atom]))
                        for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, atom], (above - below) / (2 * step), atol=1e-4)


@pytest.mark.parametrize("symbol, fraction", [("P 1 21 1", 0.3), ("P -3", 0.5)])
def test_a_twin_is_solved_with_its_law_and_fraction(symbol, fraction):
    check_twin(symbol, fraction)


@pytest.mark.slow
@pytest.mark.parametrize("symbol, fraction", [("P 1 21 1", 0.5), ("P -3", 0.3), ("P 4/n :2", 0.3), ("P 4/n :2", 0.5)])
def test_twins_of_other_groups_are_solved(symbol, fraction):
    check_twin(symbol, fraction)


def check_twin(symbol, fraction):
    crystal = make(symbol)
    law = twinning.find_twin_laws(crystal.cell, crystal.operators)[0]
    solution = run(crystal, measure(crystal, law, fraction))
    assert solution.status == "solved"
    np.testing.assert_array_equal(solution.twin.law, law)
    assert solution.twin.fraction == pytest.approx(fraction, abs=max(3 * solution.twin.sigma, 0.01))
    assert any(twinning.describe_law(law) in note for note in solution.notes)


@pytest.mark.parametrize("symbol", ["P 1 21 1", "P -3"])
def test_an_untwinned_crystal_of_the_same_metric_is_no_twin(symbol):
    crystal = make(symbol)
    solution = run(crystal, measure(crystal, TWOFOLD, 0.0))
    assert solution.status == "solved" and solution.twin is None
    assert not any("twin" in note for note in solution.notes)


@pytest.mark.parametrize("symbol", ["P 1 21 1", "P -3"])
def test_permuted_intensities_of_a_twin_are_not_solved(symbol):
    crystal = make(symbol)
    law = twinning.find_twin_laws(crystal.cell, crystal.operators)[0]
    nonsense = permute(measure(crystal, law, 0.3), crystal.cell)
    assert run(crystal, nonsense, num_starts=1).status != "solved"
    # Nonsense that obeys the law, as a twin of equal components does.
    rotations = crystal.operators.rotations
    rows = find_rows(unique_indices(nonsense.hkl, rotations), unique_indices(nonsense.hkl @ law.T, rotations))
    equal = nonsense._replace(intensity=(nonsense.intensity + nonsense.intensity[rows]) / 2)
    assert run(crystal, equal, num_starts=1).status != "solved"


def test_a_measured_twin_is_solved(data_dir):
    """keen_twin: published fraction 0.40, R1 0.13 of both components, 0.27 of one."""
    folder = data_dir / "crystals" / "keen_twin"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    source = json.loads((folder / "source.json").read_text(encoding="utf-8"))
    table = np.loadtxt(folder / "merged.csv", delimiter=",", skiprows=1)
    cell, operators = np.array(source["cell"]), operators_of(gemmi.SpaceGroup(source["space_group"]))
    kept = inverse_spacing(table[:, :3], cell) <= 1.0
    solution = solve.solve_crystal(
        Intensities(table[kept, :3].astype(np.int32), table[kept, 3], table[kept, 4]), cell, operators,
        {"C": 28.0, "H": 52.0, "Cl": 4.0, "N": 8.0}, num_starts=4)
    assert solution.status == "solved" and solution.r1 < 0.13
    np.testing.assert_array_equal(solution.twin.law, np.array(source["twin_law"]))
    assert solution.twin.fraction == pytest.approx(source["twin_fraction"], abs=0.02)

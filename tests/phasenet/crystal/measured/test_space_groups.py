"""Space groups ranked by absences, statistics and frequency, on made crystals."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, find_absences, operators_of
from phasenet.crystal.measured.absences import (
    absence_classes,
    describe_condition,
    find_centring,
    gather_absence_data,
)
from phasenet.crystal.measured.laue_symmetry import centring_letter
from phasenet.crystal.measured.merging import merge
from phasenet.crystal.measured.space_groups import (
    differ_by_origin,
    laue_operators,
    rank_space_groups,
    space_group_frequency,
)


def ranked(reflections, cell, operators, odds=0.0, radiation="xray", given=None, is_organic=True):
    laue = laue_operators(operators.rotations, operators)
    present = ~find_absences(reflections.hkl, laue)
    reflections = Intensities(*(column[present] for column in reflections))
    data = gather_absence_data(merge(reflections, laue.rotations), cell, laue, radiation)
    return rank_space_groups(data, laue, odds, is_organic, given), data


def settings(groups):
    return [candidate.symbol for candidate in groups]


@pytest.mark.parametrize("symbol, system, centric", [
    ("P 1 21/c 1", "monoclinic", True), ("P 1 21/n 1", "monoclinic", True), ("P 1 21/a 1", "monoclinic", True),
    ("P 1 21 1", "monoclinic", False), ("C 1 2/c 1", "monoclinic", True), ("I 1 2/a 1", "monoclinic", True),
    ("P 21 21 21", "orthorhombic", False), ("P b c a", "orthorhombic", True), ("P n a 21", "orthorhombic", False),
    ("P n m a", "orthorhombic", True), ("P c a 21", "orthorhombic", False), ("F d d 2", "orthorhombic", False),
    ("I 41/a:2", "tetragonal", True), ("P 41 21 2", "tetragonal", False), ("R -3:H", "hexagonal", True),
    ("R 3 c:H", "hexagonal", False), ("P 21 3", "cubic", False),
])
@pytest.mark.parametrize("has_absences", [True, False])
def test_the_group_is_first_with_its_absences_in_the_file_and_without(made, symbol, system, centric, has_absences):
    reflections, cell, operators = made.crystal(symbol, system, d_min=1.0, count=6)
    if not has_absences:
        present = ~find_absences(reflections.hkl, operators)
        reflections = Intensities(*(column[present] for column in reflections))
    groups, _ = ranked(reflections, cell, operators, 5.0 if centric else -5.0)
    same = settings(groups)[:2] if symbol == "P 41 21 2" else settings(groups)[:1]
    assert symbol in same, settings(groups)[:4]
    assert sum(candidate.probability for candidate in groups) == pytest.approx(1)


def test_every_group_of_the_laue_class_is_tried_and_none_is_removed(made):
    reflections, cell, operators = made.crystal("P 1 21/c 1", "monoclinic", d_min=1.1)
    groups, _ = ranked(reflections, cell, operators)
    # P2, P21, Pm, Pc (c, n, a), P2/m, P21/m, P2/c (c, n, a), P21/c (c, n, a), unique axis b.
    assert len(groups) == 14
    assert {candidate.number for candidate in groups} == {3, 4, 6, 7, 10, 11, 13, 14}


def test_weak_violated_absences_of_electron_data_do_not_forbid_the_group(made):
    reflections, cell, operators = made.crystal("P 1 21/n 1", "monoclinic", d_min=0.9, noise=0.1)
    absent = find_absences(reflections.hkl, operators)
    random = np.random.default_rng(0)
    # Multiple scattering: 4% of the mean intensity on average, at I/sigma of 5 and more.
    intensity, sigma = reflections.intensity.copy(), reflections.sigma.copy()
    leak = 0.04 * intensity[~absent].mean() * random.exponential(size=absent.sum())
    intensity[absent], sigma[absent] = leak, leak / random.uniform(3, 9, absent.sum())
    reflections = Intensities(reflections.hkl, intensity, sigma)
    groups, _ = ranked(reflections, cell, operators, 3.0, "electron")
    assert groups[0].symbol == "P 1 21/n 1" and groups[0].num_violated > 20
    violated = [note for note in groups[0].notes if "I > 3 sigma" in note]
    assert violated and violated[0].startswith(("h 0 l, h+l odd", "0 k 0, k odd"))
    figures = {evidence.description: evidence for evidence in groups[0].evidence}["h 0 l, h+l odd"]
    assert 4 < figures.mean_i_over_sigma < 8 and figures.mean_intensity_ratio < 0.12


def test_strong_reflections_where_a_glide_forbids_them_put_its_group_behind(made):
    reflections, cell, operators = made.crystal("P 1 21 1", "monoclinic", d_min=1.0)
    groups, _ = ranked(reflections, cell, operators, -3.0)
    assert groups[0].symbol == "P 1 21 1"
    behind = next(candidate for candidate in groups if candidate.symbol == "P 1 21/c 1")
    assert behind.log_absences < -50 and behind.num_violated > 30


def test_the_statistics_decide_between_groups_of_the_same_absences(made):
    reflections, cell, operators = made.crystal("P n m a", "orthorhombic", d_min=1.0, count=6)
    for odds, best in [(5.0, "P n m a"), (-5.0, "P n 21 a")]:
        groups, _ = ranked(reflections, cell, operators, odds)
        assert groups[0].symbol == best
        assert any("same absences" in note for note in groups[0].notes)


def test_mirror_images_are_named(made):
    reflections, cell, operators = made.crystal("P 41 21 2", "tetragonal", d_min=1.1, count=4)
    groups, _ = ranked(reflections, cell, operators, -5.0)
    assert {candidate.symbol for candidate in groups[:2]} == {"P 41 21 2", "P 43 21 2"}
    assert groups[0].score == pytest.approx(groups[1].score, abs=1e-9)
    assert any("mirror image" in note for note in groups[0].notes)


@pytest.mark.parametrize("symbol, system", [("P n n n:1", "orthorhombic"), ("I 41/a:1", "tetragonal")])
def test_the_users_origin_is_kept(made, symbol, system):
    reflections, cell, operators = made.crystal(symbol, system, d_min=1.1, count=4)
    without, _ = ranked(reflections, cell, operators, 5.0)
    assert without[0].symbol == symbol[:-1] + "2"
    groups, _ = ranked(reflections, cell, operators, 5.0, given=operators)
    assert groups[0].operators.translations is operators.translations and groups[0].symbol == symbol
    assert len(groups) == len(without)


def test_an_origin_of_no_table_is_recognised(made):
    operators = made.group("P 1 21/c 1")
    shift = np.array([0.25, 0.125, 0.0])
    moved = operators.translations + shift - operators.rotations @ shift
    moved = SpaceGroupOperators(operators.rotations, moved % 1, "")
    assert differ_by_origin(moved, operators) and not differ_by_origin(moved, made.group("P 1 2/c 1"))
    reflections, cell, _ = made.crystal("P 1 21/c 1", "monoclinic", d_min=1.1)
    groups, _ = ranked(reflections, cell, moved, 5.0, given=moved)
    assert groups[0].number == 14 and groups[0].operators.translations is moved.translations


def test_rhombohedral_axes_both_ways(made):
    for symbol, cell in [("R -3:R", np.array([8.0, 8.0, 8.0, 75.0, 75.0, 75.0])), ("R -3:H", made.CELLS["hexagonal"])]:
        operators = made.group(symbol)
        hkl = made.half_sphere(cell, 1.1)
        intensity = np.abs(made.structure_factors(hkl, cell, operators, made.random_atoms(4))) ** 2
        groups, _ = ranked(made.measure(hkl, intensity), cell, operators, 5.0)
        assert groups[0].symbol == symbol


def test_the_reverse_setting_of_a_rhombohedral_lattice_is_kept(made):
    operations = gemmi.find_spacegroup_by_name("R -3:H").operations()
    operations.change_basis_forward(gemmi.Op("-x,-y,z"))
    reverse = operators_of(operations)
    cell = made.CELLS["hexagonal"]
    hkl = made.half_sphere(cell, 1.1)
    reflections = made.measure(hkl, np.abs(made.structure_factors(hkl, cell, reverse, made.random_atoms(4))) ** 2)
    lattice = find_centring(reflections, cell)
    assert centring_letter(lattice) == "R" and not find_absences(np.array([[1, 0, 2]]), lattice).all()
    groups, _ = ranked(reflections, cell, reverse, 5.0)
    assert groups[0].symbol == "R -3:H (reverse)"
    assert not (find_absences(hkl, groups[0].operators) ^ find_absences(hkl, reverse)).any()


@pytest.mark.parametrize("symbol, system", [
    ("P 1 21/c 1", "monoclinic"), ("C 1 2/c 1", "monoclinic"), ("I 1 2/a 1", "monoclinic"), ("A b a 2", "orthorhombic"),
    ("F d d 2", "orthorhombic"), ("R 3:H", "hexagonal"), ("I a -3", "cubic"),
])
@pytest.mark.parametrize("has_absences", [True, False])
def test_the_centring_is_found(made, symbol, system, has_absences):
    reflections, cell, operators = made.crystal(symbol, system, d_min=1.2, count=4)
    if not has_absences:
        present = ~find_absences(reflections.hkl, laue_operators(np.eye(3)[None], operators))
        reflections = Intensities(*(column[present] for column in reflections))
    assert centring_letter(find_centring(reflections, cell)) == symbol[0]


@pytest.mark.parametrize("triplet, words", [
    ("x,-y,z+1/2", "h 0 l, l odd"), ("x+1/2,-y,z+1/2", "h 0 l, h+l odd"), ("-x,y+1/2,-z", "0 k 0, k odd"),
    ("-y,x,z+1/4", "0 0 l, l not 4n"), ("-y,x-y,z+1/3", "0 0 l, l not 3n"), ("x+1/4,y+1/4,-z", "h k 0, h+k not 4n"),
    ("x-y,x,z+1/6", "0 0 l, l not 6n"), ("y,x,z+1/2", "h h l, l odd"), ("-x,y+1/4,z+1/4", "0 k l, k+l not 4n"),
])
def test_conditions_are_written_as_in_the_tables(triplet, words):
    op = gemmi.Op(triplet)
    assert describe_condition(np.array(op.rot) // 24, np.array(op.tran) / 24) == words


def test_classes_of_equivalent_glides_are_one(made):
    reflections, cell, operators = made.crystal("P 4/n c c:2", "tetragonal", d_min=1.2, count=3)
    _, data = ranked(reflections, cell, operators)
    names = [evidence.description for evidence in absence_classes(data, operators)]
    assert len(names) == len(set(names)) and "h k 0, h+k odd" in names and "h h l, l odd" in names
    assert sum(name.endswith("l, l odd") and ("0 k l" in name or "h 0 l" in name) for name in names) == 1


def test_frequencies_are_those_of_the_data_bases():
    # AFLOW prototype encyclopedia: P 21/c holds 34% of the CSD of 2024, P n m a 7.6% of the ICSD.
    assert space_group_frequency(14, True) == 34 and space_group_frequency(62, False) == 7.6
    assert space_group_frequency(14) == (34 + space_group_frequency(14, False)) / 2
    assert all(space_group_frequency(number, True) > 0 for number in range(1, 231))
    assert sum(space_group_frequency(number, True) for number in range(1, 231)) == pytest.approx(100, abs=8)

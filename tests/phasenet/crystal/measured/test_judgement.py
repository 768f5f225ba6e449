"""Reports on made crystals: what a crystallographer would say, and what must not be said."""

import numpy as np
import pytest

from phasenet.crystal.lattice import Intensities, find_absences
from phasenet.crystal.measured.judgement import judge_data
from phasenet.errors import InputError

CONTENTS = {"C": 48, "H": 52}


@pytest.fixture(scope="module")
def monoclinic(made):
    return made.crystal("P 1 21/c 1", "monoclinic", d_min=0.9)


def has(report, *words):
    return any(all(word in note for word in words) for note in report.notes)


def test_a_good_crystal_gets_its_figures_and_no_warning(monoclinic):
    reflections, cell, operators = monoclinic
    report = judge_data(reflections, cell, operators, CONTENTS, 0.71073)
    assert report.given_rank == 1 and report.laue_symmetry.shown.name == "2/m"
    assert report.quality.completeness == 1 and report.wilson.b == pytest.approx(3, abs=4 * report.wilson.b_sigma)
    assert has(report, "P 1 21/c 1", "tried") and has(report, "100.0% complete") and has(report, ": centrosymmetric")
    for word in ("wrong", "twin", "pseudo", "incomplete", "noise", "breaks", "lower"):
        assert not has(report, word), report.notes


def test_everything_is_found_without_symmetry_or_composition(monoclinic):
    reflections, cell, _ = monoclinic
    report = judge_data(reflections, cell)
    assert report.given_rank is None and report.space_groups[0].symbol == "P 1 21/c 1"
    assert has(report, "the lattice is primitive") and has(report, "the data show Laue symmetry 2/m")
    assert has(report, "no composition")


def test_too_low_a_symmetry_is_said(monoclinic, made):
    reflections, cell, _ = monoclinic
    report = judge_data(reflections, cell, made.group("P -1"), CONTENTS)
    assert has(report, "the data show 2/m", "the symmetry given is lower") and has(report, "P 1 21/c 1", "all weak")
    assert report.space_groups[0].symbol == "P 1 21/c 1" and report.given_rank == 0
    assert len(report.merged.hkl) == len(reflections.hkl)


def test_too_high_a_symmetry_is_said(made):
    reflections, _, _ = made.crystal("P 1 21/c 1", "orthorhombic", d_min=1.0)
    report = judge_data(reflections, made.CELLS["orthorhombic"], made.group("P n m a"))
    assert has(report, "the data show only 2/m") and report.merged.statistics.r_int > 0.3


def test_a_wrong_cell_is_hinted_at(monoclinic):
    reflections, cell, operators = monoclinic
    report = judge_data(reflections, cell * [1.21, 1, 1, 1, 1, 1], operators, CONTENTS)
    assert has(report, "a = 8.", "instead of 9.80 A", "the cell may be wrong")
    report = judge_data(reflections, cell * [1.5, 1, 1, 1, 1, 1], operators, CONTENTS)
    assert has(report, "times the volume", "may be wrong")


def test_a_wavelength_too_long_for_the_data_is_named(monoclinic):
    reflections, cell, operators = monoclinic
    assert not has(judge_data(reflections, cell, operators, wavelength=1.5418), "cannot be measured")
    assert has(judge_data(reflections, cell, operators, wavelength=2.29), "cannot be measured with 2.2900 A")


def test_the_wrong_lattice_is_named(monoclinic, made):
    reflections, cell, _ = monoclinic
    report = judge_data(reflections, cell, made.group("C 1 2/c 1"))
    assert report.lattice_absences.mean_intensity_ratio == pytest.approx(1, abs=0.4)
    assert has(report, "forbidden by the lattice C") and has(report, "the lattice is hardly C")


def test_a_centred_crystal_given_as_primitive_is_named(made):
    reflections, cell, _ = made.crystal("C 1 2/c 1", "monoclinic", d_min=1.0, count=6)
    report = judge_data(reflections, cell, made.group("P 1 2/c 1"))
    assert has(report, "the data show a lattice of type C; given is P")


def test_absences_of_the_lattice_are_counted_and_left_out(made):
    reflections, cell, operators = made.crystal("C 1 2/c 1", "monoclinic", d_min=1.0, count=6)
    report = judge_data(reflections, cell, operators)
    odd = find_absences(reflections.hkl, operators) & (reflections.hkl[:, :2].sum(1) % 2 == 1)
    assert report.lattice_absences.num_measured == odd.sum() and report.given_rank == 1
    assert report.merged.statistics.num_measured == (~odd).sum()
    assert report.quality.completeness == 1


@pytest.mark.parametrize("symbol", ["P 1 21/c 1", "P 1 21 1"])
def test_amplitudes_taken_for_intensities_are_suspected(made, symbol):
    reflections, cell, _ = made.crystal(symbol, "monoclinic", d_min=0.9, count=20)
    assert not has(judge_data(reflections, cell), "is the column |F|")
    size = np.sqrt(np.abs(reflections.intensity))
    report = judge_data(Intensities(reflections.hkl, size, 0.01 * size + 0.005 * size.mean()), cell)
    assert has(report, "is the column |F|") and not has(report, "twinned?")


def test_a_twin_by_a_pseudo_symmetric_cell_is_hinted_at(made):
    cell, operators = made.CELLS["orthorhombic"], made.group("P 1 21/c 1")
    hkl, atoms = made.half_sphere(cell, 0.95), made.random_atoms(12)
    one = np.abs(made.structure_factors(hkl, cell, operators, atoms)) ** 2
    two = np.abs(made.structure_factors(hkl * [1, 1, -1], cell, operators, atoms)) ** 2
    report = judge_data(made.measure(hkl, 0.7 * one + 0.3 * two), cell, operators)
    assert has(report, "a twin by it") and report.laue_symmetry.shown.name == "2/m"
    assert max(test.fraction for test in report.twin_laws) == pytest.approx(0.3, abs=0.06)


def test_a_perfect_twin_is_hinted_at_by_its_statistics(made):
    cell, operators = made.CELLS["orthorhombic"], made.group("P 1 21 1")
    hkl, atoms = made.half_sphere(cell, 0.85), made.random_atoms(30)
    one = np.abs(made.structure_factors(hkl, cell, operators, atoms)) ** 2
    two = np.abs(made.structure_factors(hkl * [1, 1, -1], cell, operators, atoms)) ** 2
    report = judge_data(made.measure(hkl, (one + two) / 2, noise=0.01), cell)
    assert report.laue_symmetry.shown.name == "mmm" and has(report, "twinned?")


def test_pseudo_translation_is_said(made):
    cell, operators = made.CELLS["triclinic"], made.group("P -1")
    atoms = made.random_atoms(15)
    moved = atoms + [0.5, 0, 0.5] + 0.004 * np.random.default_rng(1).standard_normal(atoms.shape)
    hkl = made.half_sphere(cell, 0.9)
    amplitudes = made.structure_factors(hkl, cell, operators, np.concatenate([atoms, moved]))
    report = judge_data(made.measure(hkl, np.abs(amplitudes) ** 2), cell, operators)
    assert has(report, "0.500 0.000 0.500", "pseudo-translation")


def test_a_cell_that_breaks_the_symmetry_given_is_said(monoclinic):
    reflections, cell, operators = monoclinic
    assert has(judge_data(reflections, cell + [0, 0, 0, 0.6, 0, 0], operators), "breaks the symmetry given by")


def test_data_that_are_all_noise_are_judged_too(monoclinic):
    reflections, cell, operators = monoclinic
    random = np.random.default_rng(2)
    noise = reflections._replace(intensity=random.standard_normal(len(reflections.hkl)),
                                 sigma=np.ones(len(reflections.hkl)))
    report = judge_data(noise, cell, operators)
    assert has(report, "all shells of resolution are noise") and np.isnan(report.quality.d_noise)


def test_few_reflections_are_judged_and_too_few_refused(monoclinic):
    reflections, cell, operators = monoclinic
    few = Intensities(*(column[:40] for column in reflections))
    assert judge_data(few, cell, operators).notes
    with pytest.raises(InputError, match="5 or more"):
        judge_data(Intensities(*(column[:4] for column in reflections)), cell, operators)


@pytest.mark.parametrize("radiation", ["electron", "neutron"])
def test_other_radiations_are_taken(monoclinic, radiation):
    reflections, cell, operators = monoclinic
    assert judge_data(reflections, cell, operators, CONTENTS, radiation=radiation).given_rank == 1


def test_what_is_wrong_with_the_input_is_said(monoclinic):
    reflections, cell, _ = monoclinic
    with pytest.raises(InputError, match="radiation"):
        judge_data(reflections, cell, radiation="light")
    with pytest.raises(InputError, match="no such cell"):
        judge_data(reflections, np.array([5, 5, 5, 10, 10, 170.0]))


def test_a_lattice_in_an_unusual_cell_is_judged_too(made):
    # I 4/m seen along the diagonals of its base is F 4/m, which no table has.
    cell, body = made.CELLS["tetragonal"], made.group("I 4/m")
    hkl = made.half_sphere(cell, 1.0)
    reflections = made.measure(hkl, np.abs(made.structure_factors(hkl, cell, body, made.random_atoms(5))) ** 2)
    h, k, l = reflections.hkl.T
    reflections = reflections._replace(hkl=np.stack([h - k, h + k, l], axis=1))
    report = judge_data(reflections, np.array([cell[0] * np.sqrt(2), cell[0] * np.sqrt(2), cell[2], 90, 90, 90]))
    assert report.laue_symmetry.shown.name == "4/m" and len(report.space_groups) == 1
    assert report.space_groups[0].number == 0 and has(report, "no table has space groups of 4/m")

"""Rows of reflections are read as SHELX reads them, and as other programs write them."""

import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import read_crystal
from phasenet.io.reflections.hklf import read_rows


def test_columns_that_run_together_are_read_by_width():
    rows = read_rows("   8   0   013047.44  584.6613009.71\n -10-120 -11-1234.56 1000.12  -2\n   0   0   61806.700"
                     "  47.000\n   0   0   0\n", "a.hkl")
    assert rows.hkl.tolist() == [[8, 0, 0], [-10, -120, -11], [0, 0, 6]]
    assert rows.values.tolist() == [13047.44, -1234.56, 1806.7]
    assert rows.sigma.tolist() == [584.66, 1000.12, 47.0]


def test_a_number_that_the_width_would_cut_in_two_is_read_by_its_blanks():
    rows = read_rows("  2   0   0    4415.46        45.28\n -4   0   0     583.01         5.13\n", "a.hkl")
    assert rows.values.tolist() == [4415.46, 583.01] and rows.sigma.tolist() == [45.28, 5.13]


@pytest.mark.parametrize("separator", [",", ";", "\t", " , "])
def test_separators_of_free_format(separator):
    rows = read_rows("\n".join(separator.join(row.split()) for row in ("1 0 -2 16.1 0.2", "0 0 3 -7 1e-1")), "a.csv")
    assert rows.hkl.tolist() == [[1, 0, -2], [0, 0, 3]] and rows.values.tolist() == [16.1, -7.0]


def test_numbers_without_a_point_have_two_decimals_in_fixed_columns():
    rows = read_rows("   1   0   0   12345     123\n   2   0   0  123.45    1.23\n", "a.hkl")
    assert rows.values.tolist() == [123.45, 123.45] and any("without a decimal point" in note for note in rows.notes)


def test_batches_and_direction_cosines():
    rows = read_rows("  -7  -5   0    0.38    1.13   1-0.56594-0.05313 0.24694-0.48340 0.74666-0.54790\n"
                     "  -7  -5  -4   22.21    1.48   3 0.00242-0.63109-0.87808 0.76815 0.57645-0.73393\n", "a.hkl")
    assert rows.batch.tolist() == [1, 3] and rows.sigma.tolist() == [1.13, 1.48]


def test_the_end_row_ends_the_data_and_rows_behind_it_are_counted(made):
    rows = read_rows(made.fixed() + "TITL text\nCELL 0.7 1 2 3 90 90 90\n", "a.hkl")
    assert len(rows.hkl) == len(made.hkl) and "CELL" in rows.tail
    assert any("2 lines of text behind the end row" in note for note in rows.notes)
    rows = read_rows(made.fixed() + "   1   2   3    4.00    1.00\n", "a.hkl")
    assert len(rows.hkl) == len(made.hkl) and any("1 row behind the end row" in note for note in rows.notes)


def test_no_end_row_blank_lines_and_stars_are_said(made):
    text = "\n\n" + made.fixed(end="") + "\n   1   2   3********    1.00\n   1   2   4    5.00    1.00\n"
    rows = read_rows(text, "a.hkl")
    assert rows.hkl[-1].tolist() == [1, 2, 4] and len(rows.hkl) == len(made.hkl) + 1
    assert any("stars" in note and f"line {len(made.hkl) + 4}" in note for note in rows.notes)
    assert any("no end row" in note for note in rows.notes)


def test_a_line_that_is_no_row_is_named_and_many_are_refused(made):
    lines = made.fixed().splitlines()
    rows = read_rows("\n".join([*lines[:5], "REM a remark", *lines[5:]]), "a.hkl")
    assert len(rows.hkl) == len(made.hkl) and any("'REM a remark'" in note and "line 6" in note for note in rows.notes)
    with pytest.raises(InputError, match=r"a\.hkl, line 2: 'nonsense' is no row"):
        read_rows("\n".join(f"{line}\nnonsense" for line in lines), "a.hkl")


@pytest.mark.parametrize("key, is_amplitude", [("f_exp", True), ("i_exp", False)])
def test_the_names_of_columns_in_a_tonto_file_are_heeded(key, is_amplitude):
    rows = read_rows(f"reflection_data= {{\n keys= {{ h= k= l= {key}= {key[0]}_sigma= }}\n data= {{\n"
                     "   1   0   0  16.123   0.171\n  -2   2  27  28.604   0.714\n }\n}\nREVERT\n", "a.hkl")
    assert rows.is_amplitude is is_amplitude and len(rows.hkl) == 2


def test_xd_and_comma_separated_heads():
    rows = read_rows("NAME F^2 NDAT 6\n 1 0 0 1 16.1 0.2\n 2 0 0 1 7.0 0.1\n", "a.hkl")
    assert rows.values.tolist() == [16.1, 7.0] and rows.is_amplitude is False
    assert read_rows("h,k,l,F,sigma\n1,0,0,4.0,0.1\n", "a.csv").is_amplitude is True


def test_hklf_5_is_refused_by_its_rows_and_by_its_name(made):
    text = "".join(f"{h:4d}{k:4d}{-l:4d}{5:8.2f}{1:8.2f}  -2\n{h:4d}{k:4d}{l:4d}{5:8.2f}{1:8.2f}   1\n"
                   for h, k, l in made.hkl if l)
    with pytest.raises(InputError, match="HKLF 5"):
        read_crystal(made.write(a_hkl=text), cell=(8, 9, 10, 90, 90, 90))
    with pytest.raises(InputError, match=r"a\.ins, line 8: HKLF 5"):
        read_crystal(made.write(a_hkl=made.fixed(), a_ins=made.ins.replace("HKLF 4", "HKLF 5")))


def test_negative_batches_of_single_rows_are_an_rfree_set():
    rows = read_rows("   1   0   0    5.00    1.00  -1\n   2   0   0    7.00    1.00   1\n", "a.hkl")
    assert any("R(free)" in note for note in rows.notes) and len(rows.hkl) == 2


def test_rows_not_measured_are_dropped_and_missing_sigmas_filled(made):
    text = made.fixed(end="") + "   9   9   9   -1.00   -1.00\n   9   9   8   50.00    0.00\n   0   0   0\n"
    crystal = read_crystal(made.write(a_hkl=text, a_ins=made.ins))
    assert len(crystal.hkl) == len(made.hkl) + 1 and (crystal.sigma > 0).all() and (crystal.intensity < 0).any()
    assert any("1 of 82 rows with -1 -1" in note for note in crystal.notes) or len(made.hkl) != 80
    assert any("no positive standard deviation" in note for note in crystal.notes)


def test_amplitudes_are_squared_with_their_sigmas(made):
    crystal = read_crystal(made.write(a_hkl="   1   0   0    3.00    0.10\n   0   2   0   -2.00    0.50\n"
                                            "   0   0   2    0.00    0.50\n",
                                      a_ins=made.ins.replace("HKLF 4", "HKLF 3")))
    assert crystal.hklf == 3 and crystal.intensity.tolist() == [9, -4, 0]
    assert np.allclose(crystal.sigma, [0.6, 2.0, 0.25])


def test_the_matrix_and_the_scales_on_hklf_are_applied(made):
    matrix = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, -1]])
    old = np.round(made.hkl @ np.linalg.inv(matrix).T).astype(int)
    crystal = read_crystal(made.write(a_hkl=made._replace(hkl=old).fixed(),
                                      a_ins=made.ins.replace("HKLF 4", "HKLF 4 2 0 0 1 0 1 0 -1 0 -1")))
    assert np.array_equal(crystal.hkl, made.hkl) and np.allclose(crystal.intensity, 2 * made.intensity)
    assert np.array_equal(crystal.matrix, matrix) and np.allclose(crystal.sigma, 2 * made.sigma)


def test_a_matrix_that_makes_no_whole_indices_loses_rows_with_a_note(made):
    halves = "HKLF 4 1 0.5 0 0 0 1 0 0 0 1"
    crystal = read_crystal(made.write(a_hkl=made.fixed(), a_ins=made.ins.replace("HKLF 4", halves)))
    assert len(crystal.hkl) == (made.hkl[:, 0] % 2 == 0).sum()
    assert any("get no whole indices" in note for note in crystal.notes)

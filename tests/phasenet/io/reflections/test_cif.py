"""CIFs of all kinds give cell, symmetry, composition and measured reflections, also those that gemmi refuses."""

import gemmi
import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.reflections.cif import number_with_sigma
from phasenet.io.reflections.cif_blocks import read_blocks
from phasenet.io.reflections.crystal_files import read_crystal


def embedded(made) -> str:
    return f"_shelx_hkl_file\n;\n{made.fixed()};\n"


def test_one_cif_with_an_embedded_file_is_enough(made):
    crystal = read_crystal(made.write(a_cif=made.cif_head + embedded(made)))
    assert made.agrees_with(crystal) and crystal.form == "SHELX CIF" and crystal.z == 4
    assert np.allclose(crystal.cell, made.cell) and crystal.cell_sigma[0] == pytest.approx(0.001)
    assert set(crystal.operators) == {"x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2"}
    assert crystal.elements == {"C": 32, "H": 68, "N": 4, "O": 12} and crystal.radiation == "xray"


def test_the_instructions_embedded_in_a_cif_decide_hklf(made):
    res = "_shelx_res_file\n;\n" + made.ins.replace("HKLF 4", "HKLF 3") + ";\n"
    crystal = read_crystal(made.write(a_cif=made.cif_head + res + embedded(made)))
    assert crystal.hklf == 3 and np.allclose(crystal.intensity, made.intensity * np.abs(made.intensity))
    with pytest.raises(InputError, match="HKLF 5"):
        read_crystal(made.write(a_cif=made.cif_head + res.replace("HKLF 3", "HKLF 5") + embedded(made)))
    crystal = read_crystal(made.write(a_cif=made.cif_head + res.replace("HKLF 3", "HKLF 5") + made.loop()))
    assert made.agrees_with(crystal)


@pytest.mark.parametrize("tags, hklf", [
    (("_refln_F_squared_meas", "_refln_F_squared_sigma"), 4),
    (("_refln_intensity_meas", "_refln_intensity_sigma"), 4),
    (("_refln_F_meas", "_refln_F_sigma"), 3),
    (("_refln.F_squared_meas", "_refln.F_squared_sigma"), 4),
])
def test_loops_of_all_names(made, tags, hklf):
    text = made.cif_head + made.loop(tags)
    if "." in tags[0]:
        text = text.replace("_refln_index_", "_refln.index_").replace("_cell_", "_cell.")
    crystal = read_crystal(made.write(a_hkl=text))  # known by its content
    assert crystal.hklf == hklf
    expected = made.intensity if hklf == 4 else made.intensity * np.abs(made.intensity)
    assert np.array_equal(crystal.hkl, made.hkl) and np.allclose(crystal.intensity, expected)


def test_diffrn_refln_and_the_better_loop_is_preferred(made):
    net = made.loop().replace("_refln_index", "_diffrn_refln_index").replace(
        "_refln_F_squared_meas", "_diffrn_refln_intensity_net").replace("_refln_F_squared_sigma",
                                                                        "_diffrn_refln_intensity_u")
    assert made.agrees_with(read_crystal(made.write(a_cif=made.cif_head + net)))
    double = made.loop().replace(".", "0.")
    crystal = read_crystal(made.write(a_cif=made.cif_head + net + double))
    assert not made.agrees_with(crystal) and any("_diffrn_refln_intensity_net" in note and "left out" in note
                                                 for note in crystal.notes)


def test_calculated_values_are_never_taken_for_measured_ones(made):
    tags = ("_refln_F_squared_calc", "_refln_F_squared_sigma")
    with pytest.raises(InputError, match="calculated"):
        read_crystal(made.write(a_fcf=made.cif_head + made.loop(tags)))
    rows = "\n".join(f"{h} {k} {l} 999.0 {value} {sigma} o" for (h, k, l), value, sigma in zip(
        made.hkl, made.intensity, made.sigma, strict=True))
    head = "\n".join(["loop_", *(f"_refln_{name}" for name in (
        "index_h", "index_k", "index_l", "F_squared_calc", "F_squared_meas", "F_squared_sigma", "observed_status"))])
    crystal = read_crystal(made.write(a_fcf=f"{made.cif_head}{head}\n{rows}\n"))
    assert made.agrees_with(crystal)
    crystal = read_crystal(made.write(a_fcf=f"{made.cif_head}{head}\n{rows[:-1]}x\n"))
    assert made.agrees_with(crystal) and any("1 with 'x'" in note for note in crystal.notes)


@pytest.mark.parametrize("fault", [
    "_publ_section_title 'it isn't closed\n",
    "_space_group_name_Hall '-P 2ybc\n",
    "_refine_a\n_refine_b 1\n",
    "_refine_b 1\n_refine_b 1\n",
    "stray words outside an item\n",
    "loop_\n_atom_site_label\n_atom_site_x\nC1 0.1\nC2\n",
    "_exptl_special_details\n;\na text field that nobody closes\n",
])
def test_what_a_strict_parser_refuses_is_read_around_and_said(made, fault):
    text = made.cif_head + fault + embedded(made)
    with pytest.raises((ValueError, RuntimeError)):
        gemmi.cif.read_string(text)
    crystal = read_crystal(made.write(a_cif=text))
    assert made.agrees_with(crystal) and crystal.elements["C"] == 32
    assert any("a strict parser refuses" in note and "line 1" in note for note in crystal.notes)


def test_a_loop_with_a_missing_value_loses_that_line_only(made):
    lines = (made.cif_head + made.loop()).splitlines()
    lines[-3] = lines[-3].rpartition(" ")[0]
    crystal = read_crystal(made.write(a_cif="\n".join(lines)))
    assert len(crystal.hkl) == len(made.hkl) - 1 and any(f"line {len(lines) - 2}" in note for note in crystal.notes)


def test_of_several_blocks_the_one_with_f_squared_is_read_and_the_others_named(made):
    first = made.cif_head.replace("data_made", "data_frames") + made.loop(("_refln_intensity_meas",
                                                                           "_refln_intensity_sigma"))
    crystal = read_crystal(made.write(a_cif="data_global\n_audit_x 1\n" + first + made.cif_head + made.loop()))
    assert made.agrees_with(crystal)
    assert any("block frames holds reflections, too" in note for note in crystal.notes)


def test_triplets_win_over_the_symbol_and_are_completed(made):
    loop = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-X, Y+1/2, -Z'\n"
    crystal = read_crystal(made.write(a_cif=made.cif_head + loop + made.loop()))
    assert crystal.operators == ("x,y,z", "-x,y+1/2,-z") and any("P 21/c" in note for note in crystal.notes)
    centred = made.cif_head.replace("P 21/c", "C 1 2/c 1") + loop.replace("-X, Y+1/2, -Z", "-x,y,-z+1/2").replace(
        "'x,y,z'", "'x,y,z'\n'-x,-y,-z'\n'x,-y,z+1/2'")
    crystal = read_crystal(made.write(a_cif=centred + made.loop()))
    assert len(crystal.operators) == 8 and any("lack the centring C" in note for note in crystal.notes)


@pytest.mark.parametrize("item, radiation", [
    ("_diffrn_radiation_probe electron\n", "electron"), ("_diffrn_radiation_probe neutron\n", "neutron"),
    ("_diffrn_radiation_wavelength 0.0251\n", "electron"), ("_diffrn_radiation_wavelength 0.71073\n", "xray"),
])
def test_the_radiation_is_recognized_and_said(made, item, radiation):
    head = "".join(line for line in made.cif_head.splitlines(True) if "_diffrn" not in line)
    crystal = read_crystal(made.write(a_cif=head + item + made.loop()))
    assert crystal.radiation == radiation and any(radiation in note for note in crystal.notes)


def test_formula_and_z(made):
    head = made.cif_head.replace("_cell_formula_units_Z 4\n", "")
    crystal = read_crystal(made.write(a_cif=head + made.loop()))
    assert crystal.z == 4 and crystal.elements["O"] == 12
    assert any("Z = 4 is estimated" in note for note in crystal.notes)
    head = made.cif_head.replace("_Z 4", "_Z 0.66667").replace("C8 H17 N O3", "C48 H6 O18")
    crystal = read_crystal(made.write(a_cif=head + made.loop()))
    assert crystal.z is None and crystal.elements["C"] == 32
    assert any("no whole number" in note for note in crystal.notes)


def test_numbers_with_standard_deviations():
    assert number_with_sigma("7.716(3)") == pytest.approx((7.716, 0.003))
    assert number_with_sigma("1203(12)") == pytest.approx((1203, 12))
    assert np.isnan(number_with_sigma("?")).all() and number_with_sigma("-1.5e2")[0] == -150


def test_a_cif_read_by_gemmi_and_one_cut_out_give_the_same(made):
    text = made.cif_head + "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n\"-x,-y,-z\" # comment\n" + embedded(made)
    good, notes = read_blocks(text)
    cut, cut_notes = read_blocks(text + "_a 1\n_a 1\n")
    assert not notes and cut_notes
    assert good[0].values.keys() == cut[0].values.keys() and good[0].loops == cut[0].loops
    assert all(good[0].values[key].strip() == cut[0].values[key].strip() for key in good[0].values)

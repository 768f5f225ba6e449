"""A reflection file finds what belongs to it; what the user gives wins; every disagreement is said."""

import gemmi
import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import looks_like_reflections, read_crystal


def said(crystal, *words: str) -> bool:
    return any(all(word in note for word in words) for note in crystal.notes)


@pytest.mark.parametrize("ending", ["ins", "res", "INS"])
def test_instructions_of_the_same_name_are_found(made, ending):
    crystal = read_crystal(made.write(a_hkl=made.fixed(), **{f"a_{ending}": made.ins}))
    assert made.agrees_with(crystal) and np.allclose(crystal.cell, made.cell) and crystal.hklf == 4
    assert len(crystal.operators) == 4 and crystal.elements == {"C": 32, "H": 68, "N": 4, "O": 12}
    assert crystal.instructions[0] == "TITL made" and crystal.instructions[-1] == "UNIT 32 68 4 12"
    assert crystal.z == 4 and crystal.formula == "C8 H17 N O3" and crystal.wavelength == 0.71073
    assert crystal.cell_sigma.tolist() == [0.001, 0.001, 0.001, 0, 0.01, 0]


def test_the_only_other_file_is_taken_and_said_but_not_one_of_several(made):
    path = made.write(a_hkl=made.fixed(), other_ins=made.ins)
    assert said(read_crystal(path), "other.ins", "belong")
    made.write(third_ins=made.ins)
    with pytest.raises(InputError, match=r"a\.hkl: no unit cell .*--cell"):
        read_crystal(path)


def test_no_cell_asks_for_one_in_one_line(made):
    with pytest.raises(InputError, match=r"a\.ins, a\.res or a\.cif beside it; give --cell"):
        read_crystal(made.write(a_hkl=made.fixed()))
    crystal = read_crystal(made.write(a_hkl=made.fixed()), cell="8.1,9.9,10.7,90,103.4,90", space_group="P2(1)/c",
                           formula="C8 H17 N O3", radiation="electron", wavelength=0.0251)
    assert made.agrees_with(crystal) and len(crystal.operators) == 4 and crystal.elements["O"] == 12
    assert crystal.radiation == "electron" and crystal.space_group == "P2(1)/c" and crystal.z == 4


def test_a_file_without_reflections_finds_them(made):
    made.write(a_hkl=made.fixed())
    crystal = read_crystal(made.write(a_ins=made.ins))
    assert made.agrees_with(crystal) and crystal.path.endswith("a.hkl") and said(crystal, "a.ins has no reflections")
    (made.folder / "a.hkl").unlink()
    with pytest.raises(InputError, match=r"put a\.hkl there"):
        read_crystal(made.folder / "a.ins")


def test_reflections_behind_a_negative_hklf_are_in_the_instructions(made):
    text = made.ins.replace("HKLF 4\nEND\n", "HKLF -4\n") + made.fixed()
    assert made.agrees_with(read_crystal(made.write(a_ins=text)))


def test_a_cell_behind_the_rows_is_used_only_where_no_other_is(made):
    tail = made.ins.replace("8.1", "8.2")
    path = made.write(a_hkl=made.fixed() + tail)
    crystal = read_crystal(path)
    assert crystal.cell[0] == 8.2 and said(crystal, "text behind the rows")
    made.write(a_ins=made.ins)
    assert read_crystal(path).cell[0] == 8.1


def test_cells_that_disagree_are_said_and_the_instructions_win(made):
    path = made.write(a_hkl=made.fixed(), a_ins=made.ins, a_cif=made.cif_head.replace("8.100(1)", "9.8"))
    crystal = read_crystal(path)
    assert crystal.cell[0] == 8.1 and said(crystal, "a.ins and a.cif disagree", "cell 8.1", "9.8")
    crystal = read_crystal(path, cell=(8.5, 9.9, 10.7, 90, 103.4, 90))
    assert crystal.cell[0] == 8.5 and said(crystal, "command line", "disagree: cell 8.5")


def test_published_atoms_in_the_files_change_nothing(made):
    tags = "\n".join(f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))
    loop = f"loop_\n{tags}\nC1 C 0.1 0.2 0.3\nS2 S 0.4 0.2 0.1\n_refine_ls_R_factor_gt 0.03\n"
    read = []
    for sites, atoms in (("", ""), (loop, "FVAR 0.8 0.5\nC1 1 0.1 0.2 0.3 11.0 0.04\nS2 5 0.4 0.2 0.1 11.0 0.05\n")):
        embedded = f"_shelx_res_file\n;\n{made.ins.replace('HKLF', atoms + 'HKLF')};\n"
        read.append(read_crystal(made.write(a_hkl=made.fixed(), a_cif=made.cif_head + sites + embedded)))
    for name, without, with_atoms in zip(read[0]._fields, *read, strict=True):
        assert np.array_equal(without, with_atoms), name
    assert "C" in read[0].elements and read[0].wavelength == 0.71073


def test_rows_behind_the_head_of_a_cif_are_read(made):
    path = made.write(a_hkl=made.cif_head + made.fixed())
    crystal = read_crystal(path)
    assert made.agrees_with(crystal) and crystal.form == "HKLF 4" and np.allclose(crystal.cell, made.cell)
    tags = "\n".join(f"_refln_{name}" for name in ("index_h", "index_k", "index_l", "x", "y"))
    with pytest.raises(InputError, match="no reflections"):  # the rows belong to items of another meaning
        read_crystal(made.write(a_hkl=f"{made.cif_head}loop_\n{tags}\n{made.fixed('')}"))
    path.unlink()
    with pytest.raises(InputError, match="no reflections"):  # they may be faces of the crystal, say
        read_crystal(made.write(b_cif=made.cif_head + made.fixed()))


def test_what_is_given_wins_and_disagreements_are_said(made):
    path = made.write(a_hkl=made.fixed(), a_ins=made.ins)
    crystal = read_crystal(path, space_group="P 1 21/n 1", formula="C9 H17 N O2", radiation="neutron")
    assert "x,-y+1/2,z+1/2" not in crystal.operators and said(crystal, "--space_group", "P 1 21/c 1")
    assert crystal.elements["C"] == 36 and said(crystal, "--formula", "C32") and crystal.radiation == "neutron"
    crystal = read_crystal(path, elements="C,O,S")
    assert crystal.elements == {"C": 32, "O": 12, "S": 0}
    assert said(crystal, "--elements leaves out H, N") and said(crystal, "number of S")
    assert read_crystal(path, hklf=3).intensity.max() == pytest.approx(made.intensity.max()**2)


@pytest.mark.parametrize("arguments, message", [
    ({"cell": "8,9,10"}, "3 numbers"), ({"cell": "8,9,10,a,90,90"}, "expected six numbers"),
    ({"cell": (8, 9, 10, 10, 90, 170)}, "close no cell"), ({"space_group": "P 7x"}, "not known"),
    ({"formula": "Qq7"}, "--formula=Qq7"), ({"elements": "C,Xx"}, "'Xx' is no element"),
    ({"radiation": "light"}, "expected one of"), ({"wavelength": -1.0}, "--wavelength"), ({"hklf": 5}, "--hklf=5"),
])
def test_arguments_that_cannot_be_are_refused_by_name(made, arguments, message):
    with pytest.raises(InputError, match=message):
        read_crystal(made.write(a_hkl=made.fixed(), a_ins=made.ins), **arguments)


@pytest.mark.parametrize("old, new, words", [
    ("UNIT 32 68 4 12\n", "", ("4 elements on SFAC, 0 numbers on UNIT",)),
    ("UNIT 32 68 4 12", "UNIT 32 68 0 12", ("UNIT gives 0 for N",)),
    ("SFAC C H N O\nUNIT 32 68 4 12\n", "", ("no SFAC",)),
    ("LATT 1\n", "", ("LATT 1", "assumed")),
    ("LATT 1\nSYMM -X, 0.5+Y, 0.5-Z\n", "", ("no file gives symmetry operators",)),
    ("HKLF 4", "TWIN -1 0 0 0 -1 0 0 0 1\nBASF 0.3\nHKLF 4", ("a twin", "BASF 0.3")),
    ("HKLF 4\n", "", ("no file says HKLF 3 or 4",)),
    ("0.71073", "0.0251", ("electron is assumed from the wavelength",)),
    ("LATT 1", "LATT 1\nSYMM Y, X, Z", ("breaks the symmetry",)),
    ("ZERR 4", "ZERR 2.5", ("Z = 2.5",)),
])
def test_every_assumption_about_the_instructions_is_said(made, old, new, words):
    crystal = read_crystal(made.write(a_hkl=made.fixed(), a_ins=made.ins.replace(old, new)))
    assert made.agrees_with(crystal) and said(crystal, *words)


@pytest.mark.parametrize("old, new, message", [
    ("103.4", "x103", r"a\.ins, line 2: 'x103' on CELL"), ("CELL 0.71073", "CELL", "line 2: CELL has 6 numbers"),
    ("-X, 0.5+Y, 0.5-Z", "-X, 0.5+Y", "line 5: .* is no symmetry operator"), ("LATT 1", "LATT 9", "LATT 9"),
    ("HKLF 4", "HKLF 2", "line 8: HKLF 2 is not read"), ("HKLF 4", "HKLF 4 1 1 0 0 0 0 0 0 0 1", "singular"),
])
def test_instructions_that_cannot_be_are_named_with_their_line(made, old, new, message):
    with pytest.raises(InputError, match=message):
        read_crystal(made.write(a_hkl=made.fixed(), a_ins=made.ins.replace(old, new)))


def test_spellings_of_instructions(made):
    factors = "12.2 0.005 3.1 9.8 2.0 28.9 1.1 =\n 0.58 -11.5 0.006 0.003 1.96 0.77 14.0"
    text = made.ins.replace("SFAC C H N O", f"sfac c h\nSFAC N {factors}\nSFAC O 1 2 3")
    text = text.replace("CELL", "Cell").replace("SYMM", "  \nsymm")
    crystal = read_crystal(made.write(a_hkl=made.fixed(), a_ins=text))
    assert crystal.elements == {"C": 32, "H": 68, "N": 4, "O": 12} and len(crystal.operators) == 4


def test_mtz_files(made):
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.find_spacegroup_by_name("P 1 21/c 1")
    mtz.set_cell_for_all(gemmi.UnitCell(*made.cell))
    mtz.add_dataset("d").wavelength = 0.7
    for label, kind in (("FC", "F"), ("I", "J"), ("SIGI", "Q")):
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([made.hkl, 0 * made.intensity, made.intensity, made.sigma]).astype(np.float32))
    path = made.folder / "a.mtz"
    mtz.write_to_file(str(path))
    crystal = read_crystal(path, elements="C,H,N,O")
    assert np.array_equal(crystal.hkl, made.hkl) and np.allclose(crystal.intensity, made.intensity, rtol=1e-6)
    assert len(crystal.operators) == 4 and crystal.wavelength == pytest.approx(0.7) and crystal.form == "MTZ"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged MTZ"):
        read_crystal(path)


def test_friedel_pairs_of_an_mtz_file_become_rows_of_both_mates(made):
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.find_spacegroup_by_name("P 1 21 1")
    mtz.set_cell_for_all(gemmi.UnitCell(*made.cell))
    mtz.add_dataset("d")
    for label, kind in (("I(+)", "K"), ("SIGI(+)", "M"), ("I(-)", "K"), ("SIGI(-)", "M")):
        mtz.add_column(label, kind)
    mtz.set_data(np.array([[1, 2, 3, 10, 1, 12, 2], [0, 1, 2, 5, 1, np.nan, np.nan]], np.float32))
    mtz.write_to_file(str(made.folder / "a.mtz"))
    crystal = read_crystal(made.folder / "a.mtz")
    assert crystal.hkl.tolist() == [[1, 2, 3], [0, 1, 2], [-1, -2, -3]]
    assert crystal.intensity.tolist() == [10, 5, 12] and crystal.sigma.tolist() == [1, 1, 2]


def test_matrices_that_disagree_are_said(made):
    other = made.ins.replace("HKLF 4", "HKLF 4 1 0 0 1 0 1 0 -1 0 -1")
    crystal = read_crystal(made.write(a_hkl=made.fixed(), a_ins=made.ins, a_res=other))
    assert made.agrees_with(crystal) and said(crystal, "matrices on HKLF disagree; that of a.ins")


def test_forms_are_recognized_by_content(made):
    forms = {
        "HKLF 4": made.write(a_hkl=made.fixed()), "HKLF 4 ": made.write(b_txt=made.fixed()),
        "SHELX instructions": made.write(a_ins=made.ins), "CIF": made.write(c_hkl=made.cif_head + made.loop()),
        "SHELX CIF": made.write(d_txt=made.cif_head + f"_shelx_hkl_file\n;\n{made.fixed()};\n"),
    }
    for form, path in forms.items():
        assert looks_like_reflections(path) == form.strip()
    assert looks_like_reflections(made.write(e_txt="1 0 0 5.0\n0 1 0 6.0\n")) is None
    assert looks_like_reflections(made.write(f_txt="h k l F sigma\n1 0 0 5.0 1\n0 1 0 6.0 1\n")) is None
    assert looks_like_reflections(made.folder / "absent.hkl") is None
    np.save(made.folder / "a.npy", np.zeros(3))
    assert looks_like_reflections(made.folder / "a.npy") is None


@pytest.mark.parametrize("content, message", [
    (b"", "empty"), (b"\0\1\2" * 100, "neither a text"), (b"hello\nworld\n", "no rows"),
    (b"#LIST 6\nREAD\n1 2 3 4 5\n", "CRYSTALS"), (b"data_x\n_cell_length_a 5\n", "no reflections"),
    (b"   1   0   0    0.00    1.00\n", "all 1 values are 0"),
    (b"   1   0   0   -1.00   -1.00\n", "none of the 1 rows"),
])
def test_files_that_hold_no_reflections_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.hkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_crystal(path, cell=(8, 9, 10, 90, 90, 90))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="a folder"):
        read_crystal(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_crystal(tmp_path / "absent.hkl")


def test_z_is_estimated_with_the_space_group_of_the_command_line(tmp_path):
    path = tmp_path / "crystal.hkl"
    path.write_text("   1   0   0   10.00    1.00\n   0   2   0   20.00    1.00\n   0   0   0    0.00    0.00\n")
    crystal = read_crystal(path, cell=[6.9, 14.6, 9.7, 90, 90.6, 90], space_group="P 1 21/n 1",
                           formula="C10 H10 F2 N4")
    assert crystal.z == 4  # not 3, which 18 A^3 an atom would give


def test_without_carbon_the_volume_does_not_tell_z(tmp_path):
    path = tmp_path / "salt.hkl"
    path.write_text("   1   1   1   10.00    1.00\n   0   0   2   20.00    1.00\n   0   0   0    0.00    0.00\n")
    crystal = read_crystal(path, cell=[5.64, 5.64, 5.64, 90, 90, 90], space_group="F m -3 m", formula="Na Cl")
    assert crystal.z is None and not any(crystal.elements.values()) and set(crystal.elements) == {"Na", "Cl"}
    assert any("without carbon" in note for note in crystal.notes)


def test_z_is_a_multiple_of_the_points_of_the_lattice(tmp_path):
    path = tmp_path / "centred.hkl"
    path.write_text("   1   1   0   10.00    1.00\n   0   2   0   20.00    1.00\n   0   0   0    0.00    0.00\n")
    crystal = read_crystal(path, cell=[6.0, 7.0, 6.5, 90, 100, 90], space_group="C 1 2/c 1", formula="C12 O2")
    assert crystal.z == 2  # though one formula fills the cell, as 18 A^3 an atom would have it

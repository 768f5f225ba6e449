"""Structure files: what scatters, what is dropped, and how files break their format."""

import csv
import gzip
import json
import pathlib
import re
import tempfile

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError
from phasenet.io import decompression
from saxsae.io.structures.structure_files import bead_spacing, nearest_neighbour_spacing, read_structure


def atom(name, xyz, residue="ALA", number=1, chain="A", serial=1, tail=None, altloc=" ",
         occupancy=1.0, record="ATOM"):
    """One PDB record; `name` in its four columns, `tail` what stands from column 67 on."""
    x, y, z = xyz
    element = name.strip().lstrip("0123456789")[:1]
    return (f"{record:6s}{serial:>5} {name:4s}{altloc}{residue:>3s} {chain}{number:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}  0.00"
            + (f"          {element:>2s}" if tail is None else tail))


def residue(shift=(0, 0, 0), **kwargs):
    """N, CA, C, O of one residue, about 1.5 A apart."""
    places = [(0, 0, 0), (1.5, 0, 0), (2.2, 1.3, 0), (1.7, 2.4, 0)]
    return [atom(name, np.add(place, shift), **kwargs)
            for name, place in zip((" N  ", " CA ", " C  ", " O  "), places, strict=True)]


@pytest.fixture
def read(tmp_path):
    """Writes lines to a file and reads them as a structure."""
    def write_and_read(lines, name="model.pdb", **kwargs):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return read_structure(path, **kwargs)

    return write_and_read


def fault(read, lines, **kwargs):
    with pytest.raises(InputError) as info:
        read(lines, **kwargs)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_plain_residue(read):
    structure = read(residue())
    assert structure.kind == "atoms" and structure.name == "model"
    np.testing.assert_allclose(structure.xyz_angstrom[2], [2.2, 1.3, 0], atol=1e-6)
    np.testing.assert_array_equal(structure.atomic_number, [7, 6, 6, 8])
    assert structure.xyz_angstrom.dtype == np.float32 and structure.notes == ()


def test_waters_hydrogens_and_ions_are_dropped(read):
    lines = residue() + [
        atom(" HA ", (1.5, 1, 0)), atom(" D  ", (0, 1, 0)),
        atom(" O  ", (9, 9, 9), "HOH", 2), atom(" O  ", (9, 9, 5), "WAT", 3),
        atom("ZN  ", (5, 5, 5), " ZN", 4, record="HETATM", tail="          ZN"),
        atom(" C1 ", (12, 0, 0), "LIG", 5, record="HETATM"),
        atom(" O1 ", (13, 0, 0), "LIG", 5, record="HETATM")]
    structure = read(lines)
    np.testing.assert_array_equal(structure.atomic_number, [7, 6, 6, 8, 6, 8])
    notes = " ".join(structure.notes)
    assert "2 atoms of water" in notes and "2 atoms of hydrogen" in notes and "ion" in notes
    assert len(read(lines, protein_only=True).xyz_angstrom) == 4


def test_nucleic_acid_counts_unless_only_protein_is_wanted(read):
    lines = residue() + [atom(" P  ", (8, 0, 0), " DA", 2), atom(" O5'", (9, 0, 0), " DA", 2)]
    assert 15 in read(lines).atomic_number
    assert 15 not in read(lines, protein_only=True).atomic_number


def test_first_alternate_location(read):
    lines = residue() + [
        atom(" N  ", (5, 0, 0), number=2), atom(" CA ", (6, 0, 0), number=2),
        atom(" CB ", (6.5, 1, 0), number=2, altloc="B", occupancy=0.6),
        atom(" CB ", (6.5, -1, 0), number=2, altloc="A", occupancy=0.4),
        # Another kind of residue at the second location.
        atom(" OG ", (7, -1, 0), "SER", 2, altloc="A", occupancy=0.4)]
    structure = read(lines)
    assert len(structure.xyz_angstrom) == 7
    np.testing.assert_allclose(structure.xyz_angstrom[-1], [6.5, 1, 0])
    assert any("2 atoms at other alternate locations" in note for note in structure.notes)


def test_text_where_the_element_should_be(read):
    # Segment names and entry ids in columns 73-80 have misled readers into nitrogen, iodine, boron.
    lines = [atom(" CA ", (0, 0, 0), tail="      1ABC  12"),
             atom(" C  ", (1.5, 0, 0), tail="      PROT N  "),
             atom(" N  ", (3, 0, 0), tail="      2EPE  53"),
             atom(" SG ", (4.5, 0, 0), "CYS", tail="      SEGIS  "),
             atom("CA  ", (6, 0, 0), "GLY", 2, tail="          CA"),
             atom("SE  ", (7.5, 0, 0), "MSE", 3, tail="")]
    np.testing.assert_array_equal(read(lines).atomic_number, [6, 6, 7, 16, 6, 34])


def test_zero_occupancy_is_kept_and_told(read):
    structure = read(residue(occupancy=0.0))
    assert len(structure.xyz_angstrom) == 4
    assert structure.notes == ("4 atoms of zero occupancy kept",)


def test_hybrid36_numbers(read):
    structure = read(residue() + residue((9, 0, 0), serial="A0000", number=2)
                     + residue((18, 0, 0), serial="A0001", number=3))
    assert len(structure.xyz_angstrom) == 12


def test_an_end_after_each_subunit(read):
    structure = read([*residue(), "TER", "END", *residue((9, 0, 0)), "END", *residue((18, 0, 0))])
    assert len(structure.xyz_angstrom) == 12
    assert structure.notes == ("3 models merged",)


def test_repeated_model_numbers_of_separate_copies_are_merged(read):
    lines = []
    for shift in (0, 10):
        lines += ["MODEL        1", *residue((shift, 0, 0)), "ENDMDL"]
    assert len(read(lines).xyz_angstrom) == 8


def test_an_ensemble_counts_once(read):
    rng = np.random.default_rng(0)
    places = rng.normal(size=(60, 3)) * 8
    lines = []
    for model in range(5):
        moved = places + rng.normal(size=places.shape) * 0.4
        lines += [f"MODEL     {model + 1:4d}", *[atom(" CB ", p, number=i + 1)
                                                 for i, p in enumerate(moved)],
                  atom(" O  ", moved[0] + 2, number=61), "ENDMDL"]
    structure = read(lines)
    assert len(structure.xyz_angstrom) == 61
    assert "4 of 5 models" in structure.notes[0]


def grid_of_beads(spacing=5.0, edge=5):
    return np.argwhere(np.ones((edge,) * 3)) * spacing


@pytest.mark.parametrize("name, residue_name, record", [
    (" CA ", "ASP", "ATOM"), (" CA ", "DUM", "ATOM"), (" O  ", "HOH", "HETATM")])
def test_dummy_beads(read, name, residue_name, record):
    structure = read([atom(name, p, residue_name, i + 1, record=record)
                      for i, p in enumerate(grid_of_beads())])
    assert structure.kind == "beads"
    assert set(structure.atomic_number) == {6}
    assert bead_spacing(structure) == pytest.approx(5.0)


def test_beads_that_share_one_residue_number(read):
    assert read([atom(" CA ", p, "ASP", 1) for p in grid_of_beads()]).kind == "beads"


def test_a_chain_of_ca_atoms_is_a_trace_not_beads(read):
    names = ["ALA", "GLY", "SER", "LEU"] * 5
    turn = np.arange(20) * np.deg2rad(100)
    helix = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(20)], -1)
    structure = read([atom(" CA ", p, name, i + 1)
                      for i, (p, name) in enumerate(zip(helix, names, strict=True))])
    assert structure.kind == "atoms" and bead_spacing(structure) is None
    assert any("trace" in note for note in structure.notes)


REMARK_350 = """\
REMARK 350 BIOMOLECULE: 1
REMARK 350 APPLY THE FOLLOWING TO CHAINS: A
REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000
REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000
REMARK 350   BIOMT1   2 -1.000000  0.000000  0.000000       30.00000
REMARK 350   BIOMT2   2  0.000000 -1.000000  0.000000        0.00000
REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000        5.00000
REMARK 350 BIOMOLECULE: 2
REMARK 350 APPLY THE FOLLOWING TO CHAINS: B
REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000
REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000""".splitlines()


def test_biological_assembly(read):
    lines = REMARK_350 + residue() + residue((0, 20, 0), chain="B")
    first = read(lines)
    assert len(first.xyz_angstrom) == 8
    np.testing.assert_allclose(first.xyz_angstrom[4:],
                               first.xyz_angstrom[:4] * [-1, -1, 1] + [30, 0, 5], atol=1e-5)
    assert "assembly 1" in first.notes[0]
    assert len(read(lines, assembly="2").xyz_angstrom) == 4
    assert len(read(lines, assembly=None).xyz_angstrom) == 8
    assert "1, 2" in fault(read, lines, assembly="3")


def test_assembly_of_chains_that_are_not_there(read):
    structure = read(REMARK_350 + residue(chain="C"))
    assert len(structure.xyz_angstrom) == 4 and "none of the chains" in structure.notes[0]


def test_copies_already_made_are_not_made_again(read):
    structure = read([*REMARK_350, *residue(), "END", *residue((28, 0, 5))])
    assert len(structure.xyz_angstrom) == 8


@pytest.fixture
def cif(tmp_path):
    """A structure with an assembly of two operators, as mmCIF."""
    header = f"{'HEADER    PROTEIN':62s}1ABC"
    structure = gemmi.read_pdb_string("\n".join([header, *REMARK_350[:8], *residue()]))
    structure.setup_entities()
    path = tmp_path / "some.cif"
    structure.make_mmcif_document().write_file(str(path))
    return path


def test_mmcif_and_gzip(cif, tmp_path):
    structure = read_structure(cif)
    assert len(structure.xyz_angstrom) == 8 and structure.pdb_id == "1abc"
    zipped = tmp_path / "1xyz.ent.gz"  # content decides, not the ending
    zipped.write_bytes(gzip.compress(cif.read_bytes()))
    np.testing.assert_array_equal(read_structure(zipped).xyz_angstrom, structure.xyz_angstrom)
    assert read_structure(zipped).name == "1xyz"


def test_broken_mmcif(cif):
    text = cif.read_text()
    cif.write_text(text[: text.index("_atom_site.") + 200] + "\n'unclosed\n")
    with pytest.raises(InputError, match="mmCIF"):
        read_structure(cif)
    cif.write_text(text.replace("1.5 ", "? "))
    with pytest.raises(InputError, match="finite coordinates within"):
        read_structure(cif)


@pytest.mark.parametrize("field", ["     nan", "********", "        ", "1.2.3   "])
def test_coordinates_that_are_no_numbers(read, field):
    lines = residue()
    lines[2] = lines[2][:38] + field + lines[2][46:]
    message = fault(read, ["REMARK", *lines])
    assert "line 4: y is" in message and "columns 39-46" in message


def test_files_that_are_no_structures(read, tmp_path):
    assert "empty" in fault(read, [""])
    assert "no ATOM" in fault(read, ["<html>", "not found", "</html>"])
    assert "no atoms in it" in fault(read, ["data_x", "_atom_site.id 1"])
    waters = [atom(" O  ", (9, 9, 9), "HOH", 2)]
    assert "no atoms besides waters" in fault(read, waters)
    assert "no protein atoms" in fault(read, [atom(" P  ", (8, 0, 0), " DA", 2),
                                              atom(" O5'", (9, 0, 0), " DA", 2)],
                                       protein_only=True)
    with pytest.raises(InputError, match="no such file"):
        read_structure(tmp_path / "absent.pdb")
    with pytest.raises(InputError, match="folder"):
        read_structure(tmp_path)
    cut = tmp_path / "cut.pdb.gz"
    cut.write_bytes(gzip.compress("\n".join(residue()).encode())[:-12])
    with pytest.raises(InputError, match="gzip"):
        read_structure(cut)
    binary = tmp_path / "noise.pdb"
    binary.write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(InputError):
        read_structure(binary)


def test_a_byte_order_mark_and_foreign_letters_move_no_atom(tmp_path):
    lines = residue()
    lines[1] = lines[1].replace("ALA", "\u00e9LA")
    for encoding in ("utf-8-sig", "latin-1"):
        (tmp_path / "odd.pdb").write_bytes("\n".join(lines).encode(encoding))
        xyz = sorted(read_structure(tmp_path / "odd.pdb").xyz_angstrom.tolist())
        np.testing.assert_allclose(xyz, [(0, 0, 0), (1.5, 0, 0), (1.7, 2.4, 0), (2.2, 1.3, 0)], atol=1e-5)


def test_what_would_fill_the_memory_is_refused(cif, tmp_path, monkeypatch):
    text = cif.read_text()
    cif.write_text(re.sub(r"\bALA\b", "A" * 5000, text))
    with pytest.raises(InputError, match="a name has 5000 characters"):
        read_structure(cif)
    cif.write_text(text.replace("1.5 ", "1e30 "))
    with pytest.raises(InputError, match=r"lies at \(1e\+30, .*within 100000 A"):
        read_structure(cif)
    cif.write_text(text)
    monkeypatch.setattr("saxsae.io.structures.structure_files._MAX_ATOMS", 7)
    with pytest.raises(InputError, match="assembly 1 has 8 atoms or more"):
        read_structure(cif)
    (tmp_path / "bomb.pdb.gz").write_bytes(gzip.compress(b"\n" * (decompression.ALWAYS_ALLOWED_BYTES + 9), 1))
    with pytest.raises(InputError, match="MB unpack to 64 MB or more"):
        read_structure(tmp_path / "bomb.pdb.gz")
    monkeypatch.setattr("saxsae.io.structures.structure_files._MAX_BYTES", 100)
    with pytest.raises(InputError, match="too large for a structure"):
        read_structure(cif)


def test_many_models_far_apart_are_refused(read, monkeypatch):
    monkeypatch.setattr("saxsae.io.structures.structure_files._MAX_MODELS", 3)
    lines = [line for i in range(5) for line in [*residue((9 * i, 0, 0)), "END"]]
    assert "more than 3 models that lie apart" in fault(read, lines)


def test_operators_that_throw_atoms_away(read):
    lines = [line.replace("30.00000", "3e30    ") for line in REMARK_350]
    assert "put atoms 3e+30 A away" in fault(read, [*lines, *residue()])


@given(changes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 79), st.characters(codec="utf-8")), max_size=4))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_character_anywhere_in_a_record(changes):
    lines = [list(line.ljust(80)) for line in residue()]
    for row, column, character in changes:
        lines[row][column] = character
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "any.pdb"
        path.write_text("\n".join(map("".join, lines)), encoding="utf-8", newline="")
        try:
            structure = read_structure(path)
        except InputError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable()
        else:
            count = len(structure.xyz_angstrom)
            assert 1 <= count <= 5 and structure.xyz_angstrom.shape == (count, 3)
            assert np.isfinite(structure.xyz_angstrom).all() and (structure.atomic_number > 0).all()


def test_nearest_neighbour_spacing_against_all_pairs():
    points = np.random.default_rng(1).normal(size=(400, 3)) * 20
    distance = np.linalg.norm(points[:, None] - points, axis=-1) + 1e9 * np.eye(len(points))
    expected = np.median(distance.min(-1))
    assert nearest_neighbour_spacing(points) == pytest.approx(expected, rel=1e-6)
    assert nearest_neighbour_spacing(np.repeat(points, 2, 0)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="two distinct"):
        nearest_neighbour_spacing(np.ones((5, 3)))


def weighted_rg(structure):
    weight = structure.atomic_number.astype(float)
    weight /= weight.sum()
    xyz = structure.xyz_angstrom.astype(float)
    return np.sqrt(weight @ ((xyz - weight @ xyz) ** 2).sum(-1))


def test_references_of_measured_curves(data_dir):
    folders = sorted(path.parent for path in (data_dir / "saxs").glob("*/reference.pdb"))
    if not folders:
        pytest.skip("no curves in the data collection")
    for folder in folders:
        facts = json.loads((folder / "source.json").read_text())
        structure = read_structure(folder / "reference.pdb", assembly=None)
        # One of them counts a zinc ion.
        assert abs(len(structure.xyz_angstrom) - facts["model_heavy_atoms"]) <= 1, folder
        assert weighted_rg(structure) == pytest.approx(facts["rg_model"], abs=0.03), folder
        assert structure.kind == ("beads" if "beads" in facts["model_type"] else "atoms"), folder


def test_raw_structures(data_dir):
    folder = data_dir / "structures" / "raw"
    if not folder.is_dir():
        pytest.skip("no raw structures in the data collection")
    for row in csv.DictReader((folder / "index.csv").read_text().splitlines()):
        structure = read_structure(folder / row["file"], assembly=None, protein_only=True)
        # Modified residues are counted differently by a few atoms.
        expected = int(row["protein_heavy_atoms"])
        assert expected <= len(structure.xyz_angstrom) <= 1.04 * expected, row["file"]
        if int(row["models"]) > 1:
            assert "ensemble" in structure.notes[0]
        if structure.pdb_id:
            assert structure.pdb_id == row["pdb_id"]


def test_raw_virus_assembly(data_dir):
    path = data_dir / "structures" / "raw" / "1RB8.pdb"
    if not path.is_file():
        pytest.skip("no raw structures in the data collection")
    listed, whole = read_structure(path, assembly=None), read_structure(path)
    assert len(whole.xyz_angstrom) == 60 * len(listed.xyz_angstrom)
    assert np.linalg.norm(whole.xyz_angstrom.mean(0)) < 1.0  # icosahedral about the origin

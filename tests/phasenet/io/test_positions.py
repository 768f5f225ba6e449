"""Atoms as files: what other readers make of them."""

import csv

import gemmi
import numpy as np
import pytest

from phasenet.io import positions as writers

ATOMS = np.array([[1.25, -2.5, 0.0], [-3.0, 4.125, 7.5], [0.0, 0.0, -6.00004]])
WRITERS = (writers.write_csv, writers.write_xyz, writers.write_pdb)


@pytest.mark.parametrize("pitch", [None, 0.5])
def test_the_table(tmp_path, pitch):
    writers.write_csv(tmp_path / "p.csv", ATOMS, pitch)
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["atom"] for row in rows] == ["1", "2", "3"]
    read = np.array([[float(row[f"{axis}_voxels"]) for axis in "xyz"] for row in rows])
    np.testing.assert_allclose(read, ATOMS, atol=6e-5)
    assert ("x_angstrom" in rows[0]) == (pitch is not None)
    if pitch is not None:
        assert float(rows[1]["z_angstrom"]) == 3.75


@pytest.mark.parametrize("pitch", [None, 0.5])
def test_a_pdb_that_gemmi_opens(tmp_path, pitch):
    writers.write_pdb(tmp_path / "p.pdb", ATOMS, pitch, remarks=["Found atoms."])
    structure = gemmi.read_structure(str(tmp_path / "p.pdb"))
    atoms = [found.atom for found in structure[0].all()]
    np.testing.assert_allclose([atom.pos.tolist() for atom in atoms], ATOMS * (pitch or 1), atol=6e-4)
    assert {atom.element.name for atom in atoms} == {"C"} and {atom.occ for atom in atoms} == {1.0}
    assert len({found.residue.seqid.num for found in structure[0].all()}) == 3
    text = (tmp_path / "p.pdb").read_text()
    assert "Found atoms." in text and ("1 voxel is 0.5 A" if pitch else "1 voxel is written as 1 A") in text
    assert {len(line) for line in text.splitlines() if line.startswith("HETATM")} == {78}


@pytest.mark.parametrize("pitch", [None, 0.5])
def test_an_xyz_file(tmp_path, pitch):
    writers.write_xyz(tmp_path / "p.xyz", ATOMS, pitch, comment="two\nlines")
    count, comment, *rows = (tmp_path / "p.xyz").read_text().splitlines()
    assert int(count) == len(rows) == 3
    assert comment.startswith("two lines; ") and ("1 voxel is 0.5 A" if pitch else "written as 1 A") in comment
    assert all(row.split()[0] == "C" for row in rows)
    np.testing.assert_allclose([[float(word) for word in row.split()[1:]] for row in rows], ATOMS * (pitch or 1),
                               atol=6e-5)


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_no_position_is_not_written(tmp_path, write):
    for bad, pitch in ((ATOMS[0], None), (ATOMS[:, :2], None), (ATOMS * np.nan, None), (ATOMS, 0.0), (ATOMS, np.nan)):
        with pytest.raises(ValueError):
            write(tmp_path / "p", bad, pitch)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros((10_000, 3)), [[1e4, 0, 0]], [[0, -1e3, 0]]])
def test_what_a_pdb_file_cannot_hold(tmp_path, bad):
    with pytest.raises(ValueError):
        writers.write_pdb(tmp_path / "p.pdb", np.array(bad))
    assert not list(tmp_path.iterdir())

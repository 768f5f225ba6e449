"""Maps and bead models as files that other programs open where they belong."""

import gemmi
import mrcfile
import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map, write_cell_map, write_map
from saxsae.io.structures.beads import beads_above, fits_pdb, write_beads
from saxsae.io.structures.structure_files import read_structure


@pytest.fixture
def density():
    return np.random.default_rng(0).random((31, 31, 31)).astype(np.float32)


def test_map_in_gemmi_and_mrcfile(tmp_path, density, capsys):
    path, h = tmp_path / "map.ccp4", 2.5
    write_map(path, density, h, label="a shape")
    assert mrcfile.validate(path)
    capsys.readouterr()
    with mrcfile.open(path) as file:
        header = file.header
        np.testing.assert_array_equal(file.data, density.T)
        np.testing.assert_allclose(file.voxel_size.tolist(), [h] * 3)
        np.testing.assert_allclose(header.cella.tolist(), [31 * h] * 3)
        np.testing.assert_allclose(header.cellb.tolist(), [90] * 3)
        assert (header.nxstart, header.nystart, header.nzstart) == (-15, -15, -15)
        assert header.origin.tolist() == (0.0, 0.0, 0.0) and header.mode == 2 and header.ispg == 1
        assert header.dmean == pytest.approx(density.mean(), rel=1e-4)
        assert header.rms == pytest.approx(density.std(), rel=1e-4)
        assert [label.strip() for label in file.get_labels()] == ["a shape"]
    ccp4 = gemmi.read_ccp4_map(str(path), setup=True)
    # Trilinear interpolation at a voxel's own position gives its value.
    for index in ((15, 15, 15), (16, 13, 15), (3, 20, 9)):
        position = gemmi.Position(*((np.array(index) - 15) * h))
        assert ccp4.grid.interpolate_value(position) == pytest.approx(density[index], abs=1e-5)


def test_map_round_trip(tmp_path, density):
    write_map(tmp_path / "map.mrc", density, 3.1)
    back = read_map(tmp_path / "map.mrc")
    np.testing.assert_array_equal(back.density, density)
    np.testing.assert_allclose(back.pitch_angstrom, 3.1, rtol=1e-6)
    np.testing.assert_allclose(back.origin_angstrom, -15 * 3.1, rtol=1e-6)


@pytest.mark.parametrize("origin", [(0, 6, -4), (10.3, -7.1, 0.4)])
def test_map_elsewhere(tmp_path, density, origin):
    write_map(tmp_path / "map.mrc", density[:8, :8, :8], 2.0, np.array(origin))
    back = read_map(tmp_path / "map.mrc")
    assert back.density.shape == (8, 8, 8)
    np.testing.assert_allclose(back.origin_angstrom, origin, atol=1e-5)


def test_map_with_other_axes_and_pitches(tmp_path):
    data = np.random.default_rng(1).random((4, 5, 6)).astype(np.float32)  # sections, rows, columns
    with mrcfile.new(tmp_path / "odd.mrc") as file:
        file.set_data(data)
        file.header.mapc, file.header.mapr, file.header.maps = 2, 3, 1
        file.header.nxstart, file.header.nystart, file.header.nzstart = 1, 2, 3
        file.header.mx, file.header.my, file.header.mz = 4, 6, 5
        file.header.cella = (4 * 1.0, 6 * 2.0, 5 * 3.0)
    back = read_map(tmp_path / "odd.mrc")
    assert back.density.shape == (4, 6, 5)  # x from sections, y from columns, z from rows
    assert back.density[1, 2, 3] == data[1, 3, 2]
    np.testing.assert_allclose(back.pitch_angstrom, [1, 2, 3])
    np.testing.assert_allclose(back.origin_angstrom, [3 * 1, 1 * 2, 2 * 3])


def test_maps_that_are_none(tmp_path, density):
    path = tmp_path / "map.ccp4"
    with pytest.raises(InputError, match="no such file"):
        read_map(path)
    write_map(path, density, 2.0)
    whole = path.read_bytes()
    for content in (b"", b"text " * 500, whole[:500], whole[:-100]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable"):
            read_map(path)
    for word, value, message in ((10, 0.0, "no voxel size"), (13, 60.0, "expected 90 degrees")):
        damaged = bytearray(whole)
        damaged[4 * word: 4 * word + 4] = np.float32(value).tobytes()
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=message):
            read_map(path)
    damaged = bytearray(whole)
    damaged[64:68] = np.int32(3).tobytes()
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="axis order|not a readable"):
        read_map(path)
    damaged = bytearray(whole)
    damaged[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"voxel \(30, 30, 30\) is nan"):
        read_map(path)


def test_arrays_that_are_no_maps(tmp_path, density):
    for bad in (density[:5], density[:8, :8, :8], density * np.nan):
        with pytest.raises(ValueError):
            write_map(tmp_path / "map.ccp4", bad, 2.0)
    with pytest.raises(ValueError):
        write_map(tmp_path / "map.ccp4", density, 0.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("symbol", "number"), [("P 1 21/n 1", 14), ("no such group", 1), ("", 1)])
def test_a_map_of_an_oblique_cell_lies_where_its_atoms_do(tmp_path, symbol, number):
    cell = (7.0, 8.0, 9.0, 90.0, 104.0, 90.0) if number == 14 else (7.0, 8.0, 9.0, 80.0, 104.0, 95.0)
    values = np.random.default_rng(2).random((12, 14, 16)).astype(np.float32)
    write_cell_map(tmp_path / "cell.ccp4", values, cell, symbol, "F_obs")
    assert mrcfile.validate(tmp_path / "cell.ccp4")
    read = gemmi.read_ccp4_map(str(tmp_path / "cell.ccp4"), setup=True)
    assert read.grid.spacegroup.number == number
    np.testing.assert_allclose(read.grid.unit_cell.parameters, cell, rtol=1e-6)
    np.testing.assert_array_equal(np.array(read.grid.array), values)
    place = read.grid.unit_cell.orthogonalize(gemmi.Fractional(3 / 12, 5 / 14, 9 / 16))
    assert read.grid.interpolate_value(place) == pytest.approx(values[3, 5, 9], abs=1e-5)
    for bad in (values[0], values * np.nan):
        with pytest.raises(ValueError):
            write_cell_map(tmp_path / "cell.ccp4", bad, cell)


def test_beads_lie_where_the_map_does(tmp_path, density):
    level = 0.9
    xyz, values = beads_above(density, 2.5, level)
    assert len(xyz) == (density > level).sum()
    write_map(tmp_path / "map.ccp4", density, 2.5)
    ccp4 = gemmi.read_ccp4_map(str(tmp_path / "map.ccp4"), setup=True)
    value = ccp4.grid.interpolate_value(gemmi.Position(*xyz[7]))
    assert value == pytest.approx(values[7], abs=1e-5)

    write_beads(tmp_path / "beads.pdb", xyz, 1.25, values, remarks=["20 models, averaged"])
    structure = gemmi.read_structure(str(tmp_path / "beads.pdb"))  # owns what follows
    atoms = list(structure[0].all())
    np.testing.assert_allclose([a.atom.pos.tolist() for a in atoms], xyz, atol=6e-4)
    np.testing.assert_allclose([a.atom.b_iso for a in atoms], 100 * values, atol=6e-3)
    np.testing.assert_allclose([a.atom.occ for a in atoms], values, atol=6e-3)
    assert {(a.residue.name, a.atom.name) for a in atoms} == {("ASP", "CA")}
    text = (tmp_path / "beads.pdb").read_text()
    assert "20 models" in text and "radius (A): 1.250" in text
    back = read_structure(tmp_path / "beads.pdb")
    assert back.kind == "beads" and len(back.xyz_angstrom) == len(xyz)


def test_more_beads_than_five_digits_count(tmp_path):
    xyz = np.stack(np.unravel_index(np.arange(100_050), (50, 50, 50)), -1) * 2.0
    write_beads(tmp_path / "many.pdb", xyz, 1.0)
    lines = (tmp_path / "many.pdb").read_text().splitlines()
    assert {len(line) for line in lines[1:-1]} == {78}
    assert lines[100_000][6:11] == "A0000" and lines[99_999][6:11] == "99999"
    structure = gemmi.read_structure(str(tmp_path / "many.pdb"))
    atoms = [cra.atom for cra in structure[0].all()]
    assert len(atoms) == 100_050 and atoms[-1].serial == 100_050
    np.testing.assert_allclose(atoms[-1].pos.tolist(), xyz[-1], atol=1e-3)


def test_beads_beyond_the_columns_of_a_pdb_file_are_written_as_mmcif(tmp_path):
    xyz = np.array([[-2222.2, 0, 0], [0.5, 12345.678, -1], [0, 0, 3000.0], [1, 2, 3]])
    values = np.array([0.25, 0.5, 1.0, 2.0])
    assert not fits_pdb(xyz) and fits_pdb(xyz[2:]) and fits_pdb(xyz[:0])
    write_beads(tmp_path / "beads.cif", xyz, 91.7, values, remarks=["two lines,", "and a 'quote'"])
    structure = gemmi.read_structure(str(tmp_path / "beads.cif"))
    found = list(structure[0].all())
    np.testing.assert_allclose([a.atom.pos.tolist() for a in found], xyz, atol=6e-4)
    np.testing.assert_allclose([a.atom.occ for a in found], np.minimum(values, 1))
    np.testing.assert_allclose([a.atom.b_iso for a in found], 100 * np.minimum(values, 1))
    assert {(a.residue.name, a.atom.name, a.atom.element.name) for a in found} == {("ASP", "CA", "C")}
    text = (tmp_path / "beads.cif").read_text()
    assert "and a 'quote'" in text and "radius (A): 91.700" in text
    back = read_structure(tmp_path / "beads.cif", assembly=None)
    assert back.kind == "beads" and len(back.xyz_angstrom) == 4
    np.testing.assert_allclose(back.xyz_angstrom, xyz, atol=1e-3)


def test_beads_that_no_file_holds(tmp_path):
    for xyz in (np.zeros((0, 3)), [[1e4, 0, 0]], [[0, -1e3, 0]], [[np.nan, 0, 0]]):
        with pytest.raises(ValueError):
            write_beads(tmp_path / "beads.pdb", xyz, 1.0)
    assert not list(tmp_path.iterdir())

"""Patterson maps from files, and what is no such file."""

import gzip

import gemmi
import mrcfile
import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.maps import write_map
from phasenet.io.patterson_maps import read_patterson

VALUES = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32)


def test_an_array_comes_back_as_it_is(tmp_path):
    for values in (VALUES, np.asfortranarray(VALUES.astype(">f8")), (VALUES * 100).astype(np.int16)):
        np.save(tmp_path / "map.npy", values)
        found = read_patterson(tmp_path / "map.npy")
        np.testing.assert_array_equal(found.values, values)
        assert found.values.dtype == np.float64 and found.pitch_angstrom is None


def test_a_ccp4_map_brings_its_pitch(tmp_path):
    write_map(tmp_path / "map.ccp4", VALUES, 0.7, np.zeros(3))
    (tmp_path / "map.ccp4.gz").write_bytes(gzip.compress((tmp_path / "map.ccp4").read_bytes()))
    (tmp_path / "nameless").write_bytes((tmp_path / "map.ccp4").read_bytes())
    for name in ("map.ccp4", "map.ccp4.gz", "nameless"):
        found = read_patterson(tmp_path / name)
        np.testing.assert_array_equal(found.values, VALUES)
        assert found.pitch_angstrom == pytest.approx(0.7, rel=1e-6) and "0.7 A" in found.notes[0]


def test_axes_stored_in_another_order(tmp_path):
    with mrcfile.new(tmp_path / "map.mrc") as file:
        file.set_data(VALUES)  # sections, rows, columns
        file.header.mapc, file.header.mapr, file.header.maps = 2, 3, 1
        file.voxel_size = 0.5
    np.testing.assert_array_equal(read_patterson(tmp_path / "map.mrc").values, VALUES.transpose(0, 2, 1))


def not_finite(value):
    values = VALUES.copy()
    values[1, 2, 3] = value
    return values


@pytest.mark.parametrize(("array", "message"), [
    (not_finite(np.nan), r"index \(1, 2, 3\) is nan$"), (not_finite(-np.inf), r"index \(1, 2, 3\) is -inf$"),
    (np.full((8, 8, 8), np.nan), r"\(0, 0, 0\) is nan, and 511 others"),
    (VALUES[:7], r"shape \(7, 8, 8\); a cubic map"), (VALUES[0], r"shape \(8, 8\)"),
    (np.zeros((2, 2, 700)), r"N at most 512"), (np.zeros((0, 0, 0)), r"shape \(0, 0, 0\)"),
    (VALUES.astype(complex), "complex"), (VALUES > 0.5, "type bool"), (VALUES.astype(str), "type <U")])
def test_arrays_that_are_no_map(tmp_path, array, message):
    np.save(tmp_path / "map.npy", array)
    with pytest.raises(InputError, match=message):
        read_patterson(tmp_path / "map.npy")


def test_files_that_are_none(tmp_path):
    np.save(tmp_path / "map.npy", VALUES)
    whole = (tmp_path / "map.npy").read_bytes()
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "map.npz", VALUES)
    (tmp_path / "folder").mkdir()
    for name, content in (("empty", b""), ("text", b"0 0 0 1\n"), ("cut.npy", whole[:-9]), ("stub.npy", whole[:20])):
        (tmp_path / name).write_bytes(content)
    for name, message in (("missing", "no such file"), ("folder", "is a folder"), ("empty", "file is empty"),
                          ("text", "neither a NumPy array"), ("cut.npy", "not a readable .npy"),
                          ("stub.npy", "not a readable .npy"), ("objects.npy", "not a readable .npy"),
                          ("map.npz", "npz archive")):
        with pytest.raises(InputError, match=message) as raised:
            read_patterson(tmp_path / name)
        assert "\n" not in str(raised.value)


def test_ccp4_maps_that_are_not_cubic(tmp_path):
    def write(values, cell):
        ccp4 = gemmi.Ccp4Map()
        ccp4.grid = gemmi.FloatGrid(values, gemmi.UnitCell(*cell, 90, 90, 90), gemmi.SpaceGroup("P 1"))
        ccp4.update_ccp4_header(2, True)
        ccp4.write_ccp4_map(str(tmp_path / "map.ccp4"))
    for values, cell, message in ((VALUES[:4], (4, 8, 8), r"shape \(4, 8, 8\)"),
                                  (VALUES, (4, 8, 8), "voxels of 0.5 x 1 x 1 A"),
                                  (not_finite(np.nan), (8, 8, 8), "not numbers")):
        write(np.ascontiguousarray(values), cell)
        with pytest.raises(InputError, match=message):
            read_patterson(tmp_path / "map.ccp4")

"""Patterson maps from files, and what is no such file."""

import gzip
import pathlib
import tempfile

import gemmi
import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map, write_map
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
    (not_finite(np.nan), r"index \(1, 2, 3\) is nan; expected finite values$"),
    (not_finite(-np.inf), r"index \(1, 2, 3\) is -inf; expected"),
    (np.full((8, 8, 8), np.nan), r"\(0, 0, 0\) is nan, and 511 other values are not finite"),
    (VALUES[:7], r"the shape is \(7, 8, 8\); expected a cubic map"), (VALUES[0], r"shape is \(8, 8\)"),
    (np.zeros((2, 2, 700)), r"N from 2 to 512"), (np.zeros((0, 0, 0)), r"shape is \(0, 0, 0\)"),
    (np.full((8, 8, 8), 1e4000 if np.finfo(np.longdouble).max > 1e4000 else np.inf, np.longdouble), "is inf"),
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


@pytest.mark.parametrize(("word", "value", "message"), [
    (0, np.int32(100_000), "the header claims 100000 x 8 x 8 voxels, 25601024 bytes, but the file has 3152"),
    (1, np.int32(-8), "8 x -8 x 8 voxels"), (3, np.int32(4), "mode 4"), (3, np.int32(-1), "mode -1"),
    (49, np.float32(np.inf), "origin"), (10, np.float32(np.nan), "no voxel size")])
def test_ccp4_headers_that_cannot_be(tmp_path, word, value, message):
    path = tmp_path / "map.ccp4"
    write_map(path, VALUES, 0.7, np.zeros(3))
    content = bytearray(path.read_bytes())
    content[4 * word:4 * word + 4] = value.tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: .*{message}"):
        read_patterson(path)


@given(words=st.lists(st.tuples(st.integers(0, 255), st.one_of(
    st.integers(-2**31, 2**31 - 1).map(np.int32), st.integers(-3, 40).map(np.int32),
    st.floats(width=32).map(np.float32))), max_size=3))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_header_is_a_sane_map_or_a_line_of_reproach(words):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "any.ccp4"
        write_map(path, VALUES, 0.7, np.zeros(3))
        content = bytearray(path.read_bytes())
        for word, value in words:
            content[4 * word:4 * word + 4] = value.tobytes()
        path.write_bytes(content)
        try:
            found = read_map(path)
        except InputError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable()
        else:
            assert found.density.size and all(np.isfinite(part).all() for part in found)
            assert (found.pitch_angstrom > 0).all()


def test_a_zipped_map_of_gigabytes_is_refused(tmp_path):
    path = tmp_path / "map.ccp4"
    write_map(path, VALUES, 0.7, np.zeros(3))
    content = bytearray(path.read_bytes())
    content[:12] = np.full(3, 512, np.int32).tobytes()
    path = tmp_path / "map.ccp4.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="MB unpack to 512 MB or more, over 50 times as much"):
        read_patterson(path)


def test_ccp4_maps_that_are_not_cubic(tmp_path):
    def write(values, cell):
        ccp4 = gemmi.Ccp4Map()
        ccp4.grid = gemmi.FloatGrid(values, gemmi.UnitCell(*cell, 90, 90, 90), gemmi.SpaceGroup("P 1"))
        ccp4.update_ccp4_header(2, True)
        ccp4.write_ccp4_map(str(tmp_path / "map.ccp4"))
    for values, cell, message in ((VALUES[:4], (4, 8, 8), r"shape is \(4, 8, 8\)"),
                                  (VALUES, (4, 8, 8), "the voxels are 0.5 x 1 x 1 A"),
                                  (not_finite(np.nan), (8, 8, 8), r"voxel \(1, 2, 3\) is nan")):
        write(np.ascontiguousarray(values), cell)
        with pytest.raises(InputError, match=message):
            read_patterson(tmp_path / "map.ccp4")

"""Archives of structures, the packed training set, and its split: round trips and damage."""

import functools
import gzip
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError
from phasenet.io import decompression
from phasenet.io.npy import read_header, read_values
from phasenet.io.npz import read_npz
from saxsae.io.structures.corpus import read_archive, read_corpus, write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.io.structures.voxelized_corpus import VoxelizedCorpus, read_voxelized, write_voxelized
from saxsae.shapes import voxels
from saxsae.shapes.batches import voxelize_many
from saxsae.shapes.validation_split import validation_mask


def blob(seed, atoms=40, size=12.0, **kwargs):
    rng = np.random.default_rng(seed)
    xyz = np.round(rng.normal(size=(atoms, 3)) * size, 1).astype(np.float32)
    return Structure(xyz, rng.choice([6, 7, 8], atoms).astype(np.uint8),
                     kwargs.pop("kind", "atoms"), kwargs.pop("name", f"blob{seed}"), **kwargs)


def test_archive_round_trip(tmp_path):
    structures = [blob(0, pdb_id="1abc", source="a/b:c.pdb"), blob(1, 7, kind="beads")]
    write_archive(tmp_path / "a.npz", structures)
    back = read_archive(tmp_path / "a.npz")
    for old, new in zip(structures, back, strict=True):
        np.testing.assert_allclose(new.xyz_angstrom, old.xyz_angstrom, atol=1e-4)
        np.testing.assert_array_equal(new.atomic_number, old.atomic_number)
        assert new[2:] == old[2:]
    twice = read_corpus([tmp_path / "a.npz", tmp_path / "a.npz"])
    assert [s.name for s in twice] == ["blob0", "blob1"] * 2
    assert len(read_corpus(tmp_path / "a.npz")) == 2


def test_archive_without_elements(tmp_path):
    np.savez(tmp_path / "a.npz", names=["x"], offsets=[0, 2], xyz=np.array([[0, 0, 1], [0, 5, 0]]))
    (structure,) = read_archive(tmp_path / "a.npz")
    np.testing.assert_array_equal(structure.atomic_number, [6, 6])
    np.testing.assert_allclose(structure.xyz_angstrom[1], [0, 0.5, 0])
    assert structure.kind == "atoms" and "elements" in structure.notes[0]


def test_coordinates_too_far_for_an_archive(tmp_path):
    far = blob(0)._replace(xyz_angstrom=np.full((2, 3), 4000.0))
    with pytest.raises(InputError, match="3276.7"):
        write_archive(tmp_path / "a.npz", [far])
    assert not list(tmp_path.iterdir())


GOOD = {"names": np.array(["a", "b"]), "offsets": np.array([0, 1, 3]),
        "xyz": np.zeros((3, 3), np.int16)}


@pytest.mark.parametrize("change, message", [
    ({"offsets": None}, "no array 'offsets'"),
    ({"offsets": np.array([0, 1, 4])}, "from 0 to 4, but 'xyz' has 3"),
    ({"offsets": np.array([0, 3, 3])}, "structure b"),
    ({"offsets": np.array([0, 4, 3])}, "increase"),
    ({"offsets": np.array([0, 3])}, "one more than 'names'"),
    ({"offsets": np.array([0.0, 1.0, 3.0])}, "float64"),
    ({"names": np.array([], "U1"), "offsets": np.array([0])}, "at least one"),
    ({"names": np.array([1, 2])}, "string"),
    ({"xyz": np.zeros((3, 2), np.int16)}, "(atoms, 3)"),
    ({"xyz": np.zeros((3, 3), np.float32)}, "whole numbers in 0.1 A"),
    ({"kind": np.array(["atoms"])}, "2 strings"),
    ({"atomic_number": np.array([6, 6], np.uint8)}, "one per row"),
    ({"atomic_number": np.array([6, 0, 6], np.uint8)}, "elements are 1 to 118"),
    ({"xyz": np.full((3, 3), 2**40)}, "-1000000 and 1000000 are needed"),
])
def test_arrays_that_contradict_each_other(tmp_path, change, message):
    arrays = {key: value for key, value in (GOOD | change).items() if value is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError) as info:
        read_archive(tmp_path / "bad.npz")
    assert message in str(info.value) and "\n" not in str(info.value)


def test_files_that_are_no_archives(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, noise=np.random.default_rng(0).bytes(5000))
    whole = path.read_bytes()
    for content, message in [(b"", "empty"), (b"text, not an archive", "archive"),
                             (whole[:-300], "archive"), (whole[:300], "archive")]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_npz(path, ("noise",))
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match="single array"):
        read_npz(tmp_path / "a.npy", ("noise",))
    np.savez(path, noise=np.array([{"a": 1}], object))
    with pytest.raises(InputError, match="archive"):  # would need pickle, which runs code
        read_npz(path, ("noise",))
    with pytest.raises(InputError, match="Python objects, which are never read"):
        read_npz(path, ())
    with pytest.raises(InputError, match="no such file"):
        read_npz(tmp_path / "absent.npz", ())
    with pytest.raises(InputError, match="folder"):
        read_npz(tmp_path, ())


def archive_of(header, values=bytes(96), method=zipfile.ZIP_DEFLATED):
    """An archive of one array with a header made up."""
    header = header.encode() + b"\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("noise.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + values)
    return archive.getvalue()


@pytest.mark.parametrize(("content", "message"), [
    (archive_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}"), "claims an array"),
    (archive_of("{'descr': '<f8', 'fortran_order': False, 'shape': (13,)}"), "claims an array"),
    (archive_of("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), "is not a shape"),
    (archive_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1180591620717411303424, 0)}"), "claims an array"),
    (archive_of("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}"), "is not a shape"),
    (archive_of("{'descr': '|O', 'fortran_order': False, 'shape': (12,)}"), "Python objects"),
    (archive_of("{'descr': '<f3', 'fortran_order': False, 'shape': (12,)}"), "type '<f3'"),
    (archive_of("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (12,)}"), "numbers or strings"),
    (archive_of("{'descr': '<U4', 'fortran_order': False, 'shape': (6,)}", b"\xff" * 96), "no characters"),
    (archive_of("{'descr': '<f8', 'fortran_order': 1, 'shape': (12,)}"), "damaged"),
    (archive_of("  {'a'\n:  ("), "damaged"), (archive_of("{" + "[" * 3000), "damaged"),
    (archive_of("{[]: 1}"), "damaged"),
    (archive_of("x" * 20_000), "too long"), (archive_of("{}", method=zipfile.ZIP_LZMA), "packed by method 14")])
def test_headers_that_claim_what_is_not_there(tmp_path, content, message):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path}/a.npz: not a readable .npz archive \('noise.npy'.*{message}"):
        read_npz(tmp_path / "a.npz", ("noise",))


@given(changes=st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), max_size=5))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_in_a_header(changes):
    content = io.BytesIO()
    np.save(content, np.arange(12.0).reshape(3, 4))
    content = bytearray(content.getvalue())
    for place, value in changes:
        content[place] = value
    try:
        stream = io.BytesIO(content)
        header = read_header(stream, len(content))
        array = read_values(stream, header)
    except ValueError as error:
        assert str(error)
    else:
        assert array.nbytes <= len(content) - 128 and array.dtype.kind in "biufcSU"


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"f": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "scalar": np.array(3, np.uint8),
              "empty": np.zeros((0, 3)), "big_endian": np.arange(4, dtype=">i2"),
              "text": np.array(["a", "\u00e9\U0001f600"]), "bytes": np.array([b"x"]), "flags": np.array([True, False])}
    np.savez(tmp_path / "a.npz", **arrays)
    for name, array in read_npz(tmp_path / "a.npz", ()).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype and array.shape == arrays[name].shape


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", noise=np.zeros(decompression.ALWAYS_ALLOWED_BYTES + 2**20, np.uint8))
    with pytest.raises(InputError, match=r"a.npz: not a readable .npz archive \(its 0.0\d+ MB unpack to 65 MB or more"):
        read_npz(tmp_path / "a.npz", ())
    packed = gzip.compress(bytes(decompression.ALWAYS_ALLOWED_BYTES + 2**20), 1)
    with pytest.raises(ValueError, match="MB unpack to 64 MB or more"):
        decompression.gunzip(packed)
    assert decompression.gunzip(gzip.compress(bytes(2**20))) == bytes(2**20)


def test_names_may_be_bytes(tmp_path):
    np.savez(tmp_path / "a.npz", **GOOD | {"names": np.array([b"a", b"\xff"]), "sources": np.array([b"x", b"y"])})
    assert [(s.name, s.source) for s in read_archive(tmp_path / "a.npz")] == [("a", "x"), ("\ufffd", "y")]


@functools.cache
def packed_set():
    structures = [blob(i, pdb_id=f"{i + 1}abc") for i in range(3)]
    bits, r_max = voxelize_many([s.xyz_angstrom for s in structures])
    return VoxelizedCorpus(bits, r_max, np.array([s.name for s in structures]),
                     np.array([s.pdb_id for s in structures]), np.array(["s"] * 3),
                     np.array([0, 1, 0], np.uint8))


def test_packed_round_trip(tmp_path):
    shapes = packed_set()
    write_voxelized(tmp_path / "new" / "set.npz", shapes)
    for old, new in zip(shapes, read_voxelized(tmp_path / "new" / "set.npz"), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.npz"]


@pytest.mark.parametrize("change", [
    {"occupancy": np.zeros((3, 100), np.uint8)}, {"occupancy": np.zeros((3, 3724), np.float32)},
    {"names": np.array(["a"])}, {"split": np.zeros(3)}, {"r_max_angstrom": np.array([1, 0, 1.0])},
    {"r_max_angstrom": np.array([1, np.nan, 1.0])}, {"version": np.array(2)},
    {"r_max_angstrom": np.array([1, 1e300, 1.0])}, {"split": np.array([0, 1, 7])}])
def test_damaged_packed_set(tmp_path, change):
    arrays = packed_set()._asdict() | {"version": np.array(1)} | change
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError):
        read_voxelized(tmp_path / "set.npz")


def test_many_structures_voxelize_as_one_does(monkeypatch):
    # Several sizes and reaches, beads, and one structure that goes in pieces.
    monkeypatch.setattr("saxsae.shapes.batches._MAX_ATOMS", 512)
    structures = [blob(0, 300, 16.0), blob(1, 200, 40.0), blob(2, 1300, 40.0), blob(3, 300, 16.0)]
    spacings = [None, None, None, 7.0]
    done = []
    bits, r_max = voxelize_many([s.xyz_angstrom for s in structures], spacings, done.append)
    assert done[-1] == 4
    for i, structure in enumerate(structures):
        occupancy, radius = voxels.voxelize_structure(structure.xyz_angstrom, spacings[i])
        assert r_max[i] == pytest.approx(radius, rel=1e-5)
        # A voxel may lie on the edge of its ball.
        assert (np.unpackbits(voxels.pack(occupancy) ^ bits[i])).sum() <= 2
    with pytest.raises(ValueError, match="structure 1"):
        voxelize_many([structures[0].xyz_angstrom, np.ones((4, 3))])


def test_split_keeps_entries_together():
    rng = np.random.default_rng(0)
    ids = np.array([f"{i}abc" for i in rng.integers(0, 2000, 6000)])
    names = [f"n{i}" for i in range(6000)]
    mask = validation_mask(names, ids, 0.08)
    assert 0.06 < mask.mean() < 0.10
    for pdb_id in set(ids):
        assert len(set(mask[ids == pdb_id])) == 1
    # The split of an entry does not depend on what else is in the corpus.
    np.testing.assert_array_equal(validation_mask(names[:50], ids[:50], 0.08), mask[:50])


def test_split_joins_what_belongs_together():
    names = ["x", "x_A", "y_rank_001", "y_rank_002_B", "z~2", "z"]
    for fraction in np.linspace(0.1, 0.9, 9):
        mask = validation_mask(names, [""] * 6, fraction)
        assert mask[0] == mask[1] and mask[2] == mask[3] and mask[4] == mask[5]
        mask = validation_mask(["a", "b", "c"], ["1abc", "1abc 2xyz", "2xyz"], fraction)
        assert len(set(mask)) == 1
    assert not validation_mask(names, [""] * 6, 0.0).any()

"""NXcanSAS and other NeXus HDF5 files, made here with h5py: which group is read, what is refused, damaged files."""

import pathlib
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError
from saxsae.io.curves.formats.binary import is_hdf5
from saxsae.io.curves.formats.hdf5_texts import find_heaps
from saxsae.io.curves.measured_curves import read_curve

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra nxcansas)")

Q = np.linspace(0.01, 0.3, 60)
X = Q * 25.0
I = 100 * (3 * (np.sin(X) - X * np.cos(X)) / X**3) ** 2
S = np.sqrt(I + 0.3) / 10
I = I + S * np.random.default_rng(0).normal(size=60)


def make(path, unit="1/angstrom", groups=("sasdata01",), default=True, sigma="Idev", scale=1.0):
    """Writes a file as the NXcanSAS definition shows it; the intensities of group n are n times those of the first."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("sasentry01")
        entry.attrs.update({"NX_class": "NXentry", "canSAS_class": "SASentry", "version": "1.0"})
        entry["definition"], entry["title"], entry["run"] = "NXcanSAS", "a sphere, Rg 19.4 A", "1"
        if default:
            file.attrs["default"], entry.attrs["default"] = "sasentry01", groups[-1]
        for number, name in enumerate(groups, 1):
            group = entry.create_group(name)
            group.attrs.update({"NX_class": "NXdata", "canSAS_class": "SASdata", "signal": "I", "I_axes": "Q",
                                "Q_indices": np.array([0])})
            group["Q"], group["I"] = scale * Q, number * I
            group["Q"].attrs["units"] = unit
            group["I"].attrs["units"] = "1/cm"
            if sigma:
                group["I"].attrs["uncertainties"] = sigma
                group[sigma] = number * S
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_curve(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.isprintable()
    return message.removeprefix(f"{path}: ")


def check(curve, intensity=I, sigma=S):
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-12)
    np.testing.assert_allclose(curve.intensity, intensity, rtol=1e-12)
    np.testing.assert_allclose(curve.sigma, sigma, rtol=1e-12)


def test_a_file_as_the_definition_shows_it(tmp_path):
    curve = read_curve(make(tmp_path / "a.h5"))
    check(curve)
    assert curve.unit == "1/A" and curve.notes[0] == "NXcanSAS" and "q in 1/A, as the file says" in curve.notes
    check(read_curve(make(tmp_path / "named.dat", sigma="any_name")))


@pytest.mark.parametrize("unit, scale", [("1/nm", 10), ("1/m", 1e10), ("nm^-1", 10), ("A^-1", 1)])
def test_units_of_the_attribute(tmp_path, unit, scale):
    curve = read_curve(make(tmp_path / "a.h5", unit, scale=scale))
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-12)


def test_the_default_group_is_read_or_else_the_first(tmp_path):
    curve = read_curve(make(tmp_path / "a.h5", groups=("one", "two", "three")))
    check(curve, 3 * I, 3 * S)
    assert "the file has 3 curves (SASdata): the default was read" in curve.notes
    curve = read_curve(make(tmp_path / "b.h5", groups=("one", "two"), default=False))
    check(curve)
    assert "the file has 2 curves (SASdata): the first was read" in curve.notes


def test_without_uncertainties(tmp_path):
    curve = read_curve(make(tmp_path / "a.h5", sigma=None))
    assert curve.sigma_estimated and any("the file has no sigma" in note for note in curve.notes)


def test_two_dimensional_data_is_refused_by_name(tmp_path):
    for axes, indices in ((["Q", "Q"], [0, 1]), (["Qx", "Qy"], [0, 1]), ("Q,Q", [0, 1])):
        path = make(tmp_path / "a.h5")
        with h5py.File(path, "r+") as file:
            group = file["sasentry01/sasdata01"]
            group.attrs["I_axes"], group.attrs["Q_indices"] = axes, indices
        assert refusal(path) == ("HDF5 group /sasentry01/sasdata01 is two-dimensional (more than one Q axis): average "
                                 "it over the angles first")


def test_frames_of_one_q_give_the_first_frame(tmp_path):
    path = make(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        group = file["sasentry01/sasdata01"]
        del group["I"], group["Idev"]
        group["I"], group["Idev"] = np.stack([I, 2 * I]), np.stack([S, 2 * S])
        group.attrs["I_axes"] = ["Time", "Q"]
        group.attrs["Q_indices"] = [1]
    curve = read_curve(path)
    check(curve)
    assert "the group has 2 curves: the first was read" in curve.notes


def test_plain_nexus_data_with_an_axis_q(tmp_path):
    """As pyFAI writes it."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("entry_0000").attrs["NX_class"] = "NXentry"
        group = file["entry_0000"].create_group("results")
        group.attrs.update({"NX_class": "NXdata", "signal": "intensity", "axes": ["q"]})
        group["q"], group["intensity"], group["intensity_errors"] = 10 * Q, I, S
        group["q"].attrs["units"] = "nm^-1"
    curve = read_curve(path)
    check(curve)
    assert curve.unit == "1/nm"
    with h5py.File(path, "r+") as file:
        group = file["entry_0000/results"]
        group.attrs["axes"] = ["2th"]
        group["2th"] = Q
    assert "is not I(q), its axis is 2th: give NXcanSAS with I and Q" in refusal(path)


def test_files_without_a_curve(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(10)
    assert refusal(path) == "is HDF5 without a SASdata or NXdata group: give NXcanSAS, or export q, I, sigma as text"
    path = make(tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        del file["sasentry01/sasdata01/I"]
    assert "has no array of numbers I: give NXcanSAS with I and Q" in refusal(path)


@pytest.mark.parametrize("wrong", [
    lambda: "text", lambda: np.array([b"a", b"b"]), lambda: h5py.Empty("f8"), lambda: np.zeros((0,)), lambda: 1.0,
    lambda: np.arange(59.0), lambda: np.zeros((60, 60)), lambda: np.zeros(60, complex),
    lambda: np.zeros(60, [("a", float)]), lambda: np.array([[1.0, 2.0]])], ids=range(10))
@pytest.mark.parametrize("name", ["Q", "I"])
def test_arrays_of_the_wrong_type_or_shape(tmp_path, name, wrong):
    path = make(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["sasentry01/sasdata01"][name]
        file["sasentry01/sasdata01"][name] = wrong()
    assert refusal(path)


@pytest.mark.parametrize("value", [1, 1.5, b"\xff\xfe", "", [], np.zeros((2, 2)), ["", "x"], np.zeros(0)], ids=range(8))
@pytest.mark.parametrize("name", ["signal", "I_axes", "Q_indices", "canSAS_class", "default", "NX_class"])
def test_attributes_of_the_wrong_type(tmp_path, name, value):
    path = make(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["sasentry01/sasdata01"].attrs[name] = value
    try:
        check(read_curve(path))
    except InputError as error:
        assert str(error).startswith(f"{path}: ")


def test_huge_arrays_links_to_other_files_and_circles_are_not_followed(tmp_path):
    other = make(tmp_path / "other.h5")
    path = make(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        group = file["sasentry01/sasdata01"]
        group["circle"] = file["sasentry01"]
        group["soft"] = h5py.SoftLink("/nowhere")
    check(read_curve(path))
    with h5py.File(path, "r+") as file:
        group = file["sasentry01/sasdata01"]
        del group["I"]
        group["I"] = h5py.ExternalLink(str(other), "/sasentry01/sasdata01/I")
    assert "has no array of numbers I" in refusal(path)
    with h5py.File(path, "r+") as file:
        group = file["sasentry01/sasdata01"]
        del group["I"]
        group.create_dataset("I", (10**12,), "f8", chunks=(1000,), compression="gzip")
    assert "has no array of numbers I" in refusal(path)
    with h5py.File(path, "r+") as file:
        group = file["sasentry01/sasdata01"]
        del group["I"]
        group.create_dataset("I", (60,), "f8", external=[(str(tmp_path / "raw"), 0, 480)])
    assert "has no array of numbers I" in refusal(path)


def test_without_h5py(tmp_path, monkeypatch):
    path = make(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert refusal(path) == "is HDF5, which needs h5py: python -m pip install h5py (the extra nxcansas)"


def test_cut_and_foreign_files(tmp_path):
    content = make(tmp_path / "a.h5").read_bytes()
    assert is_hdf5(content) and is_hdf5(bytes(512) + content) and not is_hdf5(b"0.1 2 3\n")
    (tmp_path / "b.h5").write_bytes(content[:700])
    assert refusal(tmp_path / "b.h5").startswith("cannot be read as HDF5 (")


_CONTENT: list[bytes] = []


@given(changes=st.lists(st.tuples(st.integers(8, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_damaged_files_are_read_or_refused(changes):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.h5"
        if not _CONTENT:
            _CONTENT.append(make(path).read_bytes())
        content = bytearray(_CONTENT[0])
        for place, value in changes:
            content[place % (len(content) - 8) + 8] = value
        path.write_bytes(content)
        try:
            curve = read_curve(path)
        except InputError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable()
        else:
            assert np.isfinite(curve.q_inv_angstrom).all() and curve.q_inv_angstrom.size >= 10


@pytest.mark.parametrize("options", [{"libver": "latest"}, {"userblock_size": 512}], ids=str)
@pytest.mark.parametrize("text", [str, np.bytes_], ids=["of variable length", "of fixed length"])
def test_other_layouts_of_the_file(tmp_path, options, text):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", **options) as file:
        file.attrs["default"] = text("entry")
        entry = file.create_group("entry")
        entry.attrs["NX_class"], entry.attrs["default"] = text("NXentry"), text("data")
        entry["title"] = text("a sphere")
        group = entry.create_group("data")
        group.attrs.update({"canSAS_class": text("SASdata"), "signal": text("I"), "I_axes": text("Q")})
        group.create_dataset("Q", data=10 * Q, compression="gzip").attrs["units"] = text("1/nm")
        group.create_dataset("I", data=I.astype("f4"), chunks=(7,)).attrs["uncertainties"] = text("Idev")
        group["Idev"] = S.astype(">f8")
    curve = read_curve(path)
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-6)
    np.testing.assert_allclose(curve.intensity, I, rtol=1e-6)
    np.testing.assert_allclose(curve.sigma, S, rtol=1e-6)


def test_references_to_texts_are_checked_before_they_are_read(tmp_path):
    """The HDF5 library reads beyond the text, or for ever, where its length is damaged."""
    content = make(tmp_path / "a.h5").read_bytes()
    heap = content.index(b"GCOL")
    assert find_heaps(content)[heap]
    place = content.index((9).to_bytes(4, "little") + heap.to_bytes(8, "little"))  # a text of nine letters
    (tmp_path / "a.h5").write_bytes(content[:place] + b"\xff\xff\xff\x7f" + content[place + 4:])
    read_or_refuse(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(content[:heap + 24] + bytes(8) + content[heap + 32:])
    read_or_refuse(tmp_path / "b.h5")


def read_or_refuse(path):
    try:
        read_curve(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: ")

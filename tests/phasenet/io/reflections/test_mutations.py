"""No file makes a reader raise anything but InputError."""

import gemmi
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import looks_like_reflections, read_crystal

_PIECES = st.sampled_from([b"", b"\n", b"\0", b"'", b"\"", b";", b"\n;\n", b"loop_\n", b"data_x\n", b"*****",
                           b"nan", b"inf", b"1e999", b"-", b"_cell_length_a", b"?", b".", b"999999999999", b"=",
                           b"\xff", b"0 0 0\n", b"HKLF 5\n", b"(", b"e", b"_", b"#", b"\t", b"1_0", b"CELL", b"SYMM",
                           b"UNIT 1e300\n"])
_EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), _PIECES), min_size=1, max_size=6)
_SETTINGS = settings(max_examples=60, deadline=None, derandomize=True,
                     suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutated(data: bytes, edits) -> bytes:
    for place, removed, piece in edits:
        start = int(place * len(data))
        data = data[:start] + piece + data[start + removed:]
    return data


def read_or_refuse(path, **arguments) -> None:
    looks_like_reflections(path)
    try:
        crystal = read_crystal(path, **arguments)
    except InputError:
        return
    assert len(crystal.hkl) == len(crystal.intensity) == len(crystal.sigma) > 0
    assert np.isfinite(crystal.intensity).all() and (crystal.sigma > 0).all() and np.isfinite(crystal.cell).all()
    assert crystal.notes and all("\n" not in note for note in crystal.notes)


@pytest.mark.parametrize("which", ["hkl", "ins", "cif", "embedded", "both"])
@_SETTINGS
@given(edits=_EDITS)
def test_mutated_texts(made, which, edits):
    texts = {
        "hkl": made.fixed(), "ins": made.ins, "cif": made.cif_head + made.loop(),
        "embedded": f"{made.cif_head}_shelx_res_file\n;\n{made.ins};\n_shelx_hkl_file\n;\n{made.fixed()};\n",
        "both": made.ins.replace("HKLF 4\nEND", "HKLF -4") + made.fixed()}
    path = made.folder / ("a.ins" if which == "ins" else "a.hkl" if which == "hkl" else "a.cif")
    if which == "ins":
        (made.folder / "a.hkl").write_text(made.fixed())
    path.write_bytes(mutated(texts[which].encode(), edits))
    read_or_refuse(path, **({"cell": made.cell} if which == "hkl" else {}))


@_SETTINGS
@given(edits=st.lists(st.tuples(st.integers(4, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutated_mtz_files(made, edits):
    path = made.folder / "a.mtz"
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.find_spacegroup_by_name("P 1 21/c 1")
    mtz.set_cell_for_all(gemmi.UnitCell(*made.cell))
    mtz.add_dataset("d")
    mtz.add_column("I", "J")
    mtz.add_column("SIGI", "Q")
    mtz.set_data(np.column_stack([made.hkl, made.intensity, made.sigma]).astype(np.float32))
    mtz.write_to_file(str(path))
    data = bytearray(path.read_bytes())
    for place, value in edits:
        data[4 + place % (len(data) - 4)] = value
    path.write_bytes(data)
    read_or_refuse(path)


@_SETTINGS
@given(data=st.binary(max_size=300))
def test_any_bytes(made, data):
    path = made.folder / "a.hkl"
    for start in (b"", b"MTZ ", b"data_a\nloop_\n", b"CELL 1 2 3 4 90 90 90\n"):
        path.write_bytes(start + data)
        read_or_refuse(path, cell=made.cell)


@_SETTINGS
@given(formula=st.text(max_size=30), elements=st.text(max_size=10), space_group=st.text(max_size=10),
       cell=st.text(max_size=20))
def test_any_arguments(made, formula, elements, space_group, cell):
    path = made.write(a_hkl=made.fixed(), a_ins=made.ins)
    for arguments in ({"formula": formula}, {"elements": elements}, {"space_group": space_group}, {"cell": cell}):
        read_or_refuse(path, **arguments)

"""Entries of the COD from a server that answers as the data bank's does, or fails to."""

import gzip
import json

import file_server
import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import read_crystal
from phasenet.io.servers import cod

ID = "2016452"
STRUCTURE = rb"""#$Revision: 301798 $
data_2016452
_publ_section_title
;
 Three made
 crystals
;
_journal_name_full 'Acta Crystallographica Section C'
_journal_paper_doi 10.1107/S0000000000000000
_chemical_formula_sum 'C14 H14 O2'
_cell_formula_units_Z 2
_cell_length_a 9.748(2)
_cell_length_b 8.890(2)
_cell_length_c 7.566(2)
_cell_angle_alpha 90
_cell_angle_beta 112.74(3)
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1 21/c 1'
_diffrn_radiation_wavelength 0.71073
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
O1 0.2149 0.2058 0.2199
"""
HKL = [(h, k, l) for h in (-3, 2, 4) for k in range(5) for l in (1, 6)]
ROWS = "".join(f"{h:4d}{k:4d}{l:4d}{20 + h + k:8.2f}{1.5:8.2f}\n" for h, k, l in HKL)
LOOP = ("data_2016452_Fobs\nloop_\n_refln_index_h\n_refln_index_k\n_refln_index_l\n_refln_F_squared_meas\n"
        "_refln_F_squared_sigma\n" + "".join(f"{h} {k} {l} {20 + h + k} 1.5\n" for h, k, l in HKL)).encode()
DATE = "Tue, 19 Aug 2025 06:09:12 GMT"
NOT_FOUND = file_server.Page(b"<html><body>Not Found</body></html>", {"Content-Type": "text/html"}, 404)


def page(body, **headers):
    return file_server.Page(body, {"Content-Type": "chemical/x-cif", "Last-Modified": DATE} | headers)


@pytest.fixture
def server():
    with file_server.serving(prefix="/cod/") as state:
        state.answers = {f"{ID}.cif": [page(STRUCTURE)], f"{ID}.hkl": [page(LOOP)]}
        yield state


def fetch(server, folder, *ids, **kwargs):
    return cod.download_entries(ids or [ID], folder, f"{server.url}/cod/", pause_seconds=0.001, timeout_seconds=5,
                                **kwargs)


def test_an_entry_comes_whole_and_once(server, tmp_path):
    for _ in range(2):  # the second time from what is there
        (entry,), unknown, failed = fetch(server, tmp_path)
        assert (entry.title, entry.formula, entry.space_group) == ("Three made crystals", "C14 H14 O2", "P 1 21/c 1")
        assert (entry.num_reflections, entry.notes, unknown, failed) == (len(HKL), (), [], [])
        assert entry.reflections == tmp_path / ID / f"{ID}.hkl" and entry.cell.tolist()[:2] == [9.748, 8.89]
        source = json.loads((tmp_path / ID / "source.json").read_text())
        assert source["files"] == [
            {"file": f"{ID}.{ending}", "address": f"{server.url}/cod/{ID}.{ending}", "last_modified": DATE,
             "bytes": len(body)} for ending, body in (("cif", STRUCTURE), ("hkl", LOOP))]
    assert source["doi"] == "10.1107/S0000000000000000" and "CC0" in source["licence"] and "D420" in source["cite"][1]
    assert sorted(path.name for path in (tmp_path / ID).iterdir()) == [f"{ID}.cif", f"{ID}.hkl", "source.json"]
    assert set(server.asked.values()) == {1}
    assert read_crystal(entry.reflections).elements == {"C": 28, "H": 28, "O": 4}


@pytest.mark.parametrize("body", [
    b"# COD\n" + ROWS.encode(), b"data_2016452\n_cell_measurement_temperature 173\n" + ROWS.encode(),
    b"data_2016452\n_shelx_hkl_file\n;\n" + ROWS.encode() + b";\n", gzip.compress(LOOP, mtime=0)],
    ids=["rows", "rows behind a CIF's head", "SHELX file", "gzip"])
def test_forms_of_reflections(server, tmp_path, body):
    server.answers[f"{ID}.hkl"] = [page(body, **{"Content-Encoding": "gzip"} if body[:1] == b"\x1f" else {})]
    (entry,), _, _ = fetch(server, tmp_path)
    crystal = read_crystal(entry.reflections)
    assert np.array_equal(crystal.hkl, HKL) and crystal.intensity[0] == 17 and len(crystal.operators) == 4
    assert entry.num_reflections == len(HKL) and entry.notes == ()


def test_an_entry_without_reflections_is_asked_for_them_again(server, tmp_path):
    server.answers[f"{ID}.hkl"] = [NOT_FOUND, page(LOOP)]
    (entry,), _, _ = fetch(server, tmp_path)
    assert entry.reflections is None and entry.num_reflections == 0 and entry.notes == ()
    assert entry.formula == "C14 H14 O2" and entry.cell is not None
    (entry,), _, _ = fetch(server, tmp_path)
    assert entry.num_reflections == len(HKL) and server.asked[f"{ID}.cif"] == 1
    source = json.loads((tmp_path / ID / "source.json").read_text())
    assert [file["last_modified"] for file in source["files"]] == [DATE, DATE]


def test_reflections_within_the_structure(server, tmp_path):
    server.answers[f"{ID}.cif"] = [page(STRUCTURE + b"_shelx_hkl_file\n;\n" + ROWS.encode() + b";\n")]
    server.answers[f"{ID}.hkl"] = [NOT_FOUND]
    (entry,), _, _ = fetch(server, tmp_path)
    assert entry.reflections == tmp_path / ID / f"{ID}.cif" and entry.num_reflections == len(HKL)


def test_reflections_that_cannot_be_read_are_said(server, tmp_path):
    server.answers[f"{ID}.hkl"] = [page(LOOP.replace(b"_meas", b"_calc"))]
    (entry,), _, _ = fetch(server, tmp_path)
    assert entry.reflections is None and "cannot be read" in entry.notes[0] and "calculated" in entry.notes[0]


def test_an_interrupted_run_goes_on(server, tmp_path):
    server.answers[f"{ID}.hkl"] = ["500", "cut", page(gzip.compress(LOOP)[:-9]), page(LOOP)]
    with pytest.raises(InputError, match=rf"{ID}\.hkl: the answer is a damaged gzip file.*run again"):
        fetch(server, tmp_path, attempts=3)
    assert sorted(path.name for path in (tmp_path / ID).iterdir()) == [f"{ID}.cif", "source.json"]
    (entry,), _, _ = fetch(server, tmp_path)
    assert entry.num_reflections == len(HKL)
    assert server.asked == {f"{ID}.cif": 1, f"{ID}.hkl": 4}
    source = json.loads((tmp_path / ID / "source.json").read_text())
    assert source["files"][0]["last_modified"] == DATE


@pytest.mark.parametrize("answer, reason", [
    (page(b"<!DOCTYPE html><p>Maintenance"), "the answer is a web page"), (page(b""), "the answer is empty"),
    (page(b"sorry, too many requests\n"), "the answer (is no CIF|holds no reflections)"), ("503", "HTTP 503"),
    ("hang up", "closed connection without response")])
@pytest.mark.parametrize("ending", ["cif", "hkl"])
def test_answers_that_are_no_entry(server, tmp_path, answer, reason, ending):
    server.answers[f"{ID}.{ending}"] = [answer]
    with pytest.raises(InputError, match=reason) as info:
        fetch(server, tmp_path, attempts=2)
    assert "\n" not in str(info.value) and f"{ID}.{ending}" in str(info.value)
    assert not list(tmp_path.rglob(f"{ID}.{ending}*"))
    assert (tmp_path / ID).exists() == (ending == "hkl")


def test_faults_are_told_and_the_others_go_on(server, tmp_path):
    server.answers |= {"1000001.cif": [NOT_FOUND], "1000002.cif": ["403"],
                       "1000003.cif": [("to", "http://localhost:9/1000003.cif")],
                       "1000004.cif": [("to", f"/cod/{ID}.cif")], "1000004.hkl": [page(LOOP)]}
    entries, unknown, failed = fetch(server, tmp_path, "1000001", "1000002", "1000003", "1000004", ID)
    assert [entry.id for entry in entries] == ["1000004", ID] and unknown == ["1000001"]
    assert [(key, word in reason) for (key, reason), word in zip(failed, ("HTTP 403", "not on"), strict=True)] == [
        ("1000002", True), ("1000003", True)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1000004", ID]
    source = json.loads((tmp_path / "1000004" / "source.json").read_text())
    assert source["files"][0]["address"] == f"{server.url}/cod/{ID}.cif"  # where the redirect led


def test_a_structure_that_was_put_there_is_kept(server, tmp_path):
    (tmp_path / ID).mkdir()
    (tmp_path / ID / f"{ID}.cif").write_bytes(STRUCTURE.replace(b"9.748(2)", b"-1"))
    (entry,), _, _ = fetch(server, tmp_path)
    assert server.asked == {f"{ID}.hkl": 1} and entry.reflections is None and entry.cell is None
    assert "delete the file to have it downloaded again" in entry.notes[0]
    source = json.loads((tmp_path / ID / "source.json").read_text())
    assert source["files"][0]["last_modified"] is None


def test_ids(tmp_path):
    assert cod.parse_ids("2016452,2242624 2016452") == [ID, "2242624"]
    (tmp_path / "ids.txt").write_text("2016452  # ours\n2242624\n")
    assert cod.parse_ids(f"{tmp_path}/ids.txt") == [ID, "2242624"]
    for text in ("201645", "20164521", "0016452", "../../x", "", "\u0662016452"):
        with pytest.raises(InputError, match="is neither a COD id nor a file; seven digits"):
            cod.parse_ids(text)
        with pytest.raises(InputError, match="is not a COD id"):
            cod.download_entries([text], tmp_path)
    with pytest.raises(InputError, match=f"{ID}.*run again"):
        cod.download_entries([ID], tmp_path, "http://127.0.0.1:9", attempts=2, pause_seconds=0.001)

"""Entries of the SASBDB from a server that answers as the data bank's does, or fails to."""

import json
import pathlib

import file_server
import gemmi
import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.servers import sasbdb
from saxsae.io.structures.beads import write_beads
from saxsae.io.structures.structure_files import read_structure

EXAMPLES = pathlib.Path(sasbdb.__file__).parents[2] / "examples"
CURVE = (EXAMPLES / "three_lobes.dat").read_bytes()
PDB = (EXAMPLES / "three_lobes.pdb").read_bytes()
CIF = gemmi.read_pdb_string(PDB.decode()).make_mmcif_document().as_string().encode()


@pytest.fixture
def server():
    with file_server.serving() as state:
        yield state


def offer(server, entry_id, atomic=True, **changes):
    """Puts an entry with a curve and two models on the server, its metadata nested as the data bank nests them."""
    media = f"{server.url}/media"
    models = [{"type_of_model": "dummy", "software": "DAMMIF", "pdb_link": [], "bead_radius": 1.9,
               "model_data": f"{media}/pdb_file/{entry_id}_fit1_model1.pdb",
               "model_plot": f"{media}/pdb_file/images/{entry_id}_fit1_model1_img.png"}]
    if atomic:
        models.append({"type_of_model": "atomic", "software": "PDB (Protein Data Bank)", "log": None,
                       "pdb_link": [{"pdb_code": "4w6z"}],
                       "model_data": f"{media}/pdb_file/{entry_id}_fit2_model1.cif"})
    entry = {
        "code": entry_id, "angular_unit": "1/A", "guinier_rg": 2.6, "pddf_data": None, "sascif_data": None,
        "intensities_data": f"{media}/intensities_files/{entry_id}.dat",
        "project": {"title": "Standards", "publication": {"doi": "10.1000/x"}},
        "experiment": {"sample": {"molecule": [{"long_name": "Three\nlobes"}, {"long_name": None}]}},
        "fits": [{"models": [model], "chi_square_value": 1.2, "fit_data": f"{media}/fitting_files/{entry_id}.fit"}
                 for model in models]} | changes
    server.answers |= {
        f"rest-api/entry/summary/{entry_id}.json": [json.dumps(entry).encode()],
        f"media/intensities_files/{entry_id}.dat": [CURVE],
        f"media/pdb_file/{entry_id}_fit1_model1.pdb": [PDB],
        f"media/pdb_file/{entry_id}_fit2_model1.cif": [CIF]}
    return entry


def fetch(server, folder, *ids, **kwargs):
    return sasbdb.download_entries(ids, folder, server.url, pause_seconds=0.001, timeout_seconds=5, **kwargs)


def test_an_entry_comes_whole_and_once(server, tmp_path):
    entry = offer(server, "SASDA28")
    for _ in range(2):  # the second time from what is there
        ((entry_id, profile, reference, models, notes),), unknown, failed = fetch(server, tmp_path, "SASDA28")
        assert (entry_id, models, notes, unknown, failed) == ("SASDA28", 2, (), [], [])
    folder = tmp_path / "SASDA28"
    assert sorted(path.name for path in folder.iterdir()) == [
        "entry.json", "model_2.pdb", "profile.dat", "reference.cif", "source.json"]
    assert (profile, reference) == (folder / "profile.dat", folder / "reference.cif")
    assert profile.read_bytes() == CURVE and len(read_structure(reference).xyz_angstrom) > 9
    assert json.loads((folder / "entry.json").read_text()) == entry
    source = json.loads((folder / "source.json").read_text())
    assert (source["id"], source["protein"], source["q_unit"]) == ("SASDA28", "Three lobes", "1/A")
    assert source["doi"] == "10.1000/x"
    assert [(model["file"], model["kind"], model["pdb_ids"]) for model in source["models"]] == [
        ("reference.cif", "atomic", ["4w6z"]), ("model_2.pdb", "dummy", [])]
    assert set(server.asked.values()) == {1} and server.most_at_once <= 2


def test_an_interrupted_run_goes_on(server, tmp_path):
    offer(server, "SASDA28")
    broken = "media/pdb_file/SASDA28_fit1_model1.pdb"
    server.answers[broken] = ["500", "cut", "hang up", PDB]
    with pytest.raises(InputError, match=r"SASDA28_fit1_model1.*run again"):
        fetch(server, tmp_path, "SASDA28", attempts=3)
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("source.json"))
    ((_, profile, reference, models, _),), _, _ = fetch(server, tmp_path, "SASDA28")
    assert profile and reference and models == 2 and server.asked.pop(broken) == 4
    assert set(server.asked.values()) == {1}  # the rest had come, and stayed


def test_what_a_server_may_do_before_it_serves(server, tmp_path):
    offer(server, "SASDA28", intensities_data="/media/intensities_files/SASDA28.dat")  # without the host
    summary, curve = "rest-api/entry/summary/SASDA28.json", "media/intensities_files/SASDA28.dat"
    server.answers[summary] = ["500", "page", "cut", b"[]", *server.answers[summary]]
    server.answers[curve] = [("to", "/moved/curve.dat")]
    server.answers["moved/curve.dat"] = ["page", "no length"]
    server.body = CURVE
    ((_, profile, *_),), _, _ = fetch(server, tmp_path, "SASDA28")
    assert profile.read_bytes() == CURVE and server.asked[summary] == 5


def test_faults_are_told_and_the_others_go_on(server, tmp_path):
    offer(server, "SASDA28", fits=[])
    offer(server, "SASDAC2", intensities_data=None)
    offer(server, "SASDAB7")
    del server.answers["media/intensities_files/SASDAB7.dat"]
    offer(server, "SASDC29", atomic=False)
    server.answers["media/pdb_file/SASDC29_fit1_model1.pdb"] = [b"no model at all\n"]
    server.answers["rest-api/entry/summary/SASDD11.json"] = ["403"]
    offer(server, "SASDZ99")
    entries, unknown, failed = fetch(
        server, tmp_path, "SASDA28", "SASDAC2", "SASDAB7", "SASDC29", "SASDD11", "SASDE22", "SASDZ99")
    found = {entry.id: (entry.profile and entry.profile.name, entry.reference and entry.reference.name)
             for entry in entries}
    assert found == {"SASDA28": ("profile.dat", None), "SASDAC2": (None, "reference.cif"),
                     "SASDAB7": (None, "reference.cif"), "SASDC29": ("profile.dat", None),
                     "SASDZ99": ("profile.dat", "reference.cif")}
    notes = {entry.id: "; ".join(entry.notes) for entry in entries}
    assert notes["SASDA28"] == "it has no model" and notes["SASDAC2"] == "it has no curve"
    assert "SASDAB7.dat: the server has no such file" in notes["SASDAB7"] and "cannot be read" in notes["SASDC29"]
    assert unknown == ["SASDE22"] and failed == [("SASDD11", "HTTP 403")]
    assert server.asked["rest-api/entry/summary/SASDD11.json"] == 1  # a refusal is not asked to repeat itself
    assert not (tmp_path / "SASDE22").exists()


def test_the_curve_may_be_in_another_file(server, tmp_path):
    gnom = "\n".join(f" {q:.4E} {np.exp(-200 * q * q):.4E} 1.0E-03 1.0E+00 1.0E+00" for q in np.linspace(0.01, 0.3, 40))
    offer(server, "SASDA28", pddf_data="/media/p_of_R_files/SASDA28.out", intensities_data="/media/absent.dat")
    server.answers["media/p_of_R_files/SASDA28.out"] = [
        b"      S          J EXP       ERROR       J REG       I REG\n\n" + gnom.encode()]
    ((_, profile, _, _, notes),), _, _ = fetch(server, tmp_path, "SASDA28")
    assert profile.name == "profile.out" and read_curve(profile).q_inv_angstrom.size == 40
    assert len(notes) == 1 and "absent.dat" in notes[0]


def test_models_are_found_wherever_they_nest(server, tmp_path):
    offer(server, "SASDA28", fits=None, supplement={"deep": [{"file": "/media/shape%20two.pdb"}, "a remark on x.pdb"]})
    write_beads(tmp_path / "beads.pdb", np.random.default_rng(0).normal(size=(20, 3)) * 9, 1.9)
    server.answers["media/shape%20two.pdb"] = [(tmp_path / "beads.pdb").read_bytes()]
    ((_, _, reference, models, _),), _, _ = fetch(server, tmp_path, "SASDA28")
    assert models == 1 and len(read_structure(reference).xyz_angstrom) == 20


def test_a_unit_that_differs_is_told(server, tmp_path):
    offer(server, "SASDA28", angular_unit="1/nm")
    ((_, _, _, _, (note,)),), _, _ = fetch(server, tmp_path, "SASDA28")
    assert "1/A" in note and "the entry says 1/nm" in note


def test_nothing_leaves_the_server(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sasbdb, "_MAX_CURVE_BYTES", 1000)
    offer(server, "SASDA28")
    offer(server, "SASDAC2", intensities_data="http://localhost:9/curve.dat", sascif_data="http://[half",
          pddf_data="file:///etc/passwd")
    server.answers["media/pdb_file/SASDAC2_fit2_model1.cif"] = [("to", "http://localhost:9/model.cif")]
    entries, _, _ = fetch(server, tmp_path, "SASDA28", "SASDAC2")
    assert [entry.profile for entry in entries] == [None, None]
    assert "larger than" in entries[0].notes[0]
    assert [("localhost" in note, "file:" in note) for note in entries[1].notes] == [
        (True, False), (False, True), (False, False), (True, False)]
    assert entries[1].models == 1  # the one that stayed on the server
    assert server.asked["media/intensities_files/SASDA28.dat"] == 1


@pytest.mark.parametrize("metadata", [
    b"[" * 100_000, b'"text"', b'{"code": "SASDB11"}', b"\xff\xfe"])
def test_answers_that_are_no_entry(server, tmp_path, metadata):
    server.answers["rest-api/entry/summary/SASDA28.json"] = [metadata]
    with pytest.raises(InputError, match="the answer is not") as info:
        fetch(server, tmp_path, "SASDA28", attempts=2)
    assert "\n" not in str(info.value) and not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("changes", [
    {"fits": {"models": "x"}}, {"fits": [{"models": [{"model_data": 3}, None]}]}, {"experiment": []}, {"project": None},
    {"angular_unit": {}, "fits": [{"models": [{"model_data": "\ud800.pdb"}, {"model_data": "http://x:y/\u2028"}]}]},
    {"fits": [{"models": [{"model_data": "x.pdb", "pdb_link": [1, {"pdb_code": None}]}]}]}])
def test_metadata_of_other_shapes(server, tmp_path, changes):
    offer(server, "SASDA28", **changes)
    ((_, profile, *_),), _, _ = fetch(server, tmp_path, "SASDA28")
    assert profile is not None


def test_no_server_and_no_ids(tmp_path):
    with pytest.raises(InputError, match="SASDA28.*run again"):
        sasbdb.download_entries(["SASDA28"], tmp_path, "http://127.0.0.1:9", attempts=2, pause_seconds=0.001)
    for url in ("ftp://somewhere", "http://", "http://[half", "sasbdb.org"):
        with pytest.raises(InputError, match="http://"):
            sasbdb.download_entries(["SASDA28"], tmp_path, url)
    for bad in ("../../x", "SASDA28/..", "sasda28", ""):
        with pytest.raises(InputError, match="not a SASBDB id"):
            sasbdb.download_entries([bad], tmp_path, "http://127.0.0.1:9")


def test_ids(tmp_path):
    assert sasbdb.parse_ids("sasda28,SASDAC2, SASDA28") == ["SASDA28", "SASDAC2"]
    path = tmp_path / "ids.txt"
    path.write_text("SASDA28  # a Fab\nsasd2b2\n")
    assert sasbdb.parse_ids(str(path)) == ["SASDA28", "SASD2B2"]
    path.write_text("SASDA28\n../../x\n")
    with pytest.raises(InputError, match="line 2: '../../x'"):
        sasbdb.parse_ids(str(path))
    for text in ("../../x", "SASDA28,1abc", ""):
        with pytest.raises(InputError, match="is neither a SASBDB id nor a file"):
            sasbdb.parse_ids(text)

"""report.html: it says what log.json says, holds all that it shows, and runs nothing that a file is called."""

import base64
import json
import pathlib
import re
import zlib

import numpy as np
import pytest
import report_pages

from launch.crystals import page as crystal_page
from launch.crystals import report as crystal_report
from launch.pages import page, scales
from launch.reconstruction import report as reconstruction_report
from launch.solution import report as solution_report
from phasenet.search import certificate
from saxsae.analysis.curve_report import compute_curve_numbers

ROOT = pathlib.Path(__file__).resolve().parents[2]

KINDS = {"reconstruction": report_pages.reconstruction, "solution": report_pages.solution,
         "crystal": report_pages.crystal}


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    """Text, payload and log of a page of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    KINDS[request.param](folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, report_pages.payload_of(text), json.loads((folder / "log.json").read_text())


def unpacked(packed):
    steps = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8).reshape(packed["size"])
    return packed["low"] + steps * (packed["high"] - packed["low"]) / 255


def test_it_says_what_the_log_says_but_the_times(made):
    text, payload, log = made
    assert payload.get("summary") == log.get("summary")
    for note in log["notes"]:
        assert note in payload["notes"]
    made_by = payload["provenance"]
    assert made_by["flags"] == log["flags"] and made_by["versions"] == log["versions"]
    assert made_by["revision"] == log["revision"]
    assert made_by["weights"].get("sha256") == log.get("weights", {}).get("sha256")
    assert "config" not in made_by["weights"]
    assert "123.4" not in text and "65.43" not in text and "timing" not in json.dumps(payload)


def test_nothing_is_fetched(made):
    text, _, _ = made
    markup = re.sub(r"(?s)<script>.*?</script>|<style>.*?</style>", "", text)
    assert not re.findall(r"https?://", markup)
    for value in re.findall(r"""\b(?:src|href)\s*=\s*["']?([^"'\s>]+)""", markup.replace("src=x", "")):
        assert value.startswith("data:")
    assert not re.findall(r"(?s)<style>.*?(?:url\(|@import).*?</style>", text)
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';" in markup
    assert len(text.encode()) < 1_500_000


def test_a_name_cannot_leave_its_place(made):
    text, payload, log = made
    assert payload["name"] in report_pages.NAME and payload["name"].endswith(".dat")
    assert log["flags"]["profile"] == payload["provenance"]["flags"]["profile"] == report_pages.NAME
    assert "document.title='run'</script>" not in text and "<img" not in text.replace("\\u003cimg", "")
    # The data, the libraries and ours: no other script begins or ends, whatever is in them.
    assert text.count("<script") == text.count("</script>") == 3


def test_each_number_says_what_is_good_and_what_is_bad(made):
    _, payload, _ = made
    assert len(payload["scales"]) == len(payload["rows"]) > 3 and all(payload["scales"])


def test_the_row_of_a_twin_has_a_scale():
    assert scales.scales_of([("twin", "0.398(4)", "")])[0]


def test_a_scales_numbers_are_those_of_the_guides_and_of_the_verdict():
    guide = (ROOT / "saxsae" / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"\d+\.\d+%?", " ".join(scales.SCALES[row] for row in ("r_max", "correlation with reference")))
    assert len(told) == 4 and all(number in guide for number in told)
    limit = f"at most {certificate.MAX_STANDARD_DEVIATION:g} voxel"
    for place in ("phasenet/README.md", "launch/pages/solution.js"):
        assert limit in (ROOT / place).read_text(encoding="utf-8")
    assert limit in scales.SCALES["standard deviation"]


def test_the_libraries_keep_their_licences(made):
    text, _, _ = made
    for words in ("Copyright (c) 2014, University of Pittsburgh", "Copyright (c) 2022 Leon Sorokin"):
        assert words in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_result_gives_the_same_page(kind, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        KINDS[kind](tmp_path / name)
    assert (tmp_path / "a" / "report.html").read_bytes() == (tmp_path / "b" / "report.html").read_bytes()


@pytest.mark.parametrize("mirrored", [False, True])
def test_shapes_fit_and_history_of_a_reconstruction(tmp_path, mirrored):
    found, placed = report_pages.reconstruction(tmp_path, mirrored)
    payload = report_pages.payload_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    shape, hand = payload["shape"], -1 if mirrored else 1
    np.testing.assert_allclose(unpacked(shape["density"]), found.density[:, :, ::hand], atol=1 / 500)
    assert len(shape["models"]) == 2
    np.testing.assert_allclose(unpacked(shape["models"][1]), found.models[1][:, :, ::hand], atol=1 / 500)
    assert len(shape["beads"]) == (found.density > shape["level"]).sum()
    # The reference was made of the map's own voxels, turned, shifted and mirrored: it comes back upon them.
    index = np.array(shape["reference"]["points"]) / shape["pitch"] + 15
    np.testing.assert_allclose(index, np.rint(index), atol=0.01)
    assert found.density[:, :, ::hand][tuple(np.rint(index).astype(int).T)].min() > 0.5
    assert any("mirror image of density.ccp4" in note for note in payload["notes"]) == mirrored
    assert payload["rows"] == [list(row) for row in reconstruction_report.rows(
        found, payload["summary"], compute_curve_numbers(report_pages.measured_curve()))]
    np.testing.assert_allclose(payload["fit"]["model"], found.fit, rtol=1e-5)
    residuals = (np.array(payload["fit"]["intensity"]) - payload["fit"]["model"]) / payload["fit"]["sigma"]
    assert np.square(residuals).mean() == pytest.approx(
        np.square((found.intensity - found.fit) / found.sigma).mean(), rel=1e-3)
    assert min(payload["fit"]["left_out"]["q"]) > found.q_inv_angstrom[-1]
    assert payload["guinier"]["rg"] == pytest.approx(found.guinier.rg_angstrom)
    assert payload["history"]["best"] == [[9.0, 2.5, 1.25], [12.0, 4.0]] and payload["history"]["elites"][2] == 2.5
    assert payload["history"]["correlation"] == [0.7, 0.8125]
    assert payload["summary"]["correlation"] == placed.correlation


@pytest.mark.parametrize("status", ["solved", "ambiguous", "not solved"])
def test_atoms_sections_and_verdict_of_a_solution(tmp_path, status):
    answer = report_pages.solution(tmp_path, status)
    log = json.loads((tmp_path / "log.json").read_text())
    payload = report_pages.payload_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert payload["atoms"]["positions"] == log["positions_voxels"]
    assert payload["atoms"]["deviations"] == log["deviations_voxels"]
    np.testing.assert_allclose(payload["atoms"]["positions_angstrom"], answer.positions / 2, atol=1e-6)
    assert payload["lead"] == solution_report.verdict(log["summary"])
    assert payload["lead"][0].lower().startswith(status)
    assert payload["rows"] == [list(row) for row in solution_report.rows(log["summary"])]
    # The half that is kept, about the middle.
    given, packed = np.fft.fftshift(answer.prepared.patterson), payload["sections"]["given"]
    side, _, depth = packed["size"]
    assert side == 2 * depth - 1
    expected = given[8 - depth + 1:8 + depth, 8 - depth + 1:8 + depth, 8:8 + depth].clip(packed["low"], packed["high"])
    np.testing.assert_allclose(unpacked(packed), expected, atol=(packed["high"] - packed["low"]) / 500)
    assert 0 < payload["sections"]["difference"] and 0 < payload["sections"]["height"] < depth
    assert len(base64.b64decode(payload["sections"]["colours"])) == 3 * 256


@pytest.mark.parametrize("status", ["solved", "ambiguous", "not solved"])
def test_atoms_maps_and_verdict_of_a_crystal(tmp_path, status):
    result, evidence, structure = report_pages.crystal(tmp_path, status)
    log = json.loads((tmp_path / "log.json").read_text())
    payload = report_pages.payload_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert payload["status"] == log["status"] == status
    assert payload["lead"] == crystal_report.verdict(result) and payload["lead"].lower().startswith(f"{status}: ")
    atoms, cell = payload["atoms"], payload["cell"]
    assert atoms["labels"] == [atom["label"] for atom in log["atoms"]] and set(atoms["multiplicities"]) == {4}
    assert atoms["coordinates"][0][0] == f"{structure.positions[0, 0]:.4f}(5)"  # 0.004 A of 7.4 A
    np.testing.assert_allclose(np.array(cell["matrix"]) @ cell["inverse"], np.eye(3), atol=1e-5)
    np.testing.assert_allclose(np.array(cell["turn"]) @ np.transpose(cell["turn"]), np.eye(3), atol=1e-5)
    unit, whole = payload["views"]["grown"][0], payload["views"]["cell"][0]
    assert len(unit["points"]) == 12 and len(unit["bonds"]) == 12 and len(whole["points"]) == 48
    assert len(payload["views"]["grown"][1]["points"]) > 24  # the molecules around
    assert len(payload["bonds"]) == 12 and payload["bonds"][0][2].endswith(")")
    for name in ("density", "difference"):
        packed, values = payload["maps"][name]["map"], getattr(evidence.maps, name)
        step = (packed["high"] - packed["low"]) / 255
        np.testing.assert_allclose(unpacked(packed), values.clip(packed["low"], packed["high"]), atol=0.51 * step)
    assert payload["limits"]["here"] == [20.0, result.best.solution.r1]
    assert payload["groups"][0] == payload["groups"][0] | {
        "symbol": "P 1 21/c 1", "rank": 1, "status": status, "is_answer": True}
    assert len(payload["shells"]["d"]) == len(payload["shells"]["r1"]) > 3 and len(payload["wilson"]["s2"]) > 3
    # The model is the true one, but for the B of chlorine.
    assert evidence.deepest.atom == structure.labels.index("Cl1") and evidence.deepest.distance < 0.2
    assert max(payload["shells"]["r1"]) < 0.35 and payload["wilson"]["b"] == pytest.approx(2.7, abs=1)


def test_what_is_too_much_for_the_page_of_a_crystal_is_left_out_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(crystal_page, "_MAX_SHOWN", 20)
    monkeypatch.setattr(crystal_page, "_MAX_BONDS", 5)
    report_pages.crystal(tmp_path)
    payload = report_pages.payload_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert payload["views"]["cell"] == [] and len(payload["views"]["grown"]) == 1
    assert len(payload["bonds"]) == 5 and payload["num_bonds"] == 12


def test_numbers_are_rounded_to_digits_and_what_is_none_is_null():
    assert page.round_to_digits(np.array([[1.23456789, 1234567.0]]), 3) == [[1.23, 1230000.0]]
    text = page.render_page("solution", "a <b>", {
        "rows": [], "value": np.array([np.nan, 2.0]), "words": "</script><!--"})
    assert "<title>a &lt;b&gt;</title>" in text
    payload = report_pages.payload_of(text)
    assert payload == {"rows": [], "value": [None, 2.0], "words": "</script><!--"}

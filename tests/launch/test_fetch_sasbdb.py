"""The launch that fetches entries of the SASBDB: what it leaves is what the evaluation takes."""

import functools
import json
import pathlib

import file_server
import launched
import pytest

from launch.evaluation.cases import list_measured_pairs

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "saxsae" / "examples"


fetch = functools.partial(launched.run, "launch.fetch_sasbdb")


def test_entries_become_pairs(tmp_path):
    entry = {"code": "SASDA28", "intensities_data": "/curve.dat", "fits": [{"models": [{"model_data": "/model.pdb"}]}],
             "experiment": {"sample": {"molecule": [{"long_name": "Three lobes"}]}}}
    (tmp_path / "ids.txt").write_text("SASDA28\nSASDA29\nSASDA30\n")
    with file_server.serving() as server:
        server.answers = {
            "rest-api/entry/summary/SASDA28.json": ["500", json.dumps(entry).encode()],
            "rest-api/entry/summary/SASDA29.json": [json.dumps(entry | {"code": "SASDA29", "fits": []}).encode()],
            "curve.dat": [(EXAMPLES / "three_lobes.dat").read_bytes()],
            "model.pdb": [(EXAMPLES / "three_lobes.pdb").read_bytes()]}
        done = fetch(f"--ids={tmp_path}/ids.txt", f"--output={tmp_path}/pairs", f"--url={server.url}",
                     f"--json={tmp_path}/counts.json")
    assert done.returncode == 0, done.stderr
    assert "SASDA28  profile.dat, reference.pdb\n" in done.stdout
    assert "SASDA29  profile.dat\n  it has no model\n" in done.stdout
    assert "SASDA30  the data bank has no such entry\n" in done.stdout
    counts = json.loads((tmp_path / "counts.json").read_text())["summary"]
    assert counts == {
        "asked_for": 3, "with_curve_and_model": 1, "without_model": 1, "without_curve": 0, "unknown": 1,
        "not_fetched": 0}
    pair = list_measured_pairs(str(tmp_path / "pairs"))[0]
    assert (pair.id, pair.label) == ("SASDA28", "Three lobes")
    curve, reference = pair.load()
    assert curve.q_inv_angstrom.size > 50 and len(reference.xyz_angstrom) > 50


@pytest.mark.parametrize("flags, code, message", [
    (["--ids=../../x", "--output=x"], 1, "'../../x' is neither a SASBDB id nor a file"),
    (["--ids=SASDA28", "--output=x", "--url=sasbdb"], 1, "must begin with http://"),
    (["--ids=SASDA28"], 2, "flag --output is missing"),
])
def test_mistakes_are_one_line(flags, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = fetch(*flags)
    assert done.returncode == code and message in done.stderr and done.stderr.count("\n") == 1


def test_an_unknown_id_is_one_line(tmp_path):
    with file_server.serving() as server:
        done = fetch("--ids=SASDA28", f"--output={tmp_path}", f"--url={server.url}")
    assert done.returncode == 1 and "no entry has a curve" in done.stderr and done.stderr.count("\n") == 1

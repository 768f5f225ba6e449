"""launch.reconstruct with many curves: a folder and a row for each, failures in their rows, what a rerun computes."""

import csv
import functools
import json
import pathlib
import re
import shutil
import types

import launched
import numpy as np
import pytest

from launch.evaluation.curve_tasks import made_curves
from launch.machine import provenance
from launch.reconstruction import batch, curve_run, files
from launch.reconstruction.curve_run import LoadedWeights, RunSettings
from launch.reconstruction.input_files import CurveFile, find_curves, split_paths
from phasenet.errors import InputError
from saxsae.analysis.mass_by_concentration import ABSOLUTE_SCALE, mass_from_i0, scale_of_standard

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "saxsae" / "examples" / "three_lobes.dat"
KINDS = {kind.name: kind for kind in made_curves.KINDS}
SCALES = (ABSOLUTE_SCALE, scale_of_standard(30.0, 198.6, 2.0))  # the I(0) of the example is 99.3


launch = functools.partial(launched.run_in_turn, "launch.reconstruct")


def rows_of(folder):
    with (folder / "batch.csv").open(encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder of good, unfit and damaged files among others, reconstructed by one model of the bank."""
    folder = tmp_path_factory.mktemp("batch")
    given = folder / "given"
    (given / "below" / "SASXX01").mkdir(parents=True)
    shutil.copy(EXAMPLE, given / "good.dat")
    shutil.copy(EXAMPLE, given / "below" / "good.dat")
    shutil.copy(EXAMPLE.with_suffix(".pdb"), given / "below" / "SASXX01" / "reference.pdb")
    (given / "below" / "SASXX01" / "profile.dat").write_text(
        made_curves.make_text(KINDS["buffer minus buffer"], 25.0, 60.0, 3))
    (given / "damaged.dat").write_text("0.01 1\n0.02 0.9\n0.03")
    (given / "README.txt").write_text("curves of 2026\n")
    flags = f"--profile={given}", f"--output={folder / 'out'}", f"--json={folder / 'table.json'}", \
        "--stages=bank", "--num_models=1"
    finished = launch(*flags)
    return types.SimpleNamespace(given=given, out=folder / "out", json=folder / "table.json", flags=flags,
                                 finished=finished, again=lambda: launch(*flags))


def test_each_curve_has_a_row_and_a_folder(done):
    assert done.finished.returncode == 1 and done.finished.stderr.count("\n") == 1
    assert "2 of 4 curves have no result (2 no shape)" in done.finished.stderr
    rows = rows_of(done.out)
    assert list(rows) == ["below_SASXX01", "below_good", "damaged", "good"]
    assert [row["status"] for row in rows.values()] == ["no shape", "shape", "no shape", "shape"]
    assert "lost in noise" in rows["below_SASXX01"]["reason"] and "only 2 usable points" in rows["damaged"]["reason"]
    assert {path.name for path in done.out.iterdir()} == {*rows, "batch.csv", "batch.html"}
    for name in ("good", "below_good"):
        assert {"report.html", "density.ccp4", "log.json", "shape.png"} <= {p.name for p in (done.out / name).iterdir()}
    assert [path.name for path in (done.out / "damaged").iterdir()] == ["log.json"]
    # One process, and its programs are compiled once: the same curve gives the same shape.
    assert (done.out / "good" / "beads.pdb").read_bytes() == (done.out / "below_good" / "beads.pdb").read_bytes()


def test_a_row_holds_the_numbers_of_its_log(done):
    row, log = rows_of(done.out)["good"], json.loads((done.out / "good" / "log.json").read_text())
    assert row["file"] == log["profile"] == str(done.given / "good.dat") and row["reason"] == ""
    for name, value in (("chi_squared", log["summary"]["chi_squared"]), ("rg_angstrom", log["guinier"]["rg_angstrom"]),
                        ("i0", log["guinier"]["i0"]), ("r_max_angstrom", log["summary"]["radius_angstrom"]),
                        ("q_max_inv_angstrom", log["curve"]["q_inv_angstrom"][1]),
                        ("seconds", log["timing"]["wall_seconds"])):
        assert float(row[name]) == pytest.approx(value, rel=1e-5)
    assert row["rsc"] == "" and (done.out / row["report"]).is_file()  # one model agrees with nothing
    # The flags repeat this curve alone.
    assert log["flags"]["output"] == str(done.out / "good") and log["flags"]["json"] is None
    assert log["flags"]["stages"] == ["bank"] and "concentrations" not in log["flags"]


def test_the_table_is_also_json_and_a_page(done):
    table = json.loads(done.json.read_text())
    assert [item["id"] for item in table["items"]] == list(rows_of(done.out))
    assert table["summary"] == {"shape": 2, "no shape": 2} and table["series"] is None
    assert {pathlib.Path(file["path"]).name for file in table["skipped"]} == {"README.txt", "reference.pdb"}
    page = (done.out / "batch.html").read_text(encoding="utf-8")
    assert re.findall(r'href="([^"]*/report.html)"', page) == ["below_good/report.html", "good/report.html"]
    for words in ("4 curves", "2 shape, 2 no shape", "only 2 usable points", "README.txt", "a structure"):
        assert words in page


def test_a_second_run_computes_only_what_changed(done):
    before = {name: (done.out / name / "log.json").stat().st_mtime_ns for name in rows_of(done.out)}
    with (done.given / "damaged.dat").open("a") as file:
        file.write(" 0.8\n")
    again = done.again()
    assert again.returncode == 1
    assert "3 of 4 curves are finished with these settings" in again.stdout and "[3/4] damaged" in again.stdout
    after = {name: (done.out / name / "log.json").stat().st_mtime_ns for name in rows_of(done.out)}
    assert [name for name in before if after[name] != before[name]] == ["damaged"]
    assert [row["status"] for row in rows_of(done.out).values()] == ["no shape", "shape", "no shape", "shape"]


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """`run(...)`: the batch of three curves, whose search only notes the curve; `searches` may raise for one."""
    searched, errors, digest = [], {}, ["ab"]

    def search(curve, folder, settings, method, weights, description, started):
        name = pathlib.Path(curve.path).stem
        searched.append(name)
        if name in errors:
            raise errors[name]
        log = {"status": "doubtful", "reasons": ["a reason"], "timing": {"wall_seconds": 1.0},
               "summary": {"chi_squared": 1.5, "radius_angstrom": 40.0, "rsc": 0.9,
                           "expected_correlation": 0.934, "expected_correlation_90": [0.87, 0.96]},
               "curve_numbers": {"mass_kda_consensus": 20.0}, **description}
        (folder / "report.html").write_text("")
        (folder / "log.json").write_text(json.dumps(batch.app.to_json_types(log)))
        return log

    monkeypatch.setattr(curve_run, "choose_method", lambda settings: None)
    monkeypatch.setattr(curve_run, "load_weights", lambda method, name: LoadedWeights(None, {"sha256": digest[0]}))
    monkeypatch.setattr(curve_run, "run_curve", search)
    curves = []
    for number, name in enumerate("abc", 1):
        columns = np.loadtxt(EXAMPLE)
        columns[:, 1:] *= number
        np.savetxt(tmp_path / f"{name}.dat", columns, header=f"q(1/A) I sigma\nconcentration: {number} mg/ml")
        curves.append(CurveFile(name, str(tmp_path / f"{name}.dat")))

    def run(concentrations=None, scales=(), **flags):
        searched.clear()
        batch.run_batch(curves, (), str(tmp_path / "out"), RunSettings(), {"q_max": 0.2} | flags, concentrations,
                        str(tmp_path / "table.json"), scales)
        return list(searched)

    return types.SimpleNamespace(run=run, searched=searched, errors=errors, digest=digest, curves=curves,
                                 out=tmp_path / "out", given=tmp_path, json=tmp_path / "table.json")


def test_an_unexpected_error_is_a_row_and_is_tried_again(stub):
    stub.errors["b"] = ZeroDivisionError("of\nnothing")
    with pytest.raises(InputError, match=r"1 of 3 curves have no result \(1 failed\)"):
        stub.run()
    row = rows_of(stub.out)["b"]
    assert row["status"] == "failed" and row["reason"] == "ZeroDivisionError: of nothing" and row["report"] == ""
    log = json.loads((stub.out / "b" / "log.json").read_text())
    assert "in search" in log["traceback"] and log["status"] == "failed"
    del stub.errors["b"]
    assert stub.run() == ["b"]
    assert [row["status"] for row in rows_of(stub.out).values()] == ["doubtful"] * 3
    assert stub.run() == []


def test_the_expected_correlation_stands_in_each_table(stub, capsys):
    stub.run()
    row, (item, *_) = rows_of(stub.out)["a"], json.loads(stub.json.read_text())["items"]
    for suffix, value in (("", 0.934), ("_low", 0.87), ("_high", 0.96)):
        assert float(row[f"expected_correlation{suffix}"]) == item[f"expected_correlation{suffix}"] == value
    for text in (capsys.readouterr().out, (stub.out / "batch.html").read_text(encoding="utf-8")):
        assert "0.93 (0.87 to 0.96)" in text


def test_a_curve_that_fails_now_keeps_no_report_of_before(stub):
    stub.run()
    stub.errors["b"] = InputError("b.dat: fewer than five points")
    with pytest.raises(InputError, match="1 failed"):
        stub.run(q_max=0.01)
    assert not (stub.out / "b" / "report.html").exists()
    log = json.loads((stub.out / "b" / "log.json").read_text())
    assert log["status"] == "failed" and "traceback" not in log


def test_a_file_that_is_missing_for_the_moment_loses_nothing(stub):
    stub.run()
    pathlib.Path(stub.curves[1].path).unlink()
    with pytest.raises(InputError, match="1 failed"):
        stub.run(q_max=0.15)
    assert (stub.out / "b" / "report.html").exists()


def test_a_missing_file_and_an_undecided_unit_are_rows(stub):
    q = np.linspace(0.05, 0.5, 80)
    np.savetxt(stub.curves[0].path, np.stack([q, 100 * np.exp(-((10 * q) ** 2) / 3) + 1, 0.5 + 0 * q], axis=1))
    pathlib.Path(stub.curves[1].path).unlink()
    with pytest.raises(InputError, match="2 of 3 curves"):
        stub.run()
    rows = rows_of(stub.out)
    assert [row["status"] for row in rows.values()] == ["failed", "failed", "doubtful"]
    assert "--unit" in rows["a"]["reason"] and "no such file" in rows["b"]["reason"]
    assert not (stub.out / "a").exists()


def test_a_file_in_place_of_a_folder_stops_only_its_curve(stub):
    stub.out.mkdir()
    (stub.out / "a").write_text("precious")
    (stub.given / "b.dat").write_text("no curve")
    (stub.out / "b").write_text("precious")
    with pytest.raises(InputError, match="2 of 3 curves"):
        stub.run()
    assert [row["status"] for row in rows_of(stub.out).values()] == ["failed", "failed", "doubtful"]
    assert (stub.out / "a").read_text() == (stub.out / "b").read_text() == "precious"


def test_an_interruption_loses_the_current_curve_only(stub):
    stub.errors["b"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        stub.run()
    assert list(rows_of(stub.out)) == ["a"] and "1 of 3 curves are done" in (stub.out / "batch.html").read_text()
    del stub.errors["b"]
    assert stub.run() == ["b", "c"]
    assert list(rows_of(stub.out)) == ["a", "b", "c"]


def test_what_a_result_depends_on_decides_what_is_computed(stub, capsys, monkeypatch):
    before = provenance.describe_code()
    assert stub.run() == ["a", "b", "c"]
    assert stub.run(json="other", output="elsewhere", profile="other") == []
    assert "3 of 3 curves are finished" in capsys.readouterr().out
    assert stub.run(q_max=0.15) == ["a", "b", "c"]
    monkeypatch.setattr(provenance, "describe_code", lambda: before | {"revision": "another"})
    assert stub.run(q_max=0.15) == ["a", "b", "c"]
    stub.digest[0] = "cd"  # of other weights
    assert stub.run(q_max=0.15) == ["a", "b", "c"]
    (stub.out / "a" / files.LOG).write_text("{")
    (stub.out / "b" / "report.html").unlink()
    (stub.out / "c" / files.LOG).write_text("[]")
    assert stub.run(q_max=0.15) == ["a", "b", "c"]


def test_stated_concentrations_make_a_series(stub, capsys):
    stub.run()
    rows = rows_of(stub.out)
    assert [float(row["concentration_mg_per_ml"]) for row in rows.values()] == [1, 2, 3]
    forward = [float(row["i0_per_concentration"]) for row in rows.values()]
    assert forward == pytest.approx([float(rows["a"]["i0"])] * 3, rel=1e-5)
    series = json.loads(stub.json.read_text())["series"]
    assert series["interaction"] == "no interaction seen"
    assert series["i0_per_concentration"]["at_zero"] == pytest.approx(forward[0], rel=1e-5)
    said = capsys.readouterr().out
    assert "concentration series of 3 curves, 1 to 3 mg/ml, from the headers" in said and "no interaction" in said
    assert "c, mg/ml" in (stub.out / "batch.html").read_text(encoding="utf-8")


def test_given_concentrations_count_and_compute_nothing_again(stub, capsys):
    stub.run()
    assert stub.run(concentrations=[1.0, 2.2, 3.6]) == []
    assert "as given" in capsys.readouterr().out
    # I(0) of 1 : 2 : 3 at these concentrations: I(0)/c falls with c.
    assert json.loads(stub.json.read_text())["series"]["interaction"] == "repulsion"
    assert [row["concentration_mg_per_ml"] for row in rows_of(stub.out).values()] == ["1", "2.2", "3.6"]


def test_intensities_that_are_divided_already_are_not_divided_again(stub, capsys):
    for curve in stub.curves[1:]:
        shutil.copy(stub.curves[0].path, curve.path)
    stub.run(concentrations=[1.0, 4.0, 9.0])
    assert "divided by c already" in capsys.readouterr().out
    series = json.loads(stub.json.read_text())["series"]
    assert series["divided_by_concentration"] and series["interaction"] == "no interaction seen"
    assert all(row["i0_per_concentration"] == row["i0"] for row in rows_of(stub.out).values())


def test_masses_from_i0_are_columns_and_compute_nothing_again(stub, capsys):
    stub.run()
    without = rows_of(stub.out), json.loads(stub.json.read_text())["items"]
    assert stub.run(scales=SCALES) == []
    said, rows = capsys.readouterr().out, rows_of(stub.out)
    assert "concentrations from the headers of the files" in said and "kDa, absolute scale" in said
    assert "kDa, standard" in (stub.out / "batch.html").read_text(encoding="utf-8")
    for item in json.loads(stub.json.read_text())["items"]:
        mass, sigma = mass_from_i0(item["i0"], item["i0_sigma"], item["concentration_mg_per_ml"], ABSOLUTE_SCALE)
        assert (item["mass_kda_absolute_scale"], item["mass_sigma_kda_absolute_scale"]) == (mass, sigma)
        assert f"{mass:.1f} +- {sigma:.1f}" in said
        row = rows[item["id"]]
        assert float(row["mass_kda_standard"]) == pytest.approx(30, rel=1e-3)  # all three are the standard
    # The intensities of the example are not in 1/cm.
    assert "the mass of 3 of 3 curves contradicts that by the shape" in said and float(row["mass_by_shape_kda"]) == 20
    # Without the scales nothing is added.
    stub.run()
    assert (rows_of(stub.out), json.loads(stub.json.read_text())["items"]) == without
    assert "mass" not in "".join([*without[0]["a"], *without[1][0]]) and "masses from" not in capsys.readouterr().out


def test_masses_of_intensities_that_are_divided_already(stub, capsys):
    for curve in stub.curves[1:]:
        shutil.copy(stub.curves[0].path, curve.path)
    stub.run(concentrations=[1.0, 4.0, 9.0], scales=SCALES)
    assert "c counts as 1, because the intensities are taken for divided by c already" in capsys.readouterr().out
    for row in rows_of(stub.out).values():
        assert float(row["mass_kda_standard"]) == pytest.approx(30, rel=1e-3)


def test_a_curve_without_a_concentration_has_no_mass(stub, capsys):
    np.savetxt(stub.curves[1].path, np.loadtxt(EXAMPLE), header="q(1/A) I sigma")
    stub.run(scales=SCALES)
    assert "no mass for 1 of 3 curves" in capsys.readouterr().out
    assert [bool(row["mass_kda_standard"]) for row in rows_of(stub.out).values()] == [True, False, True]
    for curve in stub.curves:
        np.savetxt(curve.path, np.loadtxt(EXAMPLE), header="q(1/A) I sigma")
    with pytest.raises(InputError, match="--absolute_scale and --standard: .* give --concentrations="):
        stub.run(scales=SCALES)


def test_different_samples_with_stated_concentrations_are_no_series(stub, capsys):
    columns = np.loadtxt(stub.curves[2].path)
    columns[:, 0] *= 1.5
    np.savetxt(stub.curves[2].path, columns, header="q(1/A) I sigma\nconcentration: 3 mg/ml")
    stub.run()
    assert "not taken for one sample" in capsys.readouterr().out
    assert json.loads(stub.json.read_text())["series"] is None
    assert rows_of(stub.out)["c"]["concentration_mg_per_ml"] == "3"


@pytest.mark.parametrize(("flags", "words"), [
    (["--profile={given}", "--reference={pdb}"], "--reference is for one curve"),
    (["--profile={dat}", "--profile={dat}x", "--progress=p"], "--progress is for one curve"),
    (["--profile={dat},{dat}x", "--concentrations=1,2,3"], "3 numbers for 2 curves"),
    (["--profile={given}", "--concentrations=1,two"], "two"),
    (["--profile={given}", "--concentrations=1,0"], "expected positive numbers"),
    (["--profile={dat}", "--concentrations=1,2"], "--concentrations=1,2: 2 numbers for 1 curve;"),
    (["--profile={dat}", "--concentrations=nan"], "--concentrations=nan: expected positive numbers"),
    (["--profile={dat}", "--absolute_scale"], "--absolute_scale: a mass needs the concentration"),
    (["--profile={dat}", "--standard=66,80,2"], "--standard: a mass needs the concentration"),
    (["--profile={dat}", "--concentrations=2", "--standard=66,80"], "--standard=66,80: expected MASS,I0,CONCENTRATION"),
    (["--profile={dat}", "--concentrations=2", "--standard=-66,80,2"], "--standard=-66,80,2: expected positive"),
    (["--profile={dat}", "--concentrations=2", "--standard=66,0,2"], "--standard=66,0,2: expected positive"),
    (["--profile={dat}", "--concentrations=2", "--standard=66,80,BSA"], "--standard=66,80,BSA: could not convert"),
    (["--profile={given}/empty"], "no curve found: there are no files")])
def test_flags_that_make_no_sense_end_in_one_line(tmp_path, flags, words):
    (tmp_path / "empty").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "curve.dat")
    finished = launch(*(flag.format(given=tmp_path, dat=EXAMPLE, pdb=EXAMPLE.with_suffix(".pdb")) for flag in flags),
                      f"--output={tmp_path / 'out'}")
    assert finished.returncode == 1 and finished.stderr.count("\n") == 1 and words in finished.stderr
    assert not (tmp_path / "out").exists()


def found(tmp_path, *names):
    """What is found in a folder of these files, all of them a good curve but for those with nothing after a colon."""
    for name in names:
        path, _, text = name.partition(":")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text if ":" in name else EXAMPLE.read_text())
    curves, skipped = find_curves([str(tmp_path)], str(tmp_path / "out"), None)
    return ({str(pathlib.Path(curve.path).relative_to(tmp_path)): curve.name for curve in curves},
            {str(pathlib.Path(file.path).relative_to(tmp_path)): file.reason for file in skipped})


def test_names_tell_files_of_one_name_apart(tmp_path):
    curves, _ = found(tmp_path, "a/x.dat", "b/x.dat", "b/x.txt", "b_x.dat", "E1/profile.dat", "E2/profile.dat",
                      "E2/other.dat", "E1.dat", "batch.csv.dat", "A_X.dat")
    assert curves["E2/profile.dat"] == "E2_profile" and curves["b/x.txt"] == "b_x.txt"
    assert len({name.casefold() for name in curves.values()}) == 10
    assert not {"batch.csv", "batch.html"} & set(curves.values())


def test_an_entry_has_the_name_of_its_folder(tmp_path):
    curves, skipped = found(tmp_path, "E1/profile.dat", "E2/profile.out", "E1/reference.pdb:ATOM", "E1/source.json:{}",
                            "index.csv:id,name\n1,two\n")
    assert curves == {"E1/profile.dat": "E1", "E2/profile.out": "E2"}
    assert skipped == {"E1/reference.pdb": "a structure", "E1/source.json": "settings or a program",
                       "index.csv": "no curve: has no table of numbers"}


def test_the_reader_decides_where_the_name_does_not(tmp_path):
    curves, skipped = found(tmp_path, "curve.csv", "curve.txt", "no_suffix", "notes.txt:hello\n", "model.cif:data_x\n",
                            "bad.dat:hello\n", ".hidden.dat:x", "out/a.dat", "old/fit.fit", "old/density.ccp4:x",
                            "batch.csv:x")
    assert set(curves) == {"curve.csv", "curve.txt", "no_suffix", "bad.dat"}  # bad.dat gets a row that says why
    assert set(skipped) == {"notes.txt", "model.cif", ".hidden.dat", "batch.csv"}


def test_listed_files_keep_their_order_and_commas(tmp_path):
    shutil.copy(EXAMPLE, tmp_path / "a,b.dat")
    shutil.copy(EXAMPLE, tmp_path / "c.dat")
    paths = split_paths([f"{tmp_path}/c.dat, {tmp_path}/none.dat", f"{tmp_path}/a,b.dat", f"{tmp_path}/c.dat"])
    curves, _ = find_curves(paths, str(tmp_path / "out"), None)
    assert [curve.name for curve in curves] == ["c", "none", "a,b"]

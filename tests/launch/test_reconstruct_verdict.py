"""launch.reconstruct: the verdict in its output, its log and its report, and what is written without a shape."""

import functools
import json
import pathlib

import launched
import numpy as np
import pytest
from report_pages import payload_of

from launch.evaluation.curve_tasks import made_curves

pytestmark = pytest.mark.optimized

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = {kind.name: kind for kind in made_curves.KINDS}


launch = functools.partial(launched.run_in_turn, "launch.reconstruct")


def write(path, kind, seed=3):
    path.write_text(made_curves.make_text(KINDS[kind], 25.0, 60.0, seed))
    return path


@pytest.mark.parametrize(("kind", "reason"), [
    ("two-dimensional", "two-dimensional"), ("flat: water, glassy carbon", "I(0)"),
    ("buffer minus buffer", "lost in noise"), ("wide angles alone", "Guinier"), ("P(r)", "p(r)"),
    ("log10 of the intensity", "log10"), ("a wrong unit, 1/A", "Rg is 3.0"), ("difference curve", "Guinier")])
def test_an_unfit_curve_ends_in_one_line_and_a_log(tmp_path, kind, reason):
    profile, folder = write(tmp_path / "curve.dat", kind), tmp_path / "out"
    folder.mkdir()
    for stale in ("log.json", "report.html", "density.ccp4", "model_01.ccp4", "theirs.txt"):
        (folder / stale).write_text("of an earlier run")
    finished = launch(f"--profile={profile}", f"--output={folder}", f"--json={tmp_path / 'also.json'}")
    assert finished.returncode == 1 and finished.stderr.count("\n") == 1 and "generation" not in finished.stdout
    assert finished.stderr.startswith(f"reconstruct: {profile}: ")
    assert {file.name for file in folder.iterdir()} == {"log.json", "theirs.txt"}
    log = json.loads((folder / "log.json").read_text())
    assert log == json.loads((tmp_path / "also.json").read_text())
    assert log["status"] == "no shape" and reason in "; ".join(log["reasons"])
    assert log["profile"] == str(profile) and log["flags"]["seed"] == 0 and log["revision"]


def test_a_missing_file_costs_no_earlier_result(tmp_path):
    for name in ("log.json", "density.ccp4"):
        (tmp_path / name).write_text("of an earlier run")
    assert launch(f"--profile={tmp_path / 'none.dat'}", f"--output={tmp_path}").returncode == 1
    assert (tmp_path / "log.json").read_text() == (tmp_path / "density.ccp4").read_text() == "of an earlier run"


def test_a_unit_that_must_be_given_costs_no_earlier_result(tmp_path):
    (tmp_path / "log.json").write_text("of an earlier run")
    q = np.linspace(0.05, 0.5, 80)
    np.savetxt(tmp_path / "large.dat", np.stack([q, 100 * np.exp(-((10 * q) ** 2) / 3) + 1, 0.5 + 0 * q], axis=1))
    finished = launch(f"--profile={tmp_path / 'large.dat'}", f"--output={tmp_path}")
    assert finished.returncode == 1 and finished.stderr.count("\n") == 1
    assert "give --unit=1/A or --unit=1/nm" in finished.stderr
    assert (tmp_path / "log.json").read_text() == "of an earlier run"


def test_a_refused_fit_of_an_earlier_run_stays(tmp_path):
    write(tmp_path / "fit.fit", "flat: water, glassy carbon")
    (tmp_path / "log.json").write_text("of an earlier run")
    assert launch(f"--profile={tmp_path / 'fit.fit'}", f"--output={tmp_path}").returncode == 1
    assert {file.name for file in tmp_path.iterdir()} == {"log.json", "fit.fit"}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "statuses", "flags"), [
    ("good", {"shape"}, ()), ("aggregates", {"doubtful"}, ("--stages=bank",)),
    ("constant background of 30% left in", {"doubtful", "no shape"}, ("--stages=bank",)),
    ("constant background of 30% left in", {"shape", "doubtful"}, ("--background", "--stages=bank"))])
def test_the_verdict_is_said_wherever_the_result_is_shown(tmp_path, kind, statuses, flags):
    profile = write(tmp_path / "curve.dat", kind)
    finished = launch(f"--profile={profile}", f"--output={tmp_path}", "--num_models=2", *flags)
    log = json.loads((tmp_path / "log.json").read_text())
    assert log["status"] in statuses and bool(log["reasons"]) == (log["status"] != "shape")
    if log["status"] == "no shape":
        assert finished.returncode == 1 and not (tmp_path / "report.html").exists()
        return
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.rstrip().splitlines()[-1].startswith(f"{log['status']}: ")
    shown = payload_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert shown["verdict"] == {"status": log["status"], "reasons": log["reasons"]}
    assert np.isfinite(log["measures"]["misfit"]) and np.isfinite(log["measures"]["rsc_with_mean"])


@pytest.mark.parametrize("name", ["two_dimensional", "flat", "difference_curve", "log10_intensity"])
def test_awkward_curves_that_get_no_shape(awkward_curves, tmp_path, name):
    finished = launch(f"--profile={awkward_curves / name}.dat", f"--output={tmp_path}")
    assert finished.returncode == 1 and finished.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["log.json"]

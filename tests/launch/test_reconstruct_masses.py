"""launch.reconstruct --absolute_scale and --standard: one curve with them and without them."""

import functools
import json
import pathlib
import types

import launched
import numpy as np
import pytest
from report_pages import payload_of

from launch.reconstruction import curve_rows
from saxsae.analysis.curve_report import compute_curve_numbers
from saxsae.analysis.mass_by_concentration import ABSOLUTE_SCALE, scale_of_standard
from saxsae.io.curves.measured_curves import read_curve

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "saxsae" / "examples" / "three_lobes.dat"
MASS_KDA, CONCENTRATION = 20.0, 2.5
ROWS = "mass on absolute scale", "mass by the standard"

launch = functools.partial(launched.run_in_turn, "launch.reconstruct")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The shipped example in 1/cm, whose header states a concentration: with both flags, with a number, with none."""
    folder = tmp_path_factory.mktemp("masses")
    columns = np.loadtxt(EXAMPLE)
    i0 = MASS_KDA * CONCENTRATION / ABSOLUTE_SCALE.kda_per_i0_over_concentration
    columns[:, 1:] *= i0 / 99.303  # that of the example
    np.savetxt(folder / "curve.dat", columns, header=f"q(1/A) I sigma\nconcentration: {CONCENTRATION} mg/ml")

    def run(name, *flags):
        finished = launch(f"--profile={folder / 'curve.dat'}", f"--output={folder / name}", "--stages=bank",
                          "--num_models=1", *flags)
        assert finished.returncode == 0, finished.stderr
        return types.SimpleNamespace(
            output=finished.stdout, log=json.loads((folder / name / "log.json").read_text()),
            page=payload_of((folder / name / "report.html").read_text(encoding="utf-8")))

    return types.SimpleNamespace(
        plain=run("plain"), given=run("given", "--concentrations=5", "--absolute_scale"),
        stated=run("stated", "--absolute_scale", f"--standard={MASS_KDA},{i0},{CONCENTRATION}"))


def test_a_stated_concentration_gives_both_masses(runs):
    numbers, log = runs.stated.log["curve_numbers"], runs.stated.log
    error = 1.645 * log["guinier"]["i0_sigma"] / log["guinier"]["i0"]
    for method in ("absolute_scale", "standard"):
        mass, interval = numbers[f"mass_kda_{method}"], numbers[f"mass_interval_kda_{method}"]
        assert mass == pytest.approx(MASS_KDA, rel=1e-4)
        assert interval == pytest.approx([mass * np.exp(-error), mass * np.exp(error)])
    note = "concentration 2.5 mg/ml, from the header of the file"
    assert log["concentration_mg_per_ml"] == CONCENTRATION and f"  {note}\n" in runs.stated.output
    assert note in log["notes"] and note in runs.stated.page["notes"]
    shown = {row[0]: row for row in runs.stated.page["rows"]}
    for name in ROWS:
        assert shown[name][1] == "20 kDa" and shown[name][2].endswith("for the error of I(0) alone")
        assert f"{name:<22}" in runs.stated.output and shown[name][2] in runs.stated.output
    assert log["flags"]["absolute_scale"] is True and len(log["flags"]["standard"]) == 3


def test_a_given_concentration_counts_before_the_stated_one(runs):
    log = runs.given.log
    assert log["curve_numbers"]["mass_kda_absolute_scale"] == pytest.approx(MASS_KDA * CONCENTRATION / 5, rel=1e-4)
    assert "concentration 5 mg/ml, as given" in log["notes"] and "mass_kda_standard" not in log["curve_numbers"]
    assert log["flags"]["concentrations"] == ["5"] and "standard" not in log["flags"]


def test_without_the_flags_nothing_is_added(runs):
    plain, stated = runs.plain.log, runs.stated.log
    assert len(plain["flags"]) == 18 and "mg/ml" not in runs.plain.output
    assert stated.keys() - plain.keys() == {"concentration_mg_per_ml"}
    extra = stated["curve_numbers"].keys() - plain["curve_numbers"].keys()
    assert len(extra) == 4 and all(name.endswith(("_absolute_scale", "_standard")) for name in extra)
    assert plain["curve_numbers"] == {name: stated["curve_numbers"][name] for name in plain["curve_numbers"]}
    assert plain["summary"] == stated["summary"] and plain["measures"] == stated["measures"]
    assert runs.plain.page["rows"] == [row for row in runs.stated.page["rows"] if row[0] not in ROWS]


def test_a_mass_that_contradicts_the_shape_says_so():
    curve = read_curve(EXAMPLE)  # its intensities are not in 1/cm
    for scale, doubted in ((ABSOLUTE_SCALE, True), (scale_of_standard(MASS_KDA, 99.3, CONCENTRATION), False)):
        rows = curve_rows.rows(compute_curve_numbers(curve, CONCENTRATION, (scale,)), None)
        remark, = (row[2] for row in rows if row[0] in ROWS)
        assert ("contradicts the molecular mass above" in remark) == doubted

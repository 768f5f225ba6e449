"""Curve files in every dialect, made here as text: numbers, units, sigmas, notes, errors."""

import csv
import pathlib
import re
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import Curve, read_curve, rebin, write_curve, write_fit
from saxsae.io.curves.units import decide_unit
from saxsae.profiles.noise import estimate_sigma, neighbour_residuals, scatter_over_sigma


def sphere(q, radius=25.0):
    x = q * radius
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def made_curve(points=60, q_max=0.3, noise=0.01, seed=0):
    """Returns q (1/A), I, sigma of a noisy sphere."""
    q = np.linspace(0.01, q_max, points)
    sigma = 100 * noise * np.sqrt(sphere(q) + 0.003)
    return q, 100 * sphere(q) + sigma * np.random.default_rng(seed).normal(size=points), sigma


Q, I, S = made_curve()


def lines(form="{:.6e} {:.6e} {:.6e}", columns=(Q, I, S)):
    return [form.format(*row) for row in zip(*columns, strict=True)]


def read(tmp_path, content, name="curve.dat", **options):
    path = tmp_path / name
    if isinstance(content, list):
        content = "\n".join(content) + "\n"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_curve(path, **options)


def check(curve: Curve, q=Q, intensity=I, sigma=S, unit="1/A"):
    assert curve.unit == unit
    for array, expected in ((curve.q_inv_angstrom, q), (curve.intensity, intensity),
                            (curve.sigma, sigma)):
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, expected, rtol=2e-6)
    assert not curve.sigma_estimated


def noted(curve: Curve, text: str) -> bool:
    return any(text in note for note in curve.notes)


ROWS = lines()
DIALECTS = {
    "plain": ROWS,
    "crlf": "\r\n".join(ROWS),
    "old mac line ends": "\r".join(ROWS),
    "tabs": [r.replace(" ", "\t") for r in ROWS],
    "commas": [r.replace(" ", ",") for r in ROWS],
    "commas and blanks": [r.replace(" ", " , ") for r in ROWS],
    "semicolons": [r.replace(" ", ";") for r in ROWS],
    "trailing separators": [r.replace(" ", ",") + "," for r in ROWS],
    "decimal commas": [r.replace(".", ",") for r in ROWS],
    "decimal commas, semicolons": [r.replace(".", ",").replace(" ", ";") for r in ROWS],
    "fortran exponents": [r.replace("e", "D") for r in ROWS],
    "quoted": ['"' + r.replace(" ", '","') + '"' for r in ROWS],
    "byte order mark": b"\xef\xbb\xbf" + "\n".join(ROWS).encode(),
    "utf-16": "\n".join(ROWS).encode("utf-16"),
    "utf-16 without mark": "\n".join(ROWS).encode("utf-16-le"),
    "latin-1": "Muster: Lösung 5 °C\n".encode("latin-1") + "\n".join(ROWS).encode(),
    "end-of-file mark": "\n".join(ROWS).encode() + b"\x1a",
    "comments": ["# one", "! two", "; three", "% four", "// five", *ROWS, "# six"],
    "commented numbers": ["# 1 2 3", *ROWS, "# 4 5 6"],
    "text": ["Sample description: x", "Sample:  c= 0 mg/ml  Code: x", *ROWS, "creator: y"],
    "numbers in the header": [" TIME   ", " 1.0", f" {Q.size}", *ROWS],
    "scale and size": [" #  ", "  SCALE  1.02648532  BACK  2.20E-02", "205", *ROWS],
    "names, then units": ["q\terr\tI", "1/A\t1/cm\t1/cm", *lines("{0:.6e}\t{2:.6e}\t{1:.6e}")],
    "size and columns": [f"{Q.size} 3", *ROWS],
    "sizes in three numbers": [f"{Q.size} 3 1", *ROWS],
    "text that begins like a number": ["12-Apr-2005 (a.d - 1.000 * b.dat) / 20.0",
                                       "2 mg/ml lysozyme", "5 10 15 mg/ml merged", *ROWS],
    "footer with numbers": [*ROWS, "", "datmerge-scale: 1.0010", "0.5 1.0"],
    "blank lines between": [line for r in ROWS for line in (r, "")],
    "flag column": [r + " 1" for r in ROWS],
    "real flag column": [r + " 1.00000000" for r in ROWS],
    "ragged text behind": [r + (" masked" if i % 7 == 3 else "") for i, r in enumerate(ROWS)],
    "comment behind": [r + ("  # odd" if i % 3 else "") for i, r in enumerate(ROWS)],
    "more columns later": [r + (" 1 2" if i > 20 else "") for i, r in enumerate(ROWS)],
    "line of text in the table": [*ROWS[:20], "beam dump at 12:30", *ROWS[20:]],
    "two tables": ["1.0 2.0 3.0"] * 12 + ["Intensities", "of the sample", "x"] + ROWS,
    "fit file, named": ["# q exp_intensity model_intensity error", *lines(
        "{:.6e} {:.6e} {:.6e} {:.6e}", (Q, I, 2 * I, S))],
    "fit file, four columns": [" x.fit  Chi^2= 1.0", *[r + " 1.0E+00" for r in ROWS]],
    "csv": ["q,I,sigma", *[r.replace(" ", ",") for r in ROWS]],
    "csv, other order": ["sigma,intensity,q", *lines("{2:.6e},{1:.6e},{0:.6e}")],
    "csv with its index": [",q,I,sigma", *[
        f"{i}," + r.replace(" ", ",") for i, r in enumerate(ROWS)]],
    "unnamed index": [f"{i + 1} {r}" for i, r in enumerate(ROWS)],
    "dq before sigma": ["Q;I(Q);dQ;err", *lines("{0:.6e};{1:.6e};0.001;{2:.6e}")],
}


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects(tmp_path, name):
    check(read(tmp_path, DIALECTS[name]))


GNOM_5 = """
           ####      G N O M              Version 5.0 (r4547)      ####
                                               04/14/15 17:20:17

  Angular range:                       0.0210 to       0.2958
  Reciprocal space Rg:             0.2580E+02

           ####      Experimental Data and Fit                     ####

      S          J EXP       ERROR       J REG       I REG

   0.000000E+00                                                0.233102E+03
   0.500000E-02                                                0.233073E+03
{rows}

           ####      Real Space Data                               ####

       R          P(R)      ERROR

  0.0000E+00  0.0000E+00  0.0000E+00
{real}
"""

GNOM_4 = """
           ####    G N O M   ---   Version 4.6                       ####

           ===    Run No   1   ===
 Run title:  lysozyme
   *******    Input file(s) : lyz.dat
           Condition P(rmin) = 0 is used.
     Alpha    Discrp  Oscill  Stabil  Sysdev  Positv  Valcen    Total
{trials}

  Angular   range    :     from    0.0414   to    0.4960
  Current ALPHA         :   0.107E+01   Rg :  0.154E+02   I(0) :   0.657E+01
           Total  estimate : 0.882  which is    A GOOD      solution

      S          J EXP       ERROR       J REG       I REG

  0.0000E+00                                      0.6565E+01
  0.2434E-02                                      0.6562E+01
{rows}

           Distance distribution  function of particle

       R          P(R)      ERROR

{real}
          Reciprocal space: Rg =   15.40     , I(0) =   0.6570E+01
"""
REAL_SPACE = "\n".join(f"  {r:.4E}  {0.1:.4E}  {0.01:.4E}" for r in np.linspace(0, 50, 80))


def test_gnom_version_5(tmp_path):
    rows = "\r\n".join(lines("   {0:.6E}   {1:.6E}   {2:.6E}   {1:.6E}   {1:.6E}"))
    curve = read(tmp_path, GNOM_5.format(rows=rows, real=REAL_SPACE), "x.out")
    check(curve)
    assert curve.columns == 5 and "measured points of a GNOM output" in curve.notes


def test_gnom_version_4_whatever_it_is_called(tmp_path):
    # Columns of fixed width touch where the intensity is negative.
    data = (Q, np.where(Q > 0.29, -1e-3, I), S)
    rows = "\n".join(lines("  {0:.4E}{1:12.4E}{2:12.4E}{1:12.4E}{1:12.4E}", data))
    trials = "\n".join("  0.3147E+04 12.5650  1.1327  0.8696  0.0000  1.0000  0.8714  0.38686"
                       for _ in range(90))
    curve = read(tmp_path, GNOM_4.format(rows=rows, real=REAL_SPACE, trials=trials), "x.dat")
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-3)
    np.testing.assert_allclose(curve.intensity, data[1], rtol=1e-3)
    np.testing.assert_allclose(curve.sigma, S, rtol=1e-3)


def test_gnom_with_several_runs_gives_the_last(tmp_path):
    def output(scale):
        rows = "\n".join(lines("   {0:.6E}   {1:.6E}   {2:.6E}   {1:.6E}   {1:.6E}",
                               (Q, scale * I, scale * S)))
        return GNOM_5.format(rows=rows, real=REAL_SPACE)
    curve = read(tmp_path, output(2) + output(1), "x.out")
    check(curve)
    assert noted(curve, "the output has 2 runs: the last was read")


def test_gnom_with_lost_weights(tmp_path):
    rows = "\n".join(lines("   {0:.6E}   {1:.6E}   0.000000E+00   {1:.6E}   {1:.6E}", (Q, I)))
    curve = read(tmp_path, GNOM_5.format(rows=rows, real=REAL_SPACE), "x.out")
    assert curve.sigma_estimated and np.all(curve.sigma > 0)
    assert noted(curve, "sigma is zero, negative or not a number at 60 of 60 points: sigma estimated")


SASCIF = """data_SASDXX9_MAIN
_sas_scan.title  "A protein; 10.6 mg/mL"
_sas_scan.id     737
_sas_scan.unit   {unit}
#
loop_
_sas_scan_intensity.id
_sas_scan_intensity.momentum_transfer
_sas_scan_intensity.intensity
_sas_scan_intensity.intensity_su_counting
_sas_scan_intensity.scan_id
{rows}
#
data_SASDXX9_FIT_1
loop_
_sas_model_fitting.id
_sas_model_fitting.momentum_transfer
_sas_model_fitting.intensity
1 0.1 5.0
"""


def test_sascif(tmp_path):
    rows = lines("{0} {1:.6E} {2:.6E} {3:.6E} 737", (range(60), Q, I, S))
    rows += ["61 0.4 ? 0.1 737", "1 0.1 5.0 1.0 800"]
    text = SASCIF.format(unit="1/A", rows="\n".join(rows))
    curve = read(tmp_path, text, "x.sascif")
    check(curve)
    assert "q in 1/A, as the file says" in curve.notes
    assert noted(curve, "2 scans: scan 737, with the most points, was read")
    assert noted(curve, "1 point without a finite q or intensity dropped")
    check(read(tmp_path, text.replace("1/A", "."), "x.dat"))
    other = read(tmp_path, text.replace("intensity_su_counting", "details"), "x.cif")
    assert other.sigma_estimated and noted(other, "the file has no sigma")


def test_broken_sascif(tmp_path):
    text = SASCIF.format(unit="1/A", rows="1 0.1 5.0 1.0")
    with pytest.raises(InputError, match=r"x\.cif: is not valid sasCIF \(.*\)$") as caught:
        read(tmp_path, text, "x.cif")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="is a CIF without a table of _sas_scan_intensity.mom"):
        read(tmp_path, "data_a\n_sas_scan_intensity.id 1\n", "y.cif")
    with pytest.raises(InputError, match="is a CIF without a table of _sas_scan_intensity.mom"):
        read(tmp_path, "data_1ABC\n#\nloop_\n_atom_site.id\n1\n2\n", "z.cif")


def test_order_duplicates_and_points_without_numbers(tmp_path):
    reverse = read(tmp_path, ROWS[::-1])
    check(reverse)
    assert "q in descending order: reversed" in reverse.notes
    shuffled = read(tmp_path, [ROWS[i] for i in np.random.default_rng(3).permutation(60)])
    check(shuffled)
    assert noted(shuffled, "q out of order at ") and noted(shuffled, ": sorted")
    repeated = read(tmp_path, [*ROWS, ROWS[-1], ROWS[-1]])
    check(repeated)
    assert "2 points repeated in the file: each used once" in repeated.notes

    extra = [f"{Q[5]:.6e} {I[5] + 3:.6e} {2 * S[5]:.6e}"]
    averaged = read(tmp_path, ROWS[:6] + extra + ROWS[6:])
    assert "1 point averaged with another of the same q" in averaged.notes
    assert averaged.intensity[5] == pytest.approx(I[5] + 3 / 5, rel=1e-5)
    assert averaged.sigma[5] == pytest.approx(S[5] * np.sqrt(0.8), rel=1e-5)

    odd = ["0.0 100 1", "-0.001 100 1", *ROWS[:10], "0.05 nan 1.0", "0.0501 -nan 1",
           "0.0502 1.#QNAN 1", "0.0503 inf 1", "NaN 5 1", "0.0504 ******* 1", "0.0505 1.0E+300 1",
           *ROWS[10:], "3.0E+20 5.0 1.0"]
    curve = read(tmp_path, odd)
    check(curve)
    assert "1 point far outside the range of q dropped" in curve.notes
    assert "7 points without a finite q or intensity dropped" in curve.notes
    assert "2 points with q <= 0 dropped" in curve.notes


def test_points_without_sigma_among_points_with(tmp_path):
    spoilt = ROWS[:20] + ["0.1082 50.0 0.0", "0.1083 50.0 -1.0", "0.1084 50.0 nan"] + ROWS[20:]
    curve = read(tmp_path, spoilt)
    check(curve)
    assert "3 points without a positive sigma dropped" in curve.notes


def test_negative_intensities(tmp_path):
    intensity = I.copy()
    intensity[-6:] = -0.5 * S[-6:]
    intensity[-9] = -20 * S[-9]
    curve = read(tmp_path, lines(columns=(Q, intensity, S)))
    assert curve.q_inv_angstrom.size == 59 and curve.intensity[-1] < 0
    assert noted(curve, "points with intensity <= 0 within noise kept")
    assert "1 point more than 5 sigma below zero (over-subtracted buffer?) dropped" in curve.notes


def test_shadow_of_the_beamstop(tmp_path):
    q, intensity, sigma = made_curve(300)
    intensity[:6] = [0.0, 0.0, -0.5, 2.0, 15.0, 40.0]
    curve = read(tmp_path, lines(columns=(q, intensity, sigma)))
    check(curve, q[6:], intensity[6:], sigma[6:])
    assert "6 points in the beamstop's shadow at the smallest q dropped" in curve.notes


def test_zeros_that_fill_the_table(tmp_path):
    curve = read(tmp_path, ROWS + ["0.31 0 0", "0.32 0 0", "0.33 0 0", "0.34 0 0"])
    check(curve)
    two = read(tmp_path, lines("{:.6e} {:.6e}", (Q, I)) + ["0.31 0", "0.32 0", "0.33 0"])
    assert two.q_inv_angstrom.size == 60
    assert noted(two, "3 points of zero intensity at an end of the table dropped")
    masked = read(tmp_path, [f"0.00{i} 0 0.1" for i in range(1, 9)] + ROWS)
    assert noted(masked, "8 points of zero intensity at an end of the table dropped")
    assert masked.q_inv_angstrom.size == 60


@pytest.mark.parametrize("points, tolerance", [(250, 0.3), (1000, 0.3)])
def test_noise_is_estimated_from_the_curve(tmp_path, points, tolerance):
    q, intensity, sigma = made_curve(points)
    curve = read(tmp_path, lines("{:.8e} {:.8e}", (q, intensity)))
    assert curve.sigma_estimated and curve.columns == 2
    assert "the file has no sigma: sigma estimated from the scatter of the points" in curve.notes
    ratio = curve.sigma / sigma
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)
    assert np.mean(np.abs(ratio - 1) < tolerance) > (0.9 if points == 1000 else 0.7)


def test_noise_shared_by_neighbours_is_seen():
    q, intensity, sigma = made_curve(1000)
    exact = 100 * sphere(q)
    smoothed = exact + np.convolve(intensity - exact, [0.25, 0.5, 0.25], mode="same")
    assert neighbour_residuals(q, smoothed).stride == 4
    assert scatter_over_sigma(q, smoothed, sigma * np.sqrt(0.375)) == pytest.approx(1.0, abs=0.15)


def test_residuals_ignore_cubics_on_any_grid():
    q = np.sort(np.random.default_rng(0).uniform(0.01, 0.3, 50))
    cubic = 3 - 20 * q + 50 * q**2 + 10 * q**3
    np.testing.assert_allclose(neighbour_residuals(q, cubic).residual, 0, atol=1e-10)
    noise = np.random.default_rng(1).normal(size=(400, 50))
    residuals = np.concatenate([neighbour_residuals(q, n).residual for n in noise])
    assert np.std(residuals) == pytest.approx(1, abs=0.03)


def test_a_computed_curve_gets_a_small_sigma(tmp_path):
    curve = read(tmp_path, lines("{:.8e} {:.8e}", (Q, 100 * sphere(Q, 20.0))))
    assert curve.sigma_estimated
    q = np.linspace(0.01, 0.3, 300)
    sigma, noiseless = estimate_sigma(q, sphere(q))
    assert noiseless and np.all(sigma > 0)
    np.testing.assert_allclose(sigma[:20], 0.002 * sphere(q)[:20], rtol=0.05)


@pytest.mark.parametrize("wrong, message", [
    (lambda i, s: 0 * s, "sigma is zero, negative or not a number at 300 of 300 points"),
    (lambda i, s: -s, "sigma is zero, negative or not a number at 300 of 300 points"),
    (lambda i, s: np.nan * s, "sigma is zero, negative or not a number at 300 of 300 points"),
    (lambda i, s: s / 5, "times smaller than the scatter of the points"),
    (lambda i, s: 0 * s + 7, "sigma is 7 at every point"),
    (lambda i, s: np.abs(i), "the third column is as large as the intensity, so it is not sigma"),
])
def test_impossible_sigmas_are_replaced(tmp_path, wrong, message):
    q, intensity, sigma = made_curve(300)
    curve = read(tmp_path, lines(columns=(q, intensity, wrong(intensity, sigma))))
    assert curve.sigma_estimated
    assert any(message in n and n.endswith(": sigma estimated from the scatter of the points")
               for n in curve.notes), curve.notes
    assert np.median(curve.sigma / sigma) == pytest.approx(1.0, abs=0.15)


def test_doubtful_sigmas_are_kept_and_said(tmp_path):
    q, intensity, sigma = made_curve(300)
    small = read(tmp_path, lines(columns=(q, intensity, sigma / 2)))
    check(small, q, intensity, sigma / 2)
    assert noted(small, "times too small for the scatter of the points: kept")
    large = read(tmp_path, lines(columns=(q, intensity, sigma * 8)))
    check(large, q, intensity, sigma * 8)
    assert noted(large, "times less than sigma (smoothed, or sigma too large): kept")
    honest = read(tmp_path, lines(columns=(q, np.abs(intensity), sigma)))
    assert len(honest.notes) == 1 and "unit" in honest.notes[0]


def test_left_out_lines_are_noted(tmp_path):
    assert noted(read(tmp_path, DIALECTS["size and columns"]),
                 "1 line of numbers outside the table left out (line 1)")
    assert noted(read(tmp_path, DIALECTS["two tables"]),
                 "the file has 2 tables: the longest was read (lines 16 to 75)")
    assert noted(read(tmp_path, DIALECTS["line of text in the table"]),
                 "1 line of text between the rows skipped")
    assert noted(read(tmp_path, DIALECTS["unnamed index"]), "only counts the rows: skipped")


ERRORS = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \r\n\t\n", "the file is empty"),
    "words": (b"no numbers here\nnone at all 5\n",
              "has no table of numbers; a curve is columns of q, intensity and sigma as text, GNOM .out, sasCIF, "
              "canSAS XML or NXcanSAS HDF5"),
    "binary": (bytes(range(256)) * 20, "is binary; a curve is columns of q, intensity and sigma as text, GNOM .out, "
               "sasCIF, canSAS XML or NXcanSAS HDF5"),
    "one point": (b"0.01 5 1\n", "only 1 usable point, at least 10 are needed"),
    "three points": (b"0.01 5 1\n0.02 4 1\n0.03 3 1\n",
                     "only 3 usable points, at least 10 are needed"),
    "all nan": (b"0.01 nan 1\n" * 12, "only 0 usable points, at least 10 are needed (12 points "
                "without a finite q or intensity dropped)"),
    "gnom without points": (b"      S          J EXP       ERROR       J REG       I REG\n\n 1 2\n",
                            "only 0 usable points, at least 10 are needed"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line_with_the_file(tmp_path, name):
    content, message = ERRORS[name]
    with pytest.raises(InputError) as caught:
        read(tmp_path, content, "bad.dat")
    assert str(caught.value) == f"{tmp_path / 'bad.dat'}: {message}"


@pytest.mark.parametrize("line", [
    "9" * 300_000 + "x", "(" * 300_000, "nm" + " " * 300_000 + "x", "angstr" * 50_000, "[" * 300_000,
    "1" + ",0" * 150_000, " " * 300_000 + "x", "nm" + "\n" * 300_000], ids=lambda line: line[:12].strip())
@pytest.mark.parametrize("form", ["columns", "gnom"])
def test_endless_lines_are_passed_over_at_once(tmp_path, form, line):
    """Patterns that try all ways to share out such a line would take hours."""
    rows = lines("   {0:.6E}   {1:.6E}   {2:.6E}   {1:.6E}   {1:.6E}")
    text = [line, *ROWS, line] if form == "columns" else [line, GNOM_5.format(rows="\n".join(rows), real=line)]
    curve = read(tmp_path, text)
    assert curve.q_inv_angstrom.size == Q.size


@given(content=st.one_of(
    st.binary(max_size=300), st.text(st.characters(codec="utf-8"), max_size=300).map(str.encode),
    st.lists(st.lists(st.one_of(
        st.floats().map(repr), st.integers().map(str), st.sampled_from(
            ["q", "#", ",", ";", "1,5", "*****", "1.0D-3", "nan", "1-103", "loop_", "data_x",
             "_sas_scan_intensity.intensity"])),
        min_size=1, max_size=5).map(" ".join), min_size=1, max_size=40).map(lambda rows: "\n".join(rows).encode())))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_text_is_a_sane_curve_or_a_line_of_reproach(content):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "any.dat"
        path.write_bytes(content)
        try:
            curve = read_curve(path)
        except InputError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable()
        else:
            sane(curve)


@given(columns=st.lists(st.tuples(*[st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([0.0, np.nan, np.inf, 1e300, -1e300, 1e-300, 5e-324, 1e99]))] * 3),
    min_size=10, max_size=60))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_numbers_are_a_sane_curve_or_too_few(columns):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "any.dat"
        path.write_text("\n".join(" ".join(map(repr, row)) for row in columns))
        try:
            sane(read_curve(path))
        except InputError as error:
            known = ("points?, at least 10 are needed|has no table of numbers|the unit of q is not stated|"
                     "the table in lines 1 to ")
            assert re.search(known, str(error))


def sane(curve):
    q, intensity, sigma = curve.q_inv_angstrom, curve.intensity, curve.sigma
    assert q.shape == intensity.shape == sigma.shape and q.size >= 10
    assert np.isfinite([q, intensity, sigma]).all() and q[0] > 0 and (np.diff(q) > 0).all() and (sigma > 0).all()
    assert all("\n" not in note for note in curve.notes)


def test_errors_of_the_path_and_the_unit(tmp_path, monkeypatch):
    with pytest.raises(InputError) as caught:
        read_curve(tmp_path / "none.dat")
    assert str(caught.value) == f"{tmp_path / 'none.dat'}: no such file"
    with pytest.raises(InputError) as caught:
        read_curve(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a directory, not a curve"
    with pytest.raises(InputError) as caught:
        read(tmp_path, ROWS, unit="nm")
    assert str(caught.value) == "unit 'nm' is not known: give 1/A or 1/nm"
    with open(tmp_path / "large.dat", "wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(InputError) as caught:
        read_curve(tmp_path / "large.dat")
    assert str(caught.value) == (
        f"{tmp_path / 'large.dat'}: 65 MB is too large for a curve (limit 64 MB)")


def test_rebin_keeps_chi_squared_and_the_length():
    q, intensity, sigma = made_curve(2000)
    curve = Curve(q, intensity, sigma, "1/A", (), "", False, 3)
    bins = rebin(curve, q_max=0.2, num_points=128)
    assert all(a.shape == (128,) and a.dtype == np.float64 for a in bins)
    assert np.all(np.diff(bins.q_inv_angstrom) > 0) and bins.q_inv_angstrom[-1] <= 0.2
    np.testing.assert_allclose(bins.weight, bins.sigma**-2)
    np.testing.assert_allclose(bins.weight.sum(), np.sum(sigma[q <= 0.2] ** -2))
    residual = (bins.intensity - 100 * sphere(bins.q_inv_angstrom)) / bins.sigma
    assert np.mean(residual**2) == pytest.approx(1.0, abs=0.4)
    later = rebin(curve, q_max=0.2, num_points=128, q_min=0.05)
    assert later.q_inv_angstrom[0] >= 0.05


def test_rebin_pads_a_short_curve():
    curve = Curve(Q, I, S, "1/A", (), "", False, 3)
    bins = rebin(curve, q_max=0.2, num_points=128)
    count = int(np.sum(Q <= 0.2))
    np.testing.assert_array_equal(bins.q_inv_angstrom[:count], Q[:count])
    np.testing.assert_array_equal(bins.intensity[:count], I[:count])
    assert np.all(bins.weight[:count] > 0) and np.all(bins.weight[count:] == 0)
    assert np.all(np.isinf(bins.sigma[count:])) and np.all(bins.intensity[count:] == 0)
    assert np.all(bins.q_inv_angstrom[count:] == Q[count - 1])
    with pytest.raises(InputError, match="only 0 points between q = 0 and 0.005 1/A"):
        rebin(curve, q_max=0.005)


def test_written_curves_and_fits_read_back(tmp_path):
    write_curve(tmp_path / "a.dat", Q, I, S, ["made\nof a sphere"])
    check(read_curve(tmp_path / "a.dat"))
    text = (tmp_path / "a.dat").read_text()
    assert text.startswith("# made\n# of a sphere\n# q(1/A)  I  sigma\n")
    write_fit(tmp_path / "a.fit", Q, I, S, 2 * I, ["chi^2 1.0"])
    fit = np.loadtxt(tmp_path / "a.fit")
    assert fit.shape == (60, 4)
    np.testing.assert_allclose(fit, np.stack([Q, I, S, 2 * I], axis=1), rtol=1e-8)
    check(read_curve(tmp_path / "a.fit"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.dat", "a.fit"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_curve(tmp_path / "a.dat", Q, I, S)
    before = (tmp_path / "a.dat").read_bytes()
    with pytest.raises(ValueError):
        write_curve(tmp_path / "a.dat", Q, I[:5], S)
    assert (tmp_path / "a.dat").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.dat"]


def test_measured_collection(data_dir):
    """Units of all the measured curves, as they are and in the other unit; their sigmas."""
    with open(data_dir / "saxs" / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    estimated = set()
    for row in rows:
        curve = read_curve(data_dir / "saxs" / row["id"] / row["profile_file"])
        assert curve.unit == row["q_unit"], row["id"]
        assert abs(curve.q_inv_angstrom.size - int(row["n_points"])) <= 1, row["id"]
        assert np.all(np.diff(curve.q_inv_angstrom) > 0) and np.all(curve.sigma > 0)
        estimated |= {row["id"]} if curve.sigma_estimated else set()
        for unit, factor in (("1/A", 1), ("1/nm", 10)):
            decided, note = decide_unit(
                factor * curve.q_inv_angstrom, curve.intensity, curve.sigma, None)
            assert decided == unit and "possible" not in note, row["id"]
    assert estimated == {"SASDA28", "carbonic_anhydrase"}


def test_hot_pixels_are_dropped_and_said(tmp_path):
    for place, height in ((0, 10), (0, 1000), (7, 10), (20, 1000), (30, 1000), (-1, 1000)):
        spoilt = I.copy()
        spoilt[place] = height * 100
        curve = read(tmp_path, lines(columns=(Q, spoilt, S)))
        assert noted(curve, "1 point far above all neighbours (a hot pixel or a cosmic ray?) dropped"), (place, height)
        assert curve.q_inv_angstrom.size == Q.size - 1


def test_sharp_features_of_good_curves_are_no_spikes(tmp_path):
    q = np.linspace(0.01, 0.3, 40)
    exact = sphere(q, 60.0) * 100 + 0.01
    assert read(tmp_path, lines(columns=(q, exact, 0.01 * exact))).q_inv_angstrom.size == 40


def test_over_subtraction_is_measured_by_its_depth(tmp_path):
    q, intensity, sigma = made_curve(300, noise=0.0005)
    shallow, deep = (read(tmp_path, lines(columns=(q, intensity - offset, sigma))) for offset in (0.5, 20.0))
    assert 0 < shallow.negative_share < 0.1 < deep.negative_share

"""The unit of q: every spelling in use, what only looks like a unit, and the choice where no unit is stated."""

import csv
import re

import numpy as np
import pytest

from launch.evaluation.curve_tasks import unit_scan
from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.curves.stated_units import StatedLength, find_instrument, find_stated_lengths, find_stated_unit
from saxsae.io.curves.units import DOUBT, TO_INVERSE_ANGSTROM, UNITS, decide_unit

BOTH_POSSIBLE = ("the unit of q is not stated, and both are possible: 1/A (.*) or 1/nm (.*): "
                 "give --unit=1/A or --unit=1/nm")
SPELLINGS = {
    "1/A": [
        "1/A", "q (1/A)", "Q [1/A]", "1/angstrom", "1/Angstrom", "1/angstroms", "1/Ang", "1/Å", "1 / Å", "1/\u212b",
        "A^-1", "q A^-1", "A^{-1}", "A**-1", "A**(-1)", "q [A^(-1)]", "Å⁻¹", "\u212b\u207b\u00b9", "A\u030a^-1", "Å^-1",
        "Å-1", "Å−1", "Ang^-1", "Angstroms-1", "angstrom-1", "Ångström⁻¹", "(A-1)", "[A-1]", "Q ( A-1 )", "q A-1",
        "q in A-1", "q/A-1", "q / Å⁻¹", "Momentum transfer (A−1)", "scattering vector A-1", "Q_A-1", "q_A^-1", "q_A",
        "qA", "q_invA", "invA", "inv_A", "q (Å)", r"\AA^{-1}", r"$\AA^{-1}$", r"q ($\mathrm{\AA}^{-1}$)",
        r"$\mathrm{\AA^{-1}}$", "q [Å$^{-1}$]", r"\per\angstrom", "Å<sup>-1</sup>", "&Aring;<sup>-1</sup>",
        r"q in A\ :sup:`-1`", "inverse angstrom", "reciprocal Angstroms", "per angstrom", '<Q unit="1/A">',
        'Q unit="A-1"', "Q@units = 1/angstrom", "{name: Qz, unit: 1/angstrom}", "Q (1/A) I (1/cm)",
        "q (1/A), wavelength 0.1 nm", "q range 0.01-0.3 A^-1", "q (1/A); beamsize 5 1/nm"],
    "1/nm": [
        "1/nm", "q(1/nm)", "1/nanometer", "1/nanometre", "1/nanometers", "nanometer-1", "nanometre^-1", "nm^-1",
        "nm**-1", "nm^(-1)", "nm$^{-1}$", "$nm^{-1}$", "q {nm^{-1}}", "nm⁻¹", "q nm⁻¹", "nm−1", "nm-1", "[nm-1]",
        "NM-1", "Q_nm-1", "q_nm", "qnm", "q (nm)", "q_nm^-1,I", "s [nm-1]", "s, nm^-1", "q/nm-1", "q / nm^{-1}",
        "invnm", "nm_inv", r"\per\nano\meter", "nm<sup>-1</sup>", "inverse nanometer", "per nanometre", "reciprocal nm",
        "q range 0.1 - 5 nm^-1", "# q (nm-1)  I (A^-1 cm)", "q (nm^-1)\n# wavelength 1.5 A, fitted to 0.3 1/A"],
    "1/m": ["1/m", "q [1/m]", "q (1/m)", "[m^-1]", "[m-1]", "q m-1", "q in 1/m", "Q (m⁻¹)", "q (1/meter)", "q_m^-1",
            '<Q unit="1/m">'],
}
NO_UNITS = [
    "", "q", "q I s", "wavelength 0.1 nm", "/data/1/A/sample_A-1.dat", r"C:\1/A\x", "1/A/x", "1/A.dat", "lyso nm",
    "1/Avogadro", "1/Angela", "1/nmr", "1/a", "A-1", "sample A-1", "BSA-1", "Protein-A-1", "A-1 vs A-2", "chain A -1",
    "280nm-1.dat", "scan_nm-12", "nm^-2", "A^-2", "dilution 1/A1", "QA passed", "Rg (A)", "Rg 25 A", "plate m-1",
    "1/m of the dose", "1/mm", "1/ml", "1/mM", "5 mg/ml", "I (1/cm)", "I [cm-1]", "I (cm$^{-1}$)", "cm^-1", "q 1/cm",
    "q (1/um)", "q (1/nm) or (1/A)", "q (1/A or 1/nm)", "fits in 1/A and in 1/nm"]


def rounded(q, rg):
    """Returns the intensity of a body without minima: Guinier's law, then a power law."""
    return (1 + (q * rg) ** 2 / 6) ** -2 + 1e-3


def guess(q, rg, header="", unit="1/A", noise=0.01):
    """Returns what is decided for q (1/A), written in `unit`, of a body of this Rg (A)."""
    sigma = noise * rounded(q, rg)
    intensity = rounded(q, rg) + sigma * np.random.default_rng(0).normal(size=q.size)
    return decide_unit(q / TO_INVERSE_ANGSTROM[unit], intensity, sigma, None, header)


def large_and_trimmed(header=""):
    """Decides on a body of Rg 100 A, q 0.005 to 0.05 1/A in 1/nm, which may be one of Rg 10 A to 0.5 1/A in 1/A."""
    return guess(np.linspace(0.005, 0.05, 100), 100, header, "1/nm")


def write(path, q, intensity, header=""):
    rows = (f"{a:.6e} {b:.6e} {0.01 * b:.6e}" for a, b in zip(q, intensity, strict=True))
    path.write_text(header + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("unit, text", [(unit, text) for unit, texts in SPELLINGS.items() for text in texts])
def test_spellings_in_use_are_recognised(unit, text):
    assert find_stated_unit(text) == unit


@pytest.mark.parametrize("text", NO_UNITS)
def test_text_that_is_no_unit(text):
    assert find_stated_unit(text) is None


def test_header_that_says_the_unit(tmp_path):
    q = np.linspace(0.01, 0.3, 60)
    rows = [f"{a:.6e},{b:.6e},{0.01 * b:.6e}" for a, b in zip(q, rounded(q, 20), strict=True)]
    for header, unit in (("q[1/nm],I[1/cm],sigma", "1/nm"), ("q (nm^-1),I(q),error", "1/nm"), ("Q_nm-1,Int,SD", "1/nm"),
                         ("q nm⁻¹,I,err", "1/nm"), ("q {nm^{-1}},I,sig", "1/nm"), ("q_nm,I,sigma", "1/nm"),
                         ("q[1/A],I[1/cm],sigma", "1/A"), ("q (Å^-1),I(q),error", "1/A"), ("Q(A-1),Int,SD", "1/A"),
                         ("q [Å⁻¹],I,err", "1/A"), ("q (1/Angstrom),I,sigma", "1/A"), ("q_A^-1,I,sigma", "1/A"),
                         ("inverse angstrom,I,s", "1/A")):
        (tmp_path / "x.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        curve = read_curve(tmp_path / "x.csv")
        assert curve.unit == unit, header
        np.testing.assert_allclose(curve.q_inv_angstrom, q * TO_INVERSE_ANGSTROM[unit], rtol=2e-6)
        doubted = any(f"q in {unit}, as the file says; but Guinier Rg" in note for note in curve.notes)
        assert doubted if unit == "1/nm" else f"q in {unit}, as the file says" in curve.notes, header


def test_q_in_inverse_metres_is_converted(tmp_path):
    q = np.linspace(0.01, 0.3, 60)
    curve = read_curve(write(tmp_path / "x.dat", 1e10 * q, rounded(q, 20), "# q [1/m]  I  sigma\n"))
    assert curve.unit == "1/m" and "q in 1/m, as the file says" in curve.notes
    np.testing.assert_allclose(curve.q_inv_angstrom, q, rtol=1e-6)
    unit, note = guess(q, 20, unit="1/m")
    assert unit == "1/m" and "1/m assumed (Guinier Rg " in note and DOUBT not in note


def test_q_in_inverse_micrometres_is_refused():
    with pytest.raises(InputError, match="^q is in 1/um, which is not read: convert q to 1/A or 1/nm$"):
        large_and_trimmed("q (1/µm)  I")


@pytest.mark.parametrize("text", [
    "nm" + " " * 300_000 + "x", "angstr" * 50_000, "[" * 300_000, "q " * 150_000, "q[" * 100_000, "1/" * 150_000,
    "- " * 150_000, "{ " * 150_000, "q" + "units" * 60_000, "inverse " * 40_000, "Rg: " + "9" * 300_000,
    "Dmax[ " * 50_000, "EMBL " * 60_000, "\\" * 300_000], ids=lambda text: text[:12].strip())
def test_endless_text_is_searched_at_once(text):
    assert find_stated_unit(text) is None
    assert find_stated_lengths(text) == [] and find_instrument(text) is None


def test_lengths_in_headers():
    for text, (kind, value, unit) in {
            "Reciprocal space Rg:             0.2580E+02": ("Rg", 25.8, None),
            "Real space Rg:     0.2581E+02 +-   0.0000E+00": ("Rg", 25.81, None),
            "Rg :  0.154E+02   I(0) :   0.657E+01": ("Rg", 15.4, None),
            '"Rg": "28.215316791485193",': ("Rg", 28.2, None),
            "Rg: 2.58 nm": ("Rg", 2.58, "nm"), "Rg (A) = 25.8 +/- 0.2": ("Rg", 25.8, "A"),
            "R_g=25.8±0.1 Å": ("Rg", 25.8, "A"), "Radius of gyration 25 angstrom": ("Rg", 25, "A"),
            "Maximum characteristic size:        81.0000": ("D_max", 81, None), "D_max [nm]: 8.1": ("D_max", 8.1, "nm"),
            "Dmax: 81 A": ("D_max", 81, "A")}.items():
        assert find_stated_lengths(text) == [StatedLength(kind, pytest.approx(value, rel=1e-3), unit)], text
    for text in ('"Rg_err": 0.1', "Rg  A  5", "Rgyr 3", "dRg = 3"):
        assert find_stated_lengths(text) == [], text


def test_unit_is_decided_from_the_data_and_overridable(tmp_path):
    q = np.linspace(0.01, 0.3, 60)
    path = write(tmp_path / "x.dat", 10 * q, rounded(q, 20))
    curve = read_curve(path)
    np.testing.assert_allclose(curve.q_inv_angstrom, q, rtol=2e-6)
    assert curve.unit == "1/nm"
    expected = (r"unit of q not stated: 1/nm assumed \(Guinier Rg \S+ A, q_max 0.3 1/A; "
                r"in 1/A Guinier Rg \S+ A, q_max 3 1/A\)")
    assert any(re.fullmatch(expected, note) for note in curve.notes), curve.notes
    given = read_curve(path, unit="1/A")
    np.testing.assert_allclose(given.q_inv_angstrom, 10 * q, rtol=2e-6)
    assert given.unit == "1/A" and "q in 1/A, as given" in given.notes
    path = write(tmp_path / "x.dat", q, rounded(q, 20), "q[1/nm] I sigma\n")
    assert read_curve(path, unit="1/A").unit == "1/A"


def test_where_both_units_are_possible_the_unit_is_asked_for(tmp_path):
    with pytest.raises(InputError, match=f"^{BOTH_POSSIBLE}$"):
        large_and_trimmed()
    q = np.linspace(0.03, 1.2, 200)  # Rg 9 A to 1.2 1/A, or Rg 90 A to 0.12 1/A
    intensity = np.exp(-(q * 9) ** 2 / 3) + 0.003
    with pytest.raises(InputError, match=r"1/A \(Guinier Rg .* A, q_max 1.2 1/A\) or 1/nm \(.*, q_max 0.12 1/A\)"):
        decide_unit(q, intensity, 0.01 * intensity, None)
    path = write(tmp_path / "x.dat", np.linspace(0.05, 0.5, 100), rounded(np.linspace(0.05, 0.5, 100), 10))
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {BOTH_POSSIBLE}$"):
        read_curve(path)
    assert read_curve(path, "1/A").unit == "1/A" and read_curve(path, "1/nm").unit == "1/nm"


def test_an_unlikely_other_unit_is_named_and_the_curve_still_read():
    unit, note = guess(np.linspace(0.04, 0.5, 200), 15)  # a small protein; if not, a trimmed complex of Rg 150 A
    assert unit == "1/A" and f"but 1/nm {DOUBT} (Guinier Rg 1" in note and note.endswith("if so, give --unit=1/nm")


@pytest.mark.parametrize("header", [
    "Rg: 10.0 nm", "Rg (A) = 101", "Radius of gyration 98 Å", "Rg = 100", "Dmax: 300 A", "Real space Rg:  0.1010E+03",
    "EMBL P12, PETRA III", "ESRF BM29", "q range 0.05 - 0.5 nm^-1"])
def test_header_decides_for_1_nm(header):
    assert large_and_trimmed(f"Sample: a complex, 2 mg/ml\n{header}\n")[0] == "1/nm"


@pytest.mark.parametrize("header", [
    "Rg: 1.0 nm", "Rg (A) = 10", "Rg = 1.02", "Dmax: 30 A", "SIBYLS, ALS 12.3.1", "SSRL BL4-2", "BioCAT",
    "Diamond B21", "q (1/A)"])
def test_header_decides_for_1_angstrom(header):
    assert large_and_trimmed(f"Sample: a peptide, 2 mg/ml\n{header}\n")[0] == "1/A"


@pytest.mark.parametrize("header", ["Rg = 10.0", "Rg: 10 nm\nDmax: 30 A", "BM29 and SIBYLS", "Rg: 55 A", "lysozyme"])
def test_header_that_decides_nothing(header):
    with pytest.raises(InputError, match=BOTH_POSSIBLE):
        large_and_trimmed(header)


def test_radius_in_the_header_stands_in_for_a_guinier_region():
    q = np.linspace(0.15, 0.3, 60)  # far beyond the Guinier region of Rg 25 A
    unit, note = guess(q, 25, "Reciprocal space Rg:  0.2500E+01", "1/nm")
    assert unit == "1/nm" and "Rg 25 A in the header" in note


def test_instrument_counts_only_where_the_data_decide_nothing():
    assert guess(np.linspace(0.01, 0.3, 200), 25, "EMBL P12")[0] == "1/A"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("rg", [12, 15, 20, 30, 40, 50, 60])
def test_usual_curves_are_decided(rg, unit):
    decided, note = guess(np.linspace(0.01, 0.3, 250), rg, unit=unit)
    assert decided == unit and DOUBT not in note


def test_scan_decides_none_wrong_without_doubt():
    items = unit_scan.scan()
    count = {outcome: sum(item["outcome"] == outcome for item in items) for outcome in unit_scan.OUTCOMES}
    assert count["wrong"] == 0 and count["doubt, wrong"] < 0.04 * len(items) and count["asked"] < 0.15 * len(items)
    assert {item["rg_angstrom"] for item in items if item["outcome"] == "doubt, wrong"} <= {120, 150}
    usual = [item for item in items if item["q_rg_max"] is None and 15 <= item["rg_angstrom"] <= 60]
    assert usual and all(item["outcome"] == "right" for item in usual)
    table = unit_scan.format_scan(items).splitlines()
    assert len(table) == 1 + 2 * 12 + 3
    assert table[25].split() == ["usual", "both", str(len(usual)), "0", "0", "0", "0"]
    last = rf"{len(items)} curves: \d+ right, \d+ asked for --unit, \d+ wrong( \(\d+ of them with doubt said\))?"
    assert re.fullmatch(last, table[-1])


def test_measured_curves_are_decided_trimmed_or_not(data_dir):
    """All of them without their statements, as they are in their files and in the other unit; none is asked for."""
    with open(data_dir / "saxs" / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    doubted = set()
    for row in rows:
        curve = read_curve(data_dir / "saxs" / row["id"] / row["profile_file"], row["q_unit"])
        for unit in UNITS:
            for q_max in (np.inf, 0.3, 0.2):
                kept = curve.q_inv_angstrom <= q_max
                q = curve.q_inv_angstrom[kept] / TO_INVERSE_ANGSTROM[unit]
                decided, note = decide_unit(q, curve.intensity[kept], curve.sigma[kept], None)
                assert decided == unit, (row["id"], unit, q_max, note)
                doubted |= {row["id"]} if DOUBT in note and unit == row["q_unit"] else set()
    assert doubted <= {"lair1_ecd", "lyzexp", "nup133_3kfo"}


def test_awkward_units(awkward_curves):
    for name, unit, q_max in (("plain", "1/A", 0.3), ("unit_per_nanometer_spelled", "1/nm", 0.05),
                              ("unit_1_per_angstrom_lower", "1/A", 3.0), ("per_metre", "1/m", 0.3)):
        curve = read_curve(awkward_curves / f"{name}.dat")
        assert curve.unit == unit, name
        assert curve.q_inv_angstrom[-1] == pytest.approx(q_max, rel=1e-4), name
    with pytest.raises(InputError, match="Guinier Rg 10 A, .*Guinier Rg 100 A, .*: give --unit=1/A or --unit=1/nm$"):
        read_curve(awkward_curves / "large_nm_trimmed.dat")

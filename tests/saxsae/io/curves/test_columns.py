"""Which columns of a table are q, intensity and sigma, by name and by number; what is not I(q) is refused by name."""

import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae.io.curves.column_names import find_role, name_columns
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.curves.transforms import find_transform

RNG = np.random.default_rng(0)
Q = np.linspace(0.01, 0.3, 60)


def sphere(q, radius=25.0):
    x = q * radius
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


FIT = 100 * sphere(Q)
S = np.sqrt(sphere(Q) + 0.003)
I = FIT + S * RNG.normal(size=60)
POSITIVE = np.abs(I) + 1e-3
COUNT = np.arange(60)
PLANE = np.array([(x, y) for y in np.linspace(-0.1, 0.1, 14) for x in np.linspace(-0.1, 0.1, 14)])
PLANE_I = 100 * np.exp(-300 * (PLANE**2).sum(1))
MASK, JITTER = RNG.random(196) < 0.8, 1e-4 * RNG.normal(size=(196, 2))


def rows(*columns, separator=" "):
    return "".join(separator.join(f"{x:.8g}" for x in row) + "\n" for row in zip(*columns, strict=True))


def csv(header, *columns):
    return header + "\n" + rows(*columns, separator=",")


def read(tmp_path, text):
    (tmp_path / "curve.dat").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_curve(tmp_path / "curve.dat")


def refusal(tmp_path, text):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'curve.dat'}: ") and message.isprintable()
    return message.removeprefix(f"{tmp_path / 'curve.dat'}: ")


# What programs and instruments write: text, whether sigma is in the file, and a part of a note that must be there.
READ = {
    "SasView": ("<X>\t<Y>\t<dY>\t<dX>\n" + rows(Q, I, S, 0.05 * Q, separator="\t"), True, None),
    "NIST .ABS": ("FILE: A.ABS\nThe 6 columns are | Q (1/A) | I(Q) (1/cm) | std. dev. I(Q) (1/cm) | sigmaQ | meanQ | "
                  "ShadowFactor|\n" + rows(Q, I, S, 0.05 * Q, Q, 0 * Q + 1), True, None),
    "BioXTAS RAW": ("### HEADER:\n#\n# {\n#  \"Rg\": 19.4\n# }\n### DATA:\n#\n# 60\n#      Q             I(Q)         "
                    "  Error\n" + rows(Q, I, S), True, None),
    "ATSAS": ("Sample description: x\ns I(s) err\n" + rows(Q, I, S), True, None),
    "Xenocs": ("##########\n# Wavelength: 1.5418\nq(A-1)\tI(q)\tSig(q)\n" + rows(Q, I, S, separator="\t"), True, None),
    "SAXSLAB": (csv("q(A-1),I(q),Sig(q)", Q, I, S), True, None),
    "pyFAI": ("# == pyFAI ==\n# Wavelength: 9.9e-11 m\n# --> x.dat\n#       q_A^-1             I           sigma\n"
              + rows(Q, I, S), True, None),
    "MOUSE": ("q (1/A);I (1/(m sr));ISE\n" + rows(Q, I, S, separator=";"), True, None),
    "DAWN": ("# x\ty\te\n" + rows(Q, I, S, separator="\t"), True, None),
    "SPEC": ("#S 1\n#L q  I  err\n" + rows(Q, I, S), True, None),
    "Origin": ("Q\tI\tError\nA\\+(-1)\tcm\\+(-1)\t\n\t\t\n" + rows(Q, I, S, separator="\t"), True, None),
    "FoXS fit": ("# offset = 0\n#  q  exp_intensity   model_intensity error\n" + rows(Q, I, FIT, S), True, None),
    "Pepsi-SAXS fit": ("#  q  Iexp  sig  Ifit\n" + rows(Q, I, S, FIT), True, None),
    "DENSS fit": ("# q(data),I(data),error(data),I(density)\n" + rows(Q, I, S, FIT), True, None),
    "fit without names": (rows(Q, I, FIT, S), True, "column 3 follows the intensity (a fit?): column 4 was taken as"),
    "CRYSOL .int": (" 6lyz.pdb  Rg 14\n" + rows(Q, I, 20 * FIT, 15 * FIT, 0.9 * FIT), False,
                    "columns 3 to 5 are as large as the intensity"),
    "CRYSOL .int with names": (
        "# q, I(q) in solution, in vacuo, solvent, border layer\n" + rows(Q, I, 20 * FIT, 15 * FIT, 0.5 * FIT), False,
        "a computed curve with its parts: the first intensity (I(q) in solution) was read, without sigma"),
    "channels from 10": (rows(COUNT + 10, Q, I, S), True, "the first column only counts the rows: skipped"),
    "channels, named": (csv("channel,q,I,sigma", COUNT + 10, Q, I, S), True,
                        "column channel, which counts the rows, skipped"),
    "q dq I dI": (rows(Q, 0.05 * Q, I, S), True, "column 2 is the width of q: column 3 was read as the intensity"),
    "q dq I": (rows(Q, 0.05 * Q, I), False, "column 2 is the width of q: column 3 was read as the intensity"),
    "q dq I dI, dq of two parts": (rows(Q, np.hypot(1e-3, 0.05 * Q), I, S), True, "column 2 is the width of q"),
    "q I dq dI": (rows(Q, I, 0.05 * Q, S), True, "column 3 is the width of q: not taken as sigma"),
    "q I dq": (rows(Q, I, 0.05 * Q), False, "column 3 is the width of q: not taken as sigma"),
    "named dq": (csv("q,dq,I,dI", Q, 0.05 * Q, I, S), True, None),
    "named resolution": (csv("Q,resolution,Intensity,err", Q, 0.05 * Q, I, S), True, None),
    "side by side": (csv("q,A,q,B,q,C", Q, I, Q, 2 * I, Q, 3 * I), False,
                     "the file has three curves, side by side: the first was read, without sigma"),
    "side by side, with sigma": (csv("q,I,err,q,I,err", Q, I, S, Q, 2 * I, 2 * S), True,
                                 "the file has two curves, side by side: the first was read"),
    "side by side, numbered": (csv("q1,I1,q2,I2", Q, I, Q, 2 * I), False, "two curves, side by side"),
    "side by side, no names": (rows(Q, I, Q, 2 * I), False, "two curves, side by side: the first was read, without"),
    "side by side, no names, with sigma": (rows(Q, I, S, Q, 2 * I, 2 * S), True, "two curves, side by side"),
    "a fit on its own q": (csv("q,I,sigma,q,fit", Q, I, S, Q, FIT), True, None),
    "one q": (csv("q,I_1,err_1,I_2,err_2", Q, I, S, 2 * I, 2 * S), True,
              "the file has two curves, on one q: the first (I_1) was read"),
    "one q, sigmas last": (csv("q,I_1,I_2,err_1,err_2", Q, I, 2 * I, S, 2 * S), True, "two curves, on one q"),
    "one q, no names": (rows(Q, I, S, 2 * I, 2 * S), True, "the file has two curves, on one q: the first was read"),
    "one q, samples": (csv("q,5 mg/ml,2 mg/ml,1 mg/ml", Q, I, 0.4 * I, 0.2 * I), False,
                       "the file has three curves, on one q: the first (5 mg/ml) was read, without sigma"),
    "unknown name of sigma": (csv("q,I,whatever", Q, I, S), True, None),
}


@pytest.mark.parametrize("name", READ)
def test_columns_of_programs_and_instruments(tmp_path, name):
    text, with_sigma, note = READ[name]
    curve = read(tmp_path, text)
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-6)
    np.testing.assert_allclose(curve.intensity, I, rtol=1e-6)
    assert curve.sigma_estimated is not with_sigma
    if with_sigma:
        np.testing.assert_allclose(curve.sigma, S, rtol=1e-6)
    assert note is None or any(note in one for one in curve.notes), curve.notes


def test_side_by_side_curves_of_different_length(tmp_path):
    text = "q,A,q,B\n" + "".join(
        f"{q:.6f},{i:.6f}," + (f"{q:.6f},{2 * i:.6f}\n" if k < 40 else ",\n")
        for k, (q, i) in enumerate(zip(Q, I, strict=True)))
    curve = read(tmp_path, text)
    np.testing.assert_allclose(curve.intensity, I, atol=1e-5)


@pytest.mark.parametrize("header, base", [
    ("q,log10(I),sigma", 10), ("q log10I sigma_log", 10), ("q,lg(I),err", 10), ("q;log10(I(q));err", 10),
    ("q log10 I sigma", 10), ("q,ln(I),sigma", np.e), ("q,lnI(q),sigma", np.e)])
def test_named_logarithms_are_converted_with_their_sigma(tmp_path, header, base):
    separator = next((mark for mark in ",;" if mark in header), " ")
    table = rows(Q, np.log(POSITIVE) / np.log(base), S / POSITIVE / np.log(base), separator=separator)
    curve = read(tmp_path, f"{header}\n{table}")
    np.testing.assert_allclose(curve.intensity, POSITIVE, rtol=1e-5)
    np.testing.assert_allclose(curve.sigma, S, rtol=1e-5)
    name = "log10" if base == 10 else "ln"
    factor = " ln(10)" if base == 10 else ""
    assert (f"{name}(I), as the file says: converted to I, and its sigma by sigma_I = I{factor} sigma_{name}"
            in curve.notes)


def test_a_sigma_named_that_of_the_intensity_stays(tmp_path):
    curve = read(tmp_path, csv("q,log10(I),sigma_I", Q, np.log10(POSITIVE), S))
    np.testing.assert_allclose(curve.sigma, S, rtol=1e-6)
    assert "log10(I), as the file says: converted to I; sigma is taken as that of I" in curve.notes


LOOKS_LIKE_LOG = ("the table in lines 1 to 60 looks like log10 (or ln) of the intensity: give the intensity itself, "
                  "or name the column log10(I)")
REFUSED = {
    "log without base": (csv("q,log(I)", Q, np.log10(POSITIVE)), "has \"log\" of the intensity without its base"),
    "log10 by numbers": (rows(Q, np.log10(POSITIVE), S / POSITIVE / np.log(10)), LOOKS_LIKE_LOG),
    "ln by numbers": (rows(Q, np.log(POSITIVE), S / POSITIVE), LOOKS_LIKE_LOG),
    "log10 without sigma": (rows(Q, np.log10(POSITIVE)), LOOKS_LIKE_LOG),
    "log10 below 1": (rows(Q, np.log10(POSITIVE / 1e4)), LOOKS_LIKE_LOG),
    "log10 without noise": (rows(Q, np.log10(100 * np.exp(-130 * Q**2) + 1e-3)), LOOKS_LIKE_LOG),
    "log10 of both": (csv("log10(q),log10(I)", np.log10(Q), np.log10(POSITIVE)), "has the logarithm of q in the first"),
    "Guinier": (csv("q2,lnI", Q**2, np.log(POSITIVE)), "is a Guinier plot (q^2, ln I): give q and I"),
    "Guinier, blanks": ("q2 lnI\n" + rows(Q**2, np.log(POSITIVE)), "is a Guinier plot (q^2, ln I): give q and I"),
    "Guinier, units": (csv("q^2 (1/A^2),ln(I(q))", Q**2, np.log(POSITIVE)), "is a Guinier plot (q^2, ln I)"),
    "Guinier, superscript": (csv("q²,ln I", Q**2, np.log(POSITIVE)), "is a Guinier plot (q^2, ln I): give q and I"),
    "Guinier by numbers": (rows(Q**2, np.log(POSITIVE)), "looks like a Guinier plot (q^2, ln I): give q and I"),
    "q^2 and I": (csv("q^2,I", Q**2, I), "has q^2 in the first column: give q and I"),
    "Kratky": (csv("q,q^2*I", Q, Q**2 * I), "is a Kratky plot (q^2 I): give q and I"),
    "Kratky, squeezed": (csv("q,q2I(q),err", Q, Q**2 * I, Q**2 * S), "is a Kratky plot (q^2 I): give q and I"),
    "Kratky, blanks": ("# q   q^2 I\n" + rows(Q, Q**2 * I), "is a Kratky plot (q^2 I): give q and I"),
    "Kratky, turned": (csv("q,I*q^2", Q, Q**2 * I), "is a Kratky plot (q^2 I): give q and I"),
    "Kratky by heading": ("# Kratky plot\n" + rows(Q, Q**2 * I), "is a Kratky plot by its heading: give q and I"),
    "Kratky by numbers": (rows(Q, Q**2 * I, Q**2 * S), "looks like a Kratky plot (q, q^2 I): give q and I"),
    "Kratky without dimensions": (csv("qRg,(qRg)^2*I(q)/I(0)", 20 * Q, Q**2 * I), "is a dimensionless Kratky plot"),
    "Porod": (csv("q,q^4*I", Q, Q**4 * I), "is a Porod plot (q^4 I): give q and I"),
    "Porod by numbers": (rows(Q, Q**4 * I, Q**4 * S), "looks like a Porod plot (q, q^4 I): give q and I"),
    "q I": (csv("q,q*I(q)", Q, Q * I), "gives q I(q) (a plot for rods): give q and I"),
    "Zimm": (csv("q,1/I", Q, 1 / POSITIVE), "gives 1/I or its root (a Zimm plot): give q and I"),
    "structure factor": (csv("q,S(q)", Q, I), "gives a structure factor S(q): give I(q)"),
    "2D, named": (csv("Qx,Qy,I", *PLANE.T, PLANE_I), "is two-dimensional (Qx, Qy, I): average it over the angles"),
    "2D, SasView": ("Data columns are Qx - Qy - I(Qx,Qy) - err(I)\n\nASCII data\n"
                    + rows(*PLANE.T, PLANE_I, 1 + 0 * PLANE_I), "is two-dimensional (Qx, Qy, I)"),
    "2D by numbers": (rows(*PLANE.T, PLANE_I), "is two-dimensional (Qx, Qy, I)"),
    "2D, columns first": (rows(*PLANE.T[::-1], PLANE_I), "is two-dimensional (Qx, Qy, I)"),
    "2D, pixels": (rows(*np.divmod(np.arange(196), 14), PLANE_I), "is two-dimensional (Qx, Qy, I)"),
    "2D, masked": (rows(*[column[MASK] for column in (*(PLANE + JITTER).T, PLANE_I)]),
                   "is two-dimensional (Qx, Qy, I)"),
    "2D, any order": (rows(*RNG.uniform(-0.1, 0.1, (2, 150)), RNG.random(150)), "is two-dimensional (Qx, Qy, I)"),
    "matrix": (rows(*PLANE_I.reshape(14, 14)), "is a matrix of numbers, such as an image"),
    "SESANS": ("FileFormatVersion 1.0\nDataFileTitle SESANS of x\nSpinEchoLength_unit A\nBEGIN_DATA\n"
               "SpinEchoLength Depolarisation Depolarisation_error Wavelength\n" + rows(100 * Q, -I, S, Q),
               "is spin-echo data (SESANS), not I(q)"),
    "SEC": (csv("frame,Integrated Intensity,Rg", COUNT, np.exp(-(COUNT - 30.0) ** 2 / 50), 20 + 0 * Q),
            "is a trace against frame, time or volume (SEC), not I(q)"),
    "SEC in time": (csv("Time (s),UV 280", 2.5 * COUNT, I), "is a trace against frame, time or volume (SEC)"),
    "SEC in volume": ("# elution volume (ml), I(0), Rg\n" + rows(0.1 * COUNT, I, S, separator=","),
                      "is a trace against frame, time or volume (SEC)"),
    "channels alone": (rows(COUNT + 10, I, S),
                       "has channel numbers and no q: give q, or the scattering angle as 2theta"),
    "spacings": (csv("d,I", 1 / Q, I), "has spacings d in the first column, not q: give q = 2 pi / d"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_curve_is_refused_by_its_name(tmp_path, name):
    text, reason = REFUSED[name]
    assert reason in refusal(tmp_path, text)


BINARIES = {
    b"II*\x00": "is a TIFF image, not a curve: integrate it over the angles first",
    b"MM\x00*": "is a TIFF image, not a curve: integrate it over the angles first",
    b"\x89PNG\r\n\x1a\n": "is a PNG image, not a curve: give the numbers as text",
    b"###CBF: VERSION 1.5\r\n": "is a CBF image, not a curve: integrate it over the angles first",
    b"{\nHeaderID = EH:000001 ;\nByteOrder = LowByteFirst ;\nDim_1 = 10 ;\n}\n":
        "is an EDF image, not a curve: integrate it over the angles first",
    b"\xff\xd8\xff\xe0": "is a JPEG image, not a curve: give the numbers as text",
    b"%PDF-1.7\n": "is a PDF document, not a curve: give the numbers as text",
    b"PK\x03\x04": "is an Excel workbook or another ZIP archive: save the sheet, or unpack the file, as text (CSV)",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook: save the sheet as text (CSV)",
    b"\x1f\x8b\x08": "is compressed (gzip): unpack it first",
}


@pytest.mark.parametrize("magic", BINARIES, ids=range(len(BINARIES)))
def test_images_workbooks_and_archives_are_refused_by_their_name(tmp_path, magic):
    assert refusal(tmp_path, magic + bytes(range(256))) == BINARIES[magic]


SHAPES = {
    "sphere": lambda q: sphere(q), "large sphere": lambda q: sphere(q, 80.0), "small sphere": lambda q: sphere(q, 9.0),
    "chain": lambda q: 2 * (np.exp(-(q * 30) ** 2) - 1 + (q * 30) ** 2) / (q * 30) ** 4,
    "rod": lambda q: np.exp(-(q * 8) ** 2 / 2) / (q * 100), "aggregates": lambda q: sphere(q) + 1e-6 * q**-4.0,
    "repulsion": lambda q: sphere(q) * (1 - 0.8 * np.exp(-(q * 40) ** 2)), "flat": lambda q: 1 + 0 * q,
    "vesicle": lambda q: (np.sin(100 * q) / (100 * q)) ** 2 * np.exp(-(q * 10) ** 2) + 1e-4,
    "difference": lambda q: sphere(q, 25.0) - 0.9 * sphere(q, 27.0),
    "negative": lambda q: 0.9 * sphere(q) - sphere(q, 27.0),
    "background": lambda q: sphere(q) + 0.2, "over-subtracted": lambda q: sphere(q) - 0.1,
    "far over-subtracted": lambda q: sphere(q) - 0.5, "shadow": lambda q: sphere(q) * (1 - np.exp(-(q / 0.012) ** 8)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [0.0, 0.002, 0.03])
@pytest.mark.parametrize("grid", ["linear", "logarithmic", "from zero", "fine"])
def test_no_scattering_curve_is_taken_for_something_else(shape, noise, grid):
    q = {"linear": np.linspace(0.008, 0.4, 200), "logarithmic": np.geomspace(0.004, 0.5, 150),
         "from zero": np.linspace(0, 0.5, 101)[1:], "fine": np.linspace(0.01, 0.25, 900)}[grid]
    exact = SHAPES[shape](q)
    sigma = np.abs(exact).max() * noise * np.sqrt(np.abs(exact) / np.abs(exact).max() + 0.01)
    for scale in (1.0, 1e-3, 1e4):
        intensity = scale * (exact + sigma * np.random.default_rng(1).normal(size=q.size))
        for error in (scale * sigma, None):
            assert find_transform(q, intensity, error) is None


def test_names_of_columns():
    for name in ("q", "Q (1/A)", "q[nm-1]", "q_nm^-1", "s", "Momentum transfer", "scattering vector", "Q_A-1",
                 "q(data)"):
        assert find_role(name, 0) == "q", name
    for name in ("I", "I(q)", "Intensity", "I (1/cm)", "I_exp", "exp_intensity", "I(Q)[a.u.]", "Iobs", "y"):
        assert find_role(name, 1) == "intensity", name
    for name in ("sigma", "err", "Error", "s", "dI", "I_err", "std. dev. I(Q) (1/cm)", "Sig(q)", "sigma(I)",
                 "err(I(q))",
                 "uncertainty", "esd", "ISE", "σ(I)", "IntensityError"):
        assert find_role(name, 2) == "sigma", name
    for name in ("dq", "sigmaQ", "dQ (1/A)", "resolution", "Qdev"):
        assert find_role(name, 3) == "dq", name
    assert find_role("p(r)", 1) == "p_r" and find_role("I(fit)", 3) == "fit" and find_role("", 0) == "index"
    assert name_columns("# q [1/A]  I [1/cm]  sigma", 3) is not None
    assert name_columns("two words", 3) is None and name_columns("x" * 5000, 1) is None


def test_headings_without_end_are_passed_over_at_once(tmp_path):
    for heading in ("(" * 4000, "a(" * 2000, "," * 4000, "q " * 2000, "log10 " * 600, " " * 4000 + "q"):
        assert read(tmp_path, f"{heading}\n" * 30 + rows(Q, I, S)).q_inv_angstrom.size == 60


@pytest.mark.parametrize("header", ["q I_sample I_buffer I_subtracted sigma", "q I_sam I_buf I_sub err_sub"])
def test_of_sample_buffer_and_difference_the_difference_is_read(tmp_path, header):
    curve = read(tmp_path, header + "\n" + rows(Q, I + 50, 50 + 0 * Q, I, S))
    np.testing.assert_allclose(curve.intensity, I, rtol=1e-6)
    assert any("was read as the intensity" in note for note in curve.notes) and not curve.sigma_estimated


@pytest.mark.parametrize("heading", ["# log10 scale", "# y axis: log10(intensity)", "# ln(I), arbitrary offset"])
def test_a_logarithm_in_the_heading_is_refused(tmp_path, heading):
    text = f"{heading}\n" + rows(Q, 10 + np.log10(POSITIVE), 0.01 + 0 * Q)
    assert "logarithm" in refusal(tmp_path, text) or "log" in refusal(tmp_path, text)


"""2 theta and s = 2 sin(theta) / lambda become q where a file states them, and only there."""

import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae.io.curves.abscissa import convert_two_theta, defines_s, find_wavelength, names_two_theta
from saxsae.io.curves.measured_curves import read_curve

Q = np.linspace(0.01, 0.3, 60)
X = Q * 25.0
FORM = (3 * (np.sin(X) - X * np.cos(X)) / X**3) ** 2
S = np.sqrt(FORM + 0.003)
I = 100 * FORM + S * np.random.default_rng(0).normal(size=60)
WAVELENGTH = 0.99
TWO_THETA = np.degrees(2 * np.arcsin(Q * WAVELENGTH / (4 * np.pi)))


def rows(*columns, separator=" "):
    return "".join(separator.join(f"{x:.8e}" for x in row) + "\n" for row in zip(*columns, strict=True))


def read(tmp_path, text, unit=None):
    (tmp_path / "curve.dat").write_text(text, encoding="utf-8")
    return read_curve(tmp_path / "curve.dat", unit)


def check(curve, unit="1/A"):
    assert curve.unit == unit
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-6)
    np.testing.assert_allclose(curve.intensity, I, rtol=1e-6)


@pytest.mark.parametrize("header", [
    "# Wavelength: 9.9e-11 m\n#       2th_deg             I           sigma\n",
    "# wavelength = 0.099 nm\n2theta I err\n",
    "Wavelength (A): 0.99\n2Theta(deg) Intensity Error\n",
    "wavelength [Angstrom] 0.99\ntwo_theta int sigma\n",
    "lambda=0.99 Å\ntth I e\n",
    "# λ = 0,099 nm\n# 2θ I σ\n",
    "Wavelength_nm: 0.099 nm\n# 2-theta I sigma\n",
    "# Energy: 12.5236563 keV\n# 2theta I sigma\n",
    "photon energy (eV) = 12523.6563\n2 theta  I  sigma\n",
    "wavelength 99 pm\n# the scattering angle in degrees\n",
    "wavelength 0.99 A\n# abscissa: 2theta\n",
], ids=range(11))
def test_two_theta_is_converted_by_the_wavelength(tmp_path, header):
    curve = read(tmp_path, header + rows(TWO_THETA, I, S))
    check(curve)
    assert any(note.startswith("2 theta in deg converted to q by the wavelength of 0.99 A (") for note in curve.notes)


def test_names_with_blanks_and_units_in_csv(tmp_path):
    header = "wavelength (nm) = 0.099\nScattering angle 2theta (deg), Intensity (counts), Sigma\n"
    check(read(tmp_path, header + rows(TWO_THETA, I, S, separator=",")))


def test_radian_and_milliradian(tmp_path):
    header = "wavelength 0.99 A\n"
    check(read(tmp_path, header + "2th_rad I sigma\n" + rows(np.radians(TWO_THETA), I, S)))
    check(read(tmp_path, header + "2theta(mrad) I sigma\n" + rows(1000 * np.radians(TWO_THETA), I, S)))


@pytest.mark.parametrize("header", [
    "2theta I sigma\n", "# wavelength 1.54\n2theta I sigma\n",
    "wavelength 1.54 A, wavelength 0.99 A\n2theta I sigma\n"])
def test_without_one_wavelength_two_theta_is_refused(tmp_path, header):
    with pytest.raises(InputError) as caught:
        read(tmp_path, header + rows(TWO_THETA, I, S))
    assert ("has the scattering angle 2 theta in its first column, and no wavelength with its unit is stated: "
            "give q") in str(caught.value)


def test_an_angle_theta_is_refused(tmp_path):
    with pytest.raises(InputError, match="has an angle theta in the first column: give q, or the scattering angle as"):
        read(tmp_path, "wavelength 0.99 A\ntheta,I,sigma\n" + rows(TWO_THETA / 2, I, S, separator=","))


def test_a_value_of_two_theta_in_the_header_is_no_abscissa(tmp_path):
    for header in ("# wavelength 0.99 A\n# 2theta: 0.0 deg\n", "# q = 4 pi sin(2theta/2)/lambda\n",
                   "# detector 2theta = 5\n# q I sigma\n", "scattering angle 0.1 to 3 deg\n",
                   "# the scattering angle was calibrated with silver behenate\n", "# 2theta arm parked\n"):
        check(read(tmp_path, header + rows(Q, I, S)))


@pytest.mark.parametrize("header", [
    "# s = 2 sin(theta)/lambda\n", "# s=2*sin(theta)/lambda\n", "s = 2sinθ/λ\n", "# x: 2 sin(theta) / wavelength\n",
    "# s = 1/d\n", "# s=1/d\ns I err\n", "# q = 2 sin(theta)/lambda\nq I err\n", "# s (1/d) = 2/lambda*sin(theta)\n"],
    ids=range(8))
def test_a_stated_s_is_multiplied_by_two_pi(tmp_path, header):
    curve = read(tmp_path, header + rows(Q / (2 * np.pi), I, S))
    check(curve)
    assert "s = 2 sin(theta)/lambda, as the file says: multiplied by 2 pi to give q" in curve.notes


def test_a_stated_s_in_inverse_nanometres(tmp_path):
    check(read(tmp_path, "# s = 2 sin(theta)/lambda (1/nm)\n" + rows(10 * Q / (2 * np.pi), I, S)), "1/nm")


@pytest.mark.parametrize("header", [
    "s I(s) err\n", "# s = 4 pi sin(theta)/lambda\n", "# s = 4*pi*sin(theta)/lambda\ns I err\n", "# q = 4π sinθ/λ\n",
    "# q = 2 pi * 2 sin(theta)/lambda\n", "# s = 2 sin(theta)/lambda, q = 2 pi s\nq I sigma\n", "# q = 2 pi / d\n"])
def test_any_other_s_is_q(tmp_path, header):
    check(read(tmp_path, header + rows(Q, I, S)))


def test_wavelengths():
    for text, angstrom in (("Wavelength: 9.9e-11 m", 0.99), ("wavelength 1.54 A", 1.54), ("lambda [nm] 0.154", 1.54),
                           ("Wavelength (Angstroem) = 1,5418", 1.5418), ("energy 8.05 keV", 1.5402),
                           ("wavelength 1e-10", 1.0), ("WAVELENGTH=0.15418 nm; Energy = 8.0415 keV", 1.5418)):
        assert find_wavelength(text).angstrom == pytest.approx(angstrom, rel=1e-3), text
    for text in ("wavelength 1.54", "wavelength unknown, distance 2 m", "energy 12 mJ", "lambda 0 A",
                 "wavelength 1 A wavelength 2 A", "wavelength " + "9" * 1000):
        assert find_wavelength(text) is None, text


def test_angles_outside_the_circle_give_no_q():
    q = convert_two_theta(np.array([-1.0, 0.0, 90.0, 180.0, 181.0, np.nan, np.inf, 1e300]), "deg", 1.0)
    np.testing.assert_allclose(q[1:4], 4 * np.pi * np.sin(np.radians([0, 45, 90])))
    assert np.isnan(q[[0, 4, 5, 6, 7]]).all()


def test_endless_headers_are_searched_at_once():
    for text in ("wavelength: " * 20_000, "lambda" + "1" * 200_000, "2 sin(theta" * 20_000, "energy_" * 30_000,
                 "s = " * 50_000, " " * 200_000 + "2 theta" * 20_000):
        find_wavelength(text)
        defines_s(text, None)
        names_two_theta(text)


def test_the_unit_of_a_converted_angle_cannot_be_overruled(tmp_path):
    text = "# wavelength = 0.099 nm\n2theta I err\n" + rows(TWO_THETA, I, S)
    check(read(tmp_path, text, unit="1/A"))
    with pytest.raises(InputError, match="computed from 2 theta .* in 1/A: leave out the unit, 1/nm"):
        read(tmp_path, text, unit="1/nm")


@pytest.mark.parametrize("header", [
    "Position [°2Th.],Intensity [cts]\n", "Pos. [°2Th.]\tIobs [cts]\n", "2-theta/deg, I/cps\n", "<2Theta> <I> <Esd>\n",
    "x (2theta) y (counts)\n", "# columns: two_theta_deg, intensity, sigma\n", "_pd_meas_2theta_scan _pd_meas_counts\n",
    "*MEAS_SCAN_AXIS_X \"TwoTheta\"\n", "Degrees\tCounts\n", "deg counts\n", "#tth I\n"])
def test_the_names_of_powder_instruments_are_2_theta(tmp_path, header):
    angle = np.degrees(2 * np.arcsin(Q * 1.54 / (4 * np.pi)))
    for columns in ((angle, I), (angle, I, S)):
        if len(columns) == 3 and header.startswith(("deg", "Deg", "_pd")):
            continue  # these are names only if there is one for each column
        with pytest.raises(InputError, match="2 theta"):
            read(tmp_path, header + rows(*columns))


def test_a_value_of_2_theta_in_the_header_is_no_name(tmp_path):
    check(read(tmp_path, "detector 2theta: 0.00\n2theta = 12.5 deg\n" + rows(Q, I, S)))


def test_q_over_2_pi_is_s(tmp_path):
    check(read(tmp_path, "# s = q/2pi (1/A)\n" + rows(Q / (2 * np.pi), I, S)))

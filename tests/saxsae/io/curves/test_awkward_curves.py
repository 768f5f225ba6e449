"""The awkward curves beside the checkout: those that concern the reading of tables, columns and formats."""

import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve

READ = {  # number of points, columns, whether sigma is estimated, part of a note
    "plain": (90, 3, False, None),
    "two_tables_pr_first": (90, 4, False, "the file has 3 tables: "),
    "header_seven_numbers": (90, 3, False, "1 line of numbers outside the table left out (line 1)"),
    "two_theta_header": (90, 3, False, "2 theta in deg converted to q by the wavelength of 0.99 A"),
    "curves_side_by_side": (90, 6, True, "the file has three curves, side by side: the first was read, without sigma"),
    "curves_one_q": (90, 5, False, "the file has two curves, on one q: the first (I_1) was read"),
    "quoted_decimal_comma": (90, 3, False, None),
    "channel_from_10": (90, 4, False, "the first column only counts the rows: skipped"),
    "q_twopi_missing": (90, 3, False, "multiplied by 2 pi to give q"),
    "cansas1d": (45, 3, False, "canSAS XML"),
    "q_dq_first": (90, 4, False, "column 2 is the width of q: column 3 was read as the intensity"),
}


@pytest.mark.parametrize("name", READ)
def test_read(awkward_curves, name):
    points, columns, estimated, note = READ[name]
    curve = read_curve(awkward_curves / f"{name}.dat")
    plain = read_curve(awkward_curves / "plain.dat")
    assert curve.q_inv_angstrom.size == points and curve.columns == columns and curve.sigma_estimated is estimated
    step = 2 if name == "cansas1d" else 1
    np.testing.assert_allclose(curve.q_inv_angstrom, plain.q_inv_angstrom[::step], rtol=1e-4)
    np.testing.assert_allclose(curve.intensity, plain.intensity[::step], rtol=1e-3, atol=1e-5)
    if not estimated:
        np.testing.assert_allclose(curve.sigma, plain.sigma[::step], rtol=5e-3, atol=2e-5)
    assert note is None or any(note in one for one in curve.notes), curve.notes


@pytest.mark.parametrize("name, reason", [
    ("log10_intensity", "the table in lines 1 to 90 looks like log10 (or ln) of the intensity: give the intensity"),
    ("two_dimensional", "is two-dimensional (Qx, Qy, I): average it over the angles and give q, I, sigma"),
])
def test_refused(awkward_curves, name, reason):
    with pytest.raises(InputError) as caught:
        read_curve(awkward_curves / f"{name}.dat")
    assert str(caught.value).startswith(f"{awkward_curves / name}.dat: ") and reason in str(caught.value)

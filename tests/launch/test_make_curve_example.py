"""The shipped example: made by launch.datasets.make_curve_example, byte for byte, and what it claims to be."""

import pathlib

import launched
import numpy as np

from launch.datasets import make_curve_example
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.structures.structure_files import read_structure
from saxsae.profiles.guinier import fit_guinier

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "saxsae" / "examples"


def test_it_is_made_again_byte_for_byte(tmp_path):
    launched.run("launch.datasets.make_curve_example", f"--output={tmp_path}").check_returncode()
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (SHIPPED / made.name).read_bytes()
        assert made.stat().st_size < 200_000
    assert len(list(tmp_path.iterdir())) == 2


def test_a_ball_of_cells_scatters_as_a_ball():
    axis = np.arange(-24, 25)
    ball = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= 20.3**2
    q = np.linspace(0.01, 0.2, 20)
    x = q * (3 * ball.sum() / (4 * np.pi)) ** (1 / 3)
    exact = make_curve_example.I_ZERO * (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    np.testing.assert_allclose(make_curve_example.intensity(ball, q), exact, rtol=0.01,
                               atol=1e-4 * make_curve_example.I_ZERO)


def test_the_curve_is_that_of_the_beads():
    curve = read_curve(SHIPPED / "three_lobes.dat")
    assert curve.unit == "1/A" and not curve.sigma_estimated
    beads = read_structure(SHIPPED / "three_lobes.pdb")
    assert beads.kind == "beads"
    xyz = beads.xyz_angstrom - beads.xyz_angstrom.mean(0)
    radius_of_gyration = np.sqrt((xyz**2).sum(-1).mean())
    assert 38 < np.linalg.norm(xyz, axis=-1).max() < 44
    fit = fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)
    assert abs(fit.rg_angstrom / radius_of_gyration - 1) < 0.05
    # Bead against bead, apart from their size: the same curve within the noise at low q.
    low = curve.q_inv_angstrom < 0.15
    q = curve.q_inv_angstrom[low]
    distance = np.linalg.norm(xyz[:, None] - xyz, axis=-1)[np.triu_indices(len(xyz), 1)]
    model = 1 / len(xyz) + 2 / len(xyz) ** 2 * np.array([np.sinc(each * distance / np.pi).sum() for each in q])
    measured, sigma = curve.intensity[low], curve.sigma[low]
    scale = (measured * model / sigma**2).sum() / (model**2 / sigma**2).sum()
    assert (((measured - scale * model) / sigma) ** 2).mean() < 2

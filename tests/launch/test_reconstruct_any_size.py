"""What launch.reconstruct writes and draws of shapes of any size and curves of any kind, without a search."""

import types
import warnings

import gemmi
import matplotlib.figure
import numpy as np
import pytest

from launch.plotting import runs, style
from launch.plotting.saxs_figures import shapes
from launch.reconstruction import files
from phasenet.io.ccp4 import read_map
from saxsae.io.curves.measured_curves import Curve
from saxsae.profiles.guinier import fit_guinier
from saxsae.shapes import voxels
from saxsae.superposition import ensemble

pytestmark = pytest.mark.optimized

NAMES = {"density.ccp4", "density_sd.ccp4", "cluster_A.ccp4", "cluster_B.ccp4", "model_01.ccp4",
         "model_02.ccp4", "fit.fit", "shape.png", "fit.png", "convergence.png"}


def made(radius, intensity=lambda q: np.exp(-(q**2)), generations=3, **changes):
    """A curve and what `reconstruct` would find for it: two models, by turns a rod and a ball."""
    q = np.linspace(0.1, 3.0, 40)
    values = np.asarray(intensity(q), float)
    curve = Curve(q / radius, values, np.full(len(q), 0.01 * np.abs(values).max()), "1/A", (), "made.dat", False, 3)
    x, y, z = np.indices((31,) * 3) - 15
    models = np.stack([(x**2 + y**2 < 5) & (abs(z) < 13), x**2 + y**2 + z**2 < 50]).astype(np.float32)
    history = types.SimpleNamespace(best=np.geomspace(9, 1, 2 * generations).reshape(2, generations),
                                    elites=np.geomspace(18, 2, 2 * generations).reshape(2, generations))
    used = slice(3, 35)
    found = {
        "density": models.mean(0), "pitch_angstrom": float(voxels.pitch(radius)), "radius_angstrom": radius,
        "models": models, "model_chi_squared": np.array([1.0, 3.0]), "q_inv_angstrom": curve.q_inv_angstrom[used],
        "intensity": values[used], "sigma": curve.sigma[used], "fit": values[used], "chi_squared": 1.0, "scale": 1.0,
        "background": 0.0, "history": history, "sources": (), "occupancy": None,
        "ensemble": ensemble.describe(models, float(voxels.pitch(radius)), 0.5),
        "guinier": fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma)}
    return curve, types.SimpleNamespace(**found | changes)


def write(folder, curve, found):
    level = shapes.equal_volume_level(found.density)
    files.write_results(folder, found, level, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files.draw(folder, curve, found, level, None, None, None)
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("radius", [0.2, 1.0, 40.0, 900.0, 2120.0, 50_000.0])
def test_a_shape_of_any_size_is_written_where_the_map_is(tmp_path, radius):
    curve, found = made(radius)
    beads = "beads.pdb" if radius < 1000 else "beads.cif"
    assert write(tmp_path, curve, found) == NAMES | {beads}
    structure = gemmi.read_structure(str(tmp_path / beads))
    atoms = list(structure[0].all())
    level = shapes.equal_volume_level(found.density)
    pitch = found.pitch_angstrom
    np.testing.assert_allclose([a.atom.pos.tolist() for a in atoms], (np.argwhere(found.density > level) - 15) * pitch,
                               atol=6e-4)
    np.testing.assert_allclose(read_map(tmp_path / "density.ccp4").origin_angstrom, -15 * pitch, rtol=1e-4)


def test_beads_of_an_earlier_run_do_not_stay(tmp_path):
    for name in ("beads.pdb", "beads.cif", "log.json"):
        (tmp_path / name).touch()
    files.remove_old_results(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("intensity", "changes"), [
    (lambda q: -np.exp(-(q**2)), {}),
    (lambda q: np.exp(-(q**2)) - 0.5, {}),
    (np.zeros_like, {}),
    (np.ones_like, {}),
    (lambda q: 1e30 * q, {}),
    (lambda q: 1e-30 * np.exp(-(q**2)), {}),
    (np.sin, {"fit": np.full(32, np.nan), "chi_squared": np.inf, "model_chi_squared": np.array([np.inf, np.nan])}),
    (np.sin, {"fit": np.full(32, -1.0), "chi_squared": 1e40})])
def test_a_curve_of_any_kind_is_drawn(tmp_path, intensity, changes):
    curve, found = made(30.0, intensity, **changes)
    sigma = np.where(found.sigma > 0, found.sigma, 1.0)
    assert write(tmp_path, curve, types.SimpleNamespace(**vars(found) | {"sigma": sigma})) == NAMES | {"beads.pdb"}


@pytest.mark.parametrize("best", [[[2.5]], [[2.5], [3.0]], [[np.inf, 3.0]], [[np.nan, np.nan]], [[np.inf]],
                                  [[0.0, 0.0]], [[1e-3, 1e30], [1e35, 1.0]]])
def test_convergence_of_any_run_is_drawn(tmp_path, best):
    best = np.array(best)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with style.figure(tmp_path / "convergence.png", 5.2, 3.6) as figure:
            axes = figure.subplots()
            runs.plot_convergence(axes, best, 2 * best)
    assert all(line.get_marker() == "." for line in axes.get_lines()) == (best.shape[1] == 1)


@pytest.mark.parametrize("width", [0.003, 0.3, 1.0, 2.9, 3.0, 30.0, 299.0, 300.0, 1501.0, 6e5])
def test_the_scale_bar_has_a_round_length(width):
    axes = matplotlib.figure.Figure().subplots()
    axes.set_xlim(-width / 2, width / 2)
    style.add_scale_bar(axes)
    length = float(axes.texts[0].get_text().split()[0])
    assert f"{length:e}"[0] in "125" and float(f"{length:e}".partition("e")[0]) in (1, 2, 5)
    assert width / 8 < length <= width / 3 * 1.000001
    assert axes.get_lines()[0].get_xdata()[1] == pytest.approx(length / width, rel=1e-5)


@pytest.mark.parametrize("values", [[1.0] * 5, [0.5, 0.5], [1.0], [1.0] * 3 + [0.5] * 6, [0.25] * 9, [0.01]])
def test_the_level_leaves_a_bead(values):
    density = np.zeros((9, 9, 9), np.float32)
    density.reshape(-1)[:len(values)] = values
    level = shapes.equal_volume_level(density)
    assert (density > level).any() and level >= 0

"""The folder of a reconstruction: maps, beads, fit, pictures and the log."""

import pathlib

import numpy as np

from launch import app
from launch.pages import page
from launch.reconstruction.reference import Placed, Reference
from phasenet.io.ccp4 import write_map
from saxsae.io.curves.measured_curves import Curve, write_fit
from saxsae.io.structures.beads import beads_above, write_beads
from saxsae.reconstruction import Reconstruction

LOG = "log.json"
_BEAD_RADIUS = 0.62  # of the pitch: the volume of a ball is that of a voxel


def clear(folder: pathlib.Path) -> None:
    """Removes what an earlier run left and this one may not replace: only where its log lies."""
    if (folder / LOG).exists():
        for stale in (LOG, page.NAME, "density_on_reference.ccp4", "model_[0-9][0-9]*.ccp4"):
            for file in folder.glob(stale):
                file.unlink()


def write_results(folder: pathlib.Path, found: Reconstruction, level: float,
                 placed: Placed | None) -> None:
    """All but pictures and log: maps, beads, fit, and the map on the reference, if any."""
    pitch = found.pitch_angstrom
    write_map(folder / "density.ccp4", found.density, pitch,
              label=f"Mean of {len(found.models)} models from a SAXS curve")
    for number, (model, chi_squared) in enumerate(zip(found.models, found.model_chi_squared), 1):
        write_map(folder / f"model_{number:02d}.ccp4", model, pitch,
                  label=f"Model {number} from a SAXS curve, chi^2 {chi_squared:.3f}")
    xyz, values = beads_above(found.density, pitch, level)
    write_beads(folder / "beads.pdb", xyz, _BEAD_RADIUS * pitch, values, (
        f"Voxels of density.ccp4 above {level:.3f}: as many as the models have on average.",
        "Occupancy: share of the models that fill the place. The hand is undetermined."))
    if placed is not None:
        half = (placed.density.shape[0] - 1) / 2
        write_map(folder / "density_on_reference.ccp4", placed.density, pitch,
                  placed.centre - half * pitch, label="Mean model superposed on the reference")
    write_fit(folder / "fit.fit", found.q_inv_angstrom, found.intensity, found.sigma, found.fit, (
        f"chi^2 {found.chi_squared:.4f}, r_max {found.radius_angstrom:.2f} A",
        f"scale {found.scale:.6g}, background {found.background:.6g}"))


def draw(folder: pathlib.Path, curve: Curve, found: Reconstruction, level: float,
         reference: Reference | None, placed: Placed | None,
         correlations: tuple[np.ndarray, np.ndarray] | None) -> None:
    """convergence.png, fit.png and shape.png."""
    from launch.plotting import runs, style
    from launch.plotting.saxs_figures import shapes  # matplotlib is slow to load

    with style.figure(folder / "convergence.png", 5.2, 3.6) as figure:
        runs.convergence(figure.subplots(), found.history.best, found.history.elites, correlations)
    with style.figure(folder / "fit.png", 5.2, 4.6) as figure:
        left_out = (curve.q_inv_angstrom < found.q_inv_angstrom[0])
        left_out |= curve.q_inv_angstrom > found.q_inv_angstrom[-1]
        runs.fit(figure, found.q_inv_angstrom, found.intensity, found.sigma, found.fit,
                 found.chi_squared, found.guinier,
                 (curve.q_inv_angstrom[left_out], curve.intensity[left_out]))
    with style.figure(folder / "shape.png", 7.2, 4.4) as figure:
        if placed is None:
            shapes.shape(figure, found.density, found.pitch_angstrom, level)
        else:
            xyz = reference.structure.xyz_angstrom - placed.centre
            shapes.shape(figure, placed.density, found.pitch_angstrom, level,
                         shapes.as_balls(xyz, reference.spacing))


def listing(folder: pathlib.Path) -> str:
    """The names of the results, the models in one word."""
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    models = [name for name in names if name.startswith("model_")]
    others = [name for name in names if name not in models]
    return "  ".join([*others, f"{models[0]} .. {models[-1]}" if len(models) > 1 else models[0]])


def write_log(folder: pathlib.Path, log: dict, also: str | None) -> None:
    """log.json, last of all files: where it is, the rest is whole. ``also``: a second place."""
    app.write_json(folder / LOG, log)
    if also is not None:
        app.write_json(also, log)

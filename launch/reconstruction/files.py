"""Writes the output folder of `launch.reconstruct`: maps, beads, fit, pictures and the log."""

import pathlib
from collections.abc import Iterable

import numpy as np

from launch.pages import page
from launch.reconstruction.reference import PlacedMap, Reference, ScoredReference
from phasenet.io.ccp4 import write_map
from saxsae.io.curves.measured_curves import Curve, write_fit
from saxsae.io.structures.beads import beads_above, fits_pdb, write_beads
from saxsae.reconstruction import Reconstruction
from saxsae.superposition import ensemble

LOG = "log.json"
# Names of the results, as patterns.
_RESULTS = (LOG, page.NAME, "density.ccp4", "density_sd.ccp4", "occupancy.ccp4", "cluster_[A-Z]*.ccp4",
            "density_on_reference.ccp4", "model_[0-9][0-9]*.ccp4", "beads.pdb",
            "beads.cif", "fit.fit", "reference_fit.fit", "shape.png", "fit.png", "convergence.png")
_BEAD_RADIUS = 0.62  # in units of the pitch; a ball of this radius has the volume of a voxel


def remove_old_results(folder: pathlib.Path, keep: Iterable[str | None] = ()) -> None:
    """Removes the results of an earlier run, which a new run may not replace; without a log.json, removes nothing.

    Args:
      folder: the output folder.
      keep: files that stay, such as a fit.fit that is the input of this run.
    """
    kept = {pathlib.Path(path).resolve() for path in keep if path is not None}
    if (folder / LOG).exists():
        for name in _RESULTS:
            for file in folder.glob(name):
                if file.resolve() not in kept:
                    file.unlink()


def write_results(folder: pathlib.Path, result: Reconstruction, level: float,
                  placed: PlacedMap | None) -> None:
    """Writes the maps, the beads and the fit.

    The beads are beads.pdb, or beads.cif for a shape that is too large for a PDB file (beyond 1,000 A from the centre).

    Args:
      folder: the output folder.
      result: the reconstruction.
      level: occupancy above which a voxel becomes a bead, see `shapes.equal_volume_level`.
      placed: the map superposed on the reference; None without a reference.
    """
    pitch = result.pitch_angstrom
    write_map(folder / "density.ccp4", result.density, pitch,
              label=f"Mean of {len(result.models)} models from a SAXS curve")
    if len(result.models) > 1:
        write_map(folder / "density_sd.ccp4", result.models.std(0), pitch, label="Standard deviation of the models")
    if result.occupancy is not None:
        write_map(folder / "occupancy.ccp4", result.occupancy, pitch,
                  label="Probability that a voxel is filled at 15 A resolution")
    _write_clusters(folder, result)
    for number, (model, chi_squared) in enumerate(zip(result.models, result.model_chi_squared, strict=True), 1):
        write_map(folder / f"model_{number:02d}.ccp4", model, pitch,
                  label=f"Model {number} from a SAXS curve, chi^2 {chi_squared:.3f}")
    xyz, values = beads_above(result.density, pitch, level)
    write_beads(folder / ("beads.pdb" if fits_pdb(xyz) else "beads.cif"), xyz, _BEAD_RADIUS * pitch, values, (
        f"Voxels of density.ccp4 above {level:.3f}: as many as the models have on average.",
        "Occupancy: the value of the map, 1 inside a protein. The hand is not determined."))
    if placed is not None:
        half = (placed.density.shape[0] - 1) / 2
        write_map(folder / "density_on_reference.ccp4", placed.density, pitch,
                  placed.centre - half * pitch, label="Mean model superposed on the reference")
    write_fit(folder / "fit.fit", result.q_inv_angstrom, result.intensity, result.sigma, result.fit, (
        f"chi^2 {result.chi_squared:.4f}, r_max {result.radius_angstrom:.2f} A",
        f"scale {result.scale:.6g}, background {result.background:.6g}"))


def write_reference_fit(folder: pathlib.Path, scored: ScoredReference) -> None:
    """Writes reference_fit.fit, the curve of a known structure on the measured points, if it was fitted."""
    fit = scored.fit
    if fit is not None:
        write_fit(folder / "reference_fit.fit", fit.q_inv_angstrom, fit.intensity, fit.sigma, fit.fit, (
            f"curve of {scored.name}", f"chi^2 {fit.chi_squared:.4f}, CorMap p {fit.cormap_p:.4g}",
            f"contrast of the shell {fit.contrast:.4f} e/A^3",
            f"scale {fit.scale:.6g}, background {fit.background:.6g}"))


def _write_clusters(folder: pathlib.Path, result: Reconstruction) -> None:
    """Writes the mean of each cluster of models, where there is more than one cluster."""
    labels = result.ensemble.clusters
    if labels.max() == 0:
        return
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        name = ensemble.name_cluster(label)
        write_map(folder / f"cluster_{name}.ccp4", result.models[members].mean(0), result.pitch_angstrom,
                  label=f"Mean of the {len(members)} models of cluster {name}")


def draw(folder: pathlib.Path, curve: Curve, result: Reconstruction, level: float,
         reference: Reference | None, placed: PlacedMap | None,
         correlations: tuple[np.ndarray, np.ndarray] | None) -> None:
    """Draws convergence.png, fit.png and shape.png.

    Args:
      folder: the output folder.
      curve: the measured curve.
      result: the reconstruction.
      level: occupancy at which the surface is drawn, see `shapes.equal_volume_level`.
      reference: the known structure; None if there is none.
      placed: the map superposed on the reference; None without a reference.
      correlations: what `report.correlation_history` returns; None without a reference.
    """
    # Not at the top of the file, because matplotlib is slow to load.
    from launch.plotting import runs, style
    from launch.plotting.saxs_figures import shapes

    with style.figure(folder / "convergence.png", 5.2, 3.6) as figure:
        runs.plot_convergence(figure.subplots(), result.history.best, result.history.elites, correlations,
                              measure="misfit" if result.sources else "$\\chi^2$")
    with style.figure(folder / "fit.png", 5.2, 4.6) as figure:
        left_out = (curve.q_inv_angstrom < result.q_inv_angstrom[0])
        left_out |= curve.q_inv_angstrom > result.q_inv_angstrom[-1]
        runs.plot_fit(figure, result.q_inv_angstrom, result.intensity, result.sigma, result.fit,
                      result.chi_squared, result.guinier,
                      (curve.q_inv_angstrom[left_out], curve.intensity[left_out]))
    with style.figure(folder / "shape.png", 7.2, 4.4) as figure:
        if placed is None or reference is None:
            shapes.draw_shape(figure, result.density, result.pitch_angstrom, level)
        else:
            xyz = reference.structure.xyz_angstrom - placed.centre
            shapes.draw_shape(figure, placed.density, result.pitch_angstrom, level,
                              shapes.as_balls(xyz, reference.spacing))


def listing(folder: pathlib.Path) -> str:
    """Returns the names of the files in the folder as one line, the models as first and last."""
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    models = [name for name in names if name.startswith("model_")]
    others = [name for name in names if name not in models]
    return "  ".join([*others, f"{models[0]} .. {models[-1]}" if len(models) > 1 else models[0]])

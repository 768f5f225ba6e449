"""Draws the electron density of the shipped made crystal solved at several resolutions, with the atoms found.

1. The reflections are cut, and `phasenet.crystal_pipeline` solves the crystal from those that are left.
2. The model is laid on the true atoms, so that all panels show the same molecule.
3. The map of F_obs with calculated phases is projected on the mean plane of the molecule: its maximum along the normal.
"""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from launch.crystals.evidence import collect_evidence
from launch.evaluation.crystals import Superposition, superpose_atoms
from launch.plotting import style
from phasenet.crystal import connectivity
from phasenet.crystal.lattice import SpaceGroupOperators, inverse_spacing, orthogonalization_matrix
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.crystal_pipeline import CrystalResult, solve_file
from phasenet.io.reflections.crystal_files import CrystalFile, read_crystal

_EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "phasenet" / "examples" / "made_crystal.hkl"
_RESOLUTIONS = (0.9, 1.0, 1.2, 1.5, 2.0)  # Angstrom; the example is measured to 0.9
_NUM_STARTS = 8
_NEAR = 0.5  # Angstrom within which a true atom counts as found
_HALF_THICKNESS = 1.5  # Angstrom from the mean plane, within which the density is projected
_ATOM_RADIUS = 0.5  # Angstrom; atoms whose centre is so far beyond that slab are drawn, too
_MARGIN = 1.3  # Angstrom around the molecule
_SPACING = 0.1  # Angstrom between the points at which the map is read
COLOURS = {"C": style.ORANGE, "N": style.BLUE, "O": style.RED}
_STEPS = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)


class MoleculeView(NamedTuple):
    """The plane on which a molecule is drawn.

    Attributes:
      centre: (3,) Angstrom.
      axes: (3, 3), unit vectors as rows: across the picture, up, and towards the reader.
      half_size: (2,) half the width and half the height of the picture, Angstrom.
    """

    centre: np.ndarray
    axes: np.ndarray
    half_size: np.ndarray


class _TrueAtoms(NamedTuple):
    """The n unique atoms of the example, all m of its cell, and the view of the molecule.

    Attributes:
      unique: (n, 3) fractional, the atoms of the molecule together.
      elements: n symbols.
      positions: (m, 3) fractional.
      view: of the molecule.
    """

    unique: np.ndarray
    elements: tuple[str, ...]
    positions: np.ndarray
    view: MoleculeView


def draw(path: pathlib.Path, seed: int, resolutions: Sequence[float] = _RESOLUTIONS,
         num_starts: int = _NUM_STARTS) -> dict[str, dict[str, Any]]:
    """Draws a panel for each resolution.

    Good: where the crystal is called solved, all atoms are found; where it is not solved, it is not called so.

    Args:
      path: the picture to write.
      seed: of the random phases.
      resolutions: to which the reflections are cut, Angstrom.
      num_starts: largest number of starts at each resolution.

    Returns:
      By resolution, such as "1.20 A": "status", "r1", and the numbers of unique atoms "found" within 0.5 A and of
      "true" ones.
    """
    crystal = read_crystal(_EXAMPLE)
    spacing = inverse_spacing(crystal.hkl, crystal.cell)
    cuts = [_take_reflections(crystal, spacing <= 1 / d_min + 1e-9) for d_min in resolutions]
    results = [solve_file(cut, num_starts=num_starts, seed=seed) for cut in cuts]
    true = _read_true_atoms(crystal, results[0].best.operators)
    counted: dict[str, dict[str, Any]] = {}
    with style.figure(path, 2.05 * len(results), 4.3) as figure:
        figure.set_layout_engine("compressed")  # the panels have a fixed ratio of their edges
        for axes, cut, result in zip(figure.subplots(1, len(results), squeeze=False)[0], cuts, results, strict=True):
            laid = _draw_panel(axes, cut, result, true)
            n = len(true.elements)
            # Whole cells are compared, so that a match of one molecule by chance counts little.
            found = 0 if laid is None else round(float(laid.matched.mean()) * n)
            solution = result.best.solution
            axes.set_title(f"{solution.d_min:.2f} {style.ANGSTROM}\n{result.status}, R1 {solution.r1:.3f}\n"
                           f"{found} of {n} atoms found")
            counted[f"{solution.d_min:.2f} A"] = {"status": result.status, "r1": solution.r1, "found": found, "true": n}
            if axes.get_subplotspec().is_first_col():
                style.add_scale_bar(axes)
        _add_legend(figure)
    return counted


def choose_view(places: np.ndarray) -> MoleculeView:
    """Returns the view along the normal of the mean plane of atoms, the longest axis upwards.

    Args:
      places: (n, 3) Angstrom.
    """
    directions = np.linalg.svd(places - places.mean(0), full_matrices=False)[2]
    axes = np.stack([directions[1], directions[0], np.cross(directions[1], directions[0])])
    along = places @ axes.T
    lowest, highest = along.min(0), along.max(0)
    middle = np.append((lowest + highest)[:2] / 2, along[:, 2].mean())
    return MoleculeView(middle @ axes, axes, (highest - lowest)[:2] / 2 + _MARGIN)


def project_density(density: np.ndarray, view: MoleculeView, cell: np.ndarray, hand: int,
                    shift: np.ndarray) -> np.ndarray:
    """Returns the maximum of a map along the normal of a view, within 1.5 A of its plane.

    Args:
      density: (X, Y, Z) map of the whole cell, any unit.
      view: in the frame of the true atoms.
      cell: (6,) Angstrom and degrees.
      hand: 1 or -1; true = hand * x + shift for the coordinates x of the map.
      shift: (3,) fractional.

    Returns:
      (rows, columns) in the unit of the map, at points 0.1 A apart; the first row is the lowest.
    """
    import jax.numpy as jnp
    from jax.scipy.ndimage import map_coordinates

    across, up, normal = (np.linspace(-half, half, 2 * round(half / _SPACING) + 1)
                          for half in (*view.half_size, _HALF_THICKNESS))
    offsets = np.stack(np.meshgrid(up, across, normal, indexing="ij"), -1)[..., [1, 0, 2]]
    places = (view.centre + offsets @ view.axes) @ np.linalg.inv(orthogonalization_matrix(cell)).T
    voxels = hand * (places - shift) % 1 * density.shape
    return np.asarray(map_coordinates(jnp.asarray(density), list(np.moveaxis(voxels, -1, 0)), 1, "wrap")).max(-1)


def _take_reflections(crystal: CrystalFile, kept: np.ndarray) -> CrystalFile:
    """Returns the crystal with the reflections of a mask (N,) only."""
    return crystal._replace(hkl=crystal.hkl[kept], intensity=crystal.intensity[kept], sigma=crystal.sigma[kept],
                            batch=None if crystal.batch is None else crystal.batch[kept])


def _read_true_atoms(crystal: CrystalFile, operators: SpaceGroupOperators) -> _TrueAtoms:
    """Reads the true atoms of the example, and puts its molecule together."""
    with open(_EXAMPLE.with_suffix(".csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    elements = tuple(row["element"] for row in rows)
    listed = np.array([[float(row[axis]) for axis in "xyz"] for row in rows])
    unique = connectivity.assemble(listed, elements, crystal.cell, operators).positions
    positions, _ = expand_to_cell(unique, operators, crystal.cell)
    return _TrueAtoms(unique, elements, positions, choose_view(unique @ orthogonalization_matrix(crystal.cell).T))


def _draw_panel(axes: Axes, crystal: CrystalFile, result: CrystalResult, true: _TrueAtoms) -> Superposition | None:
    """Draws the density and the atoms of a result, and returns how its cell lies on the true one."""
    solution, view, matrix = result.best.solution, true.view, orthogonalization_matrix(crystal.cell)
    found, sources = expand_to_cell(solution.positions, result.best.operators, crystal.cell)
    laid = superpose_atoms(found, true.positions, matrix, _NEAR)
    hand, shift = (1, np.zeros(3)) if laid is None else (laid.hand, laid.shift)
    density = collect_evidence(crystal, result).maps.density
    projected = project_density(density, view, crystal.cell, hand, shift)
    width, height = view.half_size
    axes.imshow(projected, cmap="Greys", vmin=0.0, vmax=projected.max(), origin="lower", interpolation="bilinear",
                extent=(-width, width, -height, height))
    seen = np.concatenate((((hand * found + shift) % 1 + _STEPS) @ matrix.T - view.centre) @ view.axes.T)
    elements = np.tile([solution.elements[source] for source in sources], len(_STEPS))
    inside = (np.abs(seen) < [width, height, _HALF_THICKNESS + _ATOM_RADIUS]).all(1)
    axes.scatter(seen[inside, 0], seen[inside, 1], s=16, edgecolors="white", linewidths=0.5,
                 color=[COLOURS[element] for element in elements[inside]])
    axes.text(1.0, -0.03, f"black: {projected.max():.1f} e/{style.ANGSTROM}$^3$", transform=axes.transAxes, ha="right",
              va="center", fontsize=7)
    style.hide_axes(axes)
    return laid


def _add_legend(figure: Figure) -> None:
    """Adds the colours of the elements below all panels."""
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, label=element)
               for element, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))

"""Draws statistics of made crystals beside those of measured ones, so that a difference between the two is seen.

Atoms: (a) nearest distances, (b) coordination numbers, (c) volume per atom. Intensities: (d) the mean of F^2 over
sum f^2 by resolution, (e) mean |E^2 - 1|, (f) completeness and I/sigma. All come from the functions that judge data and
models of a user (`phasenet.crystal`). Measured crystals are only looked at: nothing is made from them.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from launch.evaluation import crystals as evaluation
from launch.evaluation.crystals import PublishedCrystal
from launch.plotting import style
from launch.plotting.missing import MissingInput
from phasenet.crystal import connectivity, normalisation
from phasenet.crystal.form_factors import sum_of_squared_form_factors
from phasenet.crystal.lattice import find_absences, has_inversion, orthogonalization_matrix
from phasenet.crystal.measured.data_quality import assess_quality
from phasenet.crystal.measured.intensity_statistics import (
    MEAN_E2_MINUS_1,
    intensity_statistics,
    within_resolution,
)
from phasenet.crystal.measured.merging import laue_rotations, merge, select_reflections
from phasenet.crystal.measured.packing import assess_contents
from phasenet.crystal.measured.wilson import normalized_intensities
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.errors import InputError

_COLOURS = {"made": style.BLUE, "measured": style.ORANGE}
_REACH = 4.0  # Angstrom; an atom without a neighbour within this distance has no nearest one
_SAME_ATOM = 0.4  # Angstrom between copies that `expand_to_cell` takes for one
_DISTANCES, _DISTANCE_BIN = (0.9, 3.9), 0.05  # Angstrom
_MOST_NEIGHBOURS = 12  # drawn; more are counted as so many
_VOLUMES, _VOLUME_BIN = (6.0, 40.0), 1.0  # Angstrom^3 for each non-hydrogen atom
_SPACINGS = np.arange(0.05, 1.2, 0.05)  # edges of bins of 1/d, 1/Angstrom
_MIN_IN_BIN = 5  # reflections of a crystal, below which a bin has no mean
_MIN_CRYSTALS = 3  # whose median is drawn
_MIN_GENERAL = 50  # general reflections, below which mean |E^2 - 1| says little
_LEAST_PERCENT = 0.02  # where logarithmic axes end
_CLASSES = ("centrosymmetric", "acentric")
_LINES_OF_PROGRESS = 8


class CrystalStatistics(NamedTuple):
    """What the figure shows of one crystal with n independent non-hydrogen atoms.

    Attributes:
      nearest: (n,) distance of each atom from the nearest one, Angstrom; infinite without one within 4 Angstrom.
      coordination: (n,) int, number of neighbours at the distance of a bond.
      volume_per_atom: Angstrom^3 of the unit cell for each non-hydrogen atom.
      wilson: (K,) mean of F^2 / sum f^2 in the K bins of 1/d, of atoms at rest on the absolute scale; NaN where a bin
        has too few reflections, and for crystals that are not organic or not measured with X-rays.
      is_centrosymmetric: whether the space group has an inversion.
      mean_e2_minus_1: mean |E^2 - 1| of the general reflections; NaN for too few.
      completeness: measured reflections over all to the resolution of the data.
      i_over_sigma: mean I / sigma.
    """

    nearest: np.ndarray
    coordination: np.ndarray
    volume_per_atom: float
    wilson: np.ndarray
    is_centrosymmetric: bool
    mean_e2_minus_1: float
    completeness: float
    i_over_sigma: float


def draw(path: pathlib.Path, sources: Sequence[str],
         progress: Callable[[str], None] = lambda line: None) -> dict[str, int]:
    """Draws the six panels of all crystals of some files and folders.

    Good: the made crystals, on which a phasing is tuned and a network trained, cover what the measured ones show.

    Args:
      path: the picture to write.
      sources: files of made crystals (.npz), and folders of measured ones.
      progress: gets a line now and then, because large files take minutes.

    Returns:
      The numbers of "made" and "measured" crystals that are drawn, and of those that are "left out" because they have
      too few reflections.

    Raises:
      InputError: a file cannot be used.
      MissingInput: no source is given.
    """
    if not sources:
        raise MissingInput("needs --crystals=FILE.npz of launch.datasets.make_crystals, a folder of measured crystals, "
                           "or both")
    groups: dict[str, list[CrystalStatistics]] = {name: [] for name in _COLOURS}
    left_out, last_error = 0, None
    for source in sources:
        group = groups["made" if pathlib.Path(source).suffix == ".npz" else "measured"]
        listed = evaluation.list_crystals(source)
        for number, one in enumerate(listed, 1):
            try:
                group.append(gather(evaluation.read_published(one.path)))
            except InputError as error:
                left_out, last_error = left_out + 1, error
            if number % -(-len(listed) // _LINES_OF_PROGRESS) == 0:
                progress(f"{source}: {number} of {len(listed)} crystals")
    if last_error is not None and not any(groups.values()):
        raise InputError(f"--crystals={','.join(sources)}: no crystal can be used: {last_error}")
    with style.figure(path, 10.0, 6.2) as figure:
        draw_panels(figure, {name: group for name, group in groups.items() if group})
    return {name: len(group) for name, group in groups.items()} | {"left out": left_out}


def gather(crystal: PublishedCrystal) -> CrystalStatistics:
    """Returns the statistics of a crystal.

    Raises:
      InputError: it has too few reflections.
    """
    operators, cell = crystal.operators, crystal.cell
    rows = find_independent(crystal)
    elements = [crystal.elements[row] for row in rows]
    bonded = connectivity.longest_bonds(elements, elements)
    near = connectivity.find_neighbours(crystal.positions[rows], np.maximum(bonded, _REACH), cell, operators)
    nearest = np.full(len(rows), np.inf)
    np.minimum.at(nearest, near.first, near.lengths)
    is_bond = near.lengths < bonded[near.first, near.second]

    merged = merge(crystal.reflections, laue_rotations(operators.rotations))
    quality = assess_quality(crystal.reflections, merged, cell, operators)
    present = select_reflections(merged, ~find_absences(merged.hkl, operators))
    statistics = intensity_statistics(present, *normalized_intensities(present, cell), operators,
                                      within_resolution(present, cell, quality.d_noise))
    return CrystalStatistics(
        nearest, np.bincount(near.first[is_bond], minlength=len(rows)),
        assess_contents(cell, crystal.composition).volume_per_atom, wilson_curve(crystal), has_inversion(operators),
        statistics.mean_e2_minus_1 if statistics.num_general >= _MIN_GENERAL else np.nan, quality.completeness,
        quality.mean_i_over_sigma)


def find_independent(crystal: PublishedCrystal) -> np.ndarray:
    """Returns the rows (n,) int of the atoms of a cell that are no copies of earlier ones."""
    matrix = orthogonalization_matrix(crystal.cell)
    is_copy = np.zeros(len(crystal.positions), bool)
    rows = []
    for row, position in enumerate(crystal.positions):
        if is_copy[row]:
            continue
        rows.append(row)
        copies, _ = expand_to_cell(position[None], crystal.operators, crystal.cell)
        offset = crystal.positions[:, None] - copies
        is_copy |= np.linalg.norm((offset - np.rint(offset)) @ matrix.T, axis=-1).min(1) < _SAME_ATOM
    return np.array(rows, int)


def wilson_curve(crystal: PublishedCrystal) -> np.ndarray:
    """Returns the means (K,) of F^2 over sum f^2 in the bins of 1/d, as `CrystalStatistics.wilson` says.

    Raises:
      InputError: the crystal has too few reflections.
    """
    unique = normalisation.merge_equivalents(crystal.reflections, crystal.cell, crystal.operators)
    if crystal.radiation != "xray" or not normalisation.uses_debye_curve(crystal.composition):
        return np.full(len(_SPACINGS) - 1, np.nan)
    fit = normalisation.fit_scale_and_b(unique, crystal.composition, crystal.radiation)
    s = unique.inverse_spacing
    expected = fit.scale * np.exp(-fit.b_iso * s**2 / 2) * sum_of_squared_form_factors(
        s, crystal.composition, crystal.radiation)
    places, bins = np.digitize(s, _SPACINGS), len(_SPACINGS) + 1  # the outer bins are those beyond the edges
    weights = np.bincount(places, unique.multiplicity, bins)
    sums = np.bincount(places, unique.multiplicity * unique.intensity / (unique.epsilon * expected), bins)
    means = np.where(np.bincount(places, minlength=bins) >= _MIN_IN_BIN, sums / np.maximum(weights, 1), np.nan)
    return means[1:-1]


def draw_panels(figure: Figure, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws the panels of groups of crystals, "made" and "measured" or one of them, on an empty figure."""
    panels = (_draw_distances, _draw_coordination, _draw_volumes, _draw_wilson, _draw_e_statistics, _draw_quality)
    for axes, draw_panel, letter in zip(figure.subplots(2, 3).ravel(), panels, "abcdef", strict=True):
        draw_panel(axes, groups)
        style.add_panel_letter(axes, letter)
    figure.legend(handles=[
        Line2D([], [], color=_COLOURS[name], linewidth=4,
               label=f"{name}: {len(group)} crystals, {sum(len(one.nearest) for one in group)} independent atoms")
        for name, group in groups.items()], loc="outside lower center", ncols=len(groups), fontsize=9)


def _draw_distances(axes: Axes, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws the histogram of nearest distances."""
    for name, group in groups.items():
        _draw_histogram(axes, name, np.concatenate([one.nearest for one in group]), _DISTANCES, _DISTANCE_BIN)
    _set_log_percent(axes)
    axes.set_xlabel(f"distance of the nearest non-hydrogen atom ({style.ANGSTROM})")
    axes.set_ylabel(f"% of atoms per {_DISTANCE_BIN:g} {style.ANGSTROM}")


def _draw_coordination(axes: Axes, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws how many atoms have so many neighbours."""
    width = 0.8 / len(groups)
    for place, (name, group) in enumerate(groups.items()):
        numbers = np.minimum(np.concatenate([one.coordination for one in group]), _MOST_NEIGHBOURS)
        shares = 100 * np.bincount(numbers, minlength=_MOST_NEIGHBOURS + 1) / len(numbers)
        axes.bar(np.arange(len(shares)) + (place - (len(groups) - 1) / 2) * width, shares, width, color=_COLOURS[name])
    _set_log_percent(axes)
    ticks = range(0, _MOST_NEIGHBOURS + 1, 2)
    axes.set_xticks(ticks, [f"{number}" for number in ticks[:-1]] + [f"$\\geq${_MOST_NEIGHBOURS}"])
    axes.set_xlabel("neighbours at the distance of a bond")
    axes.set_ylabel("% of atoms")


def _draw_volumes(axes: Axes, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws the histogram of the volume for each atom."""
    for name, group in groups.items():
        _draw_histogram(axes, name, np.array([one.volume_per_atom for one in group]), _VOLUMES, _VOLUME_BIN)
    axes.set_xlabel(f"volume per non-hydrogen atom ({style.ANGSTROM}$^3$)")
    axes.set_ylabel(f"% of crystals per {_VOLUME_BIN:g} {style.ANGSTROM}$^3$")


def _draw_wilson(axes: Axes, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws the median over the organic crystals of the mean F^2 / sum f^2, its quartiles, and the Debye curve."""
    middles = (_SPACINGS[:-1] + _SPACINGS[1:]) / 2
    for name, group in groups.items():
        curves = np.array([one.wilson for one in group])
        enough = np.isfinite(curves).sum(0) >= _MIN_CRYSTALS
        if not enough.any():
            continue
        low, middle, high = np.nanpercentile(curves[:, enough], (25, 50, 75), axis=0)
        count = np.isfinite(curves).any(1).sum()
        axes.fill_between(middles[enough], low, high, color=_COLOURS[name], alpha=0.2, linewidth=0)
        axes.plot(middles[enough], middle, color=_COLOURS[name], label=f"{name}: {count} organic, X-rays")
    axes.plot(middles, normalisation.mean_debye_curve(middles), "k:", linewidth=1.2, label="assumed in solving")
    axes.set_xlim(0, _SPACINGS[-1])
    axes.set_ylim(0, None)
    axes.set_xlabel(f"1/d ({style.INVERSE_ANGSTROM})")
    axes.set_ylabel(r"mean $F^2$ / $\Sigma f^2$ (median, quartiles)")
    axes.legend(loc="lower right")


def _draw_e_statistics(axes: Axes, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws mean |E^2 - 1| of each crystal by its centre of symmetry, the medians, and the ideal values."""
    rng = np.random.default_rng(0)  # only to spread the points
    labels, place = [], 0
    for name in _CLASSES:
        first = place
        for set_name, group in groups.items():
            values = np.array([one.mean_e2_minus_1 for one in group
                               if one.is_centrosymmetric == (name == "centrosymmetric")])
            values = values[np.isfinite(values)]
            axes.plot(place + rng.uniform(-0.28, 0.28, len(values)), values, "o", color=_COLOURS[set_name],
                      markersize=3, alpha=0.5, markeredgewidth=0)
            if len(values):
                axes.hlines(np.median(values), place - 0.36, place + 0.36, color=_COLOURS[set_name], linewidth=2)
            labels.append(f"{set_name}\nn = {len(values)}")
            place += 1
        axes.hlines(MEAN_E2_MINUS_1[name], first - 0.48, place - 0.52, color="black", linestyle=":", linewidth=1.2)
        axes.text((first + place - 1) / 2, 1.01, name, transform=axes.get_xaxis_transform(), ha="center", fontsize=8)
    axes.set_xticks(range(place), labels)
    axes.set_ylabel(r"mean $|E^2 - 1|$ of a crystal")
    axes.legend(handles=[Line2D([], [], color="black", linestyle=":", linewidth=1.2, label="ideal"),
                         Line2D([], [], color=style.GREY, linewidth=2, label="median")], loc="upper right")


def _draw_quality(axes: Axes, groups: dict[str, list[CrystalStatistics]]) -> None:
    """Draws the completeness and the mean I / sigma of each crystal."""
    for name, marker in zip(_COLOURS, "oD", strict=True):
        group = groups.get(name, [])
        axes.plot([100 * one.completeness for one in group], [one.i_over_sigma for one in group], marker,
                  color=_COLOURS[name], markersize=3.5, alpha=0.6, markeredgewidth=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.08)
    axes.set_xlabel("completeness (%)")
    axes.set_ylabel(r"mean I / $\sigma$")


def _set_log_percent(axes: Axes) -> None:
    """Sets a logarithmic axis of percentages."""
    axes.set_yscale("log")
    axes.set_ylim(_LEAST_PERCENT, 100)
    axes.yaxis.set_major_formatter("{x:g}")


def _draw_histogram(axes: Axes, name: str, values: np.ndarray, limits: tuple[float, float], step: float) -> None:
    """Draws the shares of values (n,) in bins of a width as a line, in %; values beyond the limits count, unseen."""
    edges = np.linspace(*limits, round((limits[1] - limits[0]) / step) + 1)
    shares = 100 * np.histogram(values, edges)[0] / len(values)
    axes.stairs(shares, edges, color=_COLOURS[name], fill=False, linewidth=1.3)
    axes.set_xlim(*limits)

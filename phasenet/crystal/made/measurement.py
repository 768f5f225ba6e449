"""Measures a made crystal as an instrument would: `measure`.

Structure factors are sums over all atoms of the cell, hydrogen included. The conditions say what is missing and how
large the errors are; they are drawn as widely as measured crystals differ.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal import form_factors, lattice, symmetry_copies
from phasenet.crystal.lattice import Intensities
from phasenet.crystal.made.crystals import MadeCrystal
from phasenet.crystal.measured import merging

_CHUNK = 2048  # reflections that are summed at once


class MeasurementConditions(NamedTuple):
    """How a crystal is measured.

    Attributes:
      radiation: "xray", "electron" or "neutron".
      d_min: resolution in Angstrom.
      relative_noise: standard deviation of an intensity over the intensity.
      background_noise: standard deviation of a weak intensity over the mean intensity.
      model_error: standard deviation of the logarithm of a factor that equivalents share, as multiple scattering of
        electrons gives; the standard deviations that come with the data do not know of it.
      completeness: share that is measured of the reflections which nothing else removes.
      largest_d: reflections of a larger d, Angstrom, are missing (beam stop).
      missing_cone: half the opening of a cone of directions that were never measured, degrees.
      cone_axis: (3,) unit vector, Cartesian.
      weakest: intensities below so many mean intensities are missing.
      merged: True for one reflection of each set of equivalents, and none that the space group forbids; False for all
        that were measured, one of each Friedel pair.
    """

    radiation: str
    d_min: float
    relative_noise: float
    background_noise: float
    model_error: float
    completeness: float
    largest_d: float
    missing_cone: float
    cone_axis: np.ndarray
    weakest: float
    merged: bool


def draw_conditions(rng: np.random.Generator, d_min: tuple[float, float] = (0.8, 2.2),
                    electron_share: float = 0.15, merged: bool = True) -> MeasurementConditions:
    """Returns conditions of a measurement: most are good, some lack reflections, some are of electrons.

    Args:
      rng: source of random numbers.
      d_min: range of the resolution, Angstrom.
      electron_share: share of measurements with electrons.
      merged: see `MeasurementConditions`.
    """
    resolution = float(rng.uniform(*d_min))
    axis = rng.normal(size=3)
    axis = axis / np.linalg.norm(axis)
    electron = rng.random() < electron_share
    if electron:
        return MeasurementConditions(
            "electron", resolution, rng.uniform(0.04, 0.12), rng.uniform(0.01, 0.06), rng.uniform(0.10, 0.20),
            rng.uniform(0.85, 1.0), rng.uniform(8.0, 40.0), rng.choice([0.0, rng.uniform(10.0, 50.0)], p=[0.3, 0.7]),
            axis, 0.0, merged)
    incomplete = rng.random() < 0.15
    return MeasurementConditions(
        "xray", resolution, rng.uniform(0.02, 0.10), rng.uniform(0.003, 0.04), rng.uniform(0.0, 0.04),
        rng.uniform(0.2, 0.9) if incomplete else rng.uniform(0.94, 1.0),
        rng.uniform(5.0, 20.0) if rng.random() < 0.4 else 1e3,
        rng.uniform(5.0, 40.0) if rng.random() < 0.15 else 0.0, axis,
        rng.uniform(0.005, 0.1) if rng.random() < 0.15 else 0.0, merged)


def measure(rng: np.random.Generator, crystal: MadeCrystal, conditions: MeasurementConditions) -> Intensities:
    """Returns the intensities of a crystal, with standard deviations, on the absolute scale.

    Args:
      rng: source of random numbers.
      crystal: what is measured.
      conditions: of the measurement.
    """
    sphere = _list_reflections(crystal.cell, conditions.d_min)
    # Unmerged data hold what glide planes and screw axes forbid, but not what the lattice forbids.
    centring = (crystal.operators.rotations == np.eye(3)).all((1, 2))
    forbidding = np.ones(len(centring), bool) if conditions.merged else centring
    sphere = sphere[~lattice.find_absences(sphere, crystal.operators._replace(
        rotations=crystal.operators.rotations[forbidding], translations=crystal.operators.translations[forbidding]))]
    unique_of = merging.unique_indices(sphere, crystal.operators.rotations)
    unique, index = np.unique(unique_of, axis=0, return_inverse=True)
    true = np.abs(structure_factors(crystal, unique, conditions.radiation)) ** 2
    s = lattice.inverse_spacing(unique, crystal.cell)
    shown = true * np.exp(conditions.model_error * rng.normal(size=len(true)))
    directions = sphere @ np.linalg.inv(lattice.orthogonalization_matrix(crystal.cell))
    cosine = np.abs(directions @ conditions.cone_axis) / np.linalg.norm(directions, axis=1)
    outside = cosine <= np.cos(np.deg2rad(conditions.missing_cone))
    kept = (rng.random(len(unique)) < conditions.completeness) & (s > 1 / conditions.largest_d)
    if conditions.merged:
        kept &= np.bincount(index.ravel(), outside, len(unique)) > 0
        hkl, rows = unique[kept], np.flatnonzero(kept)
    else:
        chosen = outside & kept[index.ravel()]
        hkl, rows = sphere[chosen], index.ravel()[chosen]
    # The background fades with the intensities themselves.
    background = conditions.background_noise * _mean_around(true, s)[rows]
    sigma = np.sqrt((conditions.relative_noise * shown[rows]) ** 2 + background**2)
    intensity = shown[rows] + sigma * rng.normal(size=len(rows))
    strong = intensity >= conditions.weakest * true.mean() if conditions.weakest else np.ones(len(rows), bool)
    return Intensities(hkl[strong].astype(np.int32), intensity[strong], np.maximum(sigma, 1e-6)[strong])


def _list_reflections(cell: np.ndarray, d_min: float) -> np.ndarray:
    """Returns all reflections (N, 3) int of a cell (6,) down to `d_min` Angstrom, one of each Friedel pair."""
    matrix = lattice.orthogonalization_matrix(cell)
    largest = np.floor(np.linalg.norm(matrix, axis=0) / d_min).astype(int)
    axes = [np.arange(-n, n + 1) for n in largest[:2]] + [np.arange(largest[2] + 1)]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    h, k, l = hkl.T
    upper = (l > 0) | (k > 0) | ((k == 0) & (h > 0))
    hkl = hkl[upper & ((l > 0) | (k >= 0))]
    return hkl[lattice.inverse_spacing(hkl, cell) <= 1 / d_min]


def structure_factors(crystal: MadeCrystal, hkl: np.ndarray, radiation: str = "xray") -> np.ndarray:
    """Returns complex structure factors (N,) of reflections (N, 3), in the unit of the form factors.

    Args:
      crystal: its atoms, hydrogen included.
      hkl: reflections.
      radiation: "xray", "electron" or "neutron".
    """
    positions = np.concatenate([crystal.positions, crystal.hydrogens])
    b_iso = np.concatenate([crystal.b_iso, crystal.hydrogen_b_iso])
    names = np.array([*crystal.elements, *["H"] * len(crystal.hydrogens)])
    kinds, kind_of = np.unique(names, return_inverse=True)
    images, atoms = symmetry_copies.expand_to_cell(positions, crystal.operators, crystal.cell)
    order = np.argsort(kind_of[atoms], kind="stable")
    images, atoms = images[order], atoms[order]
    starts = np.searchsorted(kind_of[atoms], np.arange(len(kinds)))
    factors = form_factors.form_factors([str(kind) for kind in kinds], radiation)
    waves = []
    for axis in range(3):
        reach = int(np.abs(hkl[:, axis]).max(initial=0))
        waves.append((np.exp(2j * np.pi * np.arange(-reach, reach + 1)[:, None] * images[None, :, axis]), reach))
    s = lattice.inverse_spacing(hkl, crystal.cell)
    total = np.zeros(len(hkl), complex)
    for first in range(0, len(hkl), _CHUNK):
        part = slice(first, first + _CHUNK)
        terms = np.exp(-b_iso[atoms][None] * s[part, None] ** 2 / 4) * waves[0][0][hkl[part, 0] + waves[0][1]]
        for axis in (1, 2):
            terms *= waves[axis][0][hkl[part, axis] + waves[axis][1]]
        of_kinds = np.add.reduceat(terms, starts, axis=1)
        total[part] = (of_kinds * form_factors.scattering(factors, s[part]).T).sum(1)
    return total


def _mean_around(intensity: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Returns the mean intensity (N,) of the reflections of about the same 1/d, (N,)."""
    order = np.argsort(s)
    shells = np.array_split(order, max(1, min(20, len(s) // 40)))
    centres = [s[shell].mean() for shell in shells]
    return np.interp(s, centres, [intensity[shell].mean() for shell in shells])

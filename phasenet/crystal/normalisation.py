"""Computes unique reflections, the Wilson plot, and normalised and sharpened amplitudes.

`solve` calls these functions first. The scale and B are those of Wilson, Nature 150 (1942) 152, with the mean Debye
curve of organic molecules: interatomic distances shared by nearly all organics make <F^2> oscillate with resolution.

1. `merge_equivalents`: one reflection of each set of symmetry mates, with epsilon and multiplicity. (`measured.merging`
   comes before: it averages repeated measurements and judges them.)
2. `fit_scale_and_b`: scale and B.
3. `normalise`: |E|, and the amplitudes of point-like atoms under a Gaussian taper that the resolution can show.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.form_factors import sum_of_squared_form_factors
from phasenet.crystal.lattice import Intensities, SpaceGroupOperators
from phasenet.errors import InputError

# Mean F^2 over sum f^2 of 120 made organic crystals without hydrogens, at 1/d = 0, 0.05, ... 1.05 / A.
_DEBYE_SPACING = 0.05
_DEBYE = np.array([0.19, 0.19, 0.29, 0.76, 1.22, 1.15, 1.0, 0.88, 0.83, 0.80, 0.83, 0.83, 0.80, 0.80, 0.82, 0.90, 1.02,
                   1.15, 1.245, 1.26, 1.16, 1.02])
_ORGANIC_SHARE = 0.4  # share of carbon atoms, hydrogens not counted, from which on the Debye curve is used
_MIN_B, _MAX_B = -1.0, 15.0
_REFLECTIONS_PER_SHELL = 25
# Standard deviation of a tapered atom over d_min. The transform at d_min is then 0.29 of that at 0.
ATOM_WIDTH = 0.25
_MIN_REFLECTIONS = 5


class UniqueReflections(NamedTuple):
    """One reflection of each set of symmetry mates and Friedel mates, absences and F000 left out. N reflections.

    Attributes:
      hkl: (N, 3) int32.
      intensity: (N,) F^2, may be negative.
      sigma: (N,) standard deviation.
      inverse_spacing: (N,) 1/d in 1/A.
      epsilon: (N,) int, number of operators of the primitive group that leave h where it is.
      multiplicity: (N,) int, number of distinct mates, Friedel mates included.
    """

    hkl: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    inverse_spacing: np.ndarray
    epsilon: np.ndarray
    multiplicity: np.ndarray


class WilsonFit(NamedTuple):
    """Scale and B of the intensities: measured F^2 = scale exp(-B s^2 / 2) times F^2 of atoms at rest.

    Attributes:
      scale: factor from squared form factors to the measured unit.
      b_iso: Angstrom^2.
      with_debye_curve: whether the mean Debye curve of organics was used.
    """

    scale: float
    b_iso: float
    with_debye_curve: bool


class NormalisedAmplitudes(NamedTuple):
    """What the phasing works on, for N unique reflections.

    Attributes:
      normalised: (N,) |E|, its mean square 1 in shells of resolution, epsilon taken out.
      sharpened: (N,) amplitudes of Gaussian atoms of standard deviation `ATOM_WIDTH` * d_min.
      sharpening: (N,) `sharpened` over the measured |F|.
      wilson: scale and B.
      mean_e2_minus_1: mean |E^2 - 1|; 0.97 for centrosymmetric, 0.74 for other crystals without heavy atoms.
      d_min: resolution in Angstrom.
    """

    normalised: np.ndarray
    sharpened: np.ndarray
    sharpening: np.ndarray
    wilson: WilsonFit
    mean_e2_minus_1: float
    d_min: float


def merge_equivalents(reflections: Intensities, cell: np.ndarray, operators: SpaceGroupOperators) -> UniqueReflections:
    """Averages symmetry and Friedel mates with weights 1/sigma^2 and drops systematic absences.

    Args:
      reflections: measured intensities.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.

    Raises:
      InputError: fewer than five reflections remain.
    """
    keep = ~lattice.find_absences(reflections.hkl, operators) & reflections.hkl.any(1)
    keep &= np.isfinite(reflections.intensity) & np.isfinite(reflections.sigma)
    hkl = np.asarray(reflections.hkl[keep], np.int64)
    intensity, sigma = reflections.intensity[keep], reflections.sigma[keep]
    if len(hkl) < _MIN_REFLECTIONS:
        raise InputError(f"{len(hkl)} reflections without the systematic absences; at least {_MIN_REFLECTIONS} "
                         "are needed")
    if not (intensity > 0).any():
        raise InputError("no reflection has a positive intensity; check which column is F squared")
    positive = sigma[sigma > 0]
    floor = 1e-3 * np.median(positive) if len(positive) else 1e-3 * np.abs(intensity).mean() + 1e-9
    sigma = np.maximum(sigma, floor)
    mates = np.einsum("nj,kji->kni", hkl, operators.rotations)
    keys = np.concatenate([_index_key(mates), _index_key(-mates)])
    _, first, inverse = np.unique(keys.max(0), return_index=True, return_inverse=True)
    weight = 1 / sigma**2
    total = np.bincount(inverse, weight)
    merged = np.bincount(inverse, weight * intensity) / total
    unique, counts = hkl[first], np.sort(keys[:, first], 0)
    multiplicity = 1 + (np.diff(counts, axis=0) != 0).sum(0)
    rotations = np.unique(operators.rotations, axis=0)
    epsilon = sum((unique @ rotation == unique).all(1).astype(int) for rotation in rotations)
    return UniqueReflections(unique.astype(np.int32), merged, total**-0.5, lattice.inverse_spacing(unique, cell),
                             np.asarray(epsilon), multiplicity)


def fit_scale_and_b(reflections: UniqueReflections, composition: Mapping[str, float], radiation: str) -> WilsonFit:
    """Fits scale and B to the mean intensities in shells of resolution.

    Args:
      reflections: N unique reflections.
      composition: number of atoms of each element in the unit cell, hydrogens included.
      radiation: "xray", "electron" or "neutron".
    """
    s = reflections.inverse_spacing
    expected = sum_of_squared_form_factors(s, composition, radiation)
    organic = uses_debye_curve(composition)
    if organic:
        expected = expected * mean_debye_curve(s)
    shells = np.array_split(np.argsort(s), int(np.clip(len(s) // _REFLECTIONS_PER_SHELL, 2, 20)))
    points: list[tuple[float, float, float]] = []
    for shell in shells:
        weight = reflections.multiplicity[shell].astype(float)
        ratio = (np.average(reflections.intensity[shell] / reflections.epsilon[shell], weights=weight)
                 / np.average(expected[shell], weights=weight))
        if ratio > 0:
            points.append((np.average(s[shell]**2, weights=weight), np.log(ratio), 1.0 if points else 0.5))
    if len(points) < 2:
        return WilsonFit(max(float(reflections.intensity.mean() / expected.mean()), 1e-12), 3.0, organic)
    x, y, weight = np.array(points, float).T
    design = np.stack([np.ones_like(x), -x / 2], 1) * weight[:, None]
    b_iso = float(np.clip(np.linalg.lstsq(design, y * weight, rcond=None)[0][1], _MIN_B, _MAX_B))
    return WilsonFit(float(np.exp(np.average(y + b_iso * x / 2, weights=weight))), b_iso, organic)


def normalise(reflections: UniqueReflections, composition: Mapping[str, float], radiation: str) -> NormalisedAmplitudes:
    """Returns normalised and sharpened amplitudes of N unique reflections; arguments as those of `fit_scale_and_b`."""
    wilson = fit_scale_and_b(reflections, composition, radiation)
    s = reflections.inverse_spacing
    d_min = 1 / float(s.max())
    amplitude = np.sqrt(np.maximum(reflections.intensity, 0.0))
    squared = sum_of_squared_form_factors(s, composition, radiation)
    at_rest = np.sqrt(wilson.scale * np.exp(-wilson.b_iso * s**2 / 2))
    mean_shape = np.sqrt(squared / sum_of_squared_form_factors(np.zeros(1), composition, radiation))
    sharpening = taper(s, d_min) / (at_rest * mean_shape)
    e2 = np.maximum(reflections.intensity, 0.0) / (reflections.epsilon * at_rest**2 * squared)
    e2 = e2 / _smooth_shell_mean(e2, s, reflections.multiplicity)
    mean_e2_minus_1 = float(np.average(np.abs(e2 - 1), weights=reflections.multiplicity))
    return NormalisedAmplitudes(np.sqrt(e2), amplitude * sharpening, sharpening, wilson, mean_e2_minus_1, d_min)


def taper(inverse_spacing: np.ndarray, d_min: float) -> np.ndarray:
    """Returns the transform of a Gaussian of standard deviation `ATOM_WIDTH` * d_min, at 1/d of any shape in 1/A."""
    return np.exp(-2 * (np.pi * ATOM_WIDTH * d_min * inverse_spacing)**2)


def uses_debye_curve(composition: Mapping[str, float]) -> bool:
    """Returns whether a composition is that of an organic crystal."""
    placed = {symbol: count for symbol, count in composition.items() if symbol not in ("H", "D")}
    return placed.get("C", 0.0) >= _ORGANIC_SHARE * sum(placed.values())


def mean_debye_curve(inverse_spacing: np.ndarray) -> np.ndarray:
    """Returns the mean of F^2 over sum f^2 of organic crystals at 1/d, constant beyond 1.05 / A."""
    return np.interp(inverse_spacing, _DEBYE_SPACING * np.arange(len(_DEBYE)), _DEBYE)


def _smooth_shell_mean(values: np.ndarray, s: np.ndarray, multiplicity: np.ndarray) -> np.ndarray:
    """Returns the mean of values (N,) in shells of resolution, interpolated to each reflection."""
    order = np.argsort(s)
    shells = np.array_split(order, int(np.clip(len(s) // 60, 1, 20)))
    centres = [s[shell].mean() for shell in shells]
    means = [np.average(values[shell], weights=multiplicity[shell]) for shell in shells]
    return np.maximum(np.interp(s, centres, means), 1e-6)


def _index_key(hkl: np.ndarray) -> np.ndarray:
    """Returns one integer for each reflection (..., 3), in the order of h, then k, then l."""
    return (hkl[..., 0] * 4096 + hkl[..., 1]) * 4096 + hkl[..., 2]

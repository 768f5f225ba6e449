"""Puts intensities on an absolute scale and makes them independent of resolution.

The mean intensity at a resolution is modelled as scale * epsilon * sum f^2 * exp(-B s^2 / 2), with s = 1/d (Wilson,
Nature 150, 152, 1942). Scale and B (or a tensor B) are fitted by a generalised linear model with a logarithmic link
and exponentially distributed intensities, which takes weak and negative ones as they are and needs no shells.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from phasenet.crystal.form_factors import sum_of_squared_form_factors
from phasenet.crystal.lattice import inverse_spacing, orthogonalization_matrix
from phasenet.crystal.measured.merging import Merged, distinct_rotations

# Without a composition, the unit cell is taken to hold carbon, one atom in this many A^3.
_USUAL_VOLUME = 18.0
# Intensities at spacings above this many Angstrom are left out of the fit where enough others are left: there the mean
# intensity follows the shape of the molecules rather than Wilson's straight line.
_LOW_ANGLE_SPACING = 3.0
_MIN_REFLECTIONS = 30
_NUM_ITERATIONS = 30
# Number of reflections over which the mean intensity is averaged to normalise.
_REFLECTIONS_PER_SHELL = 60


class WilsonPlot(NamedTuple):
    """Absolute scale and fall-off of the intensities.

    Attributes:
      scale: measured intensity = scale * F^2 in electrons^2 (X-rays), A^2 (electrons), fm^2 (neutrons).
      b: isotropic displacement parameter B in A^2.
      b_sigma: its standard deviation.
      b_axes: (3,) B in A^2 along the reciprocal axes a*, b*, c*, from a fit of a full tensor; NaN with too few
        reflections.
      anisotropy: largest less smallest principal value of the tensor, A^2; NaN with too few reflections.
      anisotropy_sigma: typical standard deviation of a principal value, A^2.
    """

    scale: float
    b: float
    b_sigma: float
    b_axes: np.ndarray
    anisotropy: float
    anisotropy_sigma: float


def fit_wilson(
    merged: Merged,
    cell: np.ndarray,
    composition: Mapping[str, float] | None = None,
    radiation: str = "xray",
    rotations: np.ndarray | None = None,
) -> WilsonPlot:
    """Returns scale and B of merged reflections.

    Args:
      merged: unique reflections, systematic absences taken out.
      cell: (6,) Angstrom and degrees.
      composition: atoms in the unit cell; None takes carbon at the usual density.
      radiation: "xray", "electron" or "neutron".
      rotations: (n, 3, 3) of the point group, which the tensor B obeys; None for none.
    """
    inverse_d = inverse_spacing(merged.hkl, cell)
    if composition is None:
        composition = {"C": np.linalg.det(orthogonalization_matrix(cell)) / _USUAL_VOLUME}
    expected = merged.epsilon * sum_of_squared_form_factors(inverse_d, composition, radiation)
    used = inverse_d > 1 / _LOW_ANGLE_SPACING
    if used.sum() < max(_MIN_REFLECTIONS, 0.3 * len(used)):
        used[:] = True
    values, noise = merged.intensity[used] / expected[used], merged.sigma[used] / expected[used]
    half_s2 = inverse_d[used] ** 2 / 2
    (intercept, slope), covariance = _fit_log_mean(np.stack([np.ones(len(values)), -half_s2], axis=1), values, noise)
    b_axes, anisotropy, anisotropy_sigma = np.full(3, np.nan), np.nan, np.nan
    if used.sum() >= 2 * _MIN_REFLECTIONS:
        inverse = np.linalg.inv(orthogonalization_matrix(cell))
        turns = np.eye(3, dtype=int)[None] if rotations is None else distinct_rotations(rotations)
        # Averages over equivalents leave only the tensors that the point group allows.
        products = sum(_products(merged.hkl[used] @ turn @ inverse) for turn in turns) / len(turns)
        design = np.concatenate([np.ones((len(values), 1)), -products / 2], axis=1)
        coefficients, tensor_covariance = _fit_log_mean(design, values, noise)
        xx, yy, zz, xy, xz, yz = coefficients[1:] / np.sqrt([1, 1, 1, 2, 2, 2])
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        axes = inverse / np.linalg.norm(inverse, axis=1, keepdims=True)
        b_axes = np.einsum("ai,ij,aj->a", axes, tensor, axes)
        principal = np.linalg.eigvalsh(tensor)
        anisotropy = float(principal[-1] - principal[0])
        anisotropy_sigma = float(np.sqrt(np.diag(tensor_covariance)[1:4].mean()))
    return WilsonPlot(float(np.exp(intercept)), float(slope), float(np.sqrt(covariance[1, 1])), b_axes, anisotropy,
                     anisotropy_sigma)


def wilson_points(
    merged: Merged, cell: np.ndarray, composition: Mapping[str, float], radiation: str = "xray"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the points of the Wilson plot: means in shells of equal numbers of reflections.

    Args:
      merged: M unique reflections.
      cell: (6,) Angstrom and degrees.
      composition: atoms in the unit cell by element symbol.
      radiation: "xray", "electron" or "neutron".

    Returns:
      s^2 = 1/d^2 in 1/A^2, and ln(<I/epsilon> / sum f^2), each (K,). Shells whose mean intensity is not positive are
      left out.
    """
    inverse_d = inverse_spacing(merged.hkl, cell)
    ratios = merged.intensity / merged.epsilon / sum_of_squared_form_factors(inverse_d, composition, radiation)
    shells = np.array_split(np.argsort(inverse_d, kind="stable"), max(2, len(ratios) // _REFLECTIONS_PER_SHELL))
    points = np.array([[np.square(inverse_d[shell]).mean(), ratios[shell].mean()] for shell in shells if len(shell)])
    points = points[points[:, 1] > 0]
    return points[:, 0], np.log(points[:, 1])


def normalized_intensities(merged: Merged, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns E^2 = I / (epsilon <I/epsilon>) and its standard deviation, each (M,), from a smooth local mean of I.

    The mean is taken over neighbours in resolution: a fitted straight Wilson line times averages over overlapping
    shells. It assumes nothing about the contents of the unit cell.

    Args:
      merged: unique reflections, systematic absences taken out.
      cell: (6,) Angstrom and degrees.
    """
    mean = mean_intensity(merged, cell, inverse_spacing(merged.hkl, cell)) * merged.epsilon
    return merged.intensity / mean, merged.sigma / mean


def mean_intensity(merged: Merged, cell: np.ndarray, at_inverse_d: np.ndarray) -> np.ndarray:
    """Returns the mean of I/epsilon of merged reflections at 1/d (K,) in 1/A, as a smooth function, (K,) float64."""
    inverse_d = inverse_spacing(merged.hkl, cell)
    values = merged.intensity / merged.epsilon
    scale = max(float(np.abs(values).mean()), 1e-300)
    design = np.stack([np.ones(len(values)), -(inverse_d**2) / 2], axis=1)
    coefficients, _ = _fit_log_mean(design, values / scale, merged.sigma / merged.epsilon / scale)

    def line(s: np.ndarray) -> np.ndarray:
        return scale * np.exp(coefficients[0] - coefficients[1] * s**2 / 2)

    order = np.argsort(inverse_d)
    ratios = (values / line(inverse_d))[order]
    num_shells = max(1, len(values) // _REFLECTIONS_PER_SHELL)
    edges = np.linspace(0, len(values), num_shells + 1).astype(int)
    shell_mean = np.add.reduceat(ratios, edges[:-1]) / np.diff(edges)
    shell_place = np.add.reduceat(inverse_d[order], edges[:-1]) / np.diff(edges)
    # A shell of pure noise may have a mean at or below zero: the mean there is kept positive.
    shell_mean = np.maximum(shell_mean, 0.02)
    return np.exp(np.interp(at_inverse_d, shell_place, np.log(shell_mean))) * line(np.asarray(at_inverse_d))


def _products(s: np.ndarray) -> np.ndarray:
    """Returns xx, yy, zz and sqrt(2) times xy, xz, yz of vectors (N, 3), as (N, 6)."""
    x, y, z = s.T
    root = np.sqrt(2)
    return np.stack([x * x, y * y, z * z, root * x * y, root * x * z, root * y * z], axis=1)


def _fit_log_mean(design: np.ndarray, values: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns coefficients (p,) and covariance (p, p) of log(mean) = design @ coefficients.

    Args:
      design: (N, p), whose first column is one.
      values: (N,), exponentially distributed about their mean, plus noise.
      noise: (N,), standard deviation of the noise.
    """
    size = max(float(values.mean()), 1e-3 * float(np.abs(values).mean()), 1e-300)
    coefficients = np.zeros(design.shape[1])
    coefficients[0] = np.log(size)
    inverse = np.eye(design.shape[1])
    for _ in range(_NUM_ITERATIONS):
        log_mean = np.clip(design @ coefficients, np.log(size) - 20, np.log(size) + 20)
        mean = np.exp(log_mean)
        weights = mean**2 / (mean**2 + noise**2)
        weighted = design * weights[:, None]
        inverse = np.linalg.pinv(weighted.T @ design)
        step = inverse @ (weighted.T @ ((values - mean) / mean))
        step *= min(1.0, 1.0 / max(float(np.abs(design @ step).max()), 1e-12))
        coefficients = coefficients + step
        if np.abs(design @ step).max() < 1e-8:
            break
    mean = np.exp(np.clip(design @ coefficients, np.log(size) - 20, np.log(size) + 20))
    # Centric intensities scatter twice as much about their mean as acentric ones do.
    dispersion = float(((values - mean) ** 2 / (mean**2 + noise**2)).mean())
    return coefficients, inverse * dispersion
